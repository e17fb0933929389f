//! Lifetimes of codes, tokens and sessions, and limits of the server.

use std::num::NonZero;
use std::time::Duration;

use super::parser::ConfigParser;

/// Lifetimes of codes, tokens and sessions.
#[derive(Clone, Debug)]
pub struct Lifetimes {
    /// An authorization code.
    pub code: Duration,
    /// An access token.
    pub access_token: Duration,
    /// An ID token.
    pub id_token: Duration,
    /// A refresh token that is not used.
    pub refresh_idle: Duration,
    /// All refreshing that follows one sign-in.
    pub refresh_absolute: Duration,
    /// A browser session that is not used.
    pub session_idle: Duration,
    /// A browser session.
    pub session_absolute: Duration,
    /// A half-finished sign-in.
    pub interaction: Duration,
    /// The last refresh token but one, counted from its rotation.
    pub refresh_grace: Duration,
}

/// Limits of the server.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// Open connections.
    pub max_connections: usize,
    /// Open connections from one address.
    pub max_connections_per_address: usize,
    /// How long a connection may rest between two requests.
    pub keep_alive: Duration,
    /// Passwords being hashed.
    pub hash_threads: usize,
    /// Passwords waiting to be hashed.
    pub hash_queue: usize,
    /// How long to serve on after the signal to stop.
    pub drain: Duration,
}

impl Lifetimes {
    pub(super) fn read(parser: &mut ConfigParser<'_>) -> Self {
        let lifetimes = Self {
            // At most ten minutes (RFC 6749 §4.1.2, https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2).
            code: parser.duration("CODE_LIFETIME", 1..=10 * MINUTE),
            access_token: parser.duration("ACCESS_TOKEN_LIFETIME", MINUTE..=DAY),
            id_token: parser.duration("ID_TOKEN_LIFETIME", MINUTE..=DAY),
            refresh_idle: parser.duration("REFRESH_TOKEN_IDLE_LIFETIME", MINUTE..=400 * DAY),
            refresh_absolute: parser.duration("REFRESH_TOKEN_LIFETIME", MINUTE..=400 * DAY),
            session_idle: parser.duration("SESSION_IDLE_LIFETIME", MINUTE..=90 * DAY),
            session_absolute: parser.duration("SESSION_LIFETIME", MINUTE..=90 * DAY),
            interaction: parser.duration("INTERACTION_LIFETIME", MINUTE..=HOUR),
            refresh_grace: parser.duration("REFRESH_TOKEN_GRACE", 0..=2 * MINUTE),
        };
        if parser.errors.is_empty() {
            lifetimes.check_order(parser);
        }
        lifetimes
    }

    fn check_order(&self, parser: &mut ConfigParser<'_>) {
        if self.refresh_idle > self.refresh_absolute {
            parser.add_error(
                "REFRESH_TOKEN_IDLE_LIFETIME",
                "must not be longer than REFRESH_TOKEN_LIFETIME",
            );
        }
        if self.session_idle > self.session_absolute {
            parser.add_error("SESSION_IDLE_LIFETIME", "must not be longer than SESSION_LIFETIME");
        }
    }
}

impl ServerLimits {
    pub(super) fn read(parser: &mut ConfigParser<'_>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            max_connections: parser.number("MAX_CONNECTIONS", 1..=1_000_000).unwrap_or(1),
            max_connections_per_address: parser
                .number("MAX_CONNECTIONS_PER_ADDRESS", 1..=1_000_000)
                .unwrap_or(1),
            keep_alive: parser.duration("KEEP_ALIVE", 1..=HOUR),
            // One core is left for everything that is not a password.
            hash_threads: parser
                .number("HASH_THREADS", 1..=1024)
                .unwrap_or(cores.saturating_sub(1).max(1)),
            hash_queue: parser.number("HASH_QUEUE", 1..=100_000).unwrap_or(1),
            drain: parser.duration("DRAIN_DELAY", 0..=MINUTE),
        }
    }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
