//! An HTTPS server of a client (`jwks_uri`, `request_uri`, …): its response can be set, and its requests are
//! counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use latchkey::server::serve::{ConnectionLimits, listen, serve};
use latchkey::server::tls::CertReloader;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;

type Said = Option<(&'static str, String)>;

pub struct MockHost {
    /// Any address there answers the same.
    pub uri: String,
    /// The certificate to trust, for `OUTGOING_CA_FILE`.
    pub ca: String,
    said: Arc<Mutex<Said>>,
    visits: Arc<AtomicUsize>,
    held: watch::Sender<bool>,
    _stop: watch::Sender<bool>,
    _folder: TempDir,
}

impl MockHost {
    pub async fn start() -> Self {
        Self::certified(IsCa::NoCa).await
    }

    /// With a certificate that says to be an authority, and is its own.
    pub async fn start_with_ca_certificate() -> Self {
        Self::certified(IsCa::Ca(BasicConstraints::Unconstrained)).await
    }

    async fn certified(authority: IsCa) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let pair = KeyPair::generate().expect("a key");
        let mut asked = CertificateParams::new(["localhost".into()]).expect("a name");
        asked.is_ca = authority;
        let made = asked.self_signed(&pair).expect("a certificate");
        std::fs::write(&cert, made.pem()).expect("written");
        std::fs::write(&key, pair.serialize_pem()).expect("written");
        let tls = CertReloader::load(&cert, &key).expect("a good pair");
        let said = Arc::new(Mutex::new(Said::None));
        let visits = Arc::new(AtomicUsize::new(0));
        let (told, counted) = (Arc::clone(&said), Arc::clone(&visits));
        let (held, holds) = watch::channel(false);
        let answer = async move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut holds = holds.clone();
            drop(holds.wait_for(|held| !held).await);
            let said = told.lock().expect("what to say").clone();
            match said {
                Some((kind, body)) => ([(header::CONTENT_TYPE, kind)], body).into_response(),
                None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        };
        let router = Router::new().fallback(answer);
        let listeners = listen("127.0.0.1:0").await.expect("a port");
        let port = listeners[0].local_addr().expect("its address").port();
        let (stop, stopped) = watch::channel(false);
        let drain = Duration::from_secs(1);
        tokio::spawn(serve(
            listeners,
            Some(tls),
            router,
            ConnectionLimits::default(),
            stopped,
            drain,
        ));
        let uri = format!("https://localhost:{port}/document");
        let ca = cert.to_str().expect("a readable path").to_owned();
        Self { uri, ca, said, visits, held, _stop: stop, _folder: folder }
    }

    /// From now on; `None`: a fault.
    pub fn serve_json(&self, json: Option<Value>) {
        *self.said.lock().expect("what to say") =
            json.map(|json| ("application/json", json.to_string()));
    }

    pub fn serve_jwt(&self, text: &str) {
        *self.said.lock().expect("what to say") = Some(("application/jose", text.to_owned()));
    }

    /// Whether it keeps everybody waiting who comes.
    pub fn hold_responses(&self, held: bool) {
        self.held.send_replace(held);
    }

    pub fn request_count(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}
