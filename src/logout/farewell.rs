//! Asking, ending, and the way on.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use uuid::Uuid;

use super::page::{ConfirmPage, SignedOutPage};
use super::request::Asked;
use crate::app::App;
use crate::clients::Client;
use crate::events::Event;
use crate::http::answer::see_other;
use crate::http::caller::Caller;
use crate::http::cookies;
use crate::http::page::{PagePolicy, page, source_of};
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
    Ok(send_on(app, asked))
}

/// Nobody is signed in here any more, but an application asks with good reason: it gets the person back.
pub async fn late(app: &App, _sid: Uuid, asked: &Asked) -> Result<Response, StoreError> {
    Ok(send_on(app, asked))
}

/// Nobody is signed in with this browser. Without proof of who asks there is a link, and no redirect.
pub fn already_out(app: &App, asked: &Asked) -> Response {
    with_cleared_cookies(app, signed_out(asked))
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

fn send_on(app: &App, asked: &Asked) -> Response {
    let answer = match &asked.after {
        Some(after) => see_other(&after.href()),
        None => signed_out(asked),
    };
    with_cleared_cookies(app, answer)
}

fn signed_out(asked: &Asked) -> Response {
    let href = asked.after.as_ref().map(super::after::AfterLogout::href);
    let template = SignedOutPage {
        client_name: asked.client.as_ref().map(Client::display_name),
        href: href.as_deref(),
        detail: asked.stays,
    };
    page(&template, StatusCode::OK, &PagePolicy::default())
}

fn with_cleared_cookies(app: &App, mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    headers.append(header::SET_COOKIE, cookies::clear_session(app));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
