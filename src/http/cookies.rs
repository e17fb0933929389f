//! The cookies, with their names and attributes (docs/cookies.md).
//!
//! - `session`: the signed-in user.
//! - `interaction-…`: one for each authorization in progress. It belongs to this browser.
//! - `device`: who has signed in with this browser before.
//! - `state`: changes when the signed-in user changes. The script of `/check-session` reads it in a frame on another site;
//!   it grants nothing.
//!
//! Over https they have the `__Host-` prefix ([RFC 6265bis §4.1.3.2]). On a loopback host the port is in the name, for
//! cookies do not know ports ([RFC 6265 §8.5]). Why: docs/decisions/cookie-per-authorization.md.
//!
//! [RFC 6265 §8.5]: https://www.rfc-editor.org/rfc/rfc6265#section-8.5
//! [RFC 6265bis §4.1.3.2]: https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.2

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::Issuer;
use crate::domain::sessions::SessionId;
use crate::domain::users::{DEVICE_LIFETIME, Device};
use crate::http::app::App;
use crate::infra::clock::UnixTime;
use crate::infra::secret::Secret;

/// Which cookie.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CookieName {
    Session,
    /// What each authorization's own begins with.
    Interaction,
    /// One for all authorizations of a browser: releases before this one set it.
    Browser,
    State,
    Device,
    /// The demo application's own.
    Demo,
}

impl CookieName {
    fn text(self, issuer: &Issuer) -> String {
        let what = match self {
            Self::Session => "session",
            Self::Interaction => "interaction-",
            Self::Browser => "browser",
            Self::State => "state",
            Self::Device => "device",
            Self::Demo => "demo",
        };
        let (kind, own_port) =
            if issuer.is_https() { ("__Host-latchkey", 443) } else { ("latchkey-dev", 80) };
        if issuer.is_loopback() {
            let port = issuer.port().unwrap_or(own_port);
            format!("{kind}-{port}-{what}")
        } else {
            format!("{kind}-{what}")
        }
    }

    /// Who may read it, and in which requests it comes along.
    const fn attributes(self, https: bool) -> &'static str {
        match (self, https) {
            // A frame on another site is what it is for; over http browsers only take Lax.
            (Self::State, true) => "; Path=/; SameSite=None; Secure",
            (Self::State, false) => "; Path=/; SameSite=Lax",
            (
                Self::Session | Self::Interaction | Self::Browser | Self::Device | Self::Demo,
                true,
            ) => "; Path=/; HttpOnly; SameSite=Lax; Secure",
            (
                Self::Session | Self::Interaction | Self::Browser | Self::Device | Self::Demo,
                false,
            ) => "; Path=/; HttpOnly; SameSite=Lax",
        }
    }
}

/// The most authorizations a browser has cookies for: two kilobytes of headers.
const MAX_INTERACTIONS: usize = 24;
/// Characters at the end of the name of one of them.
const NAME_END: usize = 10;

/// The cookies of a request.
#[derive(Clone, Debug)]
pub struct Cookies {
    session: Option<Secret>,
    /// By the end of their names, in the order in which the browser sent them.
    interactions: Vec<(String, Secret)>,
    browser: Option<Secret>,
    state: Option<Secret>,
    /// The browser, if a user has signed in with it before.
    pub device: Option<Device>,
}

impl Cookies {
    /// Reads the `Cookie` headers. A name that comes twice is ignored.
    pub fn read(app: &App, headers: &HeaderMap) -> Self {
        let issuer = &app.config.issuer;
        let pairs = pairs(headers);
        let single_value = |name: &str| single_value(&pairs, name);
        let find = |name: CookieName| single_value(&name.text(issuer)).and_then(Secret::parse);
        let of_authorization = CookieName::Interaction.text(issuer);
        let named = |key: &str| {
            let end = key.strip_prefix(&*of_authorization)?;
            let is_ours = |c: u8| c.is_ascii_alphanumeric() || b"-_".contains(&c);
            (end.len() == NAME_END && end.bytes().all(is_ours)).then(|| end.to_owned())
        };
        let interactions = pairs
            .iter()
            .filter_map(|(key, _)| Some((named(key)?, Secret::parse(single_value(key)?)?)));
        Self {
            session: find(CookieName::Session),
            interactions: interactions.collect(),
            browser: find(CookieName::Browser),
            state: find(CookieName::State),
            device: single_value(&CookieName::Device.text(issuer))
                .and_then(|text| Device::decrypt(&app.device_key, text)),
        }
    }

