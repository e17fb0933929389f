//! One shared connection, redialled when it fails, and a bound on everything that waits for it.
//!
//! `redis::aio::ConnectionManager` is not used, because it lets go of a connection only when the
//! socket says so: one into a black hole, or to a primary that was demoted, would be kept, and a
//! handshake that was refused once would be the answer for ever.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::random;

/// Why a command has no answer, told without anything the command or the URL held.
#[derive(Debug)]
pub(super) enum Failure {
    /// The key holds something of another type.
    WrongType,
    Unavailable(String),
}

pub(super) struct Link {
    slot: Arc<watch::Sender<Slot>>,
    room: Semaphore,
    patience: Duration,
    keeper: JoinHandle<()>,
}

/// The connection in use, if there is one. The generation keeps a command that failed on an old
/// connection from ending its successor.
struct Slot {
    generation: u64,
    connection: Option<MultiplexedConnection>,
}

impl Link {
    /// Dials once; the error is the first answer, so that a wrong address shows at start-up.
    pub(super) async fn dial(client: Client, patience: Duration) -> Result<Self, Failure> {
        let dialler = Dialler { client, patience };
        let connection = Some(dialler.dial().await?);
        let slot = Arc::new(watch::Sender::new(Slot { generation: 0, connection }));
        let keeper = tokio::spawn(keep(Arc::clone(&slot), dialler));
        Ok(Self { slot, room: Semaphore::new(MOST_IN_FLIGHT), patience, keeper })
    }

    /// Asks over the connection there is, or over the next one if that comes in time. Asks once: a
    /// command whose reply is lost may have run, and only the caller can tell what that means.
    pub(super) async fn call<T, F>(
        &self,
        ask: impl FnOnce(MultiplexedConnection) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let Ok(_room) = self.room.try_acquire() else {
            return Err(Failure::Unavailable("too many commands are waiting".to_owned()));
        };
        let mut used = None;
        let answer = timeout(self.patience, async {
            let (generation, connection) = self.connected().await?;
            used = Some(generation);
            Some(ask(connection).await)
        });
        match answer.await {
            Ok(Some(Ok(answer))) => Ok(answer),
            Ok(Some(Err(error))) => {
                if ends_the_connection(&error) {
                    self.hang_up(used);
                }
                Err(told(&error))
            }
            Ok(None) => Err(Failure::Unavailable("the store is shutting down".to_owned())),
            Err(_elapsed) if used.is_none() => {
                Err(Failure::Unavailable("no connection".to_owned()))
            }
            Err(_elapsed) => {
                self.hang_up(used);
                Err(Failure::Unavailable("no answer in time".to_owned()))
            }
        }
    }

    async fn connected(&self) -> Option<(u64, MultiplexedConnection)> {
        let mut slot = self.slot.subscribe();
        let slot = slot.wait_for(|slot| slot.connection.is_some()).await.ok()?;
        Some((slot.generation, slot.connection.clone()?))
    }

    fn hang_up(&self, used: Option<u64>) {
        self.slot.send_if_modified(|slot| {
            used == Some(slot.generation) && slot.connection.take().is_some()
        });
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

struct Dialler {
    client: Client,
    patience: Duration,
}

impl Dialler {
    async fn dial(&self) -> Result<MultiplexedConnection, Failure> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.patience))
            .set_response_timeout(Some(self.patience))
            .set_pipeline_buffer_size(MOST_IN_FLIGHT);
        let dialled = self.client.get_multiplexed_async_connection_with_config(&config);
        match timeout(self.patience, dialled).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(told(&error)),
            Err(_elapsed) => Err(Failure::Unavailable("no answer in time".to_owned())),
        }
    }
}

/// Dials anew whenever the slot is empty: at once after a connection that served, with growing and
/// jittered pauses while dialling fails or new connections fail straight away.
async fn keep(slot: Arc<watch::Sender<Slot>>, dialler: Dialler) {
    let mut seen = slot.subscribe();
    let mut misses = 0;
    let mut since = Instant::now();
    loop {
        if seen.wait_for(|slot| slot.connection.is_none()).await.is_err() {
            return;
        }
        if since.elapsed() >= LONG_ENOUGH {
            misses = 0;
        }
        tracing::warn!("the connection to redis is gone, dialling");
        let connection = loop {
            sleep(pause(misses)).await;
            misses += 1;
            if let Ok(connection) = dialler.dial().await {
                break connection;
            }
        };
        tracing::info!("connected to redis");
        since = Instant::now();
        slot.send_modify(|slot| {
            slot.generation += 1;
            slot.connection = Some(connection);
        });
    }
}

/// None before the first try; then half to all of 50, 100, 200 … 500 ms.
fn pause(misses: u32) -> Duration {
    if misses == 0 {
        return Duration::ZERO;
    }
    let longest = SHORTEST_PAUSE.saturating_mul(1 << misses.min(5)).min(LONGEST_PAUSE);
    let jitter = f64::from(u16::from_be_bytes(random::bytes())) / f64::from(u16::MAX);
    longest.mul_f64(0.5 + jitter / 2.0)
}

/// An answer to the command leaves the connection as it is. No answer ends it, and so does READONLY:
/// the primary was demoted, and the same address may lead to its successor.
fn ends_the_connection(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => kind == ServerErrorKind::ReadOnly,
        ErrorKind::Extension | ErrorKind::UnexpectedReturnType => false,
        _ => true,
    }
}

fn told(error: &RedisError) -> Failure {
    if error.code() == Some("WRONGTYPE") {
        return Failure::WrongType;
    }
    Failure::Unavailable(match error.code() {
        Some(code) => format!("redis answered {code}"),
        None if error.is_timeout() => "no answer in time".to_owned(),
        None if error.is_connection_refusal() => "the connection was refused".to_owned(),
        None if error.is_io_error() => "the connection was lost".to_owned(),
        None if error.kind() == ErrorKind::AuthenticationFailed => {
            "redis refused the user or the password".to_owned()
        }
        None => format!("redis client error: {:?}", error.kind()),
    })
}

/// More than this many waiting for one connection is a pile, not a queue.
const MOST_IN_FLIGHT: usize = 1024;

/// A connection that lived this long was a good one.
const LONG_ENOUGH: Duration = Duration::from_secs(1);

const SHORTEST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_two_tries_grows_and_stays_under_half_a_second() {
        assert_eq!(pause(0), Duration::ZERO);
        for misses in 1..100 {
            let pause = pause(misses);
            assert!(pause >= Duration::from_millis(25), "{pause:?} after {misses}");
            assert!(pause <= LONGEST_PAUSE, "{pause:?} after {misses}");
        }
        assert!(pause(50) >= LONGEST_PAUSE / 2);
    }
}
