//! The connections to one primary, redialled when one fails, and a bound on everything that waits.
//!
//! `redis::aio::ConnectionManager` is not used, because it lets go of a connection only when the
//! socket says so: one into a black hole, or to a primary that was demoted, would be kept, and a
//! handshake that was refused once would be the answer for ever.
//!
//! **One connection is shared by everything, except by writes that wait for replicas.** `WAIT` counts
//! what its own connection has written, so it has to follow the write on the same one, and redis
//! answers nothing else there until it is over: on the shared connection every request would stand
//! behind every write, in line. So there are a few lanes besides, each for one critical write at a
//! time, in one round trip with its `WAIT`. (Asking for all writes at once, on a connection of its
//! own, would be fewer connections and two round trips, and after a failover in between the new
//! primary would vouch for a write of the old one.)
//!
//! All of them lead to the same server and go together: what ends one ends all.
//!
//! **It is also a circuit breaker.** A command that finds no connection waits for the next one, for a
//! moment after the last was lost: that is how a restart costs nobody an answer. When that moment is
//! over the circuit is open: every command fails at once, nothing piles up, and the only ones who still
//! try are the keeper's, one at a time. The first one that gets through closes it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::{RedisConnectionInfo, RedisResult, Value};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::address::Endpoint;
use super::door::{Door, Wire};
use super::failure::{Failure, ends_the_connection, told};
use super::keeper::{Dialler, keep};
use super::order::{Acks, Heard, Manner, Order, answer};
use super::tracking::Post;

/// The connections to one primary.
pub(super) struct Link {
    slot: Arc<watch::Sender<Slot>>,
    door: Door,
    login: RedisConnectionInfo,
    room: Semaphore,
    acks: Option<Acks>,
    lanes: Semaphore,
    free: Mutex<Vec<usize>>,
    /// How long after a loss a command waits for the next connection.
    hope: Duration,
    /// After how long without a word a connection is given up.
    silence: Duration,
    keeper: JoinHandle<()>,
}

/// The connections in use, if there are any, or since when there are none. The generation keeps a
/// command that failed on an old connection from ending its successor.
pub(super) struct Slot {
    pub(super) generation: u64,
    pub(super) wires: Result<Wires, Instant>,
}

impl Slot {
    /// The how-manieth connection it is, if there is one.
    pub(super) fn number(&self) -> Option<u64> {
        self.wires.as_ref().ok().map(|_| self.generation)
    }

    /// Lets go of the connections; answers whether there were any.
    pub(super) fn hang_up(&mut self) -> bool {
        let had = self.wires.is_ok();
        if had {
            self.wires = Err(Instant::now());
        }
        had
    }

    /// Where the server is that answers now, and the connection on which it does.
    pub(super) fn answers(&self) -> Option<(Endpoint, Wire)> {
        self.wires.as_ref().ok().map(|wires| (wires.at.clone(), wires.shared.clone()))
    }
}

/// What a command was said on, and when.
struct Used {
    generation: u64,
    wire: Wire,
    asked: Instant,
}

/// Everything to one server.
#[derive(Clone)]
pub(super) struct Wires {
    pub(super) at: Endpoint,
    pub(super) shared: Wire,
    pub(super) lanes: Arc<[Wire]>,
}

impl Link {
    /// Dials once; the error is the first answer, so that a wrong address shows at start-up.
    pub(super) async fn dial(dialler: Dialler) -> Result<Self, Failure> {
        let wires = dialler.dial().await?;
        Ok(Self::over(dialler, Ok(wires)))
    }

    /// Leaves the dialling to the keeper.
    pub(super) fn begin(dialler: Dialler) -> Self {
        Self::over(dialler, Err(Instant::now()))
    }

    fn over(dialler: Dialler, wires: Result<Wires, Instant>) -> Self {
        let slot = Arc::new(watch::Sender::new(Slot { generation: 0, wires }));
        let (acks, hope, silence) = (dialler.acks, dialler.patience / 4, dialler.patience / 2);
        let (door, login) = (dialler.door.clone(), dialler.login.clone());
        let keeper = tokio::spawn(keep(Arc::clone(&slot), dialler));
        Self {
            slot,
            door,
            login,
            room: Semaphore::new(MOST_IN_FLIGHT),
            acks,
            lanes: Semaphore::new(LANES),
            free: Mutex::new((0..LANES).collect()),
            hope,
            silence,
            keeper,
        }
    }

