//! A visit that does not go on here: the page that says why, and the way on where one is known.
//!
//! Whoever has no cookie of it may be anybody who was sent the link. They learn which application it is
//! about, and nothing of what it asked or of who was meant.

use axum::http::StatusCode;

use super::page_error::PageError;
use super::request_info::RequestInfo;
use super::visit::Visit;
use crate::domain::clients::Client;
use crate::domain::interactions::Stop;
use crate::http::app::App;
use crate::protocol::redirect_uri;

type NextLink = Option<(String, String)>;

/// There is no such visit, or nothing is left of what it was about.
pub fn unknown(caller: &RequestInfo) -> PageError {
    let message = "This sign-in is not known here, or not any more. \
                   Go back to the app and sign in from there.";
    page(caller, "Please start again", message, None)
}

/// Why this one does not go on.
pub fn explain(app: &App, caller: &RequestInfo, visit: &Visit, stop: Stop) -> PageError {
    match stop {
        Stop::Foreign => page(
            caller,
            "Please start again",
            "This sign-in was begun in another browser, or this one did not keep the cookie of it. \
             Go back to the app and sign in from there.",
            entrance(app, visit),
        ),
        Stop::Expired => page(
            caller,
            "That took too long",
            "For your safety a sign-in has to be finished within a few minutes. You can start again.",
            again(app, visit),
        ),
        Stop::Finished if visit.interaction.answer.is_some_and(|it| it.refused.is_some()) => page(
            caller,
            "Nothing left to do",
            "This sign-in was ended, perhaps in another tab. Go back to the app.",
            home(visit),
        ),
        Stop::Finished => page(
            caller,
            "Already signed in",
            "This sign-in was finished, perhaps in another tab. Go back to the app.",
            home(visit),
        ),
    }
}

fn page(
    caller: &RequestInfo,
    title: &'static str,
    message: &str,
    next_link: NextLink,
) -> PageError {
    PageError {
        status: StatusCode::BAD_REQUEST,
        title,
        message: message.to_owned(),
        detail: None,
        next_link,
        request_id: caller.request_id.clone(),
    }
}

/// The same request once more; for the browser that sent it.
fn again(app: &App, visit: &Visit) -> NextLink {
    let request = &visit.interaction.request;
    if request.hinted.is_some() {
        // Begun again without the hint, it could end up about somebody else.
        return entrance(app, visit);
    }
    let href = format!("{}?{}", app.config.issuer.url("/authorize"), request.query);
    Some((href, "Start again".to_owned()))
}

/// Where the application begins a sign-in ([OpenID Connect Core §4]), or where it is.
///
/// [OpenID Connect Core §4]: https://openid.net/specs/openid-connect-core-1_0.html#ThirdPartyInitiatedLogin
fn entrance(app: &App, visit: &Visit) -> NextLink {
    let begins = |client: &Client| {
        let mut url = url::Url::parse(client.metadata.initiate_login_uri.as_deref()?).ok()?;
        url.query_pairs_mut().append_pair("iss", app.issuer());
        Some((url.into(), format!("Start again at {}", client.display_name())))
    };
    begins(&visit.client).or_else(|| home(visit))
}

fn home(visit: &Visit) -> NextLink {
    let origin = visit.interaction.request.reply.redirect_uri().and_then(redirect_uri::web_origin);
    origin.map(|origin| (origin, format!("Back to {}", visit.client.display_name())))
}
