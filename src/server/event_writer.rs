//! Writes recorded events to the store once a second, where operators can look them up.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::http::app::App;

/// How long an event waits at most.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// Starts the task. After `stop` it writes what is left, and ends.
pub fn spawn(app: App, mut stop: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut ticks = interval(WRITE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failing = false;
        loop {
            let stopping = tokio::select! {
                _ = stop.wait_for(|stopping| *stopping) => true,
                _ = ticks.tick() => false,
            };
            match app.events.flush(&*app.store).await {
                Ok(()) => failing = false,
                // Once, not every second: the events are in the log, too.
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
