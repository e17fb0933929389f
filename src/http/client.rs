//! The `Authenticated` extractor: to have one is to have been checked.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header};

use super::caller::Caller;
use super::cors::Asker;
use super::error::ApiError;
use super::form::Form;
use crate::app::App;
use crate::client_ip::bucket;
use crate::clients::Client;
use crate::clients::authenticate::{Desk, NotAuthenticated};
use crate::events::Event;
use crate::protocol::client_auth::Unreadable;
use crate::protocol::{Credentials, ErrorCode, OAuthError, Params};
use crate::throttle::{self, Schedule};

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
}

impl FromRequest<App> for Authenticated {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let Ok(caller) = Caller::from_request_parts(&mut parts, app).await;
        let asker = Asker::of(&parts.extensions);
        let request = Request::from_parts(parts, body);
        let Form(params, headers) = Form::from_request(request, app).await?;
        let client = authenticate(app, &headers, &params, &caller).await?;
        if let Some(asker) = asker {
            asker.is(&client);
        }
        Ok(Self { client, params, caller, headers })
    }
}

async fn authenticate(
    app: &App,
    headers: &HeaderMap,
    params: &Params,
    caller: &Caller,
) -> Result<Client, ApiError> {
    let basic = read_header(headers)?;
    let credentials = Credentials::read(basic, params);
    let credentials = credentials.map_err(|why| match basic {
        Some(_) => unreadable(why).with_challenge(BASIC),
        None => unreadable(why),
    })?;
    let issuer = &app.config.issuer;
    let token_endpoint = issuer.url("/token");
    let desk = Desk {
        store: &*app.store,
        keys: &app.client_keys,
        audiences: &[issuer.as_str(), &token_endpoint],
        now: app.now(),
    };
    match desk.authenticate(&credentials).await? {
        Ok(client) => Ok(client),
        Err(why) => Err(refuse(app, caller, basic.is_some(), params, why).await),
    }
}

/// Counts the failure, tells it, and answers `invalid_client` whatever it was.
async fn refuse(
    app: &App,
    caller: &Caller,
    by_header: bool,
    params: &Params,
    why: NotAuthenticated,
) -> ApiError {
    // What was claimed is only logged when it looks like an id of ours.
    let claimed =
        params.get("client_id").filter(|id| crate::clients::ClientId::parse(id).is_some());
    let client = claimed.unwrap_or("-");
    tracing::info!(?why, client, "client authentication failed");
    app.tell(caller.address, &Event::ClientAuthFailed { client, reason: why.word() });
    if let Some(per_minute) = app.per_minute() {
        let name = format!("client-auth {}", bucket(caller.address));
        let schedule = Schedule::Address { per_minute };
        // This limit is against noise, not against guessing 256 bits: without a store it is open.
        if let Ok(Err(wait)) = throttle::take(&*app.store, &name, schedule, app.now()).await {
            return ApiError::too_many(wait.retry_after.as_secs());
        }
    }
    let error = OAuthError::new(ErrorCode::InvalidClient, "client authentication failed");
    if by_header {
        return ApiError::new(error).with_challenge(BASIC);
    }
    ApiError::new(error)
}

/// RFC 6749 §5.2: a client that tried the header is told which scheme it is.
const BASIC: &str = r#"Basic realm="latchkey", charset="UTF-8""#;

fn read_header(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(ApiError::invalid("there are two Authorization headers"));
    }
    first.map(|value| value.to_str().map_err(|_| unreadable(Unreadable::Header))).transpose()
}

/// RFC 6749 §5.2: a malformed request is `invalid_request`, failed authentication `invalid_client`.
fn unreadable(why: Unreadable) -> ApiError {
    let invalid_client = |text| ApiError::new(OAuthError::new(ErrorCode::InvalidClient, text));
    match why {
        Unreadable::Missing => invalid_client("no client authentication and no client_id"),
        Unreadable::TwoMethods => invalid_client("more than one way of client authentication"),
        Unreadable::TwoClients => invalid_client("client_id is not the authenticated client"),
        Unreadable::AssertionType => {
            invalid_client("client_assertion and client_assertion_type do not fit")
        }
        Unreadable::Header => {
            invalid_client("the Authorization header is not Basic").with_challenge(BASIC)
        }
    }
}
