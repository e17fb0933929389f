//! A whole server in this process, on a real port, with its own store and its own clock.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Router;
use latchkey::config::{Config, Http2};
use latchkey::domain::keys::{KeyEncryptor, KeyRing, RotationPolicy, purposes};
use latchkey::domain::users::{self, AddOutcome, DeclaredUser, User};
use latchkey::http::app::App;
use latchkey::infra::clock::Clock;
use latchkey::infra::jose::SigningKey;
use latchkey::infra::outbound::{OutboundClient, OutboundOptions};
use latchkey::infra::password::{Password, PasswordHasher};
use latchkey::infra::secret_key::SecretKey;
use latchkey::infra::store::Store;
use latchkey::infra::store::schema::{self, CURRENT_SCHEMA};
use latchkey::operations::{Actor, Operation, OperationError};
use latchkey::protocol::Subject;
use latchkey::protocol::claims::ScopeCatalogue;
use latchkey::server::serve::{ConnectionLimits, serve};
use latchkey::server::tls::CertReloader;
use latchkey::server::{logout_worker, routes};
use reqwest::Client as Http;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;

pub use super::backends::Backend;
use super::backends::BackendLocation;
pub(crate) use super::backends::{on_every_backend, on_every_store};
use super::browser::Browser;
use super::failing_store::FailingStore;
use super::http::{self, FormFields, HttpResponse};
use super::topologies::shared_url;

/// What everybody here signs in with.
pub const PASSWORD: &str = "correct horse battery";

/// A certificate for `localhost`, and the folder in which it can be replaced.
pub struct Tls {
    pub keeper: CertReloader,
    pub pem: String,
}

/// A running server. It ends with this value.
pub struct TestServer {
    app: App,
    at: SocketAddr,
    http: Http,
    faults: FailingStore,
    place: BackendLocation,
    pem: Option<String>,
    stop: watch::Sender<bool>,
    logout_workers: JoinHandle<()>,
    _keys: TempDir,
}

impl TestServer {
    pub async fn start(backing: Backend) -> Self {
        Self::start_with(backing, &[]).await
    }

    /// With some variables set beside the usual ones.
    pub async fn start_with(backing: Backend, variables: FormFields<'_>) -> Self {
        let clock = Clock::manual(Clock::System.now());
        let place = BackendLocation::of(backing);
        let faults = FailingStore::wrap(place.open(&clock).await);
        seed_users(&faults, &clock).await;
        Self::start_with_state((faults, clock), place, None, variables).await
    }

    /// On a store of the test's own, and by https if there is a certificate.
    pub async fn start_on(
        (store, clock): (Arc<dyn Store>, Clock),
        tls: Option<Tls>,
        variables: FormFields<'_>,
    ) -> Self {
        let faults = FailingStore::wrap(store);
        seed_users(&faults, &clock).await;
        Self::start_with_state((faults, clock), BackendLocation::Store, tls, variables).await
    }

    /// On the shared redis under a prefix of the test's own, with whatever is there.
    pub async fn start_on_redis(redis_prefix: &str, clock: Clock) -> Self {
        let place = BackendLocation::Redis(redis_prefix.to_owned());
        let faults = FailingStore::wrap(place.open(&clock).await);
        Self::start_with_state((faults, clock), place, None, &[]).await
    }

    /// Ends this server, and starts another one where it remembered things.
    pub async fn restart(self, variables: FormFields<'_>) -> Self {
        let Self { app, http, faults, place, stop, logout_workers, .. } = self;
        stop.send_replace(true);
        logout_workers.await.expect("logout workers that end");
        let clock = app.clock.clone();
        drop((app, http));
        let faults = match place {
            BackendLocation::Store => faults,
            BackendLocation::Folder(_) | BackendLocation::Redis(_) => {
                drop(faults);
                FailingStore::wrap(place.open(&clock).await)
            }
        };
        Self::start_with_state((faults, clock), place, None, variables).await
    }

    /// Another server on the same store, perhaps with other settings.
    pub async fn start_another(&self, variables: FormFields<'_>) -> Self {
        let state = (self.faults.clone(), self.app.clock.clone());
        Self::start_with_state(state, self.place.clone(), None, variables).await
    }

    /// With something in front of it that may change what is asked and answered.
    pub async fn start_with_middleware(
        backing: Backend,
        variables: FormFields<'_>,
        front: impl FnOnce(&App, Router) -> Router,
    ) -> Self {
        let clock = Clock::manual(Clock::System.now());
        let place = BackendLocation::of(backing);
        let faults = FailingStore::wrap(place.open(&clock).await);
        seed_users(&faults, &clock).await;
        Self::start_with_state_behind((faults, clock), place, None, variables, front).await
    }

