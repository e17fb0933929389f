//! Checks between the members of a registration.

use url::Url;

use super::{ApplicationType, ClientMetadata, ServerCapabilities, invalid_metadata, sector};
use crate::protocol::redirect_uri::{self, RedirectUriError};
use crate::protocol::{AuthMethod, ErrorCode, GrantType, OAuthError, ResponseType};

/// The error names the first member that does not fit.
pub(super) fn validate(it: &ClientMetadata) -> Result<(), OAuthError> {
    if !it.response_types.is_empty() && it.redirect_uris.is_empty() {
        return Err(OAuthError::new(
            ErrorCode::InvalidRedirectUri,
            "redirect_uris is required for the authorization endpoint",
        ));
    }
    sector::check(it)?;
    check_grant_types(it)?;
    check_keys(it)?;
    check_logout_uris(it)
}

/// Which URIs a client may have users redirected to.
pub(super) struct RedirectUriRules {
    check: fn(&str) -> Result<(), RedirectUriError>,
    only_https: bool,
}

impl RedirectUriRules {
    pub(super) fn new(
        application_type: ApplicationType,
        response_types: &[ResponseType],
        offer: &ServerCapabilities,
    ) -> Self {
        let check = if offer.by_operator {
            redirect_uri::check_operator_declared
        } else {
            redirect_uri::check_registrable
        };
        // "Web Clients using the OAuth Implicit Grant Type MUST only register URLs using the https scheme"
        // (https://openid.net/specs/openid-connect-registration-1_0.html#ClientMetadata).
        let implicit = response_types.iter().any(|asked| asked.is_front_channel());
        Self { check, only_https: implicit && application_type == ApplicationType::Web }
    }

    pub(super) fn check_redirect(&self, uri: &str) -> Result<(), OAuthError> {
        (self.check)(uri).map_err(|why| bad_redirect(&why.to_string()))?;
        if self.only_https && !uri.starts_with("https://") {
            return Err(bad_redirect("has to be https where tokens go through the browser"));
        }
        Ok(())
    }

    pub(super) fn check_post_logout(&self, uri: &str) -> Result<(), OAuthError> {
        let checked = (self.check)(uri);
        checked.map_err(|why| invalid_metadata(&format!("post_logout_redirect_uris: each {why}")))
    }
}

fn bad_redirect(why: &str) -> OAuthError {
    OAuthError::described(ErrorCode::InvalidRedirectUri, &format!("redirect_uris: each {why}"))
}

/// Response types and grant types are two views of one thing ([RFC 7591 §2.1]).
///
/// [RFC 7591 §2.1]: https://www.rfc-editor.org/rfc/rfc7591#section-2.1
fn check_grant_types(it: &ClientMetadata) -> Result<(), OAuthError> {
    let uses = |grant| it.grant_types.contains(&grant);
    let code = it.response_types.iter().any(|asked| asked.has_code());
    let implicit = it.response_types.iter().any(|asked| asked.is_front_channel());
    if uses(GrantType::RefreshToken) && !uses(GrantType::AuthorizationCode) {
        return Err(invalid_metadata(
            "grant_types: refresh_token needs authorization_code beside it",
        ));
    }
    let needless = uses(GrantType::AuthorizationCode) && it.response_types.is_empty();
    if needless || (code && !uses(GrantType::AuthorizationCode)) {
        return Err(invalid_metadata(
            "response_types: code and the authorization_code grant go together",
        ));
    }
    if implicit && !uses(GrantType::Implicit) {
        return Err(invalid_metadata("grant_types: implicit is needed for id_token and token"));
    }
    if uses(GrantType::ClientCredentials) && it.is_public() {
        return Err(invalid_metadata(
            "grant_types: client_credentials needs client authentication",
        ));
    }
    Ok(())
}

fn check_keys(it: &ClientMetadata) -> Result<(), OAuthError> {
    if it.jwks.is_some() && it.jwks_uri.is_some() {
        return Err(invalid_metadata("jwks and jwks_uri exclude each other"));
    }
    let keyed = it.jwks.is_some() || it.jwks_uri.is_some();
    if it.allows_auth_method(AuthMethod::PrivateKeyJwt) && !keyed {
        return Err(invalid_metadata("private_key_jwt needs jwks or jwks_uri"));
    }
    // Each method has one type of key, and never accepts a signature made with the other.
    let of_pair = it.token_endpoint_auth_signing_alg.map(|alg| alg.signature_alg().is_some());
    let shared = it.allows_auth_method(AuthMethod::ClientSecretJwt);
    if of_pair.is_some_and(|of_pair| of_pair == shared) {
        return Err(invalid_metadata(
            "token_endpoint_auth_signing_alg: HS256 goes with client_secret_jwt, and the others do not",
        ));
    }
    if it.request_object_signing_alg.is_some() && !keyed {
        return Err(invalid_metadata("request_object_signing_alg needs jwks or jwks_uri"));
    }
    let encrypted = it.id_token_encrypted_response_alg.is_some()
        || it.userinfo_encrypted_response_alg.is_some();
    if encrypted && !keyed {
        return Err(invalid_metadata("jwks or jwks_uri is needed to encrypt for the client"));
    }
    Ok(())
}

fn check_logout_uris(it: &ClientMetadata) -> Result<(), OAuthError> {
    let Some(front) = &it.frontchannel_logout_uri else { return Ok(()) };
    // "The domain, port, and scheme of this URL MUST be the same as that of a registered Redirection
    // URI value" (https://openid.net/specs/openid-connect-frontchannel-1_0.html#RPLogout).
    let origin = |uri: &String| Url::parse(uri).ok().map(|url| url.origin());
    if it.redirect_uris.iter().any(|uri| origin(uri) == origin(front)) {
        return Ok(());
    }
    Err(invalid_metadata("frontchannel_logout_uri must have the origin of a redirect URI"))
}
