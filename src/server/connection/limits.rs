//! The limits of connections: time, bytes and number.

use std::time::Duration;

use ipnet::IpNet;

/// The limits of connections.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// From the first byte of a request's header to the last; also the TLS handshake.
    pub header_timeout: Duration,
    /// How long a connection may be idle between two requests.
    pub keep_alive: Duration,
    /// From the end of the header to the end of the response, also for a client that reads slowly.
    pub request_timeout: Duration,
    /// The parser's limit for one header: 431 and close. `layers` rejects smaller ones already, with a reason.
    pub max_header_bytes: usize,
    /// Connections in all. At the limit further ones wait to be accepted.
    pub max_connections: usize,
    /// Connections of one address; more are answered 503.
    pub max_connections_per_address: usize,
    /// Proxies, which are not counted by address.
    pub trusted: Vec<IpNet>,
    /// Whether HTTP/2 is accepted without TLS, too.
    pub prior_knowledge: bool,
    /// Whether the issuer is `https`, so that responses have `Strict-Transport-Security`.
    pub https: bool,
    /// How often an HTTP/2 peer is pinged, and how long it may take to answer.
    pub ping_interval: Duration,
    pub ping_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(75),
            request_timeout: Duration::from_mins(1),
            max_header_bytes: 64 * 1024,
            max_connections: 4096,
            max_connections_per_address: 100,
            trusted: Vec::new(),
            prior_knowledge: false,
            https: false,
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(10),
        }
    }
}

impl ConnectionLimits {
    /// Lowers `max_connections` to the open files that are allowed, less those that the rest of the process needs.
    #[must_use]
    pub fn with_file_limit(mut self, allowed: u64) -> Self {
        let spare = usize::try_from(allowed).unwrap_or(usize::MAX).saturating_sub(RESERVED_FILES);
        self.max_connections = self.max_connections.min(spare.max(1));
        self
    }
}

/// Files for the store, the log, keys and outgoing connections.
const RESERVED_FILES: usize = 64;

/// The longest path and query, without an `id_token_hint`.
pub(in crate::server) const MAX_URI_LEN: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_files_mean_few_connections_but_never_none() {
        assert_eq!(ConnectionLimits::default().with_file_limit(200).max_connections, 136);
        assert_eq!(ConnectionLimits::default().with_file_limit(10).max_connections, 1);
        assert_eq!(ConnectionLimits::default().with_file_limit(u64::MAX).max_connections, 4096);
    }
}
