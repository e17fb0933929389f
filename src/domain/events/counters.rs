use std::time::Duration;

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

use super::{CacheCounters, Event, StoreCounters};

/// Every metric, in a registry of its own, so that two servers in one process do not mix.
pub struct Counters {
    registry: Registry,
    tokens_issued: IntCounterVec,
    auth_requests: IntCounterVec,
    response_time: HistogramVec,
    sign_ins: IntCounterVec,
    accounts_locked: IntCounter,
    sign_outs: IntCounterVec,
    logout_deliveries: IntCounterVec,
    client_auth_failures: IntCounterVec,
    errors: IntCounterVec,
    reuse: IntCounterVec,
    revocations: IntCounterVec,
    pub store: StoreCounters,
    pub cache: CacheCounters,
    key_age: IntGaugeVec,
    /// Set once a minute.
    pub active_sessions: IntGauge,
    /// Set once a minute.
    pub logouts_pending: IntGauge,
    /// Sign-ins waiting to hash a password.
    pub hash_queue: IntGauge,
    /// Our clock minus the store's in milliseconds, set by `/ready`.
    pub clock_ahead: IntGauge,
}

impl Counters {
    /// Registers every metric.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let family = |name: &str, help: &str, label: &str| {
            let family = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(family.clone()))?;
            Ok::<_, prometheus::Error>(family)
        };
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let locked = IntCounter::new(
            "oidc_accounts_locked_total",
            "Accounts locked because of too many failures",
        )?;
        registry.register(Box::new(locked.clone()))?;
        Ok(Self {
            tokens_issued: family(
                "oidc_tokens_issued_total",
                "Token responses with an access token",
                "grant_type",
            )?,
            auth_requests: family(
                "oidc_auth_requests_total",
                "Authorization requests by how they ended",
                "outcome",
            )?,
            response_time: response_time(&registry)?,
            key_age: key_age(&registry)?,
            sign_ins: family("oidc_sign_ins_total", "Sign-ins by outcome", "outcome")?,
            accounts_locked: locked,
            sign_outs: family("oidc_sign_outs_total", "Sign-outs by how they came", "how")?,
            logout_deliveries: family(
                "oidc_logout_deliveries_total",
                "Tries to tell a client of a logout by outcome",
                "outcome",
            )?,
            logouts_pending: gauge(
                "oidc_logout_deliveries_pending",
                "Clients still to be told of a logout",
            )?,
            client_auth_failures: family(
                "oidc_client_auth_failures_total",
                "Failed client authentications",
                "reason",
            )?,
            errors: family("oidc_errors_total", "Error answers by status", "status")?,
            reuse: family(
                "oidc_reuse_detected_total",
                "Replayed codes and refresh tokens",
                "what",
            )?,
            revocations: family("oidc_revocations_total", "Tokens revoked", "what")?,
            store: StoreCounters::new(&registry)?,
            cache: CacheCounters::new(&registry)?,
            active_sessions: gauge("oidc_active_sessions", "Live single sign-on sessions")?,
            hash_queue: gauge("oidc_hash_queue", "Sign-ins waiting to hash a password")?,
            clock_ahead: gauge(
                "oidc_clock_ahead_milliseconds",
                "By how much this server's clock is ahead of the store's, as /ready last saw them",
            )?,
            registry,
        })
    }

    /// Counts an event.
    pub(super) fn count(&self, event: &Event<'_>) {
        match event {
            Event::SignedIn { .. } => self.sign_ins.with_label_values(&["ok"]).inc(),
            Event::SignInFailed { reason, .. } => {
                self.sign_ins.with_label_values(&[reason.as_str()]).inc();
            }
            Event::AccountLocked { .. } => self.accounts_locked.inc(),
            Event::SignedOut { how, .. } => {
                self.sign_outs.with_label_values(&[how.as_str()]).inc();
            }
            Event::LogoutNotified { outcome, .. } => {
                self.logout_deliveries.with_label_values(&[outcome.as_str()]).inc();
            }
            Event::Authorized { outcome, .. } => {
                self.auth_requests.with_label_values(&[outcome.as_str()]).inc();
            }
            Event::TokensIssued { grant, .. } => {
                self.tokens_issued.with_label_values(&[grant.as_str()]).inc();
            }
            Event::ReuseDetected { grant, .. } => {
                self.reuse.with_label_values(&[grant.as_str()]).inc();
            }
            Event::ClientAuthFailed { reason, .. } => {
                self.client_auth_failures.with_label_values(&[reason.as_str()]).inc();
            }
            Event::Revoked { what, .. } => {
                self.revocations.with_label_values(&[what.as_str()]).inc();
            }
            Event::ConsentGiven { .. }
            | Event::ConsentWithdrawn { .. }
            | Event::ConsentDenied { .. }
            | Event::TokenRefused { .. }
            | Event::ClientChanged { .. }
            | Event::UserChanged { .. }
            | Event::ScopeChanged { .. }
            | Event::ResourceChanged { .. }
            | Event::AccountUnlocked { .. }
            | Event::KeyChanged { .. } => {}
        }
    }

    /// `endpoint` is a route, never the path of the request, so the number of label values is bounded.
    pub fn record_response(&self, endpoint: &str, status: u16, took: Duration) {
        self.response_time.with_label_values(&[endpoint]).observe(took.as_secs_f64());
        if status >= 400 {
            self.errors.with_label_values(&[&status.to_string()]).inc();
        }
    }

    /// Sets the age of each key; the labels are its `kid`, algorithm and phase.
    pub fn set_key_ages<'a>(&self, keys: impl IntoIterator<Item = ([&'a str; 3], Duration)>) {
        // A key in another phase is another time series: remove the old one.
        self.key_age.reset();
        for (labels, age) in keys {
            let age = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
            self.key_age.with_label_values(&labels).set(age);
        }
    }

    /// The Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap_or_default()
    }
}

fn response_time(registry: &Registry) -> prometheus::Result<HistogramVec> {
    let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0];
    let options = HistogramOpts::new("oidc_response_time_seconds", "Time from request to answer");
    let family = HistogramVec::new(options.buckets(buckets), &["endpoint"])?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

fn key_age(registry: &Registry) -> prometheus::Result<IntGaugeVec> {
    let options = Opts::new("oidc_signing_key_age_seconds", "Time since each key was published");
    let family = IntGaugeVec::new(options, &["kid", "alg", "phase"])?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}
