//! How often one address may fail.

use super::issuer::Issuer;
use super::parser::ConfigParser;

/// Failed or unauthenticated attempts one address may make a minute: sign-in failures, failed client
/// authentications, registrations.
#[derive(Clone, Copy, Debug)]
pub struct RateLimitSettings {
    /// Whether attempts are counted by address.
    pub enabled: bool,
    /// How many.
    pub per_minute: u32,
    /// Whether guesses at passwords are counted by account, and in all: always, but in development.
    pub guesses: bool,
}

pub(super) fn rate_limit(parser: &mut ConfigParser<'_>, issuer: &Issuer) -> RateLimitSettings {
    let name = "DEV_GUESS_LIMITS_ENABLED";
    let guesses = parser.flag(name);
    if !guesses && !issuer.is_loopback() {
        parser.add_error(name, "must not be false, because ISSUER_URL is not a loopback one");
    }
    RateLimitSettings {
        enabled: parser.flag("RATE_LIMITING_ENABLED"),
        per_minute: parser.number("RATE_LIMIT_PER_MINUTE", 1..=1_000_000).unwrap_or(1),
        guesses,
    }
}
