//! What the suite brings along: a server as `conformance/` sets it up, a host of its own with its own
//! certificate, and the clients it registers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use latchkey::domain::events::Actor;
use latchkey::infra::clock::Clock;
use latchkey::infra::store::MemoryStore;
use latchkey::operations::bootstrap::Bootstrap;
use latchkey::server::tls::CertReloader;
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::checks;
use super::client::Client;
use super::key::Key;
use crate::support::browser::Browser;
use crate::support::http::{self, HttpResponse};
use crate::support::mock_client_host::MockHost;
use crate::support::test_server::{TestServer, Tls};

pub const SETTINGS: &str = include_str!("../../../conformance/settings.sh");
pub const PEOPLE: &str = include_str!("../../../conformance/bootstrap.toml");

/// What a plan fixes for all of its modules.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    pub response_type: &'static str,
    pub auth: &'static str,
    pub form_post: bool,
    pub static_client: bool,
}

impl Variant {
    /// Dynamic clients with a secret in the header, answered in the default mode.
    pub const fn of(response_type: &'static str) -> Self {
        let auth = "client_secret_basic";
        Self { response_type, auth, form_post: false, static_client: false }
    }

    pub const fn by(self, auth: &'static str) -> Self {
        Self { auth, ..self }
    }

    pub const fn form_post(self) -> Self {
        Self { form_post: true, ..self }
    }

    pub const fn static_client(self) -> Self {
        Self { static_client: true, ..self }
    }

    /// Whether an authorization answer carries this: `code`, `token` or `id_token`.
    pub fn has(self, word: &str) -> bool {
        self.response_type.split(' ').any(|it| it == word)
    }

    /// Whether all there is comes in the ID token.
    pub fn is_id_token(self) -> bool {
        self.response_type == "id_token"
    }
}

/// One module's run: begun clean, and ended with every client removed.
pub struct Suite {
    pub provider: TestServer,
    pub variant: Variant,
    /// The suite's own host, where its clients keep documents.
    pub host: MockHost,
    pub metadata: Value,
    pub jwks: Value,
    registered: Mutex<Vec<Value>>,
    _folder: TempDir,
}

impl Suite {
    pub async fn begin(variant: Variant) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let made = rcgen::generate_simple_self_signed(["localhost".into()]).expect("a certificate");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        std::fs::write(&cert, made.cert.pem()).expect("written");
        let keeper = CertReloader::load(cert, key).expect("a good pair");
        let host = MockHost::start_with_ca_certificate().await;
        let clock = Clock::manual(Clock::System.now());
        let store = Arc::new(MemoryStore::new(clock.clone()));
        let tls = Tls { keeper, pem: made.cert.pem() };
        let mut variables = settings();
        variables.retain(|(name, _)| !OF_THIS_MACHINE.contains(name));
        variables.push(("OUTGOING_CA_FILE", &host.ca));
        let provider = TestServer::start_on((store, clock), Some(tls), &variables).await;
        let people = Bootstrap::parse(PEOPLE).expect("a good file");
        let app = provider.app();
        let context = app.operation_context(Actor::BootstrapFile);
        people.apply(&context).await.expect("people");

