//! The connections to one primary as they are now, shared by the task that replaces them and all who use
//! them.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::connector::Connection;
use super::url::Endpoint;

/// The connections in use, or since when there are none.
pub(super) struct ConnectionState {
    /// Counts the connects, so that a command that failed on an old connection cannot end its successor.
    pub(super) generation: u64,
    pub(super) connections: Result<Connections, Instant>,
}

/// All connections to one server. They are replaced together.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) endpoint: Endpoint,
    /// For every command that does not wait for replicas.
    pub(super) shared: Connection,
    /// For one critical write each; empty where nothing waits for replicas.
    pub(super) for_writes: Arc<[Connection]>,
}

impl ConnectionState {
    /// The generation, while connected.
    pub(super) fn connected_generation(&self) -> Option<u64> {
        self.connections.as_ref().ok().map(|_| self.generation)
    }

    /// Closes the connections. Answers whether there were any.
    pub(super) fn disconnect(&mut self) -> bool {
        let connected = self.connections.is_ok();
        if connected {
            self.connections = Err(Instant::now());
        }
        connected
    }

    /// The server that is connected, and the shared connection to it.
    pub(super) fn current(&self) -> Option<(Endpoint, Connection)> {
        let connections = self.connections.as_ref().ok()?;
        Some((connections.endpoint.clone(), connections.shared.clone()))
    }
}

/// Closes the connections of that generation, if they are still in use. `reconnect.rs` opens others.
pub(super) fn disconnect(state: &watch::Sender<ConnectionState>, generation: Option<u64>) {
    state.send_if_modified(|state| generation == Some(state.generation) && state.disconnect());
}
