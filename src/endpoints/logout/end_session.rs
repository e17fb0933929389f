//! The logout page, the end of the session, and the redirect after it ([RP-Initiated Logout §2, §3]).
//!
//! [RP-Initiated Logout §2, §3]: https://openid.net/specs/openid-connect-rpinitiated-1_0.html#RPLogout

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use uuid::Uuid;

use super::front_channel;
use super::page::{ConfirmPage, SignedOutPage};
use super::post_logout_redirect::PostLogoutRedirect;
use super::request::LogoutRequest;
use crate::domain::clients::{Client, RegistrationSource};
use crate::domain::events::{Event, SignOutCause};
use crate::domain::logout_notifications;
use crate::domain::sessions::{self, Session};
use crate::domain::users::User;
use crate::http::app::App;
use crate::http::authorization_response::see_other;
use crate::http::cookies::{self, Cookies};
use crate::http::pages::{FormTargets, PagePolicy, csp_source, nonce, page};
use crate::http::parties::UserCard;
use crate::http::request_info::RequestInfo;
use crate::infra::secret::{base64url, from_base64url};
use crate::infra::store::StoreError;
use crate::protocol::redirect_uri;

/// The page that asks the user whether to sign out.
pub fn confirm_page(
    app: &App,
    session: &Session,
    user: Option<&User>,
    asked: &LogoutRequest,
) -> Response {
    let after = asked.redirect.as_ref().zip(asked.client.as_ref());
    // The form carries the request, which is validated again by the same function.
    let carried = after.map(|(after, client)| {
        let mut fields =
            vec![("client_id", client.id.as_str()), ("post_logout_redirect_uri", after.uri())];
        fields.extend(after.state().map(|state| ("state", state)));
        fields
    });
    // The page does not show where this link leads, so only a URL that the operator configured is used.
    let known =
        asked.client.as_ref().filter(|client| client.source == RegistrationSource::Operator);
    let home = known.and_then(|client| client.metadata.client_uri.as_deref());
    let template = ConfirmPage {
        csrf: &csrf_token(app, session),
        carried: &carried.unwrap_or_default(),
        person: user.map(UserCard::from),
        client_name: asked.client.as_ref().map(Client::display_name),
        stay: home.unwrap_or("/"),
        detail: asked.no_redirect_reason,
    };
    let form_targets =
        if asked.redirect.is_some() { FormTargets::Anywhere } else { FormTargets::Here };
    let policy = PagePolicy { form_targets, ..PagePolicy::default() };
    page(&template, StatusCode::OK, &policy)
}

/// Who started the logout.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Initiator {
    /// A client, with an ID token of the session.
    Client,
    /// The user, on the confirmation page.
    User,
}

/// Ends the session, in the store first and then in the browser, and notifies its clients.
pub async fn end_session(
    app: &App,
    caller: &RequestInfo,
    session: &Session,
    asked: &LogoutRequest,
    by: Initiator,
) -> Result<Response, StoreError> {
    if let Some(ended) = sessions::end(&*app.store, session.id).await? {
        let how = match by {
            Initiator::Client => SignOutCause::Application,
            Initiator::User => SignOutCause::Person,
        };
        app.record_event(caller.address, &Event::SignedOut { sub: ended.sub.as_str(), how });
    }
    let frames = notify(app, session.sid).await?;
    Ok(clear_cookies(app, redirect_or_page(asked, &frames, by)))
}

/// A logout request with a valid `id_token_hint`, from a browser that has no live session.
///
/// Redirects to `post_logout_redirect_uri`. Other clients are notified unless a live session has the same `sid`: it
/// may have expired, or an earlier logout may have failed between ending it and notifying.
pub async fn end_expired(
    app: &App,
    cookies: &Cookies,
    sid: Uuid,
    asked: &LogoutRequest,
) -> Result<Response, StoreError> {
    let mut frames = end_cookie_session(app, cookies).await?;
    if frames.is_empty() && sessions::find_by_sid(&*app.store, sid, app.now()).await?.is_none() {
        frames = notify(app, sid).await?;
    }
    Ok(clear_cookies_if_sent(app, cookies, redirect_or_page(asked, &frames, Initiator::Client)))
}

/// A logout request without a valid hint, from a browser that has no live session: a page with a link, no redirect.
pub async fn no_session(
    app: &App,
    cookies: &Cookies,
    asked: &LogoutRequest,
) -> Result<Response, StoreError> {
    let frames = end_cookie_session(app, cookies).await?;
    Ok(clear_cookies_if_sent(app, cookies, signed_out_page(asked, &frames, false)))
}

