//! What it brings to keep a redis' answers in memory: tokens a second and the time for one, with and
//! without, against a redis on this machine and against one a millisecond away.
//! `cargo bench --bench cache`; it starts a `redis-server` of its own.

use std::net::TcpListener as Port;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use latchkey::config::Config;
use latchkey::domain::authenticators::Authentication;
use latchkey::domain::clients::{
    self, Client, ClientId, ClientSecret, ClientSettings, RegistrationSource,
};
use latchkey::domain::epoch::Epoch;
use latchkey::domain::grants::{
    self, AuthenticationContext, Grant, GrantId, GrantStatus, RefreshToken, RefreshTokenFamily,
};
use latchkey::domain::keys::KeyRing;
use latchkey::domain::sessions::{self, Session};
use latchkey::domain::users::{self, User};
use latchkey::http::app::App;
use latchkey::infra::clock::Clock;
use latchkey::infra::jose::SigningKey;
use latchkey::infra::outbound::{OutboundClient, OutboundOptions};
use latchkey::infra::secret::Digest;
use latchkey::infra::secret_key::SecretKey;
use latchkey::infra::store::{
    ChangeListener, CommitOutcome, PingInfo, RawKey, RedisOptions, RedisStore, Store, StoreFuture,
    Subscription, Transaction,
};
use latchkey::protocol::claims::{ClaimsRequest, ScopeCatalogue};
use latchkey::protocol::{ClientMetadata, Subject};
use latchkey::server::routes;
use latchkey::server::serve::{ConnectionLimits, serve};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const SPAN: Duration = Duration::from_secs(2);
const SECRET: &str = "a-secret-that-is-long-enough-for-one";

fn main() {
    let (_, pem) = SigningKey::generate().expect("a key");
    let redis = Redis::start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    for away in [Duration::ZERO, Duration::from_millis(1)] {
        for what in [What::Alone, What::Refresh] {
            for hands in [1, 16] {
                let rate = |ttl| runtime.block_on(rate(&redis, &pem, (away, ttl), (what, hands)));
                // In turns, and the best of each: this machine may have other things to do.
                let (mut without, mut with) = (0_f64, 0_f64);
                for _ in 0..3 {
                    without = without.max(rate("0"));
                    with = with.max(rate("5s"));
                }
                println!(
                    "redis {away:>4?} away  {what:?}  {hands:2} hands  without {without:7.0} /s  \
                     with {with:7.0} /s  x {:.2}",
                    with / without
                );
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// `client_credentials`, which reads a client.
    Alone,
    /// `refresh_token` of a grant that is bound to a session.
    Refresh,
}

/// A redis that ends with this value.
struct Redis(Child, u16);

impl Redis {
    fn start() -> Self {
        let port = Port::bind("127.0.0.1:0").expect("a port").local_addr().expect("one").port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]);
        let child = command.stdout(Stdio::null()).spawn().expect("redis-server is installed");
        let until = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "redis-server does not come");
        }
        Self(child, port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A store that is so far away.
struct Away(RedisStore, Duration);

impl Away {
    async fn after<T>(
        &self,
        command: StoreFuture<'_, T>,
    ) -> Result<T, latchkey::infra::store::StoreError> {
        if !self.1.is_zero() {
            sleep(self.1).await;
        }
        command.await
    }
}

impl Store for Away {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.after(self.0.get(key)))
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(self.after(self.0.get_and_remove(key)))
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(self.after(self.0.commit(change)))
    }

    fn scan_index<'a>(
        &'a self,
        at: &'a RawKey,
        after: &'a str,
        n: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        Box::pin(self.after(self.0.scan_index(at, after, n)))
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        Box::pin(self.after(self.0.increment(counter, window)))
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        self.0.ping()
    }

    fn subscribe(&self, listener: &Arc<dyn ChangeListener>) -> Option<Subscription> {
        self.0.subscribe(listener)
    }
}

