//! Who may register, who may try how often, and what is logged.

use super::issuer::Issuer;
use super::key_ring::KeyRingSettings;
use super::parser::ConfigParser;
use super::secret_string::SecretString;
use crate::infra::secret::is_guessable;
use crate::infra::store::StoreSettings;
use crate::protocol::client_metadata::ServerCapabilities;
use crate::protocol::{RequirePkce, ResponseType};

/// What is logged.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// A filter in the words of `tracing`.
    pub level: String,
    /// How a line looks.
    pub format: LogFormat,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Pretty,
    /// For machines.
    Json,
}

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

/// Who may register clients ([RFC 7591 §3](https://www.rfc-editor.org/rfc/rfc7591#section-3)).
#[derive(Clone, Debug)]
pub enum RegistrationPolicy {
    /// Anybody.
    Open,
    /// Whoever holds one of these initial access tokens.
    Token(Vec<SecretString>),
    /// Nobody.
    Off,
}

/// The account that makes the first sign-in on a developer's machine possible.
#[derive(Clone, Debug)]
pub struct DevAccount {
    /// The user name.
    pub user: String,
    /// The password; one is made and shown if there is none.
    pub password: Option<SecretString>,
}

/// The key everything else is derived from. Only a loopback issuer may do without: there one is made.
pub(super) fn secret_key(parser: &mut ConfigParser<'_>, issuer: &Issuer) -> Option<SecretString> {
    if parser.get("SECRET_KEY").is_none() && !issuer.is_loopback() {
        parser.add_error(
            "SECRET_KEY",
            "must be set to at least 32 random characters, here or in the file that SECRET_KEY_FILE names",
        );
    }
    let key = parser.secret("SECRET_KEY", 32);
    if key.as_ref().is_some_and(|key| is_guessable(key.reveal())) {
        parser.add_error(
            "SECRET_KEY",
            "must be random, and this one repeats itself: whoever guesses it can make tokens. Make one with \
             `openssl rand -base64 48`; where this one is in use, it becomes SECRET_KEY_PREVIOUS",
        );
    }
    key
}

/// What cannot be refused, because something made with it has to go on: said all the same.
fn warn_if_guessable(parser: &mut ConfigParser<'_>, name: &str, secret: Option<&SecretString>) {
    if secret.is_some_and(|secret| is_guessable(secret.reveal())) {
        parser.warn(format!("{name} repeats itself: whoever guesses it can do what it is for"));
    }
}

/// The key before, accepted beside the current one so that changing it signs nobody out.
pub(super) fn secret_key_previous(parser: &mut ConfigParser<'_>) -> Option<SecretString> {
    let name = "SECRET_KEY_PREVIOUS";
    if parser.get(name).is_some() && parser.get(name) == parser.get("SECRET_KEY") {
        parser.add_error(name, "must be another key than SECRET_KEY");
    }
    let key = parser.secret(name, 32);
    warn_if_guessable(parser, name, key.as_ref());
    key
}

/// What pairwise subjects are made with. They must never change, so they must not hang on a key that does.
pub(super) fn pairwise_salt(parser: &mut ConfigParser<'_>) -> Option<SecretString> {
    if parser.get("PAIRWISE_SALT").is_none() && parser.get("SECRET_KEY_PREVIOUS").is_some() {
        parser.warn(
            "PAIRWISE_SALT is not set while SECRET_KEY is being changed: clients with pairwise subjects \
             meet everybody as a stranger; set it to the SECRET_KEY they were made with",
        );
    }
    let salt = parser.secret("PAIRWISE_SALT", 32);
    warn_if_guessable(parser, "PAIRWISE_SALT", salt.as_ref());
    salt
}

pub(super) fn log(parser: &mut ConfigParser<'_>) -> LogSettings {
    let expected =
        "error, warn, info, debug or trace, or a list such as info,latchkey::infra::store=debug";
    let filter = |text: &str| text.split(',').all(is_directive).then(|| text.to_ascii_lowercase());
    let level = parser.parse("LOG_LEVEL", expected, filter).unwrap_or_default();
    let format = parser.parse("LOG_FORMAT", "auto, pretty or json", |text| match text {
        "auto" => Some(LogFormat::Auto),
        "pretty" => Some(LogFormat::Pretty),
        "json" => Some(LogFormat::Json),
        _ => None,
    });
    LogSettings { level, format: format.unwrap_or(LogFormat::Auto) }
}