    /// A server on that store, by that clock.
    pub async fn start_with_state(
        state: (FailingStore, Clock),
        place: BackendLocation,
        tls: Option<Tls>,
        variables: FormFields<'_>,
    ) -> Self {
        Self::start_with_state_behind(state, place, tls, variables, |_, router| router).await
    }

    async fn start_with_state_behind(
        (faults, clock): (FailingStore, Clock),
        place: BackendLocation,
        tls: Option<Tls>,
        variables: FormFields<'_>,
        front: impl FnOnce(&App, Router) -> Router,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let at = listener.local_addr().expect("its address");
        let keys = tempfile::tempdir().expect("a folder");
        let folder = keys.path().to_str().expect("a readable path");
        let scheme = if tls.is_some() { "https" } else { "http" };
        let issuer = format!("{scheme}://localhost:{}", at.port());
        let config = test_config(&issuer, folder, variables);
        let catalogue = ScopeCatalogue::default();
        let metadata = routes::metadata(&config, &catalogue);
        let given = config.secret_key.as_ref().expect("a key").reveal();
        let mut root = SecretKey::from_text(given).expect("a long key");
        if let Some(previous) = &config.secret_key_previous {
            root = root.with_previous(previous.reveal()).expect("a long key");
        }
        let outgoing = OutboundOptions {
            ca_file: config.outbound.ca_file.clone(),
            allow_private: (config.outbound.allow_private.iter())
                .map(|place| place.parse().expect("a host or a network"))
                .collect(),
            ..OutboundOptions::default()
        };
        let fetcher = OutboundClient::new(outgoing).expect("a fetcher");
        let store: Arc<dyn Store> = Arc::new(faults.clone());
        schema::ensure_schema(&*store, CURRENT_SCHEMA).await.expect("data of this release");
        let ring = key_ring((Arc::clone(&store), clock.clone()), &config, &root).await;
        let app = App::new(
            config,
            (store, clock),
            (ring, &root),
            Arc::new(fetcher),
            catalogue,
            &metadata,
            None,
        );
        let (stop, stopped) = watch::channel(false);
        let limits = ConnectionLimits {
            max_connections_per_address: 1024,
            prior_knowledge: app.config.http2 == Http2::PriorKnowledge,
            ..ConnectionLimits::default()
        };
        let drain = Duration::from_secs(1);
        let logout_workers = logout_worker::spawn(app.clone(), stopped.clone());
        let (pem, keeper) = tls.map(|tls| (tls.pem, tls.keeper)).unzip();
        tokio::spawn(serve(
            vec![listener],
            keeper,
            front(&app, routes::router(&app)),
            limits,
            stopped,
            drain,
        ));
        let http = client(at, pem.as_deref());
        Self { app, at, http, faults, place, pem, stop, logout_workers, _keys: keys }
    }

    pub fn at(&self) -> SocketAddr {
        self.at
    }

    pub fn app(&self) -> &App {
        &self.app
    }

    pub fn issuer(&self) -> &str {
        self.app.issuer()
    }

    /// Where a tool finds the store of a server on Redis.
    pub fn redis_settings(&self) -> [(&'static str, String); 2] {
        let BackendLocation::Redis(prefix) = &self.place else {
            panic!("this server is not on Redis")
        };
        [("REDIS_URL", shared_url()), ("REDIS_PREFIX", prefix.clone())]
    }

    pub fn http(&self) -> &Http {
        &self.http
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.issuer())
    }

    pub fn store(&self) -> &dyn Store {
        &*self.app.store
    }

    /// Makes the store fail.
    pub fn failing_store(&self) -> &FailingStore {
        &self.faults
    }

    /// What it counted, in lines.
    pub async fn metrics(&self) -> String {
        latchkey::endpoints::metrics::count_stored(&self.app).await;
        http::send(self.http.get(self.url("/metrics"))).await.body
    }

    /// What it calls a cookie, on http.
    pub fn cookie_name(&self, what: &str) -> String {
        format!("latchkey-dev-{}-{what}", self.at.port())
    }

    /// Lets time pass.
    pub fn advance_time(&self, by: Duration) {
        self.app.clock.advance(by);
        // Who waits for a moment to come looks at another clock.
        self.app.logout_queued.notify_one();
    }

