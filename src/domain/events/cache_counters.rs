use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use crate::infra::store::CacheEvent;

/// Metrics of the read cache in front of the store. A clone counts into the same registry.
#[derive(Clone)]
pub struct CacheCounters {
    lookups: IntCounterVec,
    invalidations: IntCounter,
    live: IntGauge,
}

impl CacheCounters {
    /// Registers the metrics, each present from the start.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let lookups = IntCounterVec::new(
            Opts::new("oidc_store_cache_lookups_total", "Reads that may be answered from memory"),
            &["outcome"],
        )?;
        let invalidations = IntCounter::new(
            "oidc_store_cache_invalidations_total",
            "Kept answers that were dropped because of a change",
        )?;
        let live = IntGauge::new("oidc_store_cache_live", "Whether changes are being told")?;
        registry.register(Box::new(lookups.clone()))?;
        registry.register(Box::new(invalidations.clone()))?;
        registry.register(Box::new(live.clone()))?;
        for outcome in ["hit", "miss", "off"] {
            lookups.with_label_values(&[outcome]).reset();
        }
        Ok(Self { lookups, invalidations, live })
    }

    pub fn record(&self, noted: CacheEvent) {
        let lookup = |outcome| self.lookups.with_label_values(&[outcome]).inc();
        match noted {
            CacheEvent::Hit => lookup("hit"),
            CacheEvent::Miss => lookup("miss"),
            CacheEvent::Off => lookup("off"),
            CacheEvent::Invalidated => self.invalidations.inc(),
            CacheEvent::Live(live) => self.live.set(i64::from(live)),
        }
    }
}
