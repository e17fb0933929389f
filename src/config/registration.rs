//! Who may register clients, and for what.

use super::issuer::Issuer;
use super::key_ring::KeyRingSettings;
use super::parser::ConfigParser;
use super::secret_string::SecretString;
use crate::infra::secret::is_guessable;
use crate::protocol::client_metadata::ServerCapabilities;
use crate::protocol::{RequirePkce, ResponseType};

/// Who may register clients ([RFC 7591 §3](https://www.rfc-editor.org/rfc/rfc7591#section-3)).
#[derive(Clone, Debug)]
pub enum RegistrationPolicy {
    /// Anyone.
    Open,
    /// Callers with one of these initial access tokens.
    Token(Vec<SecretString>),
    /// Registration is off.
    Off,
}

pub(super) fn registration(parser: &mut ConfigParser<'_>, issuer: &Issuer) -> RegistrationPolicy {
    let long =
        |token: &str| (token.len() >= 32 && !is_guessable(token)).then(|| SecretString::new(token));
    let expected = "tokens of at least 32 characters each, made at random";
    let tokens = parser.list("REGISTRATION_TOKEN", expected, long);
    // An operator who sets a token does not mean "open", so a token alone requires one.
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
