//! Listeners and connections over real sockets, with a router that does hardly anything.

mod http2;
mod oversized;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use latchkey::http::request_info::RequestId;
use latchkey::infra::client_ip::PeerAddr;
use latchkey::server::layers::{LayerSettings, wrap};
use latchkey::server::serve::{ConnectionLimits, listen, serve};
use latchkey::server::tls::CertReloader;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A server on loopback, and the hand that stops it.
struct Served {
    at: SocketAddr,
    stop: watch::Sender<bool>,
    ended: JoinHandle<()>,
    /// Lets `/held` answer.
    release: Arc<Notify>,
    /// Told when `/held` has begun.
    holding: Arc<Notify>,
    observed: Arc<Mutex<Vec<String>>>,
}

impl Served {
    async fn with(limits: ConnectionLimits, tls: Option<CertReloader>, hosts: &[&str]) -> Self {
        let (release, holding) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let observed = Arc::new(Mutex::new(Vec::new()));
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut settings = LayerSettings::new(&hosts, true);
        settings.handler_timeout = Duration::from_secs(2);
        let seen = Arc::clone(&observed);
        settings.observer = Arc::new(move |route, method, status, _| {
            seen.lock().unwrap().push(format!("{method} {route} {}", status.as_u16()));
        });
        let app = wrap(routes(Arc::clone(&release), Arc::clone(&holding)), settings);
        let limits = ConnectionLimits { https: true, ..limits };

        let listeners = listen("127.0.0.1:0").await.unwrap();
        let at = listeners[0].local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let drain = Duration::from_secs(10);
        let ended = tokio::spawn(serve(listeners, tls, app, limits, stopped, drain));
        Self { at, stop, ended, release, holding, observed }
    }

    async fn plain() -> Self {
        Self::with(ConnectionLimits::default(), None, &[]).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.at).await.unwrap()
    }

    /// Sends these bytes, and gives what comes back until the server closes.
    async fn told(&self, bytes: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        to_the_end(&mut stream).await
    }

    async fn get(&self, path: &str, headers: &str) -> String {
        self.told(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"))
            .await
    }
}

fn routes(release: Arc<Notify>, holding: Arc<Notify>) -> Router {
    let held = move || async move {
        holding.notify_one();
        release.notified().await;
        "held"
    };
    let peer = |Extension(PeerAddr(at)): Extension<PeerAddr>| async move { at.ip().to_string() };
    let id = |Extension(RequestId(id)): Extension<RequestId>| async move { id };
    Router::new()
        .route("/", get(async || "hello"))
        .route("/held", get(held))
        .route("/hangs", get(async || std::future::pending::<()>().await))
        .route("/panics", get(panics))
        .route("/form", post(async |body: String| body))
        .route("/peer", get(peer))
        .route("/id", get(id))
        .route("/named", get(named))
        .route("/health", get(async || "well"))
}

/// The host and the cookies that a handler sees.
async fn named(uri: axum::http::Uri, headers: HeaderMap) -> String {
    let all = |name| {
        let values = headers.get_all(name).iter().map(|it| it.to_str().unwrap());
        values.collect::<Vec<_>>().join(" | ")
    };
    format!("{uri} {} {}", all("host"), all("cookie"))
}

async fn panics() -> &'static str {
    panic!("hidden detail")
}

/// What comes until the other side closes; not closing within ten seconds is a failure.
async fn to_the_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut said = Vec::new();
    let read = timeout(Duration::from_secs(10), stream.read_to_end(&mut said)).await;
    read.expect("the server closes").expect("without a reset");
    String::from_utf8(said).unwrap()
}

/// One answer with a body of known length, on a connection that stays open.
async fn one_answer(stream: &mut (impl AsyncRead + Unpin), last: &str) -> String {
    let mut said = String::new();
    while !said.ends_with(last) {
        said.push(char::from(stream.read_u8().await.unwrap()));
    }
    said
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

fn header<'a>(answer: &'a str, name: &str) -> Option<&'a str> {
    let lines = answer.split("\r\n\r\n").next()?.lines().skip(1);
    let mut pairs = lines.filter_map(|line| line.split_once(": "));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

#[tokio::test]
async fn a_body_whose_end_two_servers_could_see_in_two_places_is_the_last_thing_that_is_read() {
    let served = Served::plain().await;
    let behind = "0\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for codings in [
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: identity, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let asked = format!("POST / HTTP/1.1\r\nHost: x\r\n{codings}\r\n{behind}");
        let said = served.told(&asked).await;
        assert_eq!(said.matches("HTTP/1.1 ").count(), 1, "{codings}: {said}");
        assert!(["400", "501"].contains(&status(&said)), "{codings}: {said}");
        assert_eq!(header(&said, "connection"), Some("close"), "{codings}: {said}");
    }
}

