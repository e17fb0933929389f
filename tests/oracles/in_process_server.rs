//! A whole server without a socket: its router over a store in memory, with the clock standing still.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use latchkey::config::Config;
use latchkey::domain::clients::{
    self, Client, ClientId, ClientSecret, ClientSettings, RegistrationSource,
};
use latchkey::domain::consent::{self, Consent};
use latchkey::domain::keys::KeyRing;
use latchkey::domain::sessions::{self, Session, SessionId};
use latchkey::domain::users::{self, User};
use latchkey::http::app::App;
use latchkey::infra::clock::{Clock, UnixTime};
use latchkey::infra::jose::SigningKey;
use latchkey::infra::outbound::{OutboundClient, OutboundOptions};
use latchkey::infra::secret::{Digest, Secret, base64url};
use latchkey::infra::secret_key::SecretKey;
use latchkey::infra::store::MemoryStore;
use latchkey::protocol::claims::ScopeCatalogue;
use latchkey::protocol::client_metadata::ServerCapabilities;
use latchkey::protocol::{Acr, ClientMetadata, Scope, Subject};
use latchkey::server::routes;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt;
use uuid::Uuid;

use super::signer::TestSigner;

pub const ISSUER: &str = "http://localhost:5000";
pub const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
pub const CLIENT_SECRET: &str = "not-a-secret-but-as-long-as-one-has-to-be";

pub struct InProcessServer {
    app: App,
    router: Router,
    runtime: Runtime,
    inputs: u32,
}

/// What it answered.
#[derive(Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub location: Option<String>,
    pub body: String,
}

impl InProcessServer {
    /// This thread's server. What is left behind is swept out from time to time.
    pub fn with<T>(visit: impl FnOnce(&Self) -> T) -> T {
        thread_local!(static SERVER: RefCell<Option<InProcessServer>> = const { RefCell::new(None) });
        SERVER.with(|held| {
            let mut held = held.borrow_mut();
            let mut server =
                held.take().filter(|server| server.inputs < 500).unwrap_or_else(Self::build);
            server.inputs += 1;
            // Not put back if the oracle panics: the next one gets a new one.
            let told = visit(&server);
            *held = Some(server);
            told
        })
    }

    pub fn build() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let app = app();
        runtime.block_on(furnish(&app));
        let router = routes::router(&app);
        Self { app, router, runtime, inputs: 0 }
    }

    pub fn app(&self) -> &App {
        &self.app
    }

    pub fn router(&self) -> Router {
        self.router.clone()
    }

    pub fn waits<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// One request by a browser or a client. An address that HTTP cannot carry asks for nothing.
    pub fn asks(&self, method: &str, to: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request =
            Request::builder().method(method).uri(to).header("host", "localhost:5000");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let Ok(request) = request.body(Body::from(body.to_vec())) else {
            return Answer { status: 400, ..Answer::default() };
        };
        self.waits(async {
            let answer = self.router.clone().oneshot(request).await.expect("an answer");
            let status = answer.status().as_u16();
            let location = answer.headers().get("location");
            let location = location.map(|it| it.to_str().expect("text").to_owned());
            let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
            Answer { status, location, body: String::from_utf8(body.into()).expect("text") }
        })
    }
}

fn app() -> App {
    static PEM: OnceLock<String> = OnceLock::new();
    let variables = [
        ("ISSUER_URL", ISSUER),
        ("SECRET_KEY", "only-for-tests-only-for-tests-only-for-test"),
        ("REGISTRATION", "open"),
        ("RATE_LIMITING_ENABLED", "false"),
        ("CLIENT_SECRET_JWT", "true"),
        (
            "RESPONSE_TYPES",
            "code,none,id_token,id_token token,code id_token,code token,code id_token token",
        ),
    ];
    let map: BTreeMap<String, String> =
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let config = Config::from_map(&map).expect("a good configuration");
    let root = SecretKey::from_text(config.secret_key.as_ref().expect("a key").reveal());
    let clock = Clock::manual(NOW);
    let store = Arc::new(MemoryStore::new(clock.clone()));
    let catalogue = ScopeCatalogue::default();
    let metadata = routes::metadata(&config, &catalogue);
    let pem = PEM.get_or_init(|| SigningKey::generate().expect("a key").1.to_string());
    let ring = KeyRing::fixed(vec![SigningKey::from_pem(pem).expect("the same key")]);
    let fetcher = Arc::new(OutboundClient::new(OutboundOptions::default()).expect("a fetcher"));
    let root = root.expect("a long key");
    App::new(config, (store, clock), (ring, &root), fetcher, catalogue, &metadata, None)
}

