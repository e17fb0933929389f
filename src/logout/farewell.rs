//! Asking, ending, and the way on.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use uuid::Uuid;

use super::after::AfterLogout;
use super::frames;
use super::page::{ConfirmPage, SignedOutPage};
use super::request::Asked;
use crate::app::App;
use crate::clients::Client;
use crate::events::Event;
use crate::http::answer::see_other;
use crate::http::caller::Caller;
use crate::http::cookies;
use crate::http::page::{PagePolicy, nonce, page, source_of};
use crate::logouts;
use crate::secret::{base64url, from_base64url};
use crate::sessions::{self, Session};
use crate::store::StoreError;
use crate::users::User;

/// Asks the person whether they want to sign out.
pub fn ask(app: &App, session: &Session, user: Option<&User>, asked: &Asked) -> Response {
    let after = asked.after.as_ref().zip(asked.client.as_ref());
    // What is sent back is judged again, by the same function.
    let carried = after.map(|(after, client)| {
        let mut fields =
            vec![("client_id", client.id.as_str()), ("post_logout_redirect_uri", after.uri())];
        fields.extend(after.state().map(|state| ("state", state)));
        fields
    });
    let home = asked.client.as_ref().and_then(|client| client.metadata.client_uri.as_deref());
    let template = ConfirmPage {
        csrf: &csrf(app, session),
        carried: &carried.unwrap_or_default(),
        person: user.map(User::display_name),
        client_name: asked.client.as_ref().map(Client::display_name),
        stay: home.unwrap_or("/"),
        detail: asked.stays,
    };
    let targets = asked.after.as_ref().and_then(|after| source_of(after.uri()));
    let policy =
        PagePolicy { form_targets: targets.into_iter().collect(), ..PagePolicy::default() };
    page(&template, StatusCode::OK, &policy)
}

/// The session ends in the store first, then in the browser, whether or not there is anywhere to go.
pub async fn sign_out(
    app: &App,
    caller: &Caller,
    session: &Session,
    asked: &Asked,
    how: &'static str,
) -> Result<Response, StoreError> {
    if let Some(ended) = sessions::end(&*app.store, session.id).await? {
        app.tell(caller.address, &Event::SignedOut { sub: ended.sub.as_str(), how });
    }
    let frames = tell(app, session.sid).await?;
    Ok(send_on(app, asked, &frames))
}

/// Nobody is signed in here any more, but an application asks with good reason: it gets the person back.
/// If its session ran out, or a try before this one broke off, the others may still have to be told; if
/// it goes on in another browser, they must not be.
pub async fn late(app: &App, sid: Uuid, asked: &Asked) -> Result<Response, StoreError> {
    let frames = match sessions::find_named(&*app.store, sid, app.now()).await? {
        Some(_) => Vec::new(),
        None => tell(app, sid).await?,
    };
    Ok(send_on(app, asked, &frames))
}

/// Queues what goes server to server, and answers the frames for the rest.
async fn tell(app: &App, sid: Uuid) -> Result<Vec<String>, StoreError> {
    let by_browser = logouts::tell(&*app.store, sid, app.now()).await?;
    app.logout_queued.notify_one();
    Ok(frames::addresses(&by_browser, app.issuer(), sid))
}

/// Nobody is signed in with this browser. Without proof of who asks there is a link, and no redirect.
pub fn already_out(app: &App, asked: &Asked) -> Response {
    with_cleared_cookies(app, signed_out(asked, &[]))
}

/// The token of the confirmation form: bound to the session it would end.
fn csrf(app: &App, session: &Session) -> String {
    base64url(&app.csrf_key.mac(&csrf_parts(session)))
}

/// Whether the token is the one of this session's form; in constant time.
pub fn csrf_fits(app: &App, session: &Session, shown: &str) -> bool {
    from_base64url(shown).is_some_and(|shown| app.csrf_key.verifies(&csrf_parts(session), &shown))
}

fn csrf_parts(session: &Session) -> [String; 2] {
    ["logout".to_owned(), session.sid.to_string()]
}

fn send_on(app: &App, asked: &Asked, frames: &[String]) -> Response {
    let answer = match &asked.after {
        Some(after) if frames.is_empty() => see_other(&after.href()),
        Some(_) | None => signed_out(asked, frames),
    };
    with_cleared_cookies(app, answer)
}

/// The page that says so. With frames it goes on by itself, once they are loaded.
fn signed_out(asked: &Asked, frames: &[String]) -> Response {
    let href = asked.after.as_ref().map(AfterLogout::href);
    let nonce = href.as_ref().filter(|_| !frames.is_empty()).map(|_| nonce());
    let template = SignedOutPage {
        client_name: asked.client.as_ref().map(Client::display_name),
        href: href.as_deref(),
        frames,
        nonce: nonce.as_deref(),
        detail: asked.stays,
    };
    let policy = PagePolicy {
        frames: frames.iter().filter_map(|frame| source_of(frame)).collect(),
        script_nonce: nonce.clone(),
        ..PagePolicy::default()
    };
    page(&template, StatusCode::OK, &policy)
}

fn with_cleared_cookies(app: &App, mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.append(header::SET_COOKIE, cookies::clear_session(app));
    if app.config.session_management {
        headers.append(header::SET_COOKIE, cookies::clear_state(app));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