#[tokio::test]
async fn a_header_that_does_not_come_to_an_end_is_cut() {
    let limits = ConnectionLimits {
        header_timeout: Duration::from_millis(200),
        ..ConnectionLimits::default()
    };
    let served = Served::with(limits, None, &[]).await;
    assert_eq!(served.told("").await, "", "silent from the start");
    assert_eq!(served.told("GET / HTTP/1.1\r\nHost:").await, "", "begun and not ended");

    let mut stream = served.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(status(&one_answer(&mut stream, "hello").await), "200");
    stream.write_all(b"GET / HT").await.unwrap();
    assert_eq!(to_the_end(&mut stream).await, "", "begun on a connection that had rested");
}

#[tokio::test]
async fn a_resting_connection_may_rest_longer_than_a_header_may_take_but_not_for_ever() {
    let limits = ConnectionLimits {
        header_timeout: Duration::from_millis(100),
        keep_alive: Duration::from_millis(600),
        ..ConnectionLimits::default()
    };
    let served = Served::with(limits, None, &[]).await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    one_answer(&mut stream, "hello").await;

    let rested = tokio::time::Instant::now();
    assert_eq!(to_the_end(&mut stream).await, "");
    assert!(rested.elapsed() > Duration::from_millis(400), "{:?}", rested.elapsed());
}

#[tokio::test]
async fn a_request_that_takes_for_ever_is_cut() {
    let limits = ConnectionLimits {
        request_timeout: Duration::from_millis(200),
        ..ConnectionLimits::default()
    };
    let served = Served::with(limits, None, &[]).await;
    assert_eq!(served.get("/held", "").await, "");
}

#[tokio::test]
async fn stopping_finishes_what_was_begun_and_lets_nobody_new_in() {
    let served = Served::plain().await;
    let mut resting = served.connect().await;
    resting.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    one_answer(&mut resting, "hello").await;
    let mut under_way = served.connect().await;
    under_way.write_all(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    served.holding.notified().await;

    served.stop.send(true).unwrap();
    assert_eq!(to_the_end(&mut resting).await, "", "a resting connection is closed");
    assert!(TcpStream::connect(served.at).await.is_err(), "nobody new");
    assert!(!served.ended.is_finished());

    served.release.notify_one();
    let answer = to_the_end(&mut under_way).await;
    assert_eq!(
        (status(&answer), header(&answer, "connection")),
        ("200", Some("close")),
        "{answer}"
    );
    timeout(Duration::from_secs(5), served.ended).await.expect("in time").unwrap();
}

#[tokio::test]
async fn a_request_on_its_way_in_when_the_server_stops_is_still_answered() {
    let served = Served::plain().await;
    let mut stream = served.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    // Served after it on the same thread, so the first line above has been read by now.
    served.get("/", "").await;

    served.stop.send(true).unwrap();
    stream.write_all(b"Host: x\r\n\r\n").await.unwrap();
    let answer = to_the_end(&mut stream).await;
    assert_eq!(
        (status(&answer), header(&answer, "connection")),
        ("200", Some("close")),
        "{answer}"
    );
}

#[tokio::test]
async fn every_answer_carries_the_security_headers() {
    let served = Served::with(ConnectionLimits::default(), None, &["x"]).await;
    let large = "POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 70000\r\n\r\n";
    let lost = "GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let long = format!("/{}", "x".repeat(9000));
    let endless = format!("X: {}\r\n", "x".repeat(70_000));
    let answers = [
        ("400", served.told("nonsense\r\n\r\n").await),
        ("431", served.get("/", &endless).await),
        ("200", served.get("/", "").await),
        ("404", served.get("/nowhere", "").await),
        ("405", served.get("/form", "").await),
        ("413", served.told(large).await),
        ("414", served.get(&long, "").await),
        ("421", served.told(lost).await),
        ("500", served.get("/panics", "").await),
        ("503", served.get("/hangs", "").await),
    ];
    for (expected, answer) in &answers {
        assert_eq!(status(answer), *expected, "{answer}");
        assert_eq!(header(answer, "x-content-type-options"), Some("nosniff"), "{answer}");
        assert_eq!(header(answer, "referrer-policy"), Some("no-referrer"), "{answer}");
        assert_eq!(header(answer, "cache-control"), Some("no-store"), "{answer}");
        let insisted = header(answer, "strict-transport-security");
        assert_eq!(insisted, Some("max-age=31536000"), "{answer}");
        assert!(header(answer, "x-request-id").is_some(), "{answer}");
    }
}

#[tokio::test]
async fn an_answer_without_words_is_given_some() {
    let served = Served::plain().await;
    let said = async |path| {
        let answer = served.get(path, "X-Request-Id: r1\r\n").await;
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let json: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(header(&answer, "content-type"), Some("application/json"), "{answer}");
        (json["error"].as_str().unwrap().to_owned(), json["request_id"].clone(), answer)
    };
    let (error, _, _) = said("/nowhere").await;
    assert_eq!(error, "not_found");
    let (error, _, answer) = said("/form").await;
    assert_eq!((&*error, header(&answer, "allow")), ("invalid_request", Some("POST")));
    let (error, id, answer) = said("/panics").await;
    assert_eq!((&*error, id.as_str()), ("server_error", Some("r1")));
    assert!(!answer.contains("hidden detail"), "{answer}");
    let (error, _, answer) = said("/hangs").await;
    assert_eq!((&*error, header(&answer, "retry-after")), ("temporarily_unavailable", Some("5")));
}

#[tokio::test]
async fn a_strange_host_is_refused_except_where_health_is_asked_for() {
    let served = Served::with(ConnectionLimits::default(), None, &["id.example"]).await;
    let asked = async |path: &str, host: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        status(&served.told(&request).await).to_owned()
    };
    assert_eq!(asked("/", "id.example").await, "200");
    assert_eq!(asked("/", "ID.example:443").await, "200");
    assert_eq!(asked("/", "evil.example").await, "421");
    assert_eq!(asked("/health", "10.1.2.3:5000").await, "200");
    assert_eq!(status(&served.told("GET / HTTP/1.0\r\n\r\n").await), "400");
}

