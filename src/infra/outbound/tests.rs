//! Against a server on loopback, with a certificate authority made for the test.

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A server that says the same to everyone, and counts who came.
struct Elsewhere {
    port: u16,
    ca: NamedTempFile,
    visits: Arc<AtomicUsize>,
}

impl Elsewhere {
    /// With a certificate that signed itself, and is an authority as most tools make it.
    async fn self_signed(answer: impl Into<String>) -> Self {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self::with(answer, &certificate.pem(), certificate.der().clone(), &key).await
    }

    async fn saying(answer: impl Into<String>) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
        Self::with(answer, &ca.pem(), leaf.der().clone(), &key).await
    }

    async fn with(
        answer: impl Into<String>,
        trusted: &str,
        shown: CertificateDer<'static>,
        key: &KeyPair,
    ) -> Self {
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let tls = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![shown], key)
            .unwrap();

        let file = NamedTempFile::new().unwrap();
        std::fs::write(file.path(), trusted).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let visits = Arc::new(AtomicUsize::new(0));
        tokio::spawn(greet(listener, tls, answer.into(), Arc::clone(&visits)));
        Self { port, ca: file, visits }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/jwks.json", self.port)
    }

    fn settings(&self, allowed: &[&str]) -> OutboundOptions {
        OutboundOptions {
            ca_file: Some(self.ca.path().into()),
            allow_private: allowed.iter().map(|place| place.parse().unwrap()).collect(),
            ..OutboundOptions::default()
        }
    }

    async fn fetched(&self, allowed: &[&str]) -> Result<Value, FetchError> {
        OutboundClient::new(self.settings(allowed)).unwrap().get_json(&self.url()).await
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

async fn greet(listener: TcpListener, tls: ServerConfig, answer: String, visits: Arc<AtomicUsize>) {
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    while let Ok((stream, _)) = listener.accept().await {
        visits.fetch_add(1, Ordering::SeqCst);
        let (acceptor, answer) = (acceptor.clone(), answer.clone());
        tokio::spawn(async move {
            let mut stream = acceptor.accept(stream).await?;
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await?;
            stream.write_all(answer.as_bytes()).await?;
            // An answer without an end is for the test of those that hang.
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
            stream.shutdown().await
        });
    }
}

fn ok(kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
}

#[tokio::test]
async fn a_private_host_is_fetched_from_when_it_is_vouched_for() {
    let there =
        Elsewhere::saying(ok("application/jwk-set+json; charset=utf-8", r#"{"keys":[]}"#)).await;
    for allowed in [&["localhost"][..], &["127.0.0.0/8", "::1"]] {
        let document = there.fetched(allowed).await.unwrap();
        assert_eq!(document, serde_json::json!({ "keys": [] }));
    }
}

#[tokio::test]
async fn a_private_host_nobody_vouched_for_is_not_even_connected_to() {
    let there = Elsewhere::saying(ok("application/json", "{}")).await;
    for allowed in [&[][..], &["other.example"], &["10.0.0.0/8"]] {
        let refused = there.fetched(allowed).await;
        assert!(matches!(refused, Err(FetchError::PrivateAddress(_))), "{refused:?}");
    }
    let nowhere = OutboundClient::new(there.settings(&[])).unwrap();
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]"] {
        let refused = nowhere.get_json(&format!("https://{host}:{}/", there.port)).await;
        assert!(matches!(refused, Err(FetchError::PrivateAddress(_))), "{host} {refused:?}");
    }
    assert_eq!(there.visits(), 0);
}

#[tokio::test]
async fn a_literal_address_is_fetched_from_when_its_network_is_vouched_for() {
    let there = Elsewhere::saying(ok("application/json", "{}")).await;
    let fetcher = OutboundClient::new(there.settings(&["127.0.0.1"])).unwrap();
    let document = fetcher.get_json(&format!("https://127.0.0.1:{}/", there.port)).await;
    assert!(document.is_ok(), "{document:?}");
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused() {
    let there = Elsewhere::saying(ok("application/json", "{}")).await;
    let settings = OutboundOptions { ca_file: None, ..there.settings(&["localhost"]) };
    let refused = OutboundClient::new(settings).unwrap().get_json(&there.url()).await;
    assert!(matches!(refused, Err(FetchError::Transport(_))), "{refused:?}");
}

#[tokio::test]
async fn a_redirect_is_an_error_and_not_followed() {
    let target = Elsewhere::saying(ok("application/json", "{}")).await;
    let there =
        format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", target.url());
    let there = Elsewhere::saying(there).await;
    let refused = there.fetched(&["localhost"]).await;
    assert!(matches!(refused, Err(FetchError::Status(302))), "{refused:?}");
    assert_eq!(target.visits(), 0);
}

#[tokio::test]
async fn an_oversized_answer_is_cut_whether_or_not_it_says_its_length() {
    let body = format!("\"{}\"", "x".repeat(70_000));
    let endless = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{body}");
    for answer in [ok("application/json", &body), endless] {
        let refused = Elsewhere::saying(answer).await.fetched(&["localhost"]).await;
        assert!(matches!(refused, Err(FetchError::TooLarge)), "{refused:?}");
    }
}

#[tokio::test]
async fn only_json_that_is_called_json_is_read() {
    for answer in [ok("text/html", "{}"), ok("application/json", "<p>")] {
        let refused = Elsewhere::saying(answer).await.fetched(&["localhost"]).await;
        assert!(matches!(refused, Err(FetchError::NotJson)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_host_that_hangs_is_given_up() {
    let hangs = Elsewhere::saying("").await;
    let settings = OutboundOptions {
        total_timeout: Duration::from_millis(300),
        ..hangs.settings(&["localhost"])
    };
    let given_up = OutboundClient::new(settings).unwrap().get_json(&hangs.url()).await;
    assert!(matches!(given_up, Err(FetchError::TooSlow)), "{given_up:?}");
}

#[tokio::test]
async fn a_host_that_is_busy_is_waited_for_and_delays_no_other_host() {
    let (busy, answers) =
        (Elsewhere::saying("").await, Elsewhere::saying(ok("application/json", "{}")).await);
    let settings = OutboundOptions {
        connect_timeout: Duration::from_mins(1),
        total_timeout: Duration::from_mins(1),
        ..busy.settings(&["localhost", "127.0.0.1"])
    };
    let fetcher = OutboundClient::new(settings).unwrap();
    // Somebody else's request to that host, for as long as the test lasts.
    let _turn = fetcher.limiter.acquire("127.0.0.1").await.unwrap();
    let (url, elsewhere) = (format!("https://127.0.0.1:{}/", busy.port), answers.url());
    let mut queued = pin!(fetcher.get_json(&url));
    // Several times, so that one that did not wait for its turn would have got through meanwhile.
    for _ in 0..5 {
        let other = tokio::select! {
            early = &mut queued => panic!("it is not its turn: {early:?}"),
            other = fetcher.get_json(&elsewhere) => other,
        };
        // Its own authority is another one, so what it gets is an answer of TLS.
        assert!(matches!(other, Err(FetchError::Transport(_))), "{other:?}");
    }
    assert_eq!(busy.visits(), 0, "the second waited for its turn");
    assert_eq!(answers.visits(), 5);
}

#[tokio::test]
async fn a_form_is_posted_where_documents_may_be_fetched_and_only_its_status_is_read() {
    let fields = [("logout_token", "a b")];
    let gone = "HTTP/1.1 204 No Content\r\n\r\n";
    let there = Elsewhere::saying(gone).await;
    let posted = async |allowed: &[&str], url: &str| {
        OutboundClient::new(there.settings(allowed))
            .unwrap()
            .with_limits(1, 1)
            .post_form(url, &fields)
            .await
    };
    assert!(matches!(posted(&["localhost"], &there.url()).await, Ok(204)));
    let refused = posted(&[], &there.url()).await;
    assert!(matches!(refused, Err(FetchError::PrivateAddress(_))), "{refused:?}");
    assert_eq!(there.visits(), 1);
    let away = format!("HTTP/1.1 307 So\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", there.url());
    let sends_on = Elsewhere::saying(away).await;
    let fetcher = OutboundClient::new(sends_on.settings(&["localhost"])).unwrap();
    assert!(matches!(fetcher.post_form(&sends_on.url(), &fields).await, Ok(307)));
    assert_eq!(there.visits(), 1, "a redirect is not followed");
}

#[tokio::test]
async fn plain_http_is_posted_to_this_machine_only_and_only_where_it_is_vouched_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
    let answer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = vec![0; 4096];
        let read = stream.read(&mut asked).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        String::from_utf8_lossy(&asked[..read]).into_owned()
    });
    let fetcher = |allowed: &[&str]| {
        let allow_private = allowed.iter().map(|place| place.parse().unwrap()).collect();
        OutboundClient::new(OutboundOptions { allow_private, ..OutboundOptions::default() })
            .unwrap()
    };
    let fields = [("logout_token", "t")];
    let refused = fetcher(&[]).post_form(&url, &fields).await;
    assert!(matches!(refused, Err(FetchError::PrivateAddress(_))), "{refused:?}");
    for elsewhere in ["http://1.1.1.1/", "http://10.0.0.1/", "http://localhost.example/"] {
        let refused =
            fetcher(&["10.0.0.0/8", "localhost.example"]).post_form(elsewhere, &fields).await;
        assert!(matches!(refused, Err(FetchError::BadUrl)), "{refused:?}");
    }
    let refused = fetcher(&["localhost"]).get_json(&url).await;
    assert!(matches!(refused, Err(FetchError::BadUrl)), "documents are https: {refused:?}");
    let posted = fetcher(&["localhost"]).post_form(&url, &fields).await;
    assert!(matches!(posted, Ok(200)), "{posted:?}");
    assert!(answer.await.unwrap().starts_with("POST / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn only_https_urls_without_credentials_on_the_standard_port_are_tried() {
    let fetcher = OutboundClient::new(OutboundOptions::default()).unwrap();
    for url in ["http://1.1.1.1/", "file:///etc/passwd", "https://ada@1.1.1.1/", "//1.1.1.1", ""] {
        let refused = fetcher.get_json(url).await;
        assert!(matches!(refused, Err(FetchError::BadUrl)), "{url} {refused:?}");
    }
    let refused = fetcher.get_json("https://1.1.1.1:8443/").await;
    assert!(matches!(refused, Err(FetchError::Port(8443))), "{refused:?}");
}

#[tokio::test]
async fn what_is_shown_of_a_failure_does_not_say_why() {
    let fetcher = OutboundClient::new(OutboundOptions::default()).unwrap();
    let private = fetcher.get_json("https://10.0.0.1/").await.unwrap_err();
    let bad = fetcher.get_json("http://10.0.0.1/").await.unwrap_err();
    assert_eq!(private.to_string(), bad.to_string());
    assert!(private.reason().contains("10.0.0.1"));
}

#[test]
fn an_unusable_file_of_authorities_is_named() {
    let empty = NamedTempFile::new().unwrap();
    for path in [empty.path(), Path::new("gone.pem")] {
        let settings = OutboundOptions { ca_file: Some(path.into()), ..OutboundOptions::default() };
        let complaint = OutboundClient::new(settings).err().map(|complaint| complaint.to_string());
        let name = path.to_string_lossy();
        assert!(complaint.is_some_and(|complaint| complaint.contains(&*name)), "{name}");
    }
}

#[tokio::test]
async fn a_certificate_that_was_given_stands_for_itself_and_for_no_other() {
    let answer = || ok("application/json", "{}");
    let elsewhere = Elsewhere::self_signed(answer()).await;
    assert_eq!(elsewhere.fetched(&["localhost"]).await.unwrap(), serde_json::json!({}));
    let impostor = Elsewhere::self_signed(answer()).await;
    let settings = OutboundOptions {
        ca_file: Some(elsewhere.ca.path().into()),
        ..impostor.settings(&["localhost"])
    };
    let refused = OutboundClient::new(settings).unwrap().get_json(&impostor.url()).await;
    assert!(matches!(refused, Err(FetchError::Transport(_))), "{refused:?}");
}
