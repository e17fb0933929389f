//! What an operator may give a client, by command line or by declaration.

use serde_json::{Map, Value};

use crate::domain::clients::{self, ClientSettings};
use crate::protocol::client_metadata::ServerCapabilities;
use crate::protocol::{AuthMethod, ClientMetadata, OAuthError, Scope};

/// What a `client_id` that an operator chooses must be.
pub const CLIENT_ID_RULE: &str = "must be 1 to 255 characters of A-Z a-z 0-9 . _ ~ : @ / -";

/// Reads the members as a registration would be read, with everything offered. The error's description begins with
/// the member it is about.
pub fn parse_metadata(members: &Map<String, Value>) -> Result<ClientMetadata, OAuthError> {
    let metadata = ClientMetadata::parse_within(members, &ServerCapabilities::all())?;
    clients::check_registered_keys(&metadata)?;
    Ok(metadata)
}

/// Whether an operator can give a client such metadata; the error is a sentence that begins with the member.
pub fn check_metadata(metadata: &ClientMetadata) -> Result<(), String> {
    if metadata.allows_auth_method(AuthMethod::ClientSecretJwt) {
        // Of a declared secret, and of one that the command line made, only the digest is stored.
        let why = "token_endpoint_auth_method: client_secret_jwt is only for clients that register \
                   themselves, because the server has to keep their secret readable; private_key_jwt \
                   does the same and leaves no secret here";
        return Err(why.to_owned());
    }
    if metadata.scope.iter().flat_map(Scope::iter).any(|token| token.contains(',')) {
        return Err("scope: is words with spaces between, and this has a comma in it".to_owned());
    }
    if metadata.software_statement.is_some() {
        let why = "software_statement: is for clients that register themselves";
        return Err(why.to_owned());
    }
    Ok(())
}

/// Whether the settings make sense for a client of this kind; the error is a sentence that begins with the setting.
pub fn check_settings(metadata: &ClientMetadata, settings: &ClientSettings) -> Result<(), String> {
    // RFC 9700 §2.1.1: public clients MUST use PKCE (https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1).
    if metadata.is_public() && settings.require_pkce == Some(false) {
        return Err("require_pkce: a public client cannot be let off PKCE".to_owned());
    }
    if let (Some(default), Some(most)) = (&settings.default_scope, &metadata.scope)
        && !default.is_subset(most)
    {
        return Err("default_scope: names something that is not in its scope".to_owned());
    }
    if settings.default_scope.as_ref().is_some_and(Scope::is_empty) {
        return Err("default_scope: names nothing".to_owned());
    }
    let (day, year) = (86_400, 400 * 86_400);
    for (name, seconds, most) in [
        ("access_token_lifetime", settings.access_token_lifetime, day),
        ("id_token_lifetime", settings.id_token_lifetime, day),
        // At most ten minutes (RFC 6749 §4.1.2, https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2).
        ("code_lifetime", settings.code_lifetime, 600),
        ("refresh_token_idle_lifetime", settings.refresh_token_idle_lifetime, year),
        ("refresh_token_lifetime", settings.refresh_token_lifetime, year),
    ] {
        if seconds.is_some_and(|seconds| !(1..=most).contains(&seconds)) {
            return Err(format!("{name}: must be 1 to {most} seconds"));
        }
    }
    Ok(())
}
