use std::time::Duration;

use axum::response::Response;

use crate::app::App;
use crate::clients::{self, Client};
use crate::events::Event;
use crate::grants::{self, Code, Grant, GrantId, Handle, Person, Standing, Use};
use crate::http::answer::{self, Sender};
use crate::http::caller::Caller;
use crate::http::session_state;
use crate::logouts;
use crate::random;
use crate::requests::AuthorizationRequest;
use crate::secret::Secret;
use crate::sessions::Session;
use crate::store::StoreError;

/// Everything an authorization code is made of: a client, what it asked, and who agreed.
#[derive(Clone, Copy)]
pub struct Issuance<'a> {
    /// Whom it is for.
    pub client: &'a Client,
    /// What it asked.
    pub request: &'a AuthorizationRequest,
    /// Who agreed.
    pub session: &'a Session,
}

/// Files a grant, and answers its code. Nothing is sent yet: a code that never is dies in a minute.
pub async fn prepare(app: &App, it: Issuance<'_>) -> Result<Handle, StoreError> {
    let code = Handle { grant: GrantId(random::uuid()), secret: Secret::random() };
    let grant = new_grant(app, it, &code);
    let refresh = it.client.settings.refresh_token_lifetime;
    let refresh = refresh
        .map_or(app.config.lifetimes.refresh_absolute, |own| Duration::from_secs(own.into()));
    if it.request.scope.contains("openid") {
        logouts::note_client(&*app.store, it.client, it.session, it.session.sub.as_str()).await?;
    }
    let until = grant.ends_at.plus(refresh).plus(app.config.lifetimes.access_token);
    grants::file(&*app.store, &grant, until, app.now()).await?;
    if it.client.unused_until.is_some() {
        clients::update(&*app.store, &it.client.id, |client| client.unused_until = None).await?;
    }
    Ok(code)
}

/// Sends a code to the client ([RFC 6749 §4.1.2]).
///
/// [RFC 6749 §4.1.2]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2
pub fn send(
    app: &App,
    caller: &Caller,
    it: Issuance<'_>,
    code: &Handle,
    after_gesture: bool,
) -> Response {
    let client = it.client.id.as_str();
    app.tell(caller.address, &Event::Authorized { client, outcome: "ok" });
    let sender =
        Sender { issuer: app.issuer(), client_name: it.client.display_name(), after_gesture };
    let mut fields = vec![("code".to_owned(), code.render(Use::Code))];
    if it.request.scope.contains("openid") {
        let to = &it.request.destination;
        fields.extend(session_state::field(app, caller, &it.client.id, to));
    }
    answer::success(&it.request.destination, fields, &sender)
}

fn new_grant(app: &App, it: Issuance<'_>, code: &Handle) -> Grant {
    let (request, session, now) = (it.request, it.session, app.now());
    let lifetimes = &app.config.lifetimes;
    let own = it.client.settings.code_lifetime;
    let lifetime = own.map_or(lifetimes.code, |own| Duration::from_secs(own.into()));
    let expires_at = now.plus(lifetime);
    Grant {
        id: code.grant,
        client: it.client.id.clone(),
        person: Some(Person {
            sub: session.sub.clone(),
            authenticated_at: session.authenticated_at,
            amr: session.amr.clone(),
            sid: session.sid,
            bound_to_session: !request.scope.contains("offline_access"),
            wants_acr: request.wants_acr,
        }),
        scope: request.scope.clone(),
        claims: request.claims.clone(),
        nonce: request.nonce.clone(),
        code: Some(Code::Issued {
            secret: code.secret.digest(),
            redirect_uri: request.destination.redirect_uri().to_owned(),
            challenge: request.challenge.clone(),
            expires_at,
            failures: 0,
        }),
        refresh: None,
        standing: Standing::Good,
        revoked_access: Vec::new(),
        opaque: Vec::new(),
        ends_at: expires_at,
    }
}