async fn furnish(app: &App) {
    let store = &*app.store;
    let _ = users::add(store, &user()).await.expect("a store");
    for id in ["shop", "app", "desk", "signer", "gone"] {
        let _ = clients::add(store, &client(id)).await.expect("a store");
    }
    sessions::begin(store, &session(), None).await.expect("a store");
    consent::remember(store, &consent()).await.expect("a store");
}

/// ada.
pub fn user() -> User {
    let claims = json!({"name": "Ada", "email": "ada@ada.example", "email_verified": true});
    User {
        sub: subject(),
        username: "ada".into(),
        password: None,
        enabled: true,
        claims: claims.as_object().cloned().expect("an object"),
        groups: vec!["engine".into()],
        created_at: NOW,
        development: false,
        declared: None,
    }
}

pub fn subject() -> Subject {
    Subject::parse("sub-of-ada").expect("a subject")
}

/// What ada's browser holds.
pub fn cookie() -> Secret {
    Secret::parse(&base64url(&[5; 32])).expect("32 bytes")
}

pub fn session() -> Session {
    Session {
        id: SessionId::of(&cookie()),
        sid: Uuid::from_u128(5),
        sub: subject(),
        authenticated_at: NOW,
        amr: vec!["pwd".into()],
        acr: Acr::Password,
        idle_end: UnixTime::from_secs(1_700_003_600),
        absolute_end: UnixTime::from_secs(1_700_036_000),
        epoch: None,
    }
}

/// ada agreed to some of what shop may ask for.
pub fn consent() -> Consent {
    Consent {
        sub: subject(),
        client: ClientId::parse("shop").expect("an id"),
        scope: "openid profile".parse::<Scope>().expect("a scope"),
        claims: ["email".to_owned()].into(),
        apis: std::collections::BTreeMap::new(),
        display_digest: consent::display_digest(&client("shop")),
        given_at: NOW,
    }
}

/// The applications there are: a web one, one on a device, the operator's own, one that signs, and one
/// that is disabled.
pub fn client(id: &str) -> Client {
    let every = json!([
        "code",
        "none",
        "id_token",
        "id_token token",
        "code id_token",
        "code token",
        "code id_token token"
    ]);
    let mut members = match id {
        "app" => json!({
            "redirect_uris": ["com.example.app:/cb", "http://127.0.0.1/cb", "http://[::1]:8080/cb?a=b"],
            "application_type": "native",
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        }),
        "signer" => json!({
            "redirect_uris": ["https://signer.example/cb"],
            "token_endpoint_auth_method": "private_key_jwt",
            "jwks": {"keys": [TestSigner::Client.jwk()]},
        }),
        "desk" => json!({
            "redirect_uris": ["https://desk.example/cb", "https://desk.example/cb?"],
            "subject_type": "pairwise",
            "response_types": every,
        }),
        _ => json!({
            "redirect_uris": ["https://shop.example/cb", "https://shop.example/cb?x=1&y=2"],
            "grant_types": ["authorization_code", "refresh_token", "implicit"],
            "response_types": every,
        }),
    };
    members["client_name"] = Value::from("An <app> & more");
    let metadata = ClientMetadata::parse_within(
        members.as_object().expect("an object"),
        &ServerCapabilities::all(),
    )
    .expect("a registration");
    let secret = ClientSecret {
        digest: Digest::of(CLIENT_SECRET.as_bytes()),
        sealed: None,
        created_at: NOW,
        expires_at: None,
    };
    let confidential = metadata.has_secret();
    Client {
        id: ClientId::parse(id).expect("an id"),
        secrets: if confidential { vec![secret] } else { Vec::new() },
        settings: ClientSettings {
            first_party: id == "desk",
            require_pkce: Some(id == "app"),
            require_nonce: Some(false),
            ..ClientSettings::default()
        },
        metadata,
        registration_token: None,
        enabled: id != "gone",
        source: RegistrationSource::Operator,
        created_at: NOW,
        unused_until: None,
        development: false,
        declared: None,
    }
}
