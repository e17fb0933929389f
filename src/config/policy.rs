//! Who may register, who may try how often, and what is logged.

use super::issuer::Issuer;
use super::key_ring::KeyRingSettings;
use super::reader::Reader;
use super::secret_text::SecretText;
use crate::infra::secret::is_guessable;
use crate::infra::store::StoreSettings;
use crate::protocol::client_metadata::Offer;
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
pub struct RateLimit {
    /// Whether attempts are counted by address.
    pub enabled: bool,
    /// How many.
    pub per_minute: u32,
    /// Whether guesses at passwords are counted by account, and in all: always, but in development.
    pub guesses: bool,
}

/// Who may register clients ([RFC 7591 §3](https://www.rfc-editor.org/rfc/rfc7591#section-3)).
#[derive(Clone, Debug)]
pub enum Registration {
    /// Anybody.
    Open,
    /// Whoever holds one of these initial access tokens.
    Token(Vec<SecretText>),
    /// Nobody.
    Off,
}

/// The account that makes the first sign-in on a developer's machine possible.
#[derive(Clone, Debug)]
pub struct DevAccount {
    /// The user name.
    pub user: String,
    /// The password; one is made and shown if there is none.
    pub password: Option<SecretText>,
}

/// The key everything else is derived from. Only a loopback issuer may do without: there one is made.
pub(super) fn secret_key(reader: &mut Reader<'_>, issuer: &Issuer) -> Option<SecretText> {
    if reader.given("SECRET_KEY").is_none() && !issuer.is_loopback() {
        reader.complain(
            "SECRET_KEY",
            "must be set to at least 32 random characters, here or in the file that SECRET_KEY_FILE names",
        );
    }
    let key = reader.secret("SECRET_KEY", 32);
    if key.as_ref().is_some_and(|key| is_guessable(key.reveal())) {
        reader.complain(
            "SECRET_KEY",
            "must be random, and this one repeats itself: whoever guesses it can make tokens. Make one with \
             `openssl rand -base64 48`; where this one is in use, it becomes SECRET_KEY_PREVIOUS",
        );
    }
    key
}

/// What cannot be refused, because something made with it has to go on: said all the same.
fn warn_if_guessable(reader: &mut Reader<'_>, name: &str, secret: Option<&SecretText>) {
    if secret.is_some_and(|secret| is_guessable(secret.reveal())) {
        reader.warn(format!("{name} repeats itself: whoever guesses it can do what it is for"));
    }
}

/// The key before, accepted beside the current one so that changing it signs nobody out.
pub(super) fn secret_key_previous(reader: &mut Reader<'_>) -> Option<SecretText> {
    let name = "SECRET_KEY_PREVIOUS";
    if reader.given(name).is_some() && reader.given(name) == reader.given("SECRET_KEY") {
        reader.complain(name, "must be another key than SECRET_KEY");
    }
    let key = reader.secret(name, 32);
    warn_if_guessable(reader, name, key.as_ref());
    key
}

/// What pairwise subjects are made with. They must never change, so they must not hang on a key that does.
pub(super) fn pairwise_salt(reader: &mut Reader<'_>) -> Option<SecretText> {
    if reader.given("PAIRWISE_SALT").is_none() && reader.given("SECRET_KEY_PREVIOUS").is_some() {
        reader.warn(
            "PAIRWISE_SALT is not set while SECRET_KEY is being changed: clients with pairwise subjects \
             meet everybody as a stranger; set it to the SECRET_KEY they were made with",
        );
    }
    let salt = reader.secret("PAIRWISE_SALT", 32);
    warn_if_guessable(reader, "PAIRWISE_SALT", salt.as_ref());
    salt
}

