//! Runs operations: in this process on the configured store, or in the running server that has the store to itself.

use std::path::Path;
use std::sync::Arc;

use super::control::{ControlClient, ControlStore};
use super::error::CliError;
use super::store;
use crate::config::Config;
use crate::domain::events::Events;
use crate::domain::keys::KeyRing;
use crate::domain::resources::Declared;
use crate::infra::clock::{Clock, UnixTime};
use crate::infra::password::PasswordHasher;
use crate::infra::store::Store;
use crate::operations::bootstrap::Bootstrap;
use crate::operations::{Actor, Context, Operation};

/// Where operations run.
pub(super) enum Operator {
    /// In this process.
    Local(Box<LocalOperator>),
    /// By asking a running server.
    Server(ControlClient),
}

/// The dependencies of operations in this process.
pub(super) struct LocalOperator {
    /// Empty where no operation asks for it.
    issuer: String,
    store: Arc<dyn Store>,
    now: UnixTime,
    passwords: PasswordHasher,
    events: Events,
    declared: Declared,
    keys: Option<KeyRing>,
}

impl Operator {
    /// On the store of the configuration. Where a running server has it, the server is asked.
    pub async fn of(config: &Config, now: UnixTime) -> Result<Self, CliError> {
        let opened = match connect_server(config).await? {
            Some(server) => return Ok(Self::Server(server)),
            None => store::open_durable(config).await,
        };
        let file = config.bootstrap_file.as_deref().map(Bootstrap::load).transpose()?;
        let declared = file.map(|file| file.catalogues()).unwrap_or_default();
        let issuer = config.issuer.as_str().to_owned();
        let local = LocalOperator { issuer, declared, ..LocalOperator::on(opened?, now) };
        Ok(Self::Local(Box::new(local)))
    }

    /// On that store, at that moment.
    #[cfg(test)]
    pub fn on(store: Arc<dyn Store>, now: UnixTime) -> Self {
        Self::Local(Box::new(LocalOperator::on(store, now)))
    }

    /// In this process, with the signing keys.
    pub fn with_keys(store: Arc<dyn Store>, now: UnixTime, keys: KeyRing) -> Self {
        Self::Local(Box::new(LocalOperator { keys: Some(keys), ..LocalOperator::on(store, now) }))
    }

    /// Runs the operation and writes its events to the store.
    pub async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, CliError> {
        let local = match self {
            Self::Server(server) => return server.run(&operation).await,
            Self::Local(local) => local,
        };
        let context = Context {
            issuer: &local.issuer,
            store: &*local.store,
            now: local.now,
            passwords: &local.passwords,
            events: &local.events,
            keys: local.keys.as_ref(),
            declared: &local.declared,
            by: Actor::CommandLine,
        };
        let done = operation.run(&context).await;
        let kept = local.events.flush(&*local.store).await;
        let output = done?;
        if let Err(error) = kept {
            let why = format!("it is done, but the event could not be written down: {error}");
            return Err(CliError::Unavailable(why));
        }
        Ok(output)
    }
}

impl LocalOperator {
    fn on(store: Arc<dyn Store>, now: UnixTime) -> Self {
        Self {
            issuer: String::new(),
            store,
            now,
            passwords: PasswordHasher::new(1, 1),
            events: Events::new(Clock::System),
            declared: Declared::default(),
            keys: None,
        }
    }
}

/// The running server to be asked: the one that holds the file store, or that has a socket by configuration.
pub(super) async fn connect_server(config: &Config) -> Result<Option<ControlClient>, CliError> {
    let Some(path) = config.control_socket() else { return Ok(None) };
    match ControlClient::connect(&path).await {
        Ok(server) => Ok(Some(server)),
        // The store says whether anybody has it, and what to do.
        Err(_) if config.store.is_durable() => Ok(None),
        Err(error) => Err(CliError::Unavailable(unreachable(&path, &error))),
    }
}

fn unreachable(path: &Path, error: &std::io::Error) -> String {
    format!("no server can be asked at CONTROL_SOCKET, {}: {error}", path.display())
}

/// The store, to be read: through the running server where that has it.
pub(super) async fn open_store_to_read(config: &Config) -> Result<Arc<dyn Store>, CliError> {
    match connect_server(config).await? {
        Some(server) if config.store.is_durable() => Ok(Arc::new(ControlStore(server))),
        Some(_) | None => store::open_durable_to_read(config).await,
    }
}