        let place = provider.url("/.well-known/openid-configuration");
        let metadata = checks::metadata::read(&http::send(provider.http().get(place)).await);
        let jwks = http::send(provider.http().get(text(&metadata, "jwks_uri"))).await;
        let jwks = checks::metadata::jwks(&jwks);
        let registered = Mutex::default();
        Self { provider, variant, host, metadata, jwks, registered, _folder: folder }
    }

    /// A browser that has never been here.
    pub fn browser(&self) -> Browser {
        self.provider.browser(person().0)
    }

    /// Lets seconds pass.
    pub fn waits(&self, seconds: u64) {
        self.provider.advance_time(std::time::Duration::from_secs(seconds));
    }

    pub fn endpoint(&self, name: &str) -> &str {
        text(&self.metadata, name)
    }

    /// The client of the module.
    pub async fn client(&self) -> Client<'_> {
        self.client_with(&json!({})).await
    }

    /// With further members in its registration; clients that are declared have what they have.
    pub async fn client_with(&self, members: &Value) -> Client<'_> {
        self.nth_client(0, members).await
    }

    pub async fn second_client_with(&self, members: &Value) -> Client<'_> {
        self.nth_client(1, members).await
    }

    async fn nth_client(&self, nth: usize, members: &Value) -> Client<'_> {
        if self.variant.static_client {
            return Client::declared(self, nth);
        }
        let mut request = self.registration(nth);
        for (member, value) in members.as_object().expect("an object") {
            request[member] = value.clone();
        }
        // Keys are here or elsewhere.
        if request.get("jwks_uri").is_some() {
            request.as_object_mut().expect("an object").remove("jwks");
        }
        let answer = self.registers(&request).await;
        let client = checks::registration::accepted(&answer, &request);
        self.registered.lock().expect("the clients").push(client.clone());
        Client::registered(self, &client, nth)
    }

    /// What the suite says of its client when it registers: neither a scope nor an application type, and a
    /// key without a name.
    pub fn registration(&self, nth: usize) -> Value {
        let variant = self.variant;
        let mut grants = Vec::new();
        if variant.has("code") {
            grants.push("authorization_code");
        }
        if variant.has("id_token") || variant.has("token") {
            grants.push("implicit");
        }
        let callback = "https://localhost.emobix.co.uk:8443/test/a/latchkey/callback";
        let query = if nth == 0 { "" } else { "?dummy1=lorem&dummy2=ipsum" };
        json!({
            "client_name": format!("OIDF Conformance Test x8sD2kQm9Zb1L{nth}"),
            "redirect_uris": [format!("{callback}{query}")],
            "response_types": [variant.response_type],
            "grant_types": grants,
            "token_endpoint_auth_method": variant.auth,
            "jwks": {"keys": [Key::nameless(nth).jwk()]},
            "contacts": ["certification@oidf.org"],
        })
    }

    pub async fn registers(&self, members: &Value) -> HttpResponse {
        let url = self.endpoint("registration_endpoint");
        http::send(http::json(self.provider.http(), Method::POST, url, members)).await
    }

    /// Removes what was registered.
    pub async fn ends(self) {
        for client in self.registered.into_inner().expect("the clients") {
            let request = self.provider.http().delete(text(&client, "registration_client_uri"));
            let token = text(&client, "registration_access_token");
            let removed = http::send(request.bearer_auth(token)).await;
            checks::require(
                "UnregisterDynamicallyRegisteredClient",
                removed.status == 204,
                removed,
            );
        }
    }
}

/// Of the settings, those that a run in this process has of its own.
const OF_THIS_MACHINE: [&str; 7] = [
    "ISSUER_URL",
    "LISTEN",
    "TLS_CERT_PATH",
    "TLS_KEY_PATH",
    "SECRET_KEY",
    "BOOTSTRAP_FILE",
    "OUTGOING_CA_FILE",
];

/// The lines of `conformance/settings.sh`.
pub fn settings() -> Vec<(&'static str, &'static str)> {
    let lines = SETTINGS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let pairs = lines.map(|line| line.split_once('=').expect("a setting"));
    pairs.map(|(name, value)| (name, value.trim_matches('\''))).collect()
}

/// Who signs in, and with what.
pub fn person() -> (&'static str, &'static str) {
    let said = |name: &str| {
        let line = PEOPLE.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.trim_matches([' ', '=', '"'])
    };
    (said("username"), said("password"))
}

/// The declared clients, by their names.
pub fn declared() -> BTreeMap<String, toml::Table> {
    let file: toml::Table = PEOPLE.parse().expect("TOML");
    let clients = file["clients"].as_array().expect("clients").iter();
    clients
        .map(|client| {
            let client = client.as_table().expect("a table").clone();
            (client["client_id"].as_str().expect("text").to_owned(), client)
        })
        .collect()
}

pub fn text<'a>(body: &'a Value, name: &str) -> &'a str {
    body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}"))
}

#[test]
fn each_logout_plan_has_a_client_that_is_told_of_a_sign_out_in_no_other_way() {
    let clients = declared();
    let (front, back) = ("frontchannel_logout_uri", "backchannel_logout_uri");
    for (id, told) in [
        ("conformance-logout", None),
        ("conformance-front-channel", Some(front)),
        ("conformance-back-channel", Some(back)),
    ] {
        let client = &clients[id];
        let uris = client["post_logout_redirect_uris"].as_array().expect("URIs");
        let suites = "https://localhost.emobix.co.uk:8443/test/a/latchkey/post_logout_redirect";
        assert!(uris.iter().any(|uri| uri.as_str() == Some(suites)), "{id}");
        for name in [front, back] {
            assert_eq!(client.contains_key(name), told == Some(name), "{id} {name}");
        }
    }
}
