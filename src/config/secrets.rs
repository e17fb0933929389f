//! The secrets that keys and pairwise subjects are derived from.

use super::issuer::Issuer;
use super::parser::ConfigParser;
use super::secret_string::SecretString;
use crate::infra::secret::is_guessable;

/// The key that everything else is derived from. Required unless the issuer is loopback, where one is generated.
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

/// The previous key, accepted beside the current one so that no session ends when it changes.
pub(super) fn secret_key_previous(parser: &mut ConfigParser<'_>) -> Option<SecretString> {
    let name = "SECRET_KEY_PREVIOUS";
    if parser.get(name).is_some() && parser.get(name) == parser.get("SECRET_KEY") {
        parser.add_error(name, "must be another key than SECRET_KEY");
    }
    let key = parser.secret(name, 32);
    warn_if_guessable(parser, name, key.as_ref());
    key
}

/// The secret of pairwise subjects. They must never change, so they must not depend on a key that does.
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

/// Warns of a guessable secret that cannot be refused, because what was made with it has to stay valid.
fn warn_if_guessable(parser: &mut ConfigParser<'_>, name: &str, secret: Option<&SecretString>) {
    if secret.is_some_and(|secret| is_guessable(secret.reveal())) {
        parser.warn(format!("{name} repeats itself: whoever guesses it can do what it is for"));
    }
}
