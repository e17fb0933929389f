//! Which store the configuration means.

use std::sync::Arc;

use super::failure::Failure;
use crate::clock::Clock;
use crate::config::Config;
use crate::store::{FileStore, MemoryStore, RedisOptions, RedisStore, RedisTls, StartError, Store};

/// Opens the store the configuration names: Redis, a folder, or the memory of this process.
pub async fn open_store(config: &Config, clock: Clock) -> Result<Arc<dyn Store>, StartError> {
    if let Some(folder) = &config.store_folder {
        return Ok(Arc::new(FileStore::open(folder, clock).await?));
    }
    let Some(redis) = &config.redis else { return Ok(Arc::new(MemoryStore::new(clock))) };
    let options = RedisOptions {
        tls: RedisTls { ca_file: redis.ca_file.clone(), client: redis.client.clone() },
        sentinel_password: redis.sentinel_password.as_ref().map(|it| it.reveal().to_owned()),
        min_replicas_ack: Some(redis.min_replicas_ack),
        prefix: redis.prefix.clone(),
        allow_volatile: redis.allow_volatile,
        clock,
        ..RedisOptions::new(redis.url.reveal())
    };
    Ok(Arc::new(RedisStore::connect(&options).await?))
}

/// The store, if what is written to it is still there when this process has ended.
pub(super) async fn lasting(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    if !config.store_lasts() {
        return Err(Failure::Refused(INSTEAD.to_owned()));
    }
    Ok(open_store(config, Clock::System).await?)
}

const INSTEAD: &str = "neither REDIS_URL nor a STORE_URL of file: is set, so users and clients are in \
    the memory of the running server, which this command cannot reach. Declare them in a TOML file, \
    name it in BOOTSTRAP_FILE and restart the server; or set one of the two.";
