//! The connections to one Redis primary.
//!
//! - One multiplexed connection carries every command that does not wait for replicas.
//! - `WRITE_CONNECTIONS` more carry one critical write each, pipelined with its `WAIT`. `WAIT` counts only the
//!   writes of its own connection and blocks what is queued behind it, so it cannot share one.
//! - All are replaced together: after an I/O error, `READONLY`, `MASTERDOWN` or `UNBLOCKED`, or when a command
//!   times out and nothing was received for `idle_timeout`. `reconnect.rs` connects again.
//! - While disconnected, commands wait until `reconnect_wait` after the loss, so that a restart of Redis fails
//!   no request. After that they fail at once, until a reconnect succeeds: nothing piles up.
//!
//! Why, and what was refused: docs/decisions/redis-connections.md.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{RedisConnectionInfo, RedisResult, Value};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::command::{RedisCommand, RedisReply, ReplicaAcks, SendOptions, parse_replies};
use super::connector::{Connection, Connector, MAX_IN_FLIGHT};
use super::error::{CommandError, classify_error, ends_connection};
use super::reconnect::{PrimaryConnector, WRITE_CONNECTIONS, reconnect_loop};
use super::state::{ConnectionState, Connections, disconnect};
use super::tracking::TrackingTarget;

/// Sends commands to one primary.
pub(super) struct PrimaryConnections {
    state: Arc<watch::Sender<ConnectionState>>,
    connector: Connector,
    login: RedisConnectionInfo,
    in_flight: Semaphore,
    acks: Option<ReplicaAcks>,
    write_permits: Semaphore,
    free_write_connections: Mutex<Vec<usize>>,
    /// How long after a loss a command waits for the next connection.
    reconnect_wait: Duration,
    /// After how long without any reply a timed-out command ends its connection.
    idle_timeout: Duration,
    reconnect_task: JoinHandle<()>,
}

/// Which connection a command was sent on, and when.
struct Sent {
    generation: u64,
    connection: Connection,
    at: Instant,
}

impl PrimaryConnections {
    /// Connects once, and fails with the first error, so that a wrong address shows at the start.
    pub(super) async fn connect(primary: PrimaryConnector) -> Result<Self, CommandError> {
        let connections = primary.connect().await?;
        Ok(Self::spawn(primary, Ok(connections)))
    }

    /// Connects in the background.
    pub(super) fn connect_later(primary: PrimaryConnector) -> Self {
        Self::spawn(primary, Err(Instant::now()))
    }

    fn spawn(primary: PrimaryConnector, connections: Result<Connections, Instant>) -> Self {
        let state = ConnectionState { generation: 0, connections };
        let state = Arc::new(watch::Sender::new(state));
        let (acks, timeout) = (primary.acks, primary.timeout);
        let (connector, login) = (primary.connector.clone(), primary.login.clone());
        let reconnect_task = tokio::spawn(reconnect_loop(Arc::clone(&state), primary));
        Self {
            state,
            connector,
            login,
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            acks,
            write_permits: Semaphore::new(WRITE_CONNECTIONS),
            free_write_connections: Mutex::new((0..WRITE_CONNECTIONS).collect()),
            reconnect_wait: timeout / 4,
            idle_timeout: timeout / 2,
            reconnect_task,
        }
    }

    /// Sends the command once, on the current connection or on the next one if that comes in time. A command
    /// whose reply is lost may have run: whether to send it again is the caller's decision.
    pub(super) async fn send(
        &self,
        command: &RedisCommand,
        options: SendOptions,
        deadline: Instant,
    ) -> Result<Value, CommandError> {
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return Err(CommandError::unavailable("too many commands are waiting"));
        };
        let acks = self.acks.filter(|_| command.is_critical());
        let mut sent: Option<Sent> = None;
        let reply = timeout_at(deadline, async {
            let permit = if acks.is_some() { self.write_connection().await } else { None };
            let (generation, connections) = self.connected().await?;
            let for_write = permit.as_ref().and_then(|it| connections.for_writes.get(it.index));
            let connection = for_write.unwrap_or(&connections.shared).clone();
            sent = Some(Sent { generation, connection: connection.clone(), at: Instant::now() });
            Some(exchange(connection, command, options, acks).await)
        });
        let reply = reply.await;
        let Some(sent) = sent else { return Err(CommandError::unavailable("no connection")) };
        match reply {
            Ok(Some(Ok(reply))) => {
                sent.connection.mark_alive();
                reply.require_acks()
            }
            Ok(Some(Err(error))) => {
                if ends_connection(&error) {
                    self.disconnect(sent.generation);
                } else {
                    sent.connection.mark_alive();
                }
                Err(classify_error(&error))
            }
            Ok(None) => Err(CommandError::unavailable("no connection")),
            Err(_elapsed) => {
                // If other commands get replies meanwhile, Redis or this server is busy, and a new
                // connection would not help: it would fail every command in flight.
                if sent.connection.idle_for(sent.at) >= self.idle_timeout {
                    self.disconnect(sent.generation);
                }
                Err(CommandError::unavailable("no answer in time"))
            }
        }
    }

    /// Where changes of the keys that are read over these connections can be tracked.
    pub(super) fn tracking_target(&self) -> TrackingTarget {
        TrackingTarget {
            state: self.state.subscribe(),
            connections: Arc::downgrade(&self.state),
            connector: self.connector.clone(),
            login: self.login.clone(),
        }
    }

    /// Waits for a write connection that no other command uses.
    async fn write_connection(&self) -> Option<WritePermit<'_>> {
        self.write_permits.acquire().await.ok()?.forget();
        let mut free = self.free_write_connections.lock().unwrap_or_else(PoisonError::into_inner);
        Some(WritePermit { connections: self, index: free.pop().unwrap_or_default() })
    }

    /// The current connections. While disconnected, waits until `reconnect_wait` after the loss.
    async fn connected(&self) -> Option<(u64, Connections)> {
        let mut state = self.state.subscribe();
        let lost_at = state.borrow().connections.as_ref().err().copied();
        let until = lost_at.unwrap_or_else(Instant::now) + self.reconnect_wait;
        let connected = state.wait_for(|state| state.connections.is_ok());
        let state = timeout_at(until, connected).await.ok()?.ok()?;
        Some((state.generation, state.connections.as_ref().ok()?.clone()))
    }

    fn disconnect(&self, generation: u64) {
        disconnect(&self.state, Some(generation));
    }
}

impl Drop for PrimaryConnections {
    fn drop(&mut self) {
        self.reconnect_task.abort();
    }
}

/// The right to use one write connection. The one that was freed longest ago is taken next: a command whose
/// caller went away may still be in `WAIT` there, and so has time to end.
struct WritePermit<'a> {
    connections: &'a PrimaryConnections,
    index: usize,
}

impl Drop for WritePermit<'_> {
    fn drop(&mut self) {
        let free = &self.connections.free_write_connections;
        free.lock().unwrap_or_else(PoisonError::into_inner).insert(0, self.index);
        self.connections.write_permits.add_permits(1);
    }
}

async fn exchange(
    mut connection: Connection,
    command: &RedisCommand,
    options: SendOptions,
    acks: Option<ReplicaAcks>,
) -> RedisResult<RedisReply> {
    if acks.is_none() && !options.load_script && !options.asking {
        let reply = connection.multiplexed.send_packed_command(&command.command).await?;
        return Ok(RedisReply::Done(reply.extract_error()?));
    }
    let pipeline = command.to_pipeline(options, acks);
    let replies = connection.multiplexed.send_packed_commands(&pipeline, 0, pipeline.len()).await?;
    parse_replies(replies, acks)
}