fn is_directive(text: &str) -> bool {
    let (target, level) = text.rsplit_once('=').unwrap_or(("latchkey", text));
    let path = |byte: u8| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte);
    let levels = ["error", "warn", "info", "debug", "trace", "off"];
    !target.is_empty()
        && target.bytes().all(path)
        && levels.contains(&level.to_ascii_lowercase().as_str())
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

/// What authorization answers may carry: the code flow always, the rest only where it was asked for
/// ([RFC 9700 §2.1.2](https://www.rfc-editor.org/rfc/rfc9700#section-2.1.2)).
pub(super) fn offer(
    parser: &mut ConfigParser<'_>,
    key_ring: &KeyRingSettings,
) -> ServerCapabilities {
    let expected = "response types such as code, id_token, code id_token, separated by commas";
    let mut asked = parser.list("RESPONSE_TYPES", expected, ResponseType::parse_unordered);
    if !asked.contains(&ResponseType::Code) {
        parser.add_error("RESPONSE_TYPES", "must have code among them");
    }
    asked.sort_unstable();
    asked.dedup();
    ServerCapabilities {
        response_types: asked,
        signing_algs: key_ring.signing_algs.clone(),
        client_secret_jwt: parser.flag("CLIENT_SECRET_JWT"),
        by_operator: false,
    }
}

pub(super) fn require_pkce(parser: &mut ConfigParser<'_>) -> RequirePkce {
    let read = parser.parse("REQUIRE_PKCE", "or-nonce, all or public", RequirePkce::parse);
    read.unwrap_or(RequirePkce::All)
}

pub(super) fn registration(parser: &mut ConfigParser<'_>, issuer: &Issuer) -> RegistrationPolicy {
    let long =
        |token: &str| (token.len() >= 32 && !is_guessable(token)).then(|| SecretString::new(token));
    let expected = "tokens of at least 32 characters each, made at random";
    let tokens = parser.list("REGISTRATION_TOKEN", expected, long);
    // Whoever hands out tokens does not mean "open", so a token alone turns the gate on.
    let gated = !issuer.is_loopback() || parser.get("REGISTRATION_TOKEN").is_some();
    let default = if gated { "token" } else { "open" };
    let asked = match parser.get("REGISTRATION").unwrap_or(default) {
        "open" => RegistrationPolicy::Open,
        "token" => return token_policy(parser, tokens),
        "off" => RegistrationPolicy::Off,
        _ => {
            parser.add_error("REGISTRATION", "must be open, token or off");
            return RegistrationPolicy::Off;
        }
    };
    if !tokens.is_empty() {
        parser.warn("REGISTRATION_TOKEN is not used, because REGISTRATION is not token");
    }
    if matches!(asked, RegistrationPolicy::Open) && !issuer.is_loopback() {
        parser.warn("REGISTRATION is open: anybody can register a client");
    }
    asked
}

fn token_policy(parser: &mut ConfigParser<'_>, tokens: Vec<SecretString>) -> RegistrationPolicy {
    if tokens.is_empty() {
        parser.warn(
            "REGISTRATION is token, but there is no REGISTRATION_TOKEN: every registration is refused",
        );
    }
    RegistrationPolicy::Token(tokens)
}

/// The development account: asked for, or because there would be nobody to sign in as.
pub(super) fn dev(
    parser: &mut ConfigParser<'_>,
    issuer: &Issuer,
    store: &StoreSettings,
) -> Option<DevAccount> {
    let asked = ["DEV_USER", "DEV_PASSWORD"].map(|name| (name, parser.get(name).is_some()));
    if !issuer.is_loopback() {
        // A name is what a Compose file brings along. A password was somebody's wish, and would do nothing.
        if parser.get("DEV_PASSWORD").is_some() {
            let problem = "must not be set, because ISSUER_URL is not a loopback one";
            parser.add_error("DEV_PASSWORD", problem);
        } else if parser.get("DEV_USER").is_some() {
            parser.warn(
                "DEV_USER is not used, because ISSUER_URL is not a loopback one: there is no \
                 development account",
            );
        }
        return None;
    }
    let empty = !store.is_durable() && parser.get("BOOTSTRAP_FILE").is_none();
    if !empty && !asked.iter().any(|(_, given)| *given) {
        return None;
    }
    let name = |text: &str| {
        let plain = text.chars().count() <= 64 && !text.chars().any(char::is_control);
        plain.then(|| text.to_owned())
    };
    let user = parser.parse("DEV_USER", "at most 64 characters", name);
    let password = parser.password("DEV_PASSWORD");
    Some(DevAccount { user: user.unwrap_or_else(|| "demo".to_owned()), password })
}
