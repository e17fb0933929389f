use std::borrow::Cow;
/// The error codes that clients are sent; each variant names the document that defines it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ErrorCode {
    /// The user refused ([RFC 6749 §4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1)).
    AccessDenied,
    /// `prompt=none`, but the user has not consented yet ([OpenID Connect Core §3.1.2.6]).
    ///
    /// [OpenID Connect Core §3.1.2.6]: https://openid.net/specs/openid-connect-core-1_0.html#AuthError
    ConsentRequired,
    /// The bearer token does not cover what was asked ([RFC 6750 §3.1](https://www.rfc-editor.org/rfc/rfc6750#section-3.1)).
    InsufficientScope,
    /// `prompt=none`, but a page would have to be shown (OpenID Connect Core §3.1.2.6).
    InteractionRequired,
    /// Client authentication failed ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
    InvalidClient,
    /// A field of a registration is not acceptable ([RFC 7591 §3.2.2](https://www.rfc-editor.org/rfc/rfc7591#section-3.2.2)).
    InvalidClientMetadata,
    /// The code or refresh token is invalid, expired, used or revoked (RFC 6749 §5.2).
    InvalidGrant,
    /// A redirect URI cannot be registered (RFC 7591 §3.2.2).
    InvalidRedirectUri,
    /// The request is malformed (RFC 6749 §4.1.2.1, §5.2).
    InvalidRequest,
    /// The scope is malformed, unknown or too much (RFC 6749 §4.1.2.1, §5.2).
    InvalidScope,
    /// No token can be issued for this API ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
    InvalidTarget,
    /// The bearer token is expired, revoked, malformed or not ours (RFC 6750 §3.1).
    InvalidToken,
    /// `prompt=none`, but no user is signed in (OpenID Connect Core §3.1.2.6).
    LoginRequired,
    /// The request object is invalid (OpenID Connect Core §3.1.2.6, RFC 9101 §7).
    InvalidRequestObject,
    /// The request object could not be fetched (OpenID Connect Core §3.1.2.6, RFC 9101 §7).
    InvalidRequestUri,
    /// The software statement is invalid (RFC 7591 §3.2.2).
    InvalidSoftwareStatement,
    /// `registration` is not supported (OpenID Connect Core §3.1.2.6).
    RegistrationNotSupported,
    /// `request` is not supported (OpenID Connect Core §3.1.2.6).
    RequestNotSupported,
    /// `request_uri` is not supported (OpenID Connect Core §3.1.2.6).
    RequestUriNotSupported,
    /// An internal error (RFC 6749 §4.1.2.1).
    ServerError,
    /// A temporary internal error (RFC 6749 §4.1.2.1).
    TemporarilyUnavailable,
    /// This client may not do this (RFC 6749 §4.1.2.1, §5.2).
    UnauthorizedClient,
    /// The software statement is from an issuer that is not configured (RFC 7591 §3.2.2).
    UnapprovedSoftwareStatement,
    /// The user cannot be authenticated as strongly as the request demands ([Core Error Code
    /// unmet_authentication_requirements](https://openid.net/specs/openid-connect-unmet-authentication-requirements-1_0.html)).
    UnmetAuthenticationRequirements,
    /// The grant type is not supported (RFC 6749 §5.2).
    UnsupportedGrantType,
    /// The response type is not supported (RFC 6749 §4.1.2.1).
    UnsupportedResponseType,
}

impl ErrorCode {
    /// The code as the RFCs spell it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::ConsentRequired => "consent_required",
            Self::InsufficientScope => "insufficient_scope",
            Self::InteractionRequired => "interaction_required",
            Self::InvalidClient => "invalid_client",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::InvalidGrant => "invalid_grant",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::InvalidToken => "invalid_token",
            Self::LoginRequired => "login_required",
            Self::InvalidRequestObject => "invalid_request_object",
            Self::InvalidRequestUri => "invalid_request_uri",
            Self::InvalidSoftwareStatement => "invalid_software_statement",
            Self::UnapprovedSoftwareStatement => "unapproved_software_statement",
            Self::UnmetAuthenticationRequirements => "unmet_authentication_requirements",
            Self::RegistrationNotSupported => "registration_not_supported",
            Self::RequestNotSupported => "request_not_supported",
            Self::RequestUriNotSupported => "request_uri_not_supported",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
        }
    }
}

/// The error a client is sent. The exact cause belongs in the log.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}: {description}", .code.as_str())]
pub struct OAuthError {
    pub code: ErrorCode,
    /// One sentence for the developer; ASCII without quotes and backslashes (RFC 6749 §5.2).
    pub description: Cow<'static, str>,
}

impl OAuthError {
    /// An error with a fixed description.
    pub const fn new(code: ErrorCode, description: &'static str) -> Self {
        Self { code, description: Cow::Borrowed(description) }
    }

    /// An error whose description names a parameter or a limit, never the client's input.
    ///
    /// Characters outside `%x20-21 / %x23-5B / %x5D-7E` ([RFC 6749 §5.2]) become `.`.
    ///
    /// [RFC 6749 §5.2]: https://www.rfc-editor.org/rfc/rfc6749#section-5.2
    pub fn described(code: ErrorCode, description: &str) -> Self {
        let allowed = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
        let clean = description.chars().map(|c| if allowed(c) { c } else { '.' }).collect();
        Self { code, description: Cow::Owned(clean) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_stays_inside_the_permitted_characters() {
        let error = OAuthError::described(ErrorCode::InvalidRequest, "a\r\n\t\"b\\c\u{e9}<");
        assert_eq!(error.description, "a....b.c.<");
    }
}
