//! The cookies: `session`, which says who is signed in, `browser`, which says that a half-finished
//! authorization belongs here, and `state`, which opens nothing: it changes when who is signed in
//! changes, and the script of `/check-session` reads it, in a frame on another site.
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
    State,
}

impl Name {
    const fn text(self, https: bool) -> &'static str {
        match (self, https) {
            (Self::Session, true) => "__Host-latchkey-session",
            (Self::Browser, true) => "__Host-latchkey-browser",
            (Self::State, true) => "__Host-latchkey-state",
            (Self::State, false) => "latchkey-dev-state",
            (Self::Session, false) => "latchkey-dev-session",
            (Self::Browser, false) => "latchkey-dev-browser",
        }
    }

    /// Who may read it, and in which requests it comes along.
    const fn attributes(self, https: bool) -> &'static str {
        match (self, https) {
            (Self::Session | Self::Browser, true) => "; Path=/; HttpOnly; SameSite=Lax; Secure",
            (Self::Session | Self::Browser, false) => "; Path=/; HttpOnly; SameSite=Lax",
            // A frame on another site is what it is for; over http browsers only take Lax.
            (Self::State, true) => "; Path=/; SameSite=None; Secure",
            (Self::State, false) => "; Path=/; SameSite=Lax",
        }
    }
}

/// What the browser showed.
#[derive(Clone, Debug)]
pub struct Cookies {
    session: Option<Secret>,
    /// The browser's own secret, if it has one yet.
    pub browser: Option<Secret>,
    state: Option<Secret>,
}

impl Cookies {
    /// Reads the `Cookie` headers. A name that stands there twice is not believed either time.
    pub fn read(app: &App, headers: &HeaderMap) -> Self {
        let https = app.config.issuer.is_https();
        let find = |name: Name| {
            // In bytes, for another application on this host may have set a cookie in a script of its own.
            let lines = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
            let pairs = lines
                .flat_map(|line| line.split(|byte| *byte == b';'))
                .filter_map(|pair| str::from_utf8(pair).ok()?.trim().split_once('='));
            let mut values =
                pairs.filter(|(key, _)| *key == name.text(https)).map(|(_, value)| value);
            let first = values.next()?;
            values.next().is_none().then(|| Secret::parse(first)).flatten()
        };
        Self {
            session: find(Name::Session),
            browser: find(Name::Browser),
            state: find(Name::State),
        }
    }

    /// What `/check-session` sees in this browser; empty where there is nothing.
    pub fn state(&self) -> String {
        self.state.as_ref().map(Secret::reveal).unwrap_or_default()
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
    write(app, Name::Session, None)
}

/// A `Set-Cookie` for a new state of the browser: something has changed.
pub fn set_state(app: &App) -> HeaderValue {
    set(app, Name::State, &Secret::random())
}

/// A `Set-Cookie` for the state of nobody being signed in.
pub fn clear_state(app: &App) -> HeaderValue {
    write(app, Name::State, None)
}

/// What the script of `/check-session` looks for.
pub fn state_name(app: &App) -> &'static str {
    Name::State.text(app.config.issuer.is_https())
}

fn set(app: &App, name: Name, value: &Secret) -> HeaderValue {
    write(app, name, Some(value))
}

/// They end with the browser; one without a value ends at once.
fn write(app: &App, name: Name, value: Option<&Secret>) -> HeaderValue {
    let https = app.config.issuer.is_https();
    let (text, attributes) = (name.text(https), name.attributes(https));
    let line = match value {
        Some(value) => format!("{text}={}{attributes}", value.reveal()),
        None => format!("{text}=; Max-Age=0{attributes}"),
    };
    HeaderValue::try_from(line).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn a_cookie_keeps_what_its_name_promises_and_only_the_state_can_be_read_in_a_frame() {
        for name in [Name::Session, Name::Browser, Name::State] {
            let (text, attributes) = (name.text(true), name.attributes(true));
            assert!(text.starts_with("__Host-") && !name.text(false).starts_with("__Host-"));
            assert!(attributes.contains("; Path=/;") && attributes.contains("; Secure"));
            assert!(!name.attributes(false).contains("Secure"), "browsers drop it over http");
            let opens = name != Name::State;
            assert_eq!(attributes.contains("HttpOnly"), opens, "{text}");
            assert_eq!(attributes.contains("SameSite=Lax"), opens, "{text}");
            assert_eq!(attributes.contains("SameSite=None"), !opens, "{text}");
        }
    }
}
