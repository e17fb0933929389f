//! The `Authenticated` extractor: to have one is to have been checked.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header};

use super::caller::Caller;
use super::cors::Asker;
use super::error::ApiError;
use super::form::Form;
use crate::domain::clients::authenticate::{
    Desk, NotAuthenticated, claimed_by, is_right_but_unencoded,
};
use crate::domain::clients::{self, Client};
use crate::domain::events::{ClientAuthFailure, Event};
use crate::domain::rate_limit::{self, Schedule, TooMany};
use crate::http::app::App;
use crate::infra::client_ip::rate_limit_key;
use crate::protocol::client_auth::CredentialsError;
use crate::protocol::{Confirmation, Credentials, ErrorCode, OAuthError, Params};

/// A client that has proven to be who it says, and what it sent. There is no other way to get one.
pub struct Authenticated {
    /// The client; enabled.
    pub client: Client,
    /// The form.
    pub params: Params,
    /// From where.
    pub caller: Caller,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The key that the request proves to hold, which the tokens are to be bound to. There is no such proof yet
    /// that a token request may carry.
    pub proven_key: Option<Confirmation>,
}

impl FromRequest<App> for Authenticated {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let Ok(caller) = Caller::from_request_parts(&mut parts, app).await;
        let asker = Asker::of(&parts.extensions);
        let request = Request::from_parts(parts, body);
        let Form(params, headers) = Form::read(request, |name| PARAMETERS.contains(&name)).await?;
        let client = authenticated(app, &headers, &params, &caller).await?;
        asker.is(&client);
        Ok(Self { client, params, caller, headers, proven_key: None })
    }
}

/// Every parameter of a client's form that is read at one of the endpoints, or may be.
#[rustfmt::skip]
const PARAMETERS: [&str; 14] = [
    "audience", "client_assertion", "client_assertion_type", "client_id", "client_secret", "code",
    "code_verifier", "grant_type", "redirect_uri", "refresh_token", "resource", "scope", "token",
    "token_type_hint",
];

/// The client that this form and these headers are of; a public one proves nothing by them.
pub async fn authenticated(
    app: &App,
    headers: &HeaderMap,
    form: &Params,
    caller: &Caller,
) -> Result<Client, ApiError> {
    let client = authenticate(app, headers, form, caller).await?;
    note_use(app, &client).await;
    Ok(client)
}

/// Only a client that has a proof: the name of a public one is anybody's. That it could not be noted is no
/// reason to turn it away.
async fn note_use(app: &App, client: &Client) {
    if client.metadata.is_public() {
        return;
    }
    if let Err(cause) = clients::note_use(&*app.store, client, app.now()).await {
        tracing::warn!(%cause, kind = cause.kind(), "the use of a client could not be noted");
    }
}

async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
    caller: &Caller,
) -> Result<Client, ApiError> {
    let failed = match prove(app, headers, params).await {
        Ok(client) => return Ok(client),
        // Nothing was found out about it.
        Err(Failed::Proof(_, NotAuthenticated::Busy)) => return Err(ApiError::unavailable()),
        Err(Failed::Proof(_, NotAuthenticated::Store(cause))) => return Err(cause.into()),
        Err(failed) => failed,
    };
    let client = claimed(headers, params);
    let (reason, hint) = if let Failed::Proof(used, NotAuthenticated::Method(wrong)) = &failed {
        let registered = wrong.registered();
        (failed.reason(), Some(format!("it used {used}, and is registered for {registered}")))
    } else if is_unencoded(app, headers, &failed).await {
        let hint = "the secret is right, but the client does not form-encode it in the Authorization header \
                    (RFC 6749 §2.3.1); give it a secret without + and %";
        (ClientAuthFailure::SecretNotFormEncoded, Some(hint.to_owned()))
    } else {
        (failed.reason(), None)
    };
    app.tell(
        caller.address,
        &Event::ClientAuthFailed { client: &client, reason, hint: hint.as_deref() },
    );
    if let Some(wait) = throttled(app, caller, &client).await {
        return Err(ApiError::too_many(wait.retry_after.as_secs()));
    }
    let answer = failed.answer();
    // RFC 6749 §5.2: a client that tried the header is told which scheme it is.
    let tried = headers.contains_key(header::AUTHORIZATION);
    let tried = tried && !matches!(failed, Failed::TwoHeaders);
    Err(if tried { answer.with_challenge(BASIC) } else { answer })
}

