//! Writes what happened to where it can be looked up, once a second.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::http::app::App;

/// How often.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// Writes until told to stop, and then what is left.
pub fn spawn(app: App, mut stop: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = interval(WRITE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            let stopping = tokio::select! {
                _ = stop.wait_for(|told| *told) => true,
                _ = ticks.tick() => false,
            };
            match app.events.flush(&*app.store).await {
                Ok(()) => failing = false,
                // Once, not every second: they are in the log.
                Err(cause) if !failing => {
                    failing = true;
                    tracing::warn!(%cause, "events cannot be kept for looking up");
                }
                Err(_) => {}
            }
            if stopping {
                return;
            }
        }
    })
}
