//! Fills the login page for an interaction: for `GET /login`, and for `POST /login` after a failed attempt.

use axum::http::StatusCode;
use axum::response::Response;

use super::page::{Alert, LoginPage};
use crate::domain::interactions::{NextStep, Step};
use crate::domain::users::{User, canonical};
use crate::http::app::App;
use crate::http::interaction_context::InteractionContext;
use crate::http::pages::page;
use crate::http::parties::{ClientCard, UserCard};

/// The login page. `typed` is the user name of a failed attempt.
pub fn show(
    app: &App,
    context: &InteractionContext,
    typed: Option<&str>,
    alert: Option<Alert>,
    status: StatusCode,
) -> Response {
    let request = &context.interaction.request;
    let metadata = &context.client.metadata;
    let person = context.browser_session.session.as_ref().map(|(_, user)| user);
    let again = person.filter(|user| must_reauthenticate(app, context, user));
    let interaction = context.id.reveal();
    let csrf = context.csrf_token(app, "login");
    let known = again.map(|user| user.username.as_str());
    let template = LoginPage {
        interaction: &interaction,
        csrf: &csrf,
        client: ClientCard::of(app, &context.client, &request.reply),
        policy_uri: metadata.policy_uri.as_deref(),
        tos_uri: metadata.tos_uri.as_deref(),
        username: typed.or(known).or(request.login_hint.as_deref()).unwrap_or_default(),
        alert,
        current: person
            .filter(|_| context.next_step(app) != NextStep::Ask(Step::Login))
            .map(UserCard::from),
        again: again.map(UserCard::from),
        cancel: true,
    };
    page(&template, status, &context.page_policy(app))
}

/// Whether the user of the session has to authenticate again (`prompt=login`, `max_age`), rather than another user
/// whom the request names by a hint.
fn must_reauthenticate(app: &App, context: &InteractionContext, user: &User) -> bool {
    let request = &context.interaction.request;
    let seen_as = app.subject_for(&context.client, &user.sub);
    let is_named = |hint: &str| {
        let email = user.claims.get("email").and_then(|email| email.as_str());
        canonical(hint) == canonical(&user.username) || email == Some(hint)
    };
    context.next_step(app) == NextStep::Ask(Step::Login)
        && request.hinted.as_ref().is_none_or(|wanted| *wanted == seen_as)
        && request.login_hint.as_deref().is_none_or(is_named)
}
