//! Finds a primary, and another one when it is gone.

use std::sync::Arc;
use std::time::Duration;

use redis::{RedisConnectionInfo, cmd};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::address::Endpoint;
use super::door::{Door, Wire};
use super::failure::Failure;
use super::link::{LANES, Slot, Wires};
use super::order::Acks;
use super::sentinel::{Sentinels, plays_primary};
use crate::infra::random;
use crate::infra::store::fitness;

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
    pub(super) async fn dial(&self) -> Result<Wires, Failure> {
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
pub(super) async fn keep(slot: Arc<watch::Sender<Slot>>, dialler: Dialler) {
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
pub(super) fn pause(misses: u32) -> Duration {
    if misses == 0 {
        return Duration::ZERO;
    }
    let longest = SHORTEST_PAUSE.saturating_mul(1 << misses.min(5)).min(LONGEST_PAUSE);
    let jitter = f64::from(u16::from_be_bytes(random::bytes())) / f64::from(u16::MAX);
    longest.mul_f64(0.5 + jitter / 2.0)
}

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
