//! The sign-in form of a visit: shown by `GET /login`, and shown again by `POST /login` after a wrong password.

use axum::http::StatusCode;
use axum::response::Response;

use super::login_page::LoginPage;
use super::page::page;
use super::visit::Visit;
use crate::app::App;
use crate::interactions::{Next, Step};
use crate::protocol::redirect_uri;
use crate::users::{User, canonical};

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
    let again = person.filter(|user| must_prove_it_again(app, visit, user));
    let interaction = visit.id.reveal();
    let csrf = visit.csrf(app, "login");
    let host = metadata.client_uri.as_deref().and_then(host_of);
    let known = again.map(|user| user.username.as_str());
    let template = LoginPage {
        interaction: &interaction,
        csrf: &csrf,
        client_name: visit.client.display_name(),
        client_host: host.as_deref(),
        logo_uri: app.logo_uri(&visit.client),
        policy_uri: metadata.policy_uri.as_deref(),
        tos_uri: metadata.tos_uri.as_deref(),
        username: typed.or(known).or(request.login_hint.as_deref()).unwrap_or_default(),
        alert,
        current: person
            .filter(|_| visit.next(app) != Next::Ask(Step::Login))
            .map(User::display_name),
        again: again.map(User::display_name),
        cancel: true,
    };
    page(&template, status, &visit.policy(app))
}

/// Whether it is this person, signed in here, who has to show the password again (`prompt=login`,
/// `max_age`), rather than somebody else whom the application asks for by a hint.
fn must_prove_it_again(app: &App, visit: &Visit, user: &User) -> bool {
    let request = &visit.interaction.request;
    let seen_as = app.seen_by(&visit.client, &user.sub);
    let is_named = |hint: &str| {
        let email = user.claims.get("email").and_then(|email| email.as_str());
        canonical(hint) == canonical(&user.username) || email == Some(hint)
    };
    visit.next(app) == Next::Ask(Step::Login)
        && request.hinted.as_ref().is_none_or(|wanted| *wanted == seen_as)
        && request.login_hint.as_deref().is_none_or(is_named)
}

/// The host of a URL, for people to recognise. On this device it has its port, which is what tells one
/// program here from another.
pub fn host_of(url: &str) -> Option<String> {
    let url = url::Url::parse(url).ok()?;
    // In an address of an app on the device a host proves nothing.
    let host = url.host_str().filter(|_| matches!(url.scheme(), "https" | "http"))?;
    let port = url.port().filter(|_| redirect_uri::is_loopback(&url));
    Some(port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_on_this_device_is_shown_with_its_port_and_any_other_without() {
        for (url, shown) in [
            ("http://localhost:8765/callback", Some("localhost:8765")),
            ("http://127.0.0.1:80/callback", Some("127.0.0.1")),
            ("http://[::1]:8765/", Some("[::1]:8765")),
            ("https://photos.example:8443/cb", Some("photos.example")),
            ("com.example.photos:/cb", None),
            ("not a url", None),
        ] {
            assert_eq!(host_of(url).as_deref(), shown, "{url}");
        }
    }
}