    /// The cookies that may be the one of the interaction of that id.
    pub fn of_interaction(&self, id: &Secret) -> impl Iterator<Item = &Secret> {
        let name = interaction_name_end(id);
        let own = self.interactions.iter().filter(move |(end, _)| *end == name);
        own.map(|(_, cookie)| cookie).chain(&self.browser)
    }

    /// Whether no `SameSite=Lax` cookie came. Another site may have sent the browser here then, and it may have some.
    pub fn is_empty(&self) -> bool {
        self.session.is_none() && self.interactions.is_empty() && self.browser.is_none()
    }

    /// The `Set-Cookie` lines that make room for one more authorization: browsers send the oldest first
    /// ([RFC 6265 §5.4]).
    ///
    /// [RFC 6265 §5.4]: https://www.rfc-editor.org/rfc/rfc6265#section-5.4
    pub fn make_room(&self, app: &App) -> Vec<HeaderValue> {
        let surplus = (self.interactions.len() + 1).saturating_sub(MAX_INTERACTIONS);
        let oldest = self.interactions.iter().take(surplus);
        oldest
            .map(|(end, _)| write(app, CookieName::Interaction, end, None, Some(Duration::ZERO)))
            .collect()
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

/// Reads octets, for another application on this host may have set a cookie that is not ASCII.
fn pairs(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let lines = headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes);
    lines
        .flat_map(|line| line.split(|byte| *byte == b';'))
        .filter_map(|pair| str::from_utf8(pair).ok()?.trim().split_once('='))
        .collect()
}

fn single_value<'a>(pairs: &[(&'a str, &'a str)], name: &str) -> Option<&'a str> {
    let mut values = pairs.iter().filter(|(key, _)| *key == name).map(|(_, value)| *value);
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// What the demo application keeps in this browser.
pub fn demo<'a>(issuer: &Issuer, headers: &'a HeaderMap) -> Option<&'a str> {
    single_value(&pairs(headers), &CookieName::Demo.text(issuer))
}

/// A `Set-Cookie` for what the demo application keeps; nothing takes it away.
pub fn set_demo(app: &App, value: &str) -> Option<HeaderValue> {
    let issuer = &app.config.issuer;
    let (text, attributes) =
        (CookieName::Demo.text(issuer), CookieName::Demo.attributes(issuer.is_https()));
    let keep = if value.is_empty() { Duration::ZERO } else { Duration::from_mins(10) };
    let keep = lifetime(keep, app.now());
    HeaderValue::try_from(format!("{text}={value}{keep}{attributes}")).ok()
}

/// A `Set-Cookie` for a new session. It ends with the browser, and with the session in the store.
pub fn set_session(app: &App, cookie: &Secret) -> HeaderValue {
    set(app, CookieName::Session, cookie)
}

/// A `Set-Cookie` for the authorization of that id. The browser keeps it for so long.
pub fn set_interaction(app: &App, id: &Secret, cookie: &Secret, keep: Duration) -> HeaderValue {
    write(app, CookieName::Interaction, &interaction_name_end(id), Some(cookie), Some(keep))
}

/// The end of the name of an authorization's cookie. It does not reveal the id.
fn interaction_name_end(id: &Secret) -> String {
    let mut text = id.digest().to_base64url();
    text.truncate(NAME_END);
    text
}

/// A `Set-Cookie` for a browser in which a user has signed in. It outlives the session.
pub fn set_device(app: &App, device: &Device) -> Option<HeaderValue> {
    let issuer = &app.config.issuer;
    let (text, attributes) =
        (CookieName::Device.text(issuer), CookieName::Device.attributes(issuer.is_https()));
    let (value, keep) = (device.encrypt(&app.device_key)?, lifetime(DEVICE_LIFETIME, app.now()));
    HeaderValue::try_from(format!("{text}={value}{keep}{attributes}")).ok()
}

/// A `Set-Cookie` that takes the session's cookie away.
pub fn clear_session(app: &App) -> HeaderValue {
    clear(app, CookieName::Session)
}

/// A `Set-Cookie` for a new state of the browser: something has changed.
pub fn set_state(app: &App) -> HeaderValue {
    set(app, CookieName::State, &Secret::random())
}

/// A `Set-Cookie` for the state in which no user is signed in.
pub fn clear_state(app: &App) -> HeaderValue {
    clear(app, CookieName::State)
}

/// What the script of `/check-session` looks for.
pub fn state_name(app: &App) -> String {
    CookieName::State.text(&app.config.issuer)
}

