//! The parameters of one run of a row: quick or long, seed, soak time.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::signal::unix::{SignalKind, signal};

/// One run of one row.
pub struct RunContext {
    pub long: bool,
    pub seed: u64,
    /// How long a soak is.
    pub soak: Duration,
    rng: Mutex<StdRng>,
}

impl RunContext {
    pub fn new(long: bool, seed: u64) -> Self {
        Self {
            long,
            seed,
            soak: Duration::from_mins(1),
            rng: Mutex::new(StdRng::seed_from_u64(seed ^ 0x5eed)),
        }
    }

    /// The first in the quick set, the second in the long one.
    pub fn pick<T>(&self, quick: T, long: T) -> T {
        if self.long { long } else { quick }
    }

    /// A number from the seed.
    pub fn random(&self, within: Range<u64>) -> u64 {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).random_range(within)
    }

    /// Waits some milliseconds, how many the seed says.
    pub async fn random_delay(&self, milliseconds: Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.random(milliseconds))).await;
    }
}

/// Returns when the test is told to stop.
pub async fn shutdown_signal() {
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
