//! The token endpoint ([RFC 6749 §3.2]): one file per grant type.
//!
//! Writes `Grant`s (through `grants`), never sessions. Shared steps — who is the client, may it use
//! this grant, what the answer looks like — happen here once; a grant's file holds what is its own.
//! Tokens are made before the step that pays for them, so a request that fails can be sent again.
//!
//! [RFC 6749 §3.2]: https://www.rfc-editor.org/rfc/rfc6749#section-3.2

mod authorization_code;
mod client_credentials;
mod issue;
mod refresh_token;
mod target;

use axum::Json;
use axum::extract::State;
use axum::response::Response;

use self::issue::Answer;
use crate::config::Config;
use crate::domain::events::Event;
use crate::domain::grants::{ActiveCheckError, Refusal};
use crate::http::app::App;
use crate::http::client::Authenticated;
use crate::http::error::{ApiError, no_store};
use crate::http::token_issuer::NotMade;
use crate::infra::store::StoreError;
use crate::protocol::algorithms::{ContentEncryption, KeyManagement};
use crate::protocol::{AuthMethod, ErrorCode, GrantType, OAuthError, ProviderMetadata};

/// The room's lines in the metadata.
pub fn advertise(metadata: &mut ProviderMetadata, config: &Config) {
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
pub async fn answer(State(app): State<App>, who: Authenticated) -> Result<Response, ApiError> {
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
        GrantType::ClientCredentials => client_credentials::grant(&app, &who).await,
        GrantType::Implicit => return Err(unsupported()),
    };
    match issued {
        Ok(answer) => Ok(finish(&app, &who, grant_type, answer)),
        Err(failure) => Err(refuse(&app, &who, grant_type, failure)),
    }
}

fn finish(app: &App, who: &Authenticated, grant: GrantType, answer: Answer) -> Response {
    let client = who.client.id.as_str();
    let event = Event::TokensIssued { client, sub: answer.sub.as_deref(), grant };
    app.tell(who.caller.address, &event);
    no_store(Json(answer.response.into_json()))
}

/// Why a token request failed: the client's doing, or ours.
enum Failure {
    /// The grant is not worth anything; the log knows which check.
    Refused(Refusal),
    /// The request itself is wrong.
    Request(OAuthError),
    /// The store did not answer.
    Store(StoreError),
    /// A token could not be made.
    Unmade(NotMade),
}

impl From<NotMade> for Failure {
    fn from(why: NotMade) -> Self {
        Self::Unmade(why)
    }
}

impl From<StoreError> for Failure {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

impl From<ActiveCheckError> for Failure {
    fn from(error: ActiveCheckError) -> Self {
        match error {
            ActiveCheckError::Inactive(why) => Self::Refused(Refusal::Denied(why)),
            ActiveCheckError::Store(cause) => Self::Store(cause),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<OAuthError> for Failure {
    fn from(error: OAuthError) -> Self {
        Self::Request(error)
    }
}

fn refuse(app: &App, who: &Authenticated, grant: GrantType, failure: Failure) -> ApiError {
    let client = who.client.id.as_str();
    match failure {
        Failure::Refused(refusal) => {
            let reason = refusal.as_str();
            app.tell(who.caller.address, &Event::TokenRefused { client, reason: &reason });
            // The grant is good: nothing a client should throw its token away for.
            if let Refusal::TooManyTokens { retry_after } = refusal {
                let text = "too many access tokens of this grant are in use; use those, or wait";
                return ApiError::too_many_because(text, retry_after.as_secs());
            }
            if refusal == Refusal::Replayed {
                app.tell(who.caller.address, &Event::ReuseDetected { client, grant });
            }
            OAuthError::from(refusal).into()
        }
        Failure::Request(error) => error.into(),
        Failure::Store(cause) => cause.into(),
        Failure::Unmade(why) => OAuthError::from(why).into(),
    }
}
