//! What the checks have in common: the settings, and what earlier ones found out.

use reqwest::header::AUTHORIZATION;
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

use super::browser::Browser;
use super::http::{Ask, Fields, Http};
use super::reply::Reply;
use super::report::{Not, fail, plain, skip};
use super::request::Request;
use super::sign_in::Tokens;
use crate::infra::clock::Clock;
use crate::infra::secret::Secret;

/// Where nobody is: the browser stops before it goes there.
pub(super) const CALLBACK: &str = "https://selftest.example/callback";
/// A second one, so that a request has to say which it means.
pub(super) const OTHER_CALLBACK: &str = "https://selftest.example/other?kept=1";
/// Where people end up who signed out.
pub(super) const SIGNED_OUT: &str = "https://selftest.example/signed-out";

/// Somebody who can sign in.
pub(super) struct Person {
    pub username: String,
    pub password: Zeroizing<String>,
}

/// One run against one server.
pub(super) struct Trial {
    /// As it was given.
    pub issuer: String,
    pub initial_access_token: Option<Zeroizing<String>>,
    pub person: Option<Person>,
    pub http: Http,
    pub clock: Clock,
    /// The discovery document, and the answer it came in.
    pub metadata: Map<String, Value>,
    pub discovery: Option<Reply>,
    pub jwks: Option<Value>,
    /// The clients the checks use; with Basic, with form fields, and for itself.
    pub web: Option<Registered>,
    pub other: Option<Registered>,
    /// Everything that was registered and not yet removed, whatever the answer looked like.
    pub registered: Vec<Registered>,
    /// The browser that has signed in.
    pub browser: Browser,
    /// A code that was not redeemed yet.
    pub granted: Option<(Request, String)>,
    pub tokens: Option<Tokens>,
}

/// A client, as the registration answered it.
#[derive(Clone, Debug)]
pub(super) struct Registered {
    pub id: String,
    pub secret: Option<String>,
    /// The secret goes into the header; otherwise into the form.
    pub basic: bool,
    pub answer: Map<String, Value>,
}

impl Registered {
    /// Where and with what the client manages itself (RFC 7592).
    pub fn management(&self) -> Option<(Url, &str)> {
        let text = |name: &str| self.answer.get(name).and_then(Value::as_str);
        let uri = text("registration_client_uri")?.parse().ok()?;
        Some((uri, text("registration_access_token")?))
    }
}

impl Trial {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).and_then(Value::as_str)
    }

    /// The words of a list in the metadata.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let words = self.metadata.get(name).and_then(Value::as_array);
        words.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    pub fn lists(&self, name: &str, word: &str) -> bool {
        self.list(name).contains(&word)
    }

    pub fn says(&self, name: &str) -> Option<bool> {
        self.metadata.get(name).and_then(Value::as_bool)
    }

    /// Where that is; a skip where the server does not say.
    pub fn endpoint(&self, name: &str) -> Result<Url, Not> {
        let text = self.text(name).ok_or_else(|| skip(format!("no {name} in the metadata")))?;
        text.parse().map_err(|_| fail(format!("{name} is not a URL: {}", plain(text))))
    }

    pub fn web(&self) -> Result<Registered, Not> {
        self.web.clone().ok_or_else(|| skip("no client could be registered"))
    }

    pub fn other(&self) -> Result<Registered, Not> {
        self.other.clone().ok_or_else(|| skip("no second client could be registered"))
    }

    pub fn tokens(&self) -> Result<Tokens, Not> {
        if self.person.is_none() {
            return Err(skip("needs --user"));
        }
        self.tokens.clone().ok_or_else(|| skip("nobody could be signed in"))
    }

    /// Posts a form as that client.
    pub async fn post_as(
        &self,
        client: &Registered,
        endpoint: &str,
        fields: Fields<'_>,
    ) -> Result<Reply, Not> {
        let url = self.endpoint(endpoint)?;
        self.http.send(authenticated(&url, client, fields)).await
    }

    pub async fn token(&self, client: &Registered, fields: Fields<'_>) -> Result<Reply, Not> {
        self.post_as(client, "token_endpoint", fields).await
    }
}

/// A form with the client's credentials, encoded as [RFC 6749 §2.3.1] wants it.
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub(super) fn authenticated(url: &Url, client: &Registered, fields: Fields<'_>) -> Ask {
    let Some(secret) = &client.secret else {
        let mut fields = fields.to_vec();
        fields.push(("client_id", &client.id));
        return Ask::form(url, &fields);
    };
    if client.basic {
        return Ask::form(url, fields).header(AUTHORIZATION, &basic(&client.id, secret));
    }
    let mut fields = fields.to_vec();
    fields.extend([("client_id", &*client.id), ("client_secret", &**secret)]);
    Ask::form(url, &fields)
}

pub(super) fn basic(id: &str, secret: &str) -> String {
    use base64::Engine;
    let encoded =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let pair = format!("{}:{}", encoded(id), encoded(secret));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// Something nobody knows yet.
pub(super) fn fresh() -> String {
    Secret::random().reveal()
}

/// A state of 128 characters with all the punctuation that needs no encoding.
pub(super) fn long_state() -> String {
    let mut state = format!("-._~{}{}{}", fresh(), fresh(), fresh());
    state.truncate(128);
    state
}
