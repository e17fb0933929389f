//! The sign-in form of a visit: shown by `GET /login`, and shown again by `POST /login` after a wrong password.

use axum::http::StatusCode;
use axum::response::Response;

use super::page::{Alert, LoginPage};
use crate::domain::interactions::{Next, Step};
use crate::domain::users::{User, canonical};
use crate::http::app::App;
use crate::http::page::page;
use crate::http::parties::{ClientCard, PersonName};
use crate::http::visit::Visit;

/// The page. `typed` is the user name of a failed try.
pub fn show(
    app: &App,
    visit: &Visit,
    typed: Option<&str>,
    alert: Option<Alert>,
    status: StatusCode,
) -> Response {
    let request = &visit.interaction.request;
    let metadata = &visit.client.metadata;
    let person = visit.presence.session.as_ref().map(|(_, user)| user);
    let again = person.filter(|user| must_prove_it_again(app, visit, user));
    let interaction = visit.id.reveal();
    let csrf = visit.csrf(app, "login");
    let known = again.map(|user| user.username.as_str());
    let template = LoginPage {
        interaction: &interaction,
        csrf: &csrf,
        client: ClientCard::of(app, &visit.client, &request.reply),
        policy_uri: metadata.policy_uri.as_deref(),
        tos_uri: metadata.tos_uri.as_deref(),
        username: typed.or(known).or(request.login_hint.as_deref()).unwrap_or_default(),
        alert,
        current: person.filter(|_| visit.next(app) != Next::Ask(Step::Login)).map(PersonName::from),
        again: again.map(PersonName::from),
        cancel: true,
    };
    page(&template, status, &visit.policy(app))
}

/// Whether it is this person, signed in here, who has to show the password again (`prompt=login`,
/// `max_age`), rather than somebody else whom the application asks for by a hint.
fn must_prove_it_again(app: &App, visit: &Visit, user: &User) -> bool {
    let request = &visit.interaction.request;
    let seen_as = app.subject_for(&visit.client, &user.sub);
    let is_named = |hint: &str| {
        let email = user.claims.get("email").and_then(|email| email.as_str());
        canonical(hint) == canonical(&user.username) || email == Some(hint)
    };
    visit.next(app) == Next::Ask(Step::Login)
        && request.hinted.as_ref().is_none_or(|wanted| *wanted == seen_as)
        && request.login_hint.as_deref().is_none_or(is_named)
}
