//! The store that a command works on.

use std::sync::Arc;

use super::error::CliError;
use crate::config::Config;
use crate::infra::clock::Clock;
use crate::infra::store::{Store, open, open_to_read};

/// The store, if what is written to it is still there when this process has ended.
pub(super) async fn open_durable(config: &Config) -> Result<Arc<dyn Store>, CliError> {
    check_durable(config)?;
    Ok(open(&config.store, Clock::System).await?)
}

/// The same for who writes nothing at all.
pub(super) async fn open_durable_to_read(config: &Config) -> Result<Arc<dyn Store>, CliError> {
    check_durable(config)?;
    Ok(open_to_read(&config.store, Clock::System).await?)
}

fn check_durable(config: &Config) -> Result<(), CliError> {
    config
        .store
        .is_durable()
        .then_some(())
        .ok_or_else(|| CliError::Refused(NO_DURABLE_STORE.to_owned()))
}

const NO_DURABLE_STORE: &str = "neither REDIS_URL nor a STORE_URL of file: is set, so users and clients are in \
    the memory of the running server. If it has one of these, run this with the same settings: in the folder \
    with its .env, for example. Otherwise set CONTROL_SOCKET for both, or declare them in a TOML file, name it \
    in BOOTSTRAP_FILE and restart the server.";
