use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use crate::infra::store::{CommandMetrics, OPERATIONS};

/// Metrics of the store's commands. A clone counts into the same registry.
#[derive(Clone)]
pub struct StoreCounters {
    commands: IntCounterVec,
    seconds: HistogramVec,
}

impl StoreCounters {
    /// Registers both metrics. The series of success and of an unavailable store are there from the start, so that
    /// an alert on their rate sees the first failure.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let commands = IntCounterVec::new(
            Opts::new("oidc_store_commands_total", "Store commands by what came of them"),
            &["verb", "outcome"],
        )?;
        registry.register(Box::new(commands.clone()))?;
        let buckets =
            vec![0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0];
        let seconds = HistogramVec::new(
            HistogramOpts::new("oidc_store_seconds", "Time a store command took").buckets(buckets),
            &["verb"],
        )?;
        registry.register(Box::new(seconds.clone()))?;
        for verb in OPERATIONS {
            for outcome in ["ok", "unavailable"] {
                commands.with_label_values(&[verb, outcome]).reset();
            }
        }
        Ok(Self { commands, seconds })
    }

    pub fn record(&self, ran: &CommandMetrics) {
        self.commands.with_label_values(&[ran.operation, ran.outcome]).inc();
        self.seconds.with_label_values(&[ran.operation]).observe(ran.duration.as_secs_f64());
    }
}
