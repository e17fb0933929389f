//! How many `client_credentials` tokens a second, beside bare RS256 signatures in the same run: what is
//! between the two is everything but the signature. `cargo bench --bench tokens`.

#![allow(clippy::disallowed_methods, reason = "a benchmark signs by itself")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use latchkey::config::Config;
use latchkey::domain::clients::{
    self, Client, ClientId, ClientSecret, ClientSettings, RegistrationSource,
};
use latchkey::domain::keys::KeyRing;
use latchkey::http::app::App;
use latchkey::infra::clock::Clock;
use latchkey::infra::jose::SigningKey;
use latchkey::infra::outbound::{OutboundClient, OutboundOptions};
use latchkey::infra::secret::Digest;
use latchkey::infra::secret_key::SecretKey;
use latchkey::infra::store::{MemoryStore, Store};
use latchkey::protocol::ClientMetadata;
use latchkey::protocol::claims::ScopeCatalogue;
use latchkey::server::routes;
use latchkey::server::serve::{ConnectionLimits, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const SPAN: Duration = Duration::from_secs(4);
const CONNECTIONS: usize = 16;
const SECRET: &str = "a secret that is long enough for one";

fn main() {
    let (_, pem) = SigningKey::generate().expect("a key");
    let bare = bare_signatures(&pem);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let tokens = runtime.block_on(tokens(&pem));
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = |count: u64| count as f64 / SPAN.as_secs_f64();
    let (bare, tokens) = (rate(bare), rate(tokens));
    println!("bare RS256 signatures    {bare:8.0} /s");
    println!("client_credentials       {tokens:8.0} /s  ({:.0} % of bare)", 100.0 * tokens / bare);
}

fn bare_signatures(pem: &str) -> u64 {
    use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey};
    let key = rsa::RsaPrivateKey::from_pkcs8_pem(pem).expect("PEM");
    let der = key.to_pkcs8_der().expect("DER");
    let pair = RsaKeyPair::from_pkcs8(der.as_bytes()).expect("a pair");
    let count = AtomicU64::new(0);
    let end = Instant::now() + SPAN;
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let mut signature = vec![0; pair.public_modulus_len()];
                while Instant::now() < end {
                    let rng = SystemRandom::new();
                    let message = [7; 400];
                    pair.sign(&RSA_PKCS1_SHA256, &rng, &message, &mut signature).expect("signs");
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    count.into_inner()
}

async fn tokens(pem: &str) -> u64 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let app = server(pem, port).await;
    let (_tell, stop) = tokio::sync::watch::channel(false);
    let router = routes::router(&app);
    tokio::spawn(serve(vec![listener], None, router, ConnectionLimits::default(), stop, SPAN));
    let count = Arc::new(AtomicU64::new(0));
    let end = Instant::now() + SPAN;
    let hands: Vec<_> =
        (0..CONNECTIONS).map(|_| tokio::spawn(ask(port, end, Arc::clone(&count)))).collect();
    for hand in hands {
        hand.await.expect("a hand");
    }
    count.load(Ordering::Relaxed)
}

async fn ask(port: u16, end: Instant, count: Arc<AtomicU64>) {
    let body = format!(
        "grant_type=client_credentials&client_id=bench&client_secret={}",
        SECRET.replace(' ', "+")
    );
    let request = format!(
        "POST /token HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connects");
    let mut answer = vec![0; 16 * 1024];
    while Instant::now() < end {
        stream.write_all(request.as_bytes()).await.expect("writes");
        let mut read = 0;
        // The answer's JSON is the only thing that ends in a brace.
        while !answer[..read].ends_with(b"}") {
            let more = stream.read(&mut answer[read..]).await.expect("reads");
            assert!(more > 0, "the server hung up");
            read += more;
        }
        assert!(
            answer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&answer[..read])
        );
        count.fetch_add(1, Ordering::Relaxed);
    }
}

async fn server(pem: &str, port: u16) -> App {
    let issuer = format!("http://localhost:{port}");
    let config = Config::from_map(&[("ISSUER_URL".to_owned(), issuer)].into()).expect("a config");
    let clock = Clock::System;
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(clock.clone()));
    let members = serde_json::json!({
        "grant_types": ["client_credentials"], "response_types": [], "scope": "api",
        "token_endpoint_auth_method": "client_secret_post",
    });
    let now = clock.now();
    let client = Client {
        id: ClientId::parse("bench").expect("an id"),
        metadata: ClientMetadata::parse(members.as_object().expect("an object")).expect("good"),
        settings: ClientSettings::default(),
        secrets: vec![ClientSecret {
            digest: Digest::of(SECRET.as_bytes()),
            sealed: None,
            created_at: now,
            expires_at: None,
        }],
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
