use std::fmt;
use std::time::Duration;

use zeroize::Zeroizing;

use super::command::ReplicaAcks;
use super::connector::RedisTls;
use super::url::RedisUrl;
use crate::infra::clock::Clock;

/// Where Redis is, and how far it is trusted. `Debug` shows no secret.
#[derive(Clone)]
pub struct RedisOptions {
    /// What [`RedisUrl::parse`] takes.
    pub url: Zeroizing<String>,
    /// The certificates, where the URL says TLS.
    pub tls: RedisTls,
    /// The password of the sentinels, which need not be that of the primary.
    pub sentinel_password: Option<Zeroizing<String>>,
    /// How many replicas must acknowledge a critical write; [`RedisUrl::default_acks`] if `None`.
    pub min_replicas_ack: Option<u32>,
    /// Precedes every key, in a Redis that is shared.
    pub prefix: String,
    /// Whether to start on a Redis that may lose data: without an append-only file, or with eviction.
    pub allow_volatile: bool,
    /// How long a call may take, connecting included.
    pub timeout: Duration,
    /// The clock by which the expiry of a record becomes its remaining lifetime. [`open`](fn@super::super::open)
    /// sets it.
    pub clock: Clock,
}

impl RedisOptions {
    /// No prefix, nothing volatile, one second, the system's clock.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Zeroizing::new(url.into()),
            tls: RedisTls::default(),
            sentinel_password: None,
            min_replicas_ack: None,
            prefix: String::new(),
            allow_volatile: false,
            timeout: Duration::from_secs(1),
            clock: Clock::System,
        }
    }

    /// What a critical write waits for. Half of the timeout, so that its reply arrives within it.
    pub(super) fn acks(&self) -> Option<ReplicaAcks> {
        let default = || RedisUrl::parse(&self.url).map_or(0, |url| url.default_acks());
        let replicas = self.min_replicas_ack.unwrap_or_else(default);
        let millis = u64::try_from(self.timeout.as_millis() / 2).unwrap_or(u64::MAX).max(1);
        (replicas > 0).then_some(ReplicaAcks { replicas, millis })
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &"redis://…")
            .field("tls", &self.tls)
            .field("sentinel_password", &self.sentinel_password.as_ref().map(|_| "…"))
            .field("min_replicas_ack", &self.min_replicas_ack)
            .field("prefix", &self.prefix)
            .field("allow_volatile", &self.allow_volatile)
            .field("timeout", &self.timeout)
            .field("clock", &self.clock)
            .finish()
    }
}