/// Ends the session with that `sid`, of whichever browser; `true` if there was one. Clients are notified by back
/// channel only, also if the session had expired or an earlier logout failed before it notified them.
pub async fn end_by_sid(app: &App, caller: &RequestInfo, sid: Uuid) -> Result<bool, StoreError> {
    let mut ended = None;
    // A sign-in at this moment makes another session the owner of the `sid`.
    while ended.is_none()
        && let Some(session) = sessions::find_by_sid(&*app.store, sid, app.now()).await?
    {
        ended = sessions::end(&*app.store, session.id).await?;
    }
    if let Some(ended) = &ended {
        let how = SignOutCause::Client;
        let event = Event::SignedOut { sub: ended.sub.as_str(), how };
        app.record_event(caller.address, &event);
    }
    notify(app, sid).await?;
    Ok(ended.is_some())
}

/// Ends the session of the cookie if it has expired, and notifies its clients, which was not done yet.
async fn end_cookie_session(app: &App, cookies: &Cookies) -> Result<Vec<String>, StoreError> {
    let Some(id) = cookies.session() else { return Ok(Vec::new()) };
    match sessions::end(&*app.store, id).await? {
        Some(dead) => notify(app, dead.sid).await,
        None => Ok(Vec::new()),
    }
}

/// Queues the back-channel notifications, and returns the URLs of the front-channel frames.
async fn notify(app: &App, sid: Uuid) -> Result<Vec<String>, StoreError> {
    let told = logout_notifications::notify(&*app.store, sid, app.now()).await?;
    app.notify_logout_workers(&told);
    Ok(front_channel::frame_urls(&told.by_browser, app.issuer(), |client| app.sid_for(client, sid)))
}

/// The CSRF token of the confirmation form, bound to the session that it would end.
fn csrf_token(app: &App, session: &Session) -> String {
    base64url(&app.csrf_key.mac(&csrf_input(session)))
}

/// Whether the token is the one of this session's form; in constant time.
pub fn verify_csrf_token(app: &App, session: &Session, shown: &str) -> bool {
    from_base64url(shown).is_some_and(|shown| app.csrf_key.verifies(&csrf_input(session), &shown))
}

fn csrf_input(session: &Session) -> [String; 2] {
    ["logout".to_owned(), session.sid.to_string()]
}

fn redirect_or_page(asked: &LogoutRequest, frames: &[String], by: Initiator) -> Response {
    // Mobile browsers open another app only after a user gesture.
    let follows = |after: &&PostLogoutRedirect| {
        by == Initiator::User || !redirect_uri::is_private_use(after.uri())
    };
    match asked.redirect.as_ref().filter(follows) {
        Some(after) if frames.is_empty() => see_other(&after.href()),
        Some(_) => signed_out_page(asked, frames, true),
        None => signed_out_page(asked, frames, false),
    }
}

/// The "signed out" page; `goes_on`: it redirects by itself, once the frames are loaded.
fn signed_out_page(asked: &LogoutRequest, frames: &[String], goes_on: bool) -> Response {
    let href = asked.redirect.as_ref().map(PostLogoutRedirect::href);
    let nonce = href.as_ref().filter(|_| goes_on).map(|_| nonce());
    let template = SignedOutPage {
        client_name: asked.client.as_ref().map(Client::display_name),
        href: href.as_deref(),
        frames,
        nonce: nonce.as_deref(),
        detail: asked.no_redirect_reason,
    };
    let policy = PagePolicy {
        frames: frames.iter().filter_map(|frame| csp_source(frame)).collect(),
        script_nonce: nonce.clone(),
        ..PagePolicy::default()
    };
    page(&template, StatusCode::OK, &policy)
}

/// Clears the cookies only if the request sent the session cookie. A cross-site request comes without `SameSite=Lax`
/// cookies: to clear them would leave a live session without its browser.
fn clear_cookies_if_sent(app: &App, cookies: &Cookies, answer: Response) -> Response {
    if cookies.session().is_some() { clear_cookies(app, answer) } else { answer }
}

/// Clears the cookies. `Clear-Site-Data` is not needed: browsers store no page of ours, and the cookie of an ended
/// session is worthless.
fn clear_cookies(app: &App, mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.append(header::SET_COOKIE, cookies::clear_session(app));
    if app.config.session_management {
        headers.append(header::SET_COOKIE, cookies::clear_state(app));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
