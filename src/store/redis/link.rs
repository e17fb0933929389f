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

use redis::{RedisConnectionInfo, RedisResult, Value, cmd};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::address::Endpoint;
use super::door::{Door, Wire};
use super::failure::{Failure, ends_the_connection, told};
use super::order::{Acks, Heard, Manner, Order, answer};
use super::sentinel::{Sentinels, plays_primary};
use crate::random;
use crate::store::fitness;

/// The connections to one primary.
pub(super) struct Link {
    slot: Arc<watch::Sender<Slot>>,
    room: Semaphore,
    acks: Option<Acks>,
    lanes: Semaphore,
    free: Mutex<Vec<usize>>,
    hope: Duration,
    keeper: JoinHandle<()>,
}

/// The connections in use, if there are any, or since when there are none. The generation keeps a
/// command that failed on an old connection from ending its successor.
struct Slot {
    generation: u64,
    wires: Result<Wires, Instant>,
}

/// Everything to one server.
#[derive(Clone)]
struct Wires {
    at: Endpoint,
    shared: Wire,
    lanes: Arc<[Wire]>,
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
        let (acks, hope) = (dialler.acks, dialler.patience / 4);
        let keeper = tokio::spawn(keep(Arc::clone(&slot), dialler));
        Self {
            slot,
            room: Semaphore::new(MOST_IN_FLIGHT),
            acks,
            lanes: Semaphore::new(LANES),
            free: Mutex::new((0..LANES).collect()),
            hope,
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
        let mut used = None;
        let answer = timeout_at(by, async {
            let lane = if acks.is_some() { self.lane().await } else { None };
            let (generation, wires) = self.connected().await?;
            used = Some(generation);
            let wire = lane.as_ref().and_then(|lane| wires.lanes.get(lane.number));
            let wire = wire.unwrap_or(&wires.shared).clone();
            Some(exchange(wire, order, manner, acks).await)
        });
        match answer.await {
            Ok(Some(Ok(heard))) => heard.enough(),
            Ok(Some(Err(error))) => {
                if ends_the_connection(&error) {
                    self.hang_up(used);
                }
                Err(told(&error))
            }
            Ok(None) => Err(Failure::unavailable("no connection")),
            Err(_elapsed) if used.is_none() => Err(Failure::unavailable("no connection")),
            Err(_elapsed) => {
                self.hang_up(used);
                Err(Failure::unavailable("no answer in time"))
            }
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

    fn hang_up(&self, used: Option<u64>) {
        self.slot.send_if_modified(|slot| used == Some(slot.generation) && slot.hang_up());
    }
}

impl Slot {
    /// Lets go of the connections; answers whether there were any.
    fn hang_up(&mut self) -> bool {
        let had = self.wires.is_ok();
        if had {
            self.wires = Err(Instant::now());
        }
        had
    }
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

/// How to come to a primary.
pub(super) struct Dialler {
    pub(super) door: Door,
    pub(super) login: RedisConnectionInfo,
    pub(super) way: Way,
    pub(super) acks: Option<Acks>,
    pub(super) patience: Duration,
    pub(super) allow_volatile: bool,
}

/// Where it is.
pub(super) enum Way {
    /// Here.
    At(Endpoint),
    /// Where the sentinels say, each time anew.
    Ask(Sentinels),
}

impl Dialler {
    async fn dial(&self) -> Result<Wires, Failure> {
        let dialled = timeout(self.patience, self.dialled()).await;
        dialled.unwrap_or_else(|_elapsed| Err(Failure::unavailable("no answer in time")))
    }

    async fn dialled(&self) -> Result<Wires, Failure> {
        let at = match &self.way {
            Way::At(at) => at.clone(),
            Way::Ask(sentinels) => sentinels.primary().await?,
        };
        let shared = self.door.open(&at, &self.login).await?;
        // A sentinel may not know yet, or the server may not: only both together are an answer.
        if matches!(self.way, Way::Ask(_)) && !plays_primary(shared.clone()).await? {
            return Err(Failure::unavailable("the sentinels name a server that is no primary"));
        }
        let mut opening = JoinSet::new();
        for _ in 0..self.acks.map_or(0, |_| LANES) {
            let (door, at, login) = (self.door.clone(), at.clone(), self.login.clone());
            opening.spawn(async move { door.open(&at, &login).await });
        }
        let mut lanes = Vec::new();
        while let Some(lane) = opening.join_next().await {
            lanes.push(lane.map_err(|_| Failure::unavailable("the store is shutting down"))??);
        }
        Ok(Wires { at, shared, lanes: lanes.into() })
    }

    /// What was found good at the start may have a successor that is not. That is said and used, for
    /// the other choice would be to stop.
    async fn look_at(&self, mut wire: Wire) {
        let told = timeout(self.patience, cmd("INFO").query_async(&mut wire.connection)).await;
        let Ok(Ok::<String, _>(info)) = told else { return };
        if let Err(complaint) = fitness::judge(&info, true, self.allow_volatile) {
            tracing::error!(%complaint, "this redis would not have been accepted at the start");
        }
    }

    /// Returns when the sentinels name another server than this one. Who cannot reach them any more
    /// keeps what it has.
    async fn is_elsewhere(&self, at: Option<Endpoint>) {
        let (Way::Ask(sentinels), Some(at)) = (&self.way, at) else {
            return std::future::pending().await;
        };
        loop {
            sleep(LOOK_AGAIN).await;
            if sentinels.primary().await.is_ok_and(|now| now != at) {
                return;
            }
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
        let at = seen.borrow().wires.as_ref().ok().map(|wires| wires.at.clone());
        tokio::select! {
            empty = seen.wait_for(|slot| slot.wires.is_err()) => if empty.is_err() { return },
            () = dialler.is_elsewhere(at) => {
                tracing::warn!("the sentinels name another primary");
                slot.send_if_modified(Slot::hang_up);
            }
        }
        if since.elapsed() >= LONG_ENOUGH {
            misses = 0;
        }
        tracing::warn!("the connection to redis is gone, dialling");
        let wires = loop {
            sleep(pause(misses)).await;
            misses += 1;
            match dialler.dial().await {
                Ok(wires) => break wires,
                Err(failure) => {
                    tracing::debug!(why = failure.described(), "cannot connect to redis");
                }
            }
        };
        tracing::info!("connected to redis");
        since = Instant::now();
        let found = wires.shared.clone();
        slot.send_modify(|slot| {
            slot.generation += 1;
            slot.wires = Ok(wires);
        });
        dialler.look_at(found).await;
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

/// More than this many waiting for one server is a pile, not a queue.
pub(super) const MOST_IN_FLIGHT: usize = 1024;

/// Critical writes under way at once: each takes a round trip to the replicas, which is rarely more
/// than a few milliseconds.
const LANES: usize = 8;

/// How often the sentinels are asked whether the primary is still the primary: a demoted one that is
/// cut off from them may not know.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

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
