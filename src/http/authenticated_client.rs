//! The [`AuthenticatedClient`] extractor: a handler that gets one serves an authenticated client.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header};

use super::cors::CorsClient;
use super::error::ApiError;
use super::form::Form;
use super::request_info::RequestInfo;
use crate::domain::clients::authenticate::{
    ClientAuthError, ClientAuthenticator, claimed_by, is_right_but_unencoded,
};
use crate::domain::clients::{self, Client};
use crate::domain::events::{ClientAuthFailure, Event};
use crate::domain::grants::KeyProof;
use crate::domain::rate_limit::{self, LimitPolicy, RateLimited};
use crate::http::app::App;
use crate::infra::client_ip::rate_limit_key;
use crate::protocol::client_auth::CredentialsError;
use crate::protocol::{Confirmation, Credentials, ErrorCode, GrantType, OAuthError, Params};

/// An authenticated client and its request. Only client authentication makes one.
pub struct AuthenticatedClient {
    /// Enabled.
    pub client: Client,
    /// The form parameters.
    pub params: Params,
    pub caller: RequestInfo,
    pub headers: HeaderMap,
    /// The key that the request proves to hold, which the tokens are to be bound to. There is no such proof yet
    /// that a token request may carry.
    pub proven_key: Option<Confirmation>,
}

impl AuthenticatedClient {
    /// The proof for a grant that is bound to a key.
    pub fn key_proof(&self) -> KeyProof<'_> {
        KeyProof::Presented(self.proven_key.as_ref())
    }
}

impl FromRequest<App> for AuthenticatedClient {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let Ok(caller) = RequestInfo::from_request_parts(&mut parts, app).await;
        let cors_client = CorsClient::of(&parts.extensions);
        let request = Request::from_parts(parts, body);
        let Form(params, headers) = Form::read(request, is_parameter).await?;
        let client = authenticated(app, &headers, &params, &caller).await?;
        cors_client.set_client(&client);
        Ok(Self { client, params, caller, headers, proven_key: None })
    }
}

/// Whether an endpoint with client authentication reads, or may read, this form parameter.
fn is_parameter(name: &str) -> bool {
    let credentials = ["client_assertion", "client_assertion_type", "client_id", "client_secret"];
    // Of introspection (RFC 7662 §2.1) and revocation (RFC 7009 §2.1).
    let token = ["token", "token_type_hint"];
    credentials.contains(&name) || token.contains(&name) || GrantType::PARAMETERS.contains(&name)
}

/// Authenticates the client of a form and its headers. A public client proves nothing.
pub async fn authenticated(
    app: &App,
    headers: &HeaderMap,
    form: &Params,
    caller: &RequestInfo,
) -> Result<Client, ApiError> {
    let client = authenticate(app, headers, form, caller).await?;
    record_use(app, &client).await;
    Ok(client)
}

/// Records that a confidential client was used; anybody can send the id of a public one. A failure to do so does not fail
/// the request.
async fn record_use(app: &App, client: &Client) {
    if client.metadata.is_public() {
        return;
    }
    if let Err(cause) = clients::record_use(&*app.store, client, app.now()).await {
        tracing::warn!(%cause, kind = cause.kind(), "the use of a client could not be noted");
    }
}

async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
    caller: &RequestInfo,
) -> Result<Client, ApiError> {
    let failed = match check_credentials(app, headers, params).await {
        Ok(client) => return Ok(client),
        // Nothing is known about the client then.
        Err(AuthFailure::Proof(_, ClientAuthError::Busy)) => return Err(ApiError::unavailable()),
        Err(AuthFailure::Proof(_, ClientAuthError::Store(cause))) => return Err(cause.into()),
        Err(failed) => failed,
    };
    let client = claimed_client_id(headers, params);
    let (reason, hint) = if let AuthFailure::Proof(used, ClientAuthError::Method(wrong)) = &failed {
        let registered = wrong.registered();
        (failed.reason(), Some(format!("it used {used}, and is registered for {registered}")))
    } else if is_unencoded(app, headers, &failed).await {
        let hint = "the secret is right, but the client does not form-encode it in the Authorization header \
                    (RFC 6749 §2.3.1); give it a secret without + and %";
        (ClientAuthFailure::SecretNotFormEncoded, Some(hint.to_owned()))
    } else {
        (failed.reason(), None)
    };
    app.record_event(
        caller.address,
        &Event::ClientAuthFailed { client: &client, reason, hint: hint.as_deref() },
    );
    if let Some(wait) = check_rate_limit(app, caller, &client).await {
        return Err(ApiError::too_many(wait.retry_after.as_secs()));
    }
    let answer = failed.answer();
    // RFC 6749 §5.2: a client that tried the header is told which scheme it is.
    let tried = headers.contains_key(header::AUTHORIZATION);
    let tried = tried && !matches!(failed, AuthFailure::TwoHeaders);
    Err(if tried { answer.with_challenge(BASIC_CHALLENGE) } else { answer })
}

async fn check_credentials(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
) -> Result<Client, AuthFailure> {
    let credentials = read(headers, params)?;
    let issuer = &app.config.issuer;
    let token_endpoint = issuer.url("/token");
    let authenticator = ClientAuthenticator {
        store: &*app.store,
        keys: &app.client_jwks,
        secret_cipher: app.config.offer.client_secret_jwt.then_some(&app.secret_cipher),
        audiences: &[issuer.as_str(), &token_endpoint],
        now: app.now(),
    };
    let used = credentials.method_name();
    authenticator.authenticate(&credentials).await.map_err(|why| AuthFailure::Proof(used, why))
}

