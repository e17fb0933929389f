//! A whole Latchkey in this process, on a real port, with its own store and its own clock.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use latchkey::app::App;
use latchkey::clock::Clock;
use latchkey::config::Config;
use latchkey::fetch::{FetchSettings, Fetcher};
use latchkey::jose::SigningKey;
use latchkey::keys::KeyRing;
use latchkey::password::{Password, Passwords};
use latchkey::protocol::Subject;
use latchkey::protocol::claims::ScopeCatalogue;
use latchkey::secret::Secret;
use latchkey::secret_key::SecretKey;
use latchkey::server::serve::{Limits, serve};
use latchkey::server::{couriers, routes};
use latchkey::store::{MemoryStore, RedisOptions, RedisStore, Store};
use latchkey::users::{self, Added, User};
use reqwest::Client as Http;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{OnceCell, watch};
use tokio::task::JoinHandle;

use super::browser::Browser;
use super::redis::RedisServer;
use super::wire::{self, Answer, Fields};

/// What everybody here signs in with.
pub const PASSWORD: &str = "correct horse battery";

/// Where a house remembers things.
#[derive(Clone, Copy, Debug)]
pub enum Backing {
    Memory,
    Redis,
}

/// Runs every scenario, an `async fn(House)`, once for each store.
macro_rules! on_both_stores {
    ($($scenario:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                use $crate::support::house::{Backing, House};
                super::$scenario(House::start(Backing::Memory).await).await;
            })+
        }
        mod in_redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $scenario() {
                use $crate::support::house::{Backing, House};
                super::$scenario(House::start(Backing::Redis).await).await;
            })+
        }
    };
}
pub(crate) use on_both_stores;

/// A running house. It ends with this value.
pub struct House {
    app: App,
    at: SocketAddr,
    http: Http,
    prefix: Option<String>,
    stop: watch::Sender<bool>,
    couriers: JoinHandle<()>,
    _keys: TempDir,
}

impl House {
    pub async fn start(backing: Backing) -> Self {
        Self::start_with(backing, &[]).await
    }

    /// With some variables set beside the usual ones.
    pub async fn start_with(backing: Backing, variables: Fields<'_>) -> Self {
        let clock = Clock::manual(Clock::System.now());
        let prefix = match backing {
            Backing::Memory => None,
            Backing::Redis => Some(format!("{}:", Secret::random().reveal())),
        };
        let store: Arc<dyn Store> = match &prefix {
            None => Arc::new(MemoryStore::new(clock.clone())),
            Some(prefix) => Arc::new(open(prefix).await),
        };
        fill(&*store, &clock).await;
        Self::over(store, prefix, clock, variables).await
    }

    /// Ends this house, and starts another one where it remembered things.
    pub async fn restarts(self, variables: Fields<'_>) -> Self {
        self.stop.send_replace(true);
        self.couriers.await.expect("couriers that come home");
        let clock = self.app.clock.clone();
        let store: Arc<dyn Store> = match &self.prefix {
            None => Arc::clone(&self.app.store),
            Some(prefix) => Arc::new(open(prefix).await),
        };
        Self::over(store, self.prefix, clock, variables).await
    }

    async fn over(
        store: Arc<dyn Store>,
        prefix: Option<String>,
        clock: Clock,
        variables: Fields<'_>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let at = listener.local_addr().expect("its address");
        let keys = tempfile::tempdir().expect("a folder");
        let folder = keys.path().to_str().expect("a readable path");
        let config = configured(at.port(), folder, variables);
        let catalogue = ScopeCatalogue::default();
        let metadata = routes::advertise(&config, &catalogue);
        let root = SecretKey::from_text(SECRET_KEY).expect("a long key");
        let allowed = config.outgoing.allow_private.iter();
        let fetcher = Fetcher::new(FetchSettings {
            extra_ca: config.outgoing.ca_file.clone(),
            allow_private: allowed.map(|place| place.parse().expect("a place")).collect(),
            ..FetchSettings::default()
        });
        let fetcher = fetcher.expect("a fetcher");
        let app = App::new(
            config,
            (store, clock),
            (key_ring(), &root),
            fetcher,
            catalogue,
            &metadata,
            None,
        );
        let (stop, stopped) = watch::channel(false);
        let limits = Limits { max_connections_per_address: 1024, ..Limits::default() };
        let drain = Duration::from_secs(1);
        let couriers = couriers::spawn(app.clone(), stopped.clone());
        tokio::spawn(serve(vec![listener], None, routes::router(&app), limits, stopped, drain));
        Self { app, at, http: wire::client(at), prefix, stop, couriers, _keys: keys }
    }

    pub fn app(&self) -> &App {
        &self.app
    }

    pub fn issuer(&self) -> &str {
        self.app.issuer()
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

    /// Lets time pass.
    pub fn later(&self, by: Duration) {
        self.app.clock.advance(by);
        // Who waits for a moment to come looks at another clock.
        self.app.logout_queued.notify_one();
    }

    /// A fresh browser, in front of which this person sits.
    pub fn browser(&self, person: &str) -> Browser {
        Browser::new(wire::client(self.at), self.issuer(), person)
    }

    pub async fn user(&self, name: &str) -> User {
        let found = users::find_by_username(self.store(), name).await.expect("a store");
        found.unwrap_or_else(|| panic!("nobody is {name}"))
    }

    pub async fn disables(&self, name: &str) {
        let sub = self.user(name).await.sub;
        let done = users::update(self.store(), &sub, |user| user.enabled = false).await;
        assert_eq!(done.expect("a store"), Some(()));
    }

    pub async fn userinfo(&self, token: &str) -> Answer {
        wire::send(self.http.get(self.url("/userinfo")).bearer_auth(token)).await
    }
}

/// Not a secret of anybody's.
const SECRET_KEY: &str = "only-for-tests-only-for-tests-only-for-test";

fn configured(port: u16, folder: &str, variables: Fields<'_>) -> Config {
    let issuer = format!("http://localhost:{port}");
    let usual = [
        ("ISSUER_URL", &*issuer),
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

/// One key for all houses: making one takes long.
fn key_ring() -> KeyRing {
    static RING: OnceLock<KeyRing> = OnceLock::new();
    let make = || KeyRing::of(vec![SigningKey::generate().expect("a key").0]);
    RING.get_or_init(make).clone()
}

async fn open(prefix: &str) -> RedisStore {
    // Database 1: in database 0 others look at every key there is.
    let options = RedisOptions {
        prefix: prefix.to_owned(),
        // The machine may be busy with sixty-four hands at once.
        timeout: Duration::from_secs(10),
        ..RedisOptions::new(format!("{}1", RedisServer::shared().url()))
    };
    RedisStore::connect(&options).await.expect("redis")
}

async fn fill(store: &dyn Store, clock: &Clock) {
    static HASH: OnceCell<String> = OnceCell::const_new();
    let make = async || {
        let password = Password::parse(PASSWORD).expect("a password");
        Passwords::new(1, 8).hash(password).await.expect("a hash")
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
        };
        assert_eq!(users::add(store, &user).await.expect("a store"), Added::New);
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
