//! The token endpoint ([RFC 6749 §3.2]): one file per grant type.
//!
//! Writes `Grant`s (through `grants`), never sessions. The steps that all grant types share are here: client
//! authentication, whether the client may use the grant type, the response, the audit log. Tokens are issued before the
//! code or refresh token is used up, so a request that fails can be sent again.
//!
//! [RFC 6749 §3.2]: https://www.rfc-editor.org/rfc/rfc6749#section-3.2

mod authorization_code;
mod client_credentials;
mod refresh_token;
mod response;
mod target;

use axum::Json;
use axum::extract::State;
use axum::response::Response;

use self::response::IssuedTokens;
use crate::config::Config;
use crate::domain::events::Event;
use crate::domain::grants::{ActiveCheckError, GrantError};
use crate::http::app::App;
use crate::http::authenticated_client::AuthenticatedClient;
use crate::http::error::{ApiError, no_store};
use crate::http::token_issuer::TokenIssueError;
use crate::infra::store::StoreError;
use crate::protocol::algorithms::{ContentEncryption, KeyManagement};
use crate::protocol::{AuthMethod, ErrorCode, GrantType, OAuthError, ProviderMetadata};

/// Adds the members of this endpoint to the provider metadata.
pub fn add_metadata(metadata: &mut ProviderMetadata, config: &Config) {
    metadata.token_endpoint = Some(config.issuer.url("/token"));
    let implicit = config.offer.response_types.iter().any(|it| it.is_front_channel());
    let offered = GrantType::ALL.iter().filter(|it| **it != GrantType::Implicit || implicit);
    metadata.grant_types_supported = offered.map(|it| it.as_str()).collect();
    metadata.id_token_encryption_alg_values_supported =
        KeyManagement::ALL.iter().map(|it| it.as_str()).collect();
    metadata.id_token_encryption_enc_values_supported =
        ContentEncryption::ALL.iter().map(|it| it.as_str()).collect();
    metadata.token_endpoint_auth_methods_supported =
        config.offer.auth_methods().map(AuthMethod::as_str).collect();
    metadata.token_endpoint_auth_signing_alg_values_supported = config.offer.assertion_alg_names();
}

/// `POST /token`.
pub async fn token(State(app): State<App>, who: AuthenticatedClient) -> Result<Response, ApiError> {
    let asked = who.params.get("grant_type").ok_or(ApiError::invalid("grant_type is missing"))?;
    let unsupported = || {
        let text = "only authorization_code, refresh_token and client_credentials are supported";
        ApiError::new(OAuthError::new(ErrorCode::UnsupportedGrantType, text))
    };
    let grant_type = GrantType::parse(asked).ok_or_else(unsupported)?;
    if !who.client.metadata.grant_types.contains(&grant_type) {
        let text = "this client is not registered for this grant type";
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, text).into());
    }
    let issued = match grant_type {
        GrantType::AuthorizationCode => authorization_code::redeem(&app, &who).await,
        GrantType::RefreshToken => refresh_token::refresh(&app, &who).await,
        GrantType::ClientCredentials => client_credentials::issue(&app, &who).await,
        GrantType::Implicit => return Err(unsupported()),
    };
    match issued {
        Ok(answer) => Ok(record_success(&app, &who, grant_type, answer)),
        Err(failure) => Err(record_failure(&app, &who, grant_type, failure)),
    }
}

fn record_success(
    app: &App,
    who: &AuthenticatedClient,
    grant: GrantType,
    answer: IssuedTokens,
) -> Response {
    let client = who.client.id.as_str();
    let event = Event::TokensIssued { client, sub: answer.sub.as_deref(), grant };
    app.record_event(who.caller.address, &event);
    no_store(Json(answer.response.into_json()))
}

/// Why a token request failed.
enum TokenRequestError {
    /// The code or refresh token is not accepted; the audit log says which check failed.
    Grant(GrantError),
    /// The request is wrong.
    Request(OAuthError),
    /// The store did not answer.
    Store(StoreError),
    /// A token could not be issued.
    Issue(TokenIssueError),
}

impl From<TokenIssueError> for TokenRequestError {
    fn from(why: TokenIssueError) -> Self {
        Self::Issue(why)
    }
}

impl From<StoreError> for TokenRequestError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

impl From<ActiveCheckError> for TokenRequestError {
    fn from(error: ActiveCheckError) -> Self {
        match error {
            ActiveCheckError::Inactive(why) => Self::Grant(GrantError::Inactive(why)),
            ActiveCheckError::Store(cause) => Self::Store(cause),
        }
    }
}

impl From<GrantError> for TokenRequestError {
    fn from(refusal: GrantError) -> Self {
        Self::Grant(refusal)
    }
}

impl From<OAuthError> for TokenRequestError {
    fn from(error: OAuthError) -> Self {
        Self::Request(error)
    }
}

fn record_failure(
    app: &App,
    who: &AuthenticatedClient,
    grant: GrantType,
    failure: TokenRequestError,
) -> ApiError {
    let client = who.client.id.as_str();
    match failure {
        TokenRequestError::Grant(refusal) => {
            app.record_event(who.caller.address, &Event::TokenRefused { client, reason: &refusal });
            // The credential is valid: the client must not discard it.
            if let GrantError::TooManyTokens { retry_after } = refusal {
                let text = "too many access tokens of this grant are in use; use those, or wait";
                return ApiError::too_many_because(text, retry_after.as_secs());
            }
            if refusal == GrantError::Replayed {
                app.record_event(who.caller.address, &Event::ReuseDetected { client, grant });
            }
            OAuthError::from(refusal).into()
        }
        TokenRequestError::Request(error) => error.into(),
        TokenRequestError::Store(cause) => cause.into(),
        TokenRequestError::Issue(why) => OAuthError::from(why).into(),
    }
}
