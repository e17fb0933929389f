//! The store that a command works on.

use std::sync::Arc;

use super::failure::Failure;
use crate::config::Config;
use crate::infra::clock::Clock;
use crate::infra::store::{Store, open, open_to_read};

/// The store, if what is written to it is still there when this process has ended.
pub(super) async fn lasting(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    has_to_last(config)?;
    Ok(open(&config.store, Clock::System).await?)
}

/// The same for who writes nothing at all.
pub(super) async fn lasting_to_read(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    has_to_last(config)?;
    Ok(open_to_read(&config.store, Clock::System).await?)
}

fn has_to_last(config: &Config) -> Result<(), Failure> {
    config.store.is_durable().then_some(()).ok_or_else(|| Failure::Refused(INSTEAD.to_owned()))
}

const INSTEAD: &str = "neither REDIS_URL nor a STORE_URL of file: is set, so users and clients are in \
    the memory of the running server. If it has one of these, run this with the same settings: in the folder \
    with its .env, for example. Otherwise set CONTROL_SOCKET for both, or declare them in a TOML file, name it \
    in BOOTSTRAP_FILE and restart the server.";
