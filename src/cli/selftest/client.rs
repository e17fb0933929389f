//! The relying party that the self-test plays: its redirect URIs, its registrations, its user and its credentials.

use reqwest::header::AUTHORIZATION;
use serde_json::{Map, Value};
use url::Url;
use zeroize::Zeroizing;

use super::http::{FormFields, HttpRequest};
use crate::infra::secret::Secret;

/// Where nobody is: the browser stops before it goes there.
pub(super) const CALLBACK: &str = "https://selftest.example/callback";
/// A second one, so that a request has to say which it means.
pub(super) const OTHER_CALLBACK: &str = "https://selftest.example/other?kept=1";
/// Where people end up who signed out.
pub(super) const SIGNED_OUT: &str = "https://selftest.example/signed-out";

/// Somebody who can sign in.
pub(super) struct TestUser {
    pub username: String,
    pub password: Zeroizing<String>,
}

/// A client, as the registration answered it.
#[derive(Clone, Debug)]
pub(super) struct RegisteredClient {
    pub id: String,
    pub secret: Option<String>,
    /// The secret goes into the header; otherwise into the form.
    pub basic: bool,
    pub answer: Map<String, Value>,
}

impl RegisteredClient {
    /// Where and with what the client manages itself (RFC 7592).
    pub fn management(&self) -> Option<(Url, &str)> {
        let text = |name: &str| self.answer.get(name).and_then(Value::as_str);
        let uri = text("registration_client_uri")?.parse().ok()?;
        Some((uri, text("registration_access_token")?))
    }
}

/// A form with the client's credentials, encoded as [RFC 6749 §2.3.1] wants it.
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub(super) fn authenticated(
    url: &Url,
    client: &RegisteredClient,
    fields: FormFields<'_>,
) -> HttpRequest {
    let Some(secret) = &client.secret else {
        let mut fields = fields.to_vec();
        fields.push(("client_id", &client.id));
        return HttpRequest::form(url, &fields);
    };
    if client.basic {
        return HttpRequest::form(url, fields).header(AUTHORIZATION, &basic(&client.id, secret));
    }
    let mut fields = fields.to_vec();
    fields.extend([("client_id", &*client.id), ("client_secret", &**secret)]);
    HttpRequest::form(url, &fields)
}

pub(super) fn basic(id: &str, secret: &str) -> String {
    use base64::Engine;
    let encoded =
        |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let pair = format!("{}:{}", encoded(id), encoded(secret));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// Something nobody knows yet.
pub(super) fn random_string() -> String {
    Secret::random().reveal()
}

/// A state of 128 characters with all the punctuation that needs no encoding.
pub(super) fn long_state() -> String {
    let mut state = format!("-._~{}{}{}", random_string(), random_string(), random_string());
    state.truncate(128);
    state
}