fn set(app: &App, name: CookieName, value: &Secret) -> HeaderValue {
    write(app, name, "", Some(value), None)
}

fn clear(app: &App, name: CookieName) -> HeaderValue {
    write(app, name, "", None, Some(Duration::ZERO))
}

/// It ends with the browser, if not before.
fn write(
    app: &App,
    name: CookieName,
    end: &str,
    value: Option<&Secret>,
    keep: Option<Duration>,
) -> HeaderValue {
    let issuer = &app.config.issuer;
    let (text, attributes) = (name.text(issuer), name.attributes(issuer.is_https()));
    let value = value.map(Secret::reveal).unwrap_or_default();
    let keep = keep.map(|keep| lifetime(keep, app.now())).unwrap_or_default();
    HeaderValue::try_from(format!("{text}{end}={value}{keep}{attributes}"))
        .unwrap_or(HeaderValue::from_static(""))
}

/// How long to keep it, in both ways: one with `Max-Age` alone comes back from Java's jar in the manner of
/// RFC 2965, its value in quotes.
fn lifetime(keep: Duration, now: UnixTime) -> String {
    let until = if keep.is_zero() { UnixTime::from_secs(0) } else { now.plus(keep) };
    let until = std::time::UNIX_EPOCH + Duration::from_millis(until.as_millis());
    format!("; Max-Age={}; Expires={}", keep.as_secs(), httpdate::fmt_http_date(until))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::http::{HeaderMap, HeaderValue, header};

    use super::{CookieName, demo, lifetime};
    use crate::config::Issuer;
    use crate::infra::clock::UnixTime;

    fn named(name: CookieName, issuer: &str) -> String {
        name.text(&Issuer::parse(issuer).unwrap())
    }

    #[test]
    fn a_cookie_keeps_what_its_name_promises_and_only_the_state_can_be_read_in_a_frame() {
        let every = [
            CookieName::Session,
            CookieName::Interaction,
            CookieName::Browser,
            CookieName::State,
            CookieName::Device,
            CookieName::Demo,
        ];
        for name in every {
            let (text, attributes) = (named(name, "https://id.example"), name.attributes(true));
            assert!(text.starts_with("__Host-"));
            assert!(!named(name, "http://localhost:5000").starts_with("__Host-"));
            assert!(attributes.contains("; Path=/;") && attributes.contains("; Secure"));
            assert!(!name.attributes(false).contains("Secure"), "browsers drop it over http");
            let opens = name != CookieName::State;
            assert_eq!(attributes.contains("HttpOnly"), opens, "{text}");
            assert_eq!(attributes.contains("SameSite=Lax"), opens, "{text}");
            assert_eq!(attributes.contains("SameSite=None"), !opens, "{text}");
        }
    }

    #[test]
    fn two_issuers_on_one_loopback_host_have_cookies_of_their_own() {
        for (issuer, name) in [
            ("http://localhost:5000", "latchkey-dev-5000-session"),
            ("http://localhost:5001", "latchkey-dev-5001-session"),
            ("http://localhost", "latchkey-dev-80-session"),
            ("https://localhost", "__Host-latchkey-443-session"),
            ("https://localhost:9443", "__Host-latchkey-9443-session"),
            // As it always was.
            ("https://id.example", "__Host-latchkey-session"),
            ("https://id.example:8443", "__Host-latchkey-session"),
        ] {
            assert_eq!(named(CookieName::Session, issuer), name);
        }
    }

    #[test]
    fn two_demos_on_one_host_read_their_own_cookie_beside_one_that_is_not_ascii() {
        let mut headers = HeaderMap::new();
        let line = "theme=\u{e9}; latchkey-dev-5000-demo=a.b.c; latchkey-dev-5001-demo=d.e.f";
        headers.insert(header::COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        headers.append(header::COOKIE, HeaderValue::from_bytes(b"other=\xff").unwrap());
        for (issuer, said) in [
            ("http://localhost:5000", Some("a.b.c")),
            ("http://localhost:5001", Some("d.e.f")),
            ("http://localhost:5002", None),
        ] {
            assert_eq!(demo(&Issuer::parse(issuer).unwrap(), &headers), said);
        }
    }

    #[test]
    fn max_age_never_comes_without_expires() {
        let now = UnixTime::from_secs(784_111_777);
        let said = |seconds| lifetime(Duration::from_secs(seconds), now);
        assert_eq!(said(60), "; Max-Age=60; Expires=Sun, 06 Nov 1994 08:50:37 GMT");
        assert_eq!(said(0), "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    }
}