async fn rate(
    redis: &Redis,
    pem: &str,
    (away, ttl): (Duration, &str),
    (what, hands): (What, u32),
) -> f64 {
    let options = RedisOptions {
        allow_volatile: true,
        prefix: format!("{}:", latchkey::infra::random::uuid()),
        ..RedisOptions::new(format!("redis://127.0.0.1:{}/", redis.1))
    };
    let store = RedisStore::connect(&options).await.expect("redis");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let app = server(pem, port, Arc::new(Away(store, away)), ttl).await;
    let (_tell, stop) = tokio::sync::watch::channel(false);
    tokio::spawn(serve(
        vec![listener],
        None,
        routes::router(&app),
        ConnectionLimits::default(),
        stop,
        SPAN,
    ));
    let mut grants = Vec::new();
    for _ in 0..hands {
        grants.push(granted(&app).await);
    }
    // Until changes are heard.
    sleep(Duration::from_millis(300)).await;
    let (count, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let asking = grants.into_iter().map(|grant| {
        tokio::spawn(ask(app.clone(), (port, what, grant), begun + SPAN, Arc::clone(&count)))
    });
    for hand in asking.collect::<Vec<_>>() {
        hand.await.expect("a hand");
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = count.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    rate
}

async fn ask(
    app: App,
    (port, what, grant): (u16, What, GrantId),
    end: Instant,
    count: Arc<AtomicU64>,
) {
    let client = ClientId::parse("bench").expect("an id");
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    let mut answer = vec![0; 16 * 1024];
    let mut generation = 0;
    while Instant::now() < end {
        let grant = match what {
            What::Alone => "grant_type=client_credentials".to_owned(),
            What::Refresh => {
                let token = RefreshToken { grant, generation }.render(&client, &app.refresh_key);
                format!("grant_type=refresh_token&refresh_token={token}")
            }
        };
        generation += 1;
        let body = format!("{grant}&client_id=bench&client_secret={SECRET}");
        let length = body.len();
        let request = format!(
            "POST /token HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.expect("writes");
        let mut read = 0;
        // The answer's JSON is the only thing that ends in a brace.
        while !answer[..read].ends_with(b"}") {
            let more = stream.read(&mut answer[read..]).await.expect("reads");
            assert!(more > 0, "the server hung up");
            read += more;
        }
        let said = String::from_utf8_lossy(&answer[..read]);
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// A person with a session, and what they let the client do while it lasts.
async fn granted(app: &App) -> GrantId {
    let (store, now) = (&*app.store, app.now());
    let name = latchkey::infra::random::uuid().to_string();
    let sub = Subject::parse(&name).expect("a subject");
    let user = User {
        sub: sub.clone(),
        username: name,
        password: None,
        enabled: true,
        claims: serde_json::Map::new(),
        groups: Vec::new(),
        created_at: now,
        development: false,
        declared: None,
    };
    let _added = users::add(store, &user).await.expect("adds");
    let (session, _) = Session::begin(
        Authentication::by_password(sub.clone(), Epoch::default(), now),
        app.session_lifetimes(),
    );
    sessions::begin(store, &session, None).await.expect("begins");
    let hour = Duration::from_secs(3600);
    let grant = Grant {
        id: GrantId(latchkey::infra::random::uuid()),
        client: ClientId::parse("bench").expect("an id"),
        authentication: Some(AuthenticationContext {
            sub,
            authenticated_at: now,
            amr: session.amr.clone(),
            acr: session.acr,
            sid: session.sid,
            bound_to_session: true,
            wants_acr: false,
            epoch: None,
            consent_epoch: None,
        }),
        scope: "api".parse().expect("a scope"),
        claims: ClaimsRequest::default(),
        nonce: None,
        code: None,
        refresh_tokens: Some(RefreshTokenFamily::new(hour, hour, now)),
        status: GrantStatus::Active,
        resources: Vec::new(),
        revoked_access: Vec::new(),
        opaque_tokens: Vec::new(),
        cnf: None,
        client_created_at: None,
        client_epoch: None,
        ends_at: now.plus(hour),
    };
    grants::insert(store, &grant, grant.ends_at, now).await.expect("files");
    grant.id
}

async fn server(pem: &str, port: u16, store: Arc<dyn Store>, ttl: &str) -> App {
    let issuer = format!("http://localhost:{port}");
    let set = [("ISSUER_URL", &*issuer), ("REDIS_CACHE_TTL", ttl)];
    let set = set.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::from_map(&set.into()).expect("a config");
    let members = json!({
        "grant_types": ["client_credentials", "refresh_token", "authorization_code"],
        "redirect_uris": ["https://bench.example/cb"], "scope": "api",
        "token_endpoint_auth_method": "client_secret_post",
    });
    let clock = Clock::System;
    let digest = Digest::of(SECRET.as_bytes());
    let now = clock.now();
    let client = Client {
        id: ClientId::parse("bench").expect("an id"),
        metadata: ClientMetadata::parse(members.as_object().expect("an object")).expect("good"),
        settings: ClientSettings::default(),
        secrets: vec![ClientSecret { digest, sealed: None, created_at: now, expires_at: None }],
        registration_token: None,
        enabled: true,
        source: RegistrationSource::Operator,
        created_at: now,
        unused_until: None,
        development: false,
        declared: None,
    };
    let _added = clients::add(&*store, &client).await.expect("adds");
    let keys = KeyRing::fixed(vec![SigningKey::from_pem(pem).expect("a key")]);
    let root = SecretKey::from_text(&"k".repeat(43)).expect("long enough");
    let catalogue = ScopeCatalogue::default();
    let metadata = routes::metadata(&config, &catalogue);
    let fetcher = OutboundClient::new(OutboundOptions::default()).expect("a fetcher");
    App::new(config, (store, clock), (keys, &root), Arc::new(fetcher), catalogue, &metadata, None)
}
