//! The two cookies: `session`, which says who is signed in, and `browser`, which says that a
//! half-finished authorization belongs here.
//!
//! Over https they carry the `__Host-` prefix, which keeps other hosts and plain http from setting them
//! ([RFC 6265bis §4.1.3.2]). Over http, in development, they cannot, and have another name so that the
//! two never mix.
//!
//! [RFC 6265bis §4.1.3.2]: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.2

use axum::http::{HeaderMap, HeaderValue, header};

use crate::app::App;
use crate::secret::Secret;
use crate::sessions::SessionId;

/// Which cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Name {
    Session,
    Browser,
}

impl Name {
    const fn text(self, https: bool) -> &'static str {
        match (self, https) {
            (Self::Session, true) => "__Host-latchkey-session",
            (Self::Browser, true) => "__Host-latchkey-browser",
            (Self::Session, false) => "latchkey-dev-session",
            (Self::Browser, false) => "latchkey-dev-browser",
        }
    }
}

/// What the browser showed.
#[derive(Clone, Debug)]
pub struct Cookies {
    session: Option<Secret>,
    /// The browser's own secret, if it has one yet.
    pub browser: Option<Secret>,
}

impl Cookies {
    /// Reads the `Cookie` headers. A name that stands there twice is not believed either time.
    pub fn read(app: &App, headers: &HeaderMap) -> Self {
        let https = app.config.issuer.is_https();
        let find = |name: Name| {
            let lines =
                headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
            let pairs =
                lines.flat_map(|line| line.split(';')).filter_map(|it| it.trim().split_once('='));
            let mut values =
                pairs.filter(|(key, _)| *key == name.text(https)).map(|(_, value)| value);
            let first = values.next()?;
            values.next().is_none().then(|| Secret::parse(first)).flatten()
        };
        Self { session: find(Name::Session), browser: find(Name::Browser) }
    }

    /// The session the browser claims.
    pub fn session(&self) -> Option<SessionId> {
        self.session.as_ref().map(SessionId::of)
    }
}

/// A `Set-Cookie` for a new session. It ends with the browser, and with the session in the store.
pub fn set_session(app: &App, cookie: &Secret) -> HeaderValue {
    set(app, Name::Session, cookie)
}

/// A `Set-Cookie` for the browser's own secret.
pub fn set_browser(app: &App, cookie: &Secret) -> HeaderValue {
    set(app, Name::Browser, cookie)
}

/// A `Set-Cookie` that takes the session's cookie away.
pub fn clear_session(app: &App) -> HeaderValue {
    let https = app.config.issuer.is_https();
    let secure = if https { "; Secure" } else { "" };
    let text = Name::Session.text(https);
    let line = format!("{text}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{secure}");
    HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static(""))
}

fn set(app: &App, name: Name, value: &Secret) -> HeaderValue {
    let https = app.config.issuer.is_https();
    let secure = if https { "; Secure" } else { "" };
    let text = name.text(https);
    let line = format!("{text}={}; Path=/; HttpOnly; SameSite=Lax{secure}", value.reveal());
    HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static(""))
}
