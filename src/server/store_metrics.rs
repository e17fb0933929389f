//! Counts what metrics tell of the store, on a schedule: however often somebody scrapes, and whoever it is,
//! the store is asked once a minute.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::endpoints::metrics;
use crate::http::app::App;

/// How old the counts may be.
const COUNT_INTERVAL: Duration = Duration::from_secs(60);

/// Counts until the process ends.
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