async fn prove(app: &App, headers: &HeaderMap, params: &Params) -> Result<Client, Failed> {
    let credentials = read(headers, params)?;
    let issuer = &app.config.issuer;
    let token_endpoint = issuer.url("/token");
    let desk = Desk {
        store: &*app.store,
        keys: &app.client_keys,
        vault: app.config.offer.client_secret_jwt.then_some(&app.vault),
        audiences: &[issuer.as_str(), &token_endpoint],
        now: app.now(),
    };
    let used = credentials.method_name();
    desk.authenticate(&credentials).await.map_err(|why| Failed::Proof(used, why))
}

/// A secret with `+` is read as another one, and one with `%` perhaps not at all.
async fn is_unencoded(app: &App, headers: &HeaderMap, failed: &Failed) -> bool {
    let possible = matches!(
        failed,
        // Looked up where there is no such client, too: being turned away costs the same.
        Failed::Proof(_, NotAuthenticated::Secret | NotAuthenticated::Unknown)
            | Failed::Unreadable(CredentialsError::Header)
    );
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    match header.filter(|_| possible) {
        Some(header) => is_right_but_unencoded(&*app.store, header, app.now()).await,
        None => false,
    }
}

fn read(headers: &HeaderMap, params: &Params) -> Result<Credentials, Failed> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Failed::TwoHeaders);
    }
    let text = first.map(|value| value.to_str()).transpose();
    let text = text.map_err(|_| Failed::Unreadable(CredentialsError::Header))?;
    Credentials::parse(text, params).map_err(Failed::Unreadable)
}

/// Who it said it was, fit for a log line: escaped, and cut.
fn claimed(headers: &HeaderMap, params: &Params) -> String {
    const LONGEST: usize = 128;
    let header = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let claimed = claimed_by(header, params).unwrap_or_else(|| "-".to_owned());
    claimed.chars().flat_map(char::escape_default).take(LONGEST).collect()
}

/// Counts the failure, for the address and for this client at this address. The name is one that anybody
/// may claim, so it is not looked at any more once the address is refused: nothing is filed under it.
///
/// Only failures are counted and only failures are refused: a client with the right credentials goes
/// on, also beside somebody at its own address who is guessing. This limit is against noise, not
/// against guessing 256 bits, so without a store it is open.
async fn throttled(app: &App, caller: &Caller, client: &str) -> Option<TooMany> {
    let per_minute = app.per_minute()?;
    let from = rate_limit_key(caller.address);
    let one = (per_minute / 10).max(5).min(per_minute);
    let names = [format!("client-auth {from}"), format!("client-auth {from} {client}")];
    for (name, per_minute) in names.iter().zip([per_minute, one]) {
        let schedule = Schedule::Address { per_minute };
        if let Ok(Err(refused)) = rate_limit::take(&*app.store, name, schedule, app.now()).await {
            return Some(refused);
        }
    }
    None
}

/// Why there is no client.
#[derive(Debug)]
enum Failed {
    /// More than one `Authorization` header.
    TwoHeaders,
    /// There are no credentials to judge.
    Unreadable(CredentialsError),
    /// There are, of this method, and they prove nothing.
    Proof(&'static str, NotAuthenticated),
}

impl Failed {
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
                // What strangers are told is what they sent.
                let mut text = format!("client authentication failed: {used} was used");
                if let NotAuthenticated::Method(wrong) = why
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
pub const BASIC: &str = r#"Basic realm="latchkey", charset="UTF-8""#;