    /// A fresh browser, in front of which this person sits.
    pub fn browser(&self, person: &str) -> Browser {
        Browser::new(client(self.at, self.pem.as_deref()), self.issuer(), person)
    }

    pub async fn user(&self, name: &str) -> User {
        let found = users::find_by_username(self.store(), name).await.expect("a store");
        found.unwrap_or_else(|| panic!("nobody is {name}"))
    }

    pub async fn disable_user(&self, name: &str) {
        let sub = self.user(name).await.sub;
        let done = users::update(self.store(), &sub, |user| user.enabled = false).await;
        assert_eq!(done.expect("a store"), Some(()));
    }

    /// What an operator asks this server for, as over its control socket.
    pub async fn run_operation<O: Operation>(&self, operation: O) -> O::Output {
        self.try_operation(operation).await.unwrap_or_else(|why| panic!("{why}"))
    }

    /// The same where it may not work.
    pub async fn try_operation<O: Operation>(
        &self,
        operation: O,
    ) -> Result<O::Output, OperationError> {
        operation.run(&self.app.operation_context(Actor::CommandLine)).await
    }

    pub async fn userinfo(&self, token: &str) -> HttpResponse {
        http::send(self.http.get(self.url("/userinfo")).bearer_auth(token)).await
    }
}

/// A client with no connections yet, which trusts that certificate and no other.
fn client(at: SocketAddr, pem: Option<&str>) -> Http {
    pem.map_or_else(|| http::client(at), |pem| http::client_trusting(at, pem))
}

/// Not a secret of anybody's.
pub const SECRET_KEY: &str = "only-for-tests-only-for-tests-only-for-test";

fn test_config(issuer: &str, folder: &str, variables: FormFields<'_>) -> Config {
    let usual = [
        ("ISSUER_URL", issuer),
        ("SECRET_KEY", SECRET_KEY),
        ("KEYS_DIR", folder),
        ("REGISTRATION", "open"),
        ("RATE_LIMITING_ENABLED", "false"),
        ("HASH_QUEUE", "64"),
    ];
    let all = usual.iter().chain(variables);
    let map: BTreeMap<String, String> =
        all.map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    Config::from_map(&map).expect("a good configuration")
}

/// A ring of its own for each server; all begin with the same RSA key, for making one takes long.
async fn key_ring(at: (Arc<dyn Store>, Clock), config: &Config, root: &SecretKey) -> KeyRing {
    static PEM: OnceLock<String> = OnceLock::new();
    let pem = PEM.get_or_init(|| SigningKey::generate().expect("a key").1.to_string());
    let file = SigningKey::from_pem(pem).expect("the same key");
    let policy = RotationPolicy::of(config);
    let ring =
        KeyRing::open(at, KeyEncryptor::new(root), purposes(config), policy, vec![file]).await;
    ring.expect("a ring")
}

async fn seed_users(store: &dyn Store, clock: &Clock) {
    static HASH: OnceCell<String> = OnceCell::const_new();
    let make = async || {
        let password = Password::parse(PASSWORD).expect("a password");
        PasswordHasher::new(1, 8).hash(password).await.expect("a hash")
    };
    let hash = HASH.get_or_init(make).await;
    for (name, claims) in [("ada", every_claim()), ("bob", json!({"name": "Bob"}))] {
        let user = User {
            sub: Subject::parse(&format!("sub-of-{name}")).expect("a subject"),
            username: name.to_owned(),
            password: Some(hash.clone()),
            enabled: true,
            claims: claims.as_object().cloned().expect("an object"),
            groups: vec!["analysts".to_owned(), "engine".to_owned()],
            created_at: clock.now(),
            development: false,
            declared: Some(DeclaredUser::default()),
        };
        assert_eq!(users::add(store, &user).await.expect("a store"), AddOutcome::Added);
    }
}

/// Every standard claim there is (`OpenID` Connect Core §5.1).
fn every_claim() -> Value {
    json!({
        "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace",
        "middle_name": "King", "nickname": "ada", "preferred_username": "ada",
        "profile": "https://ada.example/profile", "picture": "https://ada.example/ada.png",
        "website": "https://ada.example", "gender": "female", "birthdate": "1815-12-10",
        "zoneinfo": "Europe/London", "locale": "en-GB", "updated_at": 1_700_000_000,
        "email": "ada@ada.example", "email_verified": true,
        "phone_number": "+44 20 7946 0001", "phone_number_verified": false,
        "address": {"formatted": "12 St James's Square\nLondon", "locality": "London"},
    })
}
