//! The issuer identifier: clients compare it character by character, and every URL of ours begins with it.

use url::Url;

use crate::protocol::redirect_uri;

/// An issuer identifier in its one canonical spelling ([OpenID Connect Discovery §3]: https, no
/// query, no fragment), so that simple string comparison and the URL a browser shows agree.
///
/// [OpenID Connect Discovery §3]: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Issuer {
    text: String,
    origin: usize,
    port: Option<u16>,
    loopback: bool,
}

impl Issuer {
    /// Reads an issuer, or says what is wrong with it in words that follow "`ISSUER_URL`".
    pub fn parse(text: &str) -> Result<Self, String> {
        let url =
            Url::parse(text).map_err(|_| format!("must be a URL, for example {EXAMPLE_ISSUER}"))?;
        check_parts(text, &url)?;
        let loopback = redirect_uri::is_loopback(&url);
        if url.scheme() != "https" && !loopback {
            return Err(format!(
                "must be https, for example {EXAMPLE_ISSUER} (http only on localhost, 127.0.0.1 or [::1])"
            ));
        }
        let origin = url.origin().ascii_serialization();
        if !text.starts_with(&origin) || url.as_str().trim_end_matches('/') != text {
            let canonical = url.as_str().trim_end_matches('/');
            return Err(format!(
                "must be written as clients will compare it, character by character: {canonical}"
            ));
        }
        Ok(Self { text: text.to_owned(), origin: origin.len(), port: url.port(), loopback })
    }

    /// Lets parsing go on after an error; never part of a configuration.
    pub(super) fn placeholder() -> Self {
        let text = "http://localhost";
        Self { text: text.to_owned(), origin: text.len(), port: None, loopback: true }
    }

    /// The identifier, as it stands in `iss`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port, as a browser sends them in `Origin`.
    pub fn origin(&self) -> &str {
        &self.text[..self.origin]
    }

    /// The path below which every endpoint lives: "" or, say, "/tenant". Never ends in a slash.
    pub fn path(&self) -> &str {
        &self.text[self.origin..]
    }

    /// The absolute URL of one of our paths, which starts with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// Host and, unless it is the scheme's own, port: what a browser sends in `Host`.
    pub fn host(&self) -> String {
        self.origin().split_once("://").map_or("", |(_, host)| host).to_owned()
    }

    /// The port, where one is written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether cookies can be `Secure` and the `__Host-` prefix can be used.
    pub fn is_https(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// Whether the host is a loopback one. Then it is a development installation, with other defaults.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }
}

fn check_parts(text: &str, url: &Url) -> Result<(), String> {
    if !url.has_host() || !matches!(url.scheme(), "https" | "http") {
        return Err(format!("must be an https URL with a host, for example {EXAMPLE_ISSUER}"));
    }
    if text.contains(['?', '#']) {
        return Err("must have no query and no fragment".to_owned());
    }
    // Looked for in the text: an empty user name (`https://@host`) is gone from the parsed URL.
    if text.contains('@') {
        return Err("must not contain a user name or password".to_owned());
    }
    if text.ends_with('/') {
        let without = text.trim_end_matches('/');
        return Err(format!(
            "must not end in a slash, because clients compare it character by character: write {without}"
        ));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    if !url.path().bytes().all(plain) || url.path().contains("//") {
        return Err("must have a path of letters, digits, - . _ ~ and single slashes".to_owned());
    }
    if url.host_str().is_some_and(|host| host.contains('*')) {
        return Err("must name one host, without a wildcard".to_owned());
    }
    Ok(())
}

const EXAMPLE_ISSUER: &str = "https://id.example";