pub(super) fn log(reader: &mut Reader<'_>) -> LogSettings {
    let expected =
        "error, warn, info, debug or trace, or a list such as info,latchkey::infra::store=debug";
    let filter = |text: &str| text.split(',').all(is_directive).then(|| text.to_ascii_lowercase());
    let level = reader.parse("LOG_LEVEL", expected, filter).unwrap_or_default();
    let format = reader.parse("LOG_FORMAT", "auto, pretty or json", |text| match text {
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

pub(super) fn rate_limit(reader: &mut Reader<'_>, issuer: &Issuer) -> RateLimit {
    let name = "DEV_GUESS_LIMITS_ENABLED";
    let guesses = reader.flag(name);
    if !guesses && !issuer.is_loopback() {
        reader.complain(name, "must not be false, because ISSUER_URL is not a loopback one");
    }
    RateLimit {
        enabled: reader.flag("RATE_LIMITING_ENABLED"),
        per_minute: reader.number("RATE_LIMIT_PER_MINUTE", 1..=1_000_000).unwrap_or(1),
        guesses,
    }
}

/// What authorization answers may carry: the code flow always, the rest only where it was asked for
/// ([RFC 9700 §2.1.2](https://www.rfc-editor.org/rfc/rfc9700#section-2.1.2)).
pub(super) fn offer(reader: &mut Reader<'_>, key_ring: &KeyRingSettings) -> Offer {
    let expected = "response types such as code, id_token, code id_token, separated by commas";
    let mut asked = reader.list("RESPONSE_TYPES", expected, ResponseType::read);
    if !asked.contains(&ResponseType::Code) {
        reader.complain("RESPONSE_TYPES", "must have code among them");
    }
    asked.sort_unstable();
    asked.dedup();
    Offer {
        response_types: asked,
        signing_algs: key_ring.signing_algs.clone(),
        client_secret_jwt: reader.flag("CLIENT_SECRET_JWT"),
        by_operator: false,
    }
}

pub(super) fn require_pkce(reader: &mut Reader<'_>) -> RequirePkce {
    let read = reader.parse("REQUIRE_PKCE", "or-nonce, all or public", RequirePkce::parse);
    read.unwrap_or(RequirePkce::All)
}

pub(super) fn registration(reader: &mut Reader<'_>, issuer: &Issuer) -> Registration {
    let long =
        |token: &str| (token.len() >= 32 && !is_guessable(token)).then(|| SecretText::new(token));
    let expected = "tokens of at least 32 characters each, made at random";
    let tokens = reader.list("REGISTRATION_TOKEN", expected, long);
    // Whoever hands out tokens does not mean "open", so a token alone turns the gate on.
    let gated = !issuer.is_loopback() || reader.given("REGISTRATION_TOKEN").is_some();
    let default = if gated { "token" } else { "open" };
    let asked = match reader.given("REGISTRATION").unwrap_or(default) {
        "open" => Registration::Open,
        "token" => return gate(reader, tokens),
        "off" => Registration::Off,
        _ => {
            reader.complain("REGISTRATION", "must be open, token or off");
            return Registration::Off;
        }
    };
    if !tokens.is_empty() {
        reader.warn("REGISTRATION_TOKEN is not used, because REGISTRATION is not token");
    }
    if matches!(asked, Registration::Open) && !issuer.is_loopback() {
        reader.warn("REGISTRATION is open: anybody can register a client");
    }
    asked
}

fn gate(reader: &mut Reader<'_>, tokens: Vec<SecretText>) -> Registration {
    if tokens.is_empty() {
        reader.warn(
            "REGISTRATION is token, but there is no REGISTRATION_TOKEN: every registration is refused",
        );
    }
    Registration::Token(tokens)
}

/// The development account: asked for, or because there would be nobody to sign in as.
pub(super) fn dev(
    reader: &mut Reader<'_>,
    issuer: &Issuer,
    store: &StoreSettings,
) -> Option<DevAccount> {
    let asked = ["DEV_USER", "DEV_PASSWORD"].map(|name| (name, reader.given(name).is_some()));
    if !issuer.is_loopback() {
        // A name is what a Compose file brings along. A password was somebody's wish, and would do nothing.
        if reader.given("DEV_PASSWORD").is_some() {
            let problem = "must not be set, because ISSUER_URL is not a loopback one";
            reader.complain("DEV_PASSWORD", problem);
        } else if reader.given("DEV_USER").is_some() {
            reader.warn(
                "DEV_USER is not used, because ISSUER_URL is not a loopback one: there is no \
                 development account",
            );
        }
        return None;
    }
    let empty = !store.is_durable() && reader.given("BOOTSTRAP_FILE").is_none();
    if !empty && !asked.iter().any(|(_, given)| *given) {
        return None;
    }
    let name = |text: &str| {
        let plain = text.chars().count() <= 64 && !text.chars().any(char::is_control);
        plain.then(|| text.to_owned())
    };
    let user = reader.parse("DEV_USER", "at most 64 characters", name);
    let password = reader.password("DEV_PASSWORD");
    Some(DevAccount { user: user.unwrap_or_else(|| "demo".to_owned()), password })
}
