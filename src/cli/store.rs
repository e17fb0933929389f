//! Which store the configuration means.

use std::sync::Arc;

use super::failure::Failure;
use crate::config::Config;
use crate::infra::clock::Clock;
use crate::infra::store::schema::{RELEASE, check, settle};
use crate::infra::store::{
    FileStore, MemoryStore, RedisOptions, RedisStore, RedisTls, StartError, Store,
};

/// Opens the store the configuration names: Redis, a folder, or the memory of this process. What is in it
/// is something that this release reads, and whoever comes later learns that it was here.
pub async fn open_store(config: &Config, clock: Clock) -> Result<Arc<dyn Store>, StartError> {
    let store = reach(config, clock).await?;
    settle(&*store, RELEASE).await?;
    Ok(store)
}

async fn reach(config: &Config, clock: Clock) -> Result<Arc<dyn Store>, StartError> {
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
    let store = RedisStore::connect(&options).await?;
    for warning in store.warnings() {
        tracing::warn!(%warning, "ALLOW_VOLATILE_STORE: this redis may lose what it has acknowledged");
    }
    Ok(Arc::new(store))
}

/// The store, if what is written to it is still there when this process has ended.
pub(super) async fn lasting(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    has_to_last(config)?;
    Ok(open_store(config, Clock::System).await?)
}

/// The same for who writes nothing at all.
pub(super) async fn lasting_to_read(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    has_to_last(config)?;
    let store = reach(config, Clock::System).await?;
    check(&*store, RELEASE).await?;
    Ok(store)
}

fn has_to_last(config: &Config) -> Result<(), Failure> {
    let lasts = config.store_lasts();
    lasts.then_some(()).ok_or_else(|| Failure::Refused(INSTEAD.to_owned()))
}

const INSTEAD: &str = "neither REDIS_URL nor a STORE_URL of file: is set, so users and clients are in \
    the memory of the running server. If it has one of these, run this with the same settings: in the folder \
    with its .env, for example. Otherwise set CONTROL_SOCKET for both, or declare them in a TOML file, name it \
    in BOOTSTRAP_FILE and restart the server.";
