use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;

use super::reply::{self, ReplyContent, ReplyOptions};
use crate::domain::authorization_request::AuthorizationRequest;
use crate::domain::clients::{self, Client};
use crate::domain::epoch::{self, Epoch, EpochOwner};
use crate::domain::events::{AuthorizationOutcome, Event};
use crate::domain::grants::{
    self, ActiveCheckError, AuthenticationContext, CodeState, Grant, GrantId, GrantStatus,
    InactiveParty, InsertOutcome, OpaqueToken, TokenKind,
};
use crate::domain::logout_notifications;
use crate::domain::sessions::Session;
use crate::domain::token_claims::{HashedValues, RequestedResources, TokenSource};
use crate::domain::users::User;
use crate::http::app::App;
use crate::http::page_error::PageError;
use crate::http::request_info::RequestInfo;
use crate::http::token_issuer::{self, TokenIssueError};
use crate::http::token_response::TokenResponse;
use crate::infra::random;
use crate::infra::secret::Secret;
use crate::infra::store::{Consistency, StoreError};
use crate::protocol::{GrantType, ResponseType};

/// What an authorization response is made of.
#[derive(Clone, Copy)]
pub struct AuthorizedRequest<'a> {
    pub client: &'a Client,
    pub request: &'a AuthorizationRequest,
    pub session: &'a Session,
    /// The user of the session, as they are now.
    pub user: &'a User,
    /// The epoch of the consent, read before the consent.
    pub consent_epoch: Epoch,
}

/// The parameters of an authorization response, but for `state` and `iss`.
pub type ResponseParams = Vec<(String, String)>;

/// Why there is no response.
pub enum ResponseError {
    Store(StoreError),
    /// A token could not be issued.
    Token(TokenIssueError),
    /// The client, the user or the session ended at the same moment.
    Inactive(InactiveParty),
    /// The code was redeemed before, or is no longer valid.
    CodeUsed,
}

impl ResponseError {
    /// The error page.
    pub fn into_page(self, caller: &RequestInfo) -> PageError {
        match self {
            Self::Store(cause) => PageError::unavailable(&caller.request_id, &cause),
            Self::Token(_) | Self::CodeUsed => PageError::internal(&caller.request_id),
            Self::Inactive(why) => {
                tracing::info!(
                    ?why,
                    "an authorization was overtaken by the end of what it rests on"
                );
                PageError {
                    status: StatusCode::BAD_REQUEST,
                    title: "Please start again",
                    message:
                        "You were signed out in the meantime, or the application was switched off. \
                              Go back to it and sign in from there."
                            .to_owned(),
                    detail: None,
                    next_link: None,
                    request_id: caller.request_id.clone(),
                }
            }
        }
    }
}

impl From<StoreError> for ResponseError {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause)
    }
}

impl From<ActiveCheckError> for ResponseError {
    fn from(error: ActiveCheckError) -> Self {
        match error {
            ActiveCheckError::Inactive(why) => Self::Inactive(why),
            ActiveCheckError::Store(cause) => Self::Store(cause),
        }
    }
}

impl From<TokenIssueError> for ResponseError {
    fn from(why: TokenIssueError) -> Self {
        Self::Token(why)
    }
}

/// Makes what the response type names ([OAuth 2.0 Multiple Response Types §3, §4, §5]) and stores
/// its grant. Nothing is sent yet: a code that is never sent expires in a minute. `code` is the interaction's code,
/// if there is an interaction.
///
/// [OAuth 2.0 Multiple Response Types §3, §4, §5]: https://openid.net/specs/oauth-v2-multiple-response-types-1_0.html
pub async fn prepare(
    app: &App,
    authorized: AuthorizedRequest<'_>,
    code: Option<OpaqueToken>,
) -> Result<ResponseParams, ResponseError> {
    let asked = authorized.request.response_type;
    let new = || OpaqueToken { grant: GrantId(random::uuid()), secret: Secret::random() };
    let handle = code.filter(|_| asked.has_code()).unwrap_or_else(new);
    // Read before the client is checked: disabling it in between begins another epoch.
    let owner = EpochOwner::Client(authorized.client.id.clone());
    let epoch = epoch::current(&*app.store, &owner, Consistency::Strong).await?;
    let mut grant = new_grant(app, authorized, &handle, epoch);
    let mut fields = ResponseParams::new();
    let code = asked.has_code().then(|| handle.render(TokenKind::Code));
    if let Some(code) = &code {
        fields.push(("code".to_owned(), code.clone()));
    }
    let mut tokens = TokenResponse::default();
    if asked.has_token() {
        let wanted = RequestedResources { named: &authorized.request.resources, granted: &[] };
        let target =
            token_issuer::token_target(app, authorized.client, &authorized.request.scope, wanted);
        let issued = token_issuer::issue_access_token(
            app,
            authorized.client,
            TokenSource::Grant(&grant),
            &target,
        )
        .await?;
        grant.opaque_tokens.extend(issued.opaque.clone());
        tokens.access_token = Some(issued);
    }
    let has_token = tokens.access_token.is_some();
    if asked.has_id_token() {
        let beside = HashedValues {
            access_token: tokens.access_token.as_ref().map(|issued| &*issued.token),
            code: code.as_deref(),
            state: authorized.request.reply.state(),
            is_only_token: code.is_none() && !has_token,
        };
        tokens.id_token =
            token_issuer::issue_id_token(app, (authorized.client, authorized.user), &grant, beside)
                .await?;
    }
    fields.extend(tokens.into_params());
    if authorized.request.scope.contains("openid") && asked != ResponseType::None {
        let seen_as = app.subject_for(authorized.client, &authorized.session.sub);
        logout_notifications::add_client(
            &*app.store,
            authorized.client,
            authorized.session,
            seen_as.as_str(),
        )
        .await?;
    }
    // After the client was added to the session's: from here on a logout notifies it.
    grants::check_active_now(&*app.store, &grant, authorized.session, app.now()).await?;
    if (code.is_some() || has_token)
        && insert_grant(app, authorized, &grant).await? == InsertOutcome::Spent
    {
        return Err(ResponseError::CodeUsed);
    }
    if authorized.client.unused_until.is_some() {
        clients::update(&*app.store, &authorized.client.id, |client| client.unused_until = None)
            .await?;
    }
    Ok(fields)
}

