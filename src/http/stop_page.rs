//! The page for an interaction that does not continue: why, and a link to where it can be started again.
//!
//! A browser without the interaction's cookie may be anyone's who was sent the link. It learns which client it is
//! about, and nothing of the request or its user.

use axum::http::StatusCode;

use super::interaction_context::InteractionContext;
use super::page_error::PageError;
use super::request_info::RequestInfo;
use crate::domain::clients::Client;
use crate::domain::interactions::StopReason;
use crate::http::app::App;
use crate::protocol::redirect_uri;

type OptionalLink = Option<(String, String)>;

/// The page if there is no such interaction, or its request is no longer valid.
pub fn unknown_interaction(caller: &RequestInfo) -> PageError {
    let message = "This sign-in is not known here, or not any more. \
                   Go back to the app and sign in from there.";
    error_page(caller, "Please start again", message, None)
}

/// The page that says why this one does not continue.
pub fn explain(
    app: &App,
    caller: &RequestInfo,
    context: &InteractionContext,
    stop: StopReason,
) -> PageError {
    match stop {
        StopReason::Foreign => error_page(
            caller,
            "Please start again",
            "This sign-in was begun in another browser, or this one did not keep the cookie of it. \
             Go back to the app and sign in from there.",
            client_start_link(app, context),
        ),
        StopReason::Expired => error_page(
            caller,
            "That took too long",
            "For your safety a sign-in has to be finished within a few minutes. You can start again.",
            restart_link(app, context),
        ),
        StopReason::Finished
            if context.interaction.outcome.is_some_and(|it| it.refused.is_some()) =>
        {
            error_page(
                caller,
                "Nothing left to do",
                "This sign-in was ended, perhaps in another tab. Go back to the app.",
                client_home_link(context),
            )
        }
        StopReason::Finished => error_page(
            caller,
            "Already signed in",
            "This sign-in was finished, perhaps in another tab. Go back to the app.",
            client_home_link(context),
        ),
    }
}

fn error_page(
    caller: &RequestInfo,
    title: &'static str,
    message: &str,
    next_link: OptionalLink,
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

/// The link that starts the same request again; only for the browser that sent it.
fn restart_link(app: &App, context: &InteractionContext) -> OptionalLink {
    let request = &context.interaction.request;
    if request.hinted.is_some() {
        // Started again without the hint, it could be answered for another user.
        return client_start_link(app, context);
    }
    let href = format!("{}?{}", app.config.issuer.url("/authorize"), request.query);
    Some((href, "Start again".to_owned()))
}

/// The link to where the client starts a sign-in ([OpenID Connect Core §4]), or to the client.
///
/// [OpenID Connect Core §4]: https://openid.net/specs/openid-connect-core-1_0.html#ThirdPartyInitiatedLogin
fn client_start_link(app: &App, context: &InteractionContext) -> OptionalLink {
    let begins = |client: &Client| {
        let mut url = url::Url::parse(client.metadata.initiate_login_uri.as_deref()?).ok()?;
        url.query_pairs_mut().append_pair("iss", app.issuer());
        Some((url.into(), format!("Start again at {}", client.display_name())))
    };
    begins(&context.client).or_else(|| client_home_link(context))
}

fn client_home_link(context: &InteractionContext) -> OptionalLink {
    let origin =
        context.interaction.request.reply.redirect_uri().and_then(redirect_uri::web_origin);
    origin.map(|origin| (origin, format!("Back to {}", context.client.display_name())))
}
