//! Updates the gauges that need the store (live sessions, pending logouts) once a minute, however often metrics are scraped.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::endpoints::metrics;
use crate::http::app::App;

/// The greatest age of a gauge.
const COUNT_INTERVAL: Duration = Duration::from_secs(60);

/// Starts the task; it runs until the process ends.
pub fn spawn(app: App) {
    tokio::spawn(async move {
        let mut ticks = interval(COUNT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            metrics::count_stored(&app).await;
        }
    });
}