async fn insert_grant(
    app: &App,
    authorized: AuthorizedRequest<'_>,
    grant: &Grant,
) -> Result<InsertOutcome, StoreError> {
    let refresh = authorized.client.settings.refresh_token_lifetime;
    let refresh = refresh
        .map_or(app.config.lifetimes.refresh_absolute, |own| Duration::from_secs(own.into()));
    let until = grant
        .ends_at
        .plus(refresh)
        .plus(token_issuer::max_access_token_lifetime(app, authorized.client));
    grants::insert_once(&*app.store, grant, until, app.now()).await
}

/// Records the audit events of a successful authorization.
pub fn record_success(app: &App, caller: &RequestInfo, authorized: AuthorizedRequest<'_>) {
    let client = authorized.client.id.as_str();
    let outcome = AuthorizationOutcome::Ok;
    app.record_event(caller.address, &Event::Authorized { client, outcome });
    if authorized.request.response_type.is_front_channel() {
        let sub = Some(authorized.session.sub.as_str());
        let grant = GrantType::Implicit;
        app.record_event(caller.address, &Event::TokensIssued { client, sub, grant });
    }
}

/// Sends what was prepared.
pub fn send(
    app: &App,
    caller: &RequestInfo,
    authorized: AuthorizedRequest<'_>,
    fields: ResponseParams,
    after_gesture: bool,
) -> Response {
    let session_state = authorized.request.scope.contains("openid");
    let options = ReplyOptions {
        client: authorized.client,
        reply: &authorized.request.reply,
        session_state,
        after_gesture,
    };
    reply::send(app, caller, options, ReplyContent::Granted(fields))
}

/// The grant of the response. It ends with the credentials in the response itself, and later once the code is
/// redeemed.
fn new_grant(
    app: &App,
    authorized: AuthorizedRequest<'_>,
    code: &OpaqueToken,
    client_epoch: Epoch,
) -> Grant {
    let (request, session, now) = (authorized.request, authorized.session, app.now());
    let lifetimes = &app.config.lifetimes;
    let own = authorized.client.settings.code_lifetime;
    let lifetime = own.map_or(lifetimes.code, |own| Duration::from_secs(own.into()));
    let expires_at = now.plus(lifetime);
    let token_end = now.plus(token_issuer::max_access_token_lifetime(app, authorized.client));
    let response = request.response_type;
    Grant {
        id: code.grant,
        client: authorized.client.id.clone(),
        client_created_at: Some(authorized.client.created_at),
        client_epoch: Some(client_epoch),
        authentication: Some(AuthenticationContext {
            sub: session.sub.clone(),
            authenticated_at: session.authenticated_at,
            amr: session.amr.clone(),
            acr: session.acr,
            sid: session.sid,
            bound_to_session: !request.scope.contains("offline_access"),
            wants_acr: request.wants_acr,
            epoch: session.epoch,
            consent_epoch: Some(authorized.consent_epoch),
        }),
        scope: request.scope.clone(),
        claims: request.claims.clone(),
        nonce: request.nonce.clone(),
        code: response.has_code().then(|| CodeState::Issued {
            secret: code.secret.digest(),
            credential: request.reply.credential(),
            redirect_uri: request.reply.redirect_uri().map(str::to_owned),
            challenge: request.challenge.clone(),
            expires_at,
            failures: 0,
        }),
        refresh_tokens: None,
        status: GrantStatus::Active,
        resources: request.resources.clone(),
        revoked_access: Vec::new(),
        opaque_tokens: Vec::new(),
        cnf: None,
        ends_at: if response.has_token() { expires_at.max(token_end) } else { expires_at },
    }
}