#[tokio::test]
async fn a_request_id_is_kept_if_it_is_harmless_and_replaced_if_not() {
    let served = Served::plain().await;
    let named = async |id: &str| {
        let answer = served.get("/id", &format!("X-Request-Id: {id}\r\n")).await;
        let in_header = header(&answer, "x-request-id").unwrap().to_owned();
        assert!(answer.ends_with(&in_header), "the handler sees the same one: {answer}");
        in_header
    };
    assert_eq!(named("Trace-1.a_b").await, "Trace-1.a_b");
    let (long, longest) = ("x".repeat(65), "x".repeat(64));
    assert_eq!(named(&longest).await, longest);
    for strange in ["", "a b", "<script>", &long] {
        let id = named(strange).await;
        assert!(id != strange && id.len() == 16, "{strange} became {id}");
    }
}

#[tokio::test]
async fn handlers_know_the_peer_and_metrics_the_route() {
    let served = Served::plain().await;
    let answer = served.get("/peer?code=hidden", "").await;
    let peer = answer.split_once("\r\n\r\n").unwrap().1.parse::<IpAddr>();
    assert!(peer.is_ok_and(|peer| peer.is_loopback()), "{answer}");
    served.get("/nowhere", "").await;
    assert_eq!(*served.observed.lock().unwrap(), ["GET /peer 200", "GET unmatched 404"]);
}

#[tokio::test]
async fn beyond_the_limit_connections_wait_and_are_not_refused() {
    let served = Served::with(
        ConnectionLimits { max_connections: 1, ..ConnectionLimits::default() },
        None,
        &[],
    )
    .await;
    let mut first = served.connect().await;
    first.write_all(b"GET /held HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    served.holding.notified().await;

    let mut waiting = served.connect().await;
    waiting.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    assert_eq!(served.observed.lock().unwrap().len(), 0, "nobody has been answered yet");
    served.release.notify_one();
    assert_eq!(status(&to_the_end(&mut first).await), "200");
    drop(first);
    assert_eq!(status(&to_the_end(&mut waiting).await), "200");
}

#[tokio::test]
async fn connections_that_break_off_do_not_stop_the_next_ones() {
    let served = Served::plain().await;
    for noise in ["", "\0\0\0\0", "GET", "POST /form HTTP/1.1\r\nContent-Length: 10\r\n\r\n12"] {
        for _ in 0..20 {
            let mut stream = served.connect().await;
            stream.write_all(noise.as_bytes()).await.unwrap();
        }
    }
    assert_eq!(status(&served.get("/", "").await), "200");
}

#[tokio::test]
async fn localhost_is_listened_to_on_one_port_for_all_its_addresses() {
    let listeners = listen("localhost:0").await.unwrap();
    let ports: Vec<u16> = listeners.iter().map(|l| l.local_addr().unwrap().port()).collect();
    assert!(ports.iter().all(|port| *port == ports[0] && *port != 0), "{ports:?}");
    assert!(listeners.iter().all(|l| l.local_addr().unwrap().ip().is_loopback()));
}
