//! The sign-in form of a visit: shown by `/login`, and shown again by `/authorize` after a wrong
//! password.

use axum::http::StatusCode;
use axum::response::Response;

use super::login_page::LoginPage;
use super::page::page;
use super::visit::Visit;
use crate::app::App;
use crate::interactions::Next;

/// The page. `typed` is the user name of a failed try.
pub fn show(
    app: &App,
    visit: &Visit,
    typed: Option<&str>,
    alert: Option<&str>,
    status: StatusCode,
) -> Response {
    let request = &visit.interaction.request;
    let metadata = &visit.client.metadata;
    let person = visit.presence.session.as_ref().map(|(_, user)| user);
    let again = person.is_some() && visit.next(app) == Next::AskLogin;
    let known = person.filter(|_| again).map(|user| user.username.as_str());
    let interaction = visit.id.reveal();
    let csrf = visit.csrf(app, "login");
    let host = metadata.client_uri.as_deref().and_then(host_of);
    let template = LoginPage {
        interaction: &interaction,
        csrf: &csrf,
        client_name: visit.client.display_name(),
        client_host: host.as_deref(),
        logo_uri: metadata.logo_uri.as_deref(),
        policy_uri: metadata.policy_uri.as_deref(),
        tos_uri: metadata.tos_uri.as_deref(),
        username: typed.or(known).or(request.login_hint.as_deref()).unwrap_or_default(),
        alert,
        current: person.map(super::super::users::User::display_name),
        // Somebody else may sign in on this browser, so the name stays open to change.
        reauthenticate: false,
        cancel: true,
    };
    let template = LoginPage { current: template.current.filter(|_| !again), ..template };
    page(&template, status, &visit.policy())
}

/// The host of a URL, for people to recognise.
pub fn host_of(url: &str) -> Option<String> {
    url::Url::parse(url).ok()?.host_str().map(str::to_owned)
}
