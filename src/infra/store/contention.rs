//! The backoff of a compare-and-swap that lost a race.
//!
//! Of the callers that read the same bytes one wins. The others read again after a random pause, whose range
//! doubles with each loss. They give up by time, not by count: a bound on losses would turn chance into an
//! error, while after ten seconds the client has gone.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{RawKey, StoreError};
use crate::infra::random;

/// How long one update may go on losing. Less than the timeout of a request.
const CONTENTION_TIMEOUT: Duration = Duration::from_secs(10);
/// The range of the first pause.
const MIN_BACKOFF: Duration = Duration::from_millis(2);
/// The widest range of a pause.
const MAX_BACKOFF: Duration = Duration::from_millis(128);

/// One update that is tried until it wins.
pub(super) struct Contention {
    give_up_at: Instant,
    losses: u32,
}

impl Contention {
    pub(super) fn new() -> Self {
        Self { give_up_at: Instant::now() + CONTENTION_TIMEOUT, losses: 0 }
    }

    /// Waits after a lost race, until it is time to read again.
    pub(super) async fn wait(&mut self, key: &RawKey) -> Result<(), StoreError> {
        if Instant::now() >= self.give_up_at {
            return Err(StoreError::Contended { key: key.to_string() });
        }
        sleep(pause(self.losses, random::bytes())).await;
        self.losses = self.losses.saturating_add(1);
        Ok(())
    }
}

/// Uniform between zero and the range, so that no two callers stay in step.
fn pause(losses: u32, chance: [u8; 4]) -> Duration {
    let range = MIN_BACKOFF.saturating_mul(1 << losses.min(16)).min(MAX_BACKOFF);
    range.mul_f64(f64::from(u32::from_ne_bytes(chance)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::store::Partition;

    #[test]
    fn the_range_of_the_pause_doubles_up_to_a_bound_and_chance_covers_all_of_it() {
        let (least, half, most) = (0_u32, u32::MAX / 2, u32::MAX);
        for (losses, range) in [(0, 2), (1, 4), (3, 16), (6, 128), (7, 128), (u32::MAX, 128)] {
            let drawn = |chance: u32| pause(losses, chance.to_ne_bytes()).as_secs_f64() * 1000.0;
            let range = f64::from(range);
            for (chance, expected) in [(least, 0.0), (half, range / 2.0), (most, range)] {
                assert!((drawn(chance) - expected).abs() < 0.001, "{losses} {chance}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_by_time_and_not_by_count() {
        let key = RawKey::new(Partition::new("hot"), "test.v1", None);
        let begun = Instant::now();
        let mut contention = Contention::new();
        let mut losses = 0;
        let error = loop {
            match contention.wait(&key).await {
                Ok(()) => losses += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Contended { .. }), "{error}");
        assert!(losses > 16, "{losses}");
        let took = begun.elapsed();
        assert!(took >= CONTENTION_TIMEOUT && took <= CONTENTION_TIMEOUT + MAX_BACKOFF, "{took:?}");
    }
}