/// Whether the secret is right, but not form-encoded: one with `+` or `%` is decoded to another then.
async fn is_unencoded(app: &App, headers: &HeaderMap, failed: &AuthFailure) -> bool {
    let possible = matches!(
        failed,
        // Also looked up where there is no such client, so that both rejections take as long.
        AuthFailure::Proof(_, ClientAuthError::Secret | ClientAuthError::Unknown)
            | AuthFailure::Unreadable(CredentialsError::Header)
    );
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match header.filter(|_| possible) {
        Some(header) => is_right_but_unencoded(&*app.store, header, app.now()).await,
        None => false,
    }
}

fn read(headers: &HeaderMap, params: &Params) -> Result<Credentials, AuthFailure> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(AuthFailure::TwoHeaders);
    }
    let text = first.map(|value| value.to_str()).transpose();
    let text = text.map_err(|_| AuthFailure::Unreadable(CredentialsError::Header))?;
    Credentials::parse(text, params).map_err(AuthFailure::Unreadable)
}

/// The client id that the request claims, escaped and cut for a log line.
fn claimed_client_id(headers: &HeaderMap, params: &Params) -> String {
    const MAX_LOGGED_ID_CHARS: usize = 128;
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let claimed = claimed_by(header, params).unwrap_or_else(|| "-".to_owned());
    claimed.chars().flat_map(char::escape_default).take(MAX_LOGGED_ID_CHARS).collect()
}

/// Counts the failure, for the address and for this client at this address. Anybody can claim a client id, so nothing is
/// stored under it once the address is refused.
///
/// Only failures are counted and refused: a client with the right credentials is served, also while another at its
/// address is guessing. The limit is against noise, not against guessing 256 bits, so it is open while the store is
/// unavailable.
async fn check_rate_limit(app: &App, caller: &RequestInfo, client: &str) -> Option<RateLimited> {
    let per_minute = app.failures_per_minute()?;
    let from = rate_limit_key(caller.address);
    let one = (per_minute / 10).max(5).min(per_minute);
    let names = [format!("client-auth {from}"), format!("client-auth {from} {client}")];
    for (name, per_minute) in names.iter().zip([per_minute, one]) {
        let schedule = LimitPolicy::Address { per_minute };
        let counted = rate_limit::record_attempt(&*app.store, name, schedule, app.now()).await;
        if let Err(limited) = rate_limit::refuse_limited(counted) {
            return Some(limited);
        }
    }
    None
}

/// Why the client is not authenticated.
#[derive(Debug)]
enum AuthFailure {
    /// More than one `Authorization` header.
    TwoHeaders,
    /// The credentials cannot be read.
    Unreadable(CredentialsError),
    /// The credentials, of this method, are not accepted.
    Proof(&'static str, ClientAuthError),
}

impl AuthFailure {
    /// For the audit log and metrics.
    const fn reason(&self) -> ClientAuthFailure {
        match self {
            Self::TwoHeaders => ClientAuthFailure::TwoHeaders,
            Self::Unreadable(CredentialsError::Missing) => ClientAuthFailure::NoCredentials,
            Self::Unreadable(CredentialsError::TwoMethods) => ClientAuthFailure::TwoMethods,
            Self::Unreadable(CredentialsError::TwoClients) => ClientAuthFailure::TwoClients,
            Self::Unreadable(CredentialsError::AssertionType) => ClientAuthFailure::AssertionType,
            Self::Unreadable(CredentialsError::Header) => ClientAuthFailure::MalformedHeader,
            Self::Proof(_, why) => why.reason(),
        }
    }

    /// RFC 6749 §5.2: a malformed request is `invalid_request`, failed authentication `invalid_client`,
    /// whatever failed.
    fn answer(&self) -> ApiError {
        let invalid_client = |text| ApiError::new(OAuthError::new(ErrorCode::InvalidClient, text));
        match self {
            Self::TwoHeaders => ApiError::invalid("there are two Authorization headers"),
            Self::Unreadable(CredentialsError::Missing) => {
                invalid_client("no client authentication and no client_id")
            }
            Self::Unreadable(CredentialsError::TwoMethods) => {
                invalid_client("more than one way of client authentication")
            }
            Self::Unreadable(CredentialsError::TwoClients) => {
                invalid_client("client_id is not the authenticated client")
            }
            Self::Unreadable(CredentialsError::AssertionType) => {
                invalid_client("client_assertion and client_assertion_type do not fit")
            }
            Self::Unreadable(CredentialsError::Header) => {
                invalid_client("the Authorization header is not Basic")
            }
            Self::Proof(used, why) => {
                // A caller that does not know the secret learns only what it sent.
                let mut text = format!("client authentication failed: {used} was used");
                if let ClientAuthError::Method(wrong) = why
                    && wrong.knows_secret
                {
                    text.push_str(", and the client is registered for ");
                    text.push_str(&wrong.registered());
                }
                ApiError::new(OAuthError::described(ErrorCode::InvalidClient, &text))
            }
        }
    }
}

/// The challenge to a client (RFC 7617 §2).
pub const BASIC_CHALLENGE: &str = r#"Basic realm="latchkey", charset="UTF-8""#;