    /// Says it over the connection there is, or over the next one if that comes in time. Says it once:
    /// a command whose reply is lost may have run, and only the caller can tell what that means.
    pub(super) async fn say(
        &self,
        order: &Order,
        manner: Manner,
        by: Instant,
    ) -> Result<Value, Failure> {
        let Ok(_room) = self.room.try_acquire() else {
            return Err(Failure::unavailable("too many commands are waiting"));
        };
        let acks = self.acks.filter(|_| order.is_critical());
        let mut used: Option<Used> = None;
        let answer = timeout_at(by, async {
            let lane = if acks.is_some() { self.lane().await } else { None };
            let (generation, wires) = self.connected().await?;
            let wire = lane.as_ref().and_then(|lane| wires.lanes.get(lane.number));
            let wire = wire.unwrap_or(&wires.shared).clone();
            used = Some(Used { generation, wire: wire.clone(), asked: Instant::now() });
            Some(exchange(wire, order, manner, acks).await)
        });
        let answer = answer.await;
        let Some(used) = used else { return Err(Failure::unavailable("no connection")) };
        match answer {
            Ok(Some(Ok(heard))) => {
                used.wire.has_answered();
                heard.enough()
            }
            Ok(Some(Err(error))) => {
                if ends_the_connection(&error) {
                    self.hang_up(used.generation);
                } else {
                    used.wire.has_answered();
                }
                Err(told(&error))
            }
            Ok(None) => Err(Failure::unavailable("no connection")),
            Err(_elapsed) => {
                // Where others are answered meanwhile, redis is busy, or we are: there is no sense in
                // taking the connection from all of them.
                if used.wire.silence(used.asked) >= self.silence {
                    self.hang_up(used.generation);
                }
                Err(Failure::unavailable("no answer in time"))
            }
        }
    }

    /// Where to listen for changes of what is read over this link.
    pub(super) fn post(&self) -> Post {
        Post {
            slot: self.slot.subscribe(),
            link: Arc::downgrade(&self.slot),
            door: self.door.clone(),
            login: self.login.clone(),
        }
    }

    /// A lane that nobody else is on. One whose caller went away may still wait for its replicas.
    async fn lane(&self) -> Option<Lane<'_>> {
        self.lanes.acquire().await.ok()?.forget();
        let number = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Some(Lane { link: self, number: number.unwrap_or_default() })
    }

    /// The connections, once there are any; nothing if there have been none for longer than is worth
    /// waiting for.
    async fn connected(&self) -> Option<(u64, Wires)> {
        let mut slot = self.slot.subscribe();
        let lost = slot.borrow().wires.as_ref().err().copied();
        let until = lost.unwrap_or_else(Instant::now) + self.hope;
        let slot = timeout_at(until, slot.wait_for(|slot| slot.wires.is_ok())).await.ok()?.ok()?;
        Some((slot.generation, slot.wires.as_ref().ok()?.clone()))
    }

    fn hang_up(&self, used: u64) {
        hang_up(&self.slot, Some(used));
    }
}

/// Lets go of that connection, if it is still in use. The keeper finds another one.
pub(super) fn hang_up(slot: &watch::Sender<Slot>, used: Option<u64>) {
    slot.send_if_modified(|slot| used == Some(slot.generation) && slot.hang_up());
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

/// The right to one of the lanes. The oldest one left is the next one taken, so that a lane on which
/// something of a caller who went away is still being waited for has time to become free.
struct Lane<'a> {
    link: &'a Link,
    number: usize,
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.link.free.lock().unwrap_or_else(PoisonError::into_inner).insert(0, self.number);
        self.link.lanes.add_permits(1);
    }
}

async fn exchange(
    mut wire: Wire,
    order: &Order,
    manner: Manner,
    acks: Option<Acks>,
) -> RedisResult<Heard> {
    if acks.is_none() && !manner.load && !manner.asking {
        let reply = wire.connection.send_packed_command(&order.command).await?;
        return Ok(Heard::All(reply.extract_error()?));
    }
    let said = order.said(manner, acks);
    let replies = wire.connection.send_packed_commands(&said, 0, said.len()).await?;
    answer(replies, acks)
}

/// More than this many waiting for one server is a pile, not a queue.
pub(super) const MOST_IN_FLIGHT: usize = 1024;

/// Critical writes under way at once: each takes a round trip to the replicas, which is rarely more
/// than a few milliseconds.
pub(super) const LANES: usize = 8;
