//! The client and the user as pages show them. Of a client nothing is proven but where its response goes, and whether
//! the operator registered it.

use url::Url;

use crate::domain::authorization_request::Reply;
use crate::domain::clients::{Client, RegistrationSource};
use crate::domain::users::User;
use crate::http::app::App;
use crate::protocol::redirect_uri;

/// A client on a page.
#[derive(Clone, Debug, Default)]
pub struct ClientCard<'a> {
    pub name: &'a str,
    /// The URL of its logo.
    pub logo: Option<&'a str>,
    /// Where the response goes, in words.
    pub returns_to: String,
    /// Whether the operator vouches for the name.
    pub standing: ClientTrust,
}

/// Whether the operator vouches for what a client says of itself, and whether it could be impersonated.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ClientTrust {
    /// Registered by the operator.
    #[default]
    Declared,
    /// Registered by the operator; another program on the same device could impersonate it.
    OnDevice,
    /// Registered by itself.
    SelfRegistered,
    /// Registered by itself; another program on the same device could impersonate it.
    SelfRegisteredOnDevice,
}

impl ClientTrust {
    /// For a client that is answered by `reply`. The demo client, at our own origin, cannot be impersonated.
    fn of(app: &App, client: &Client, reply: &Reply) -> Self {
        let origin = reply.redirect_uri().and_then(redirect_uri::web_origin);
        let ours = origin.is_some_and(|it| it == app.config.issuer.origin());
        match (client.source, reply.is_impersonable(client) && !ours) {
            (RegistrationSource::Operator, false) => Self::Declared,
            (RegistrationSource::Operator, true) => Self::OnDevice,
            (RegistrationSource::Registered, false) => Self::SelfRegistered,
            (RegistrationSource::Registered, true) => Self::SelfRegisteredOnDevice,
        }
    }

    /// Whether the operator does not vouch for the name.
    pub fn is_self_registered(self) -> bool {
        matches!(self, Self::SelfRegistered | Self::SelfRegisteredOnDevice)
    }

    /// The caution on the consent page: the point, and what follows from it.
    pub fn caution(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Declared => None,
            Self::OnDevice => Some((
                "This app runs on your device.",
                "Another program there could pretend to be it. Allow it only if you have just started it.",
            )),
            Self::SelfRegistered => Some((
                NOT_VOUCHED,
                "It registered itself, and its name may not be true. Allow it only if you came here from it.",
            )),
            Self::SelfRegisteredOnDevice => Some((
                NOT_VOUCHED,
                "It registered itself and runs on your device. Allow it only if you have just started it.",
            )),
        }
    }
}

/// Where an answer goes that no redirect carries.
const OTHER_DEVICE: &str = "the device where you began";

/// The one sentence about a client that registered itself.
const NOT_VOUCHED: &str = "Nobody here has vouched for this app.";

impl<'a> ClientCard<'a> {
    /// For a client that is answered by `reply`.
    pub fn of(app: &App, client: &'a Client, reply: &Reply) -> Self {
        Self {
            name: client.display_name(),
            logo: app.logo_uri(client, reply.redirect_uri()),
            returns_to: reply.redirect_uri().map_or_else(|| OTHER_DEVICE.to_owned(), returns_to),
            standing: ClientTrust::of(app, client, reply),
        }
    }
}

/// A user on a page: two users may have the same name, but never the same user name.
#[derive(Clone, Copy, Debug, Default)]
pub struct UserCard<'a> {
    /// The display name.
    pub name: &'a str,
    /// Absent where it is the name.
    pub username: Option<&'a str>,
}

impl<'a> From<&'a User> for UserCard<'a> {
    fn from(user: &'a User) -> Self {
        let (name, username) = (user.display_name(), &*user.username);
        Self { name, username: (name != username).then_some(username) }
    }
}

/// Where a redirect URI leads, in words. A port that is not the default one is part of them.
fn returns_to(uri: &str) -> String {
    let Ok(url) = Url::parse(uri) else { return "an app on this device".to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    match (url.scheme(), url.host_str()) {
        ("https" | "http", Some(host)) if redirect_uri::is_loopback(&url) => {
            format!("{host}{port} on this device")
        }
        ("https" | "http", Some(host)) => format!("{host}{port}"),
        // A host in such an address proves nothing.
        (scheme, _) => format!("the app for {scheme}: on this device"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_answer_goes_is_said_by_host_and_on_a_device_by_port_or_scheme() {
        for (uri, shown) in [
            ("https://photos.example/cb?x=accounts.example", "photos.example"),
            ("https://accounts.example@photos.example/cb", "photos.example"),
            ("https://photos.example:8443/cb", "photos.example:8443"),
            ("https://b\u{fc}cher.example/cb", "xn--bcher-kva.example"),
            ("http://localhost:8765/callback", "localhost:8765 on this device"),
            ("http://127.0.0.1:80/callback", "127.0.0.1 on this device"),
            ("http://[::1]:8765/", "[::1]:8765 on this device"),
            ("com.example.photos:/cb", "the app for com.example.photos: on this device"),
            (
                "com.example.photos://bank.example/",
                "the app for com.example.photos: on this device",
            ),
        ] {
            assert_eq!(returns_to(uri), shown, "{uri}");
        }
    }

    #[test]
    fn only_who_registered_itself_is_said_to_be_vouched_for_by_nobody() {
        use ClientTrust::{Declared, OnDevice, SelfRegistered, SelfRegisteredOnDevice};
        for (standing, vouched, device) in [
            (Declared, true, false),
            (OnDevice, true, true),
            (SelfRegistered, false, false),
            (SelfRegisteredOnDevice, false, true),
        ] {
            let (point, rest) = standing.caution().unwrap_or_default();
            assert_eq!(standing.is_self_registered(), !vouched);
            assert_eq!(point == NOT_VOUCHED && rest.contains("registered itself"), !vouched);
            assert_eq!(format!("{point} {rest}").contains("on your device"), device);
            assert!(!format!("{point} {rest}").contains(" or "), "the server knows which");
        }
    }
}
