//! HTTP/2: what a connection of many requests is held to, with a client that knows the protocol, and in
//! `strange` with one that only writes frames.

mod malformed_frames;

use std::process::Command;

use axum::http::{HeaderValue, Request, Response, Version};
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use tokio::io::AsyncWrite;

use super::tls::{renewed, tls_stream};
use super::*;

type Answer = Response<RecvStream>;

fn limits() -> ConnectionLimits {
    ConnectionLimits { prior_knowledge: true, ..ConnectionLimits::default() }
}

/// A connection of a client that knows the protocol; it ends with this value.
struct Client {
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), h2::Error>>,
}

impl Client {
    async fn connect(served: &Served) -> Self {
        Self::over(served.connect().await).await
    }

    async fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (send, connection) = h2::client::handshake(stream).await.unwrap();
        Self { send, connection: tokio::spawn(connection) }
    }

    async fn ask(&self, request: Request<()>) -> Result<Answer, h2::Error> {
        let mut send = self.send.clone().ready().await?;
        send.send_request(request, true)?.0.await
    }

    async fn get(&self, path: &str) -> Result<Answer, h2::Error> {
        self.ask(Request::get(format!("http://x{path}")).body(()).unwrap()).await
    }

    /// How the connection ended: by the server, within ten seconds.
    async fn ended(self) -> Option<Reason> {
        let ended = timeout(Duration::from_secs(10), self.connection).await;
        ended.expect("the server ends it").unwrap().err().and_then(|error| error.reason())
    }
}

async fn text(answer: Answer) -> String {
    let (mut body, mut text) = (answer.into_body(), Vec::new());
    while let Some(piece) = body.data().await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        text.extend(piece);
    }
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn one_port_speaks_both_where_prior_knowledge_is_switched_on_and_one_otherwise() {
    let served = Served::with(limits(), None, &["x"]).await;
    let client = Client::connect(&served).await;
    let answer = client.get("/").await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(text(answer).await, "hello");
    assert_eq!(text(client.get("/peer").await.unwrap()).await, "127.0.0.1");
    assert_eq!(status(&served.get("/", "").await), "200");
    assert_eq!(*served.observed.lock().unwrap(), ["GET / 200", "GET /peer 200", "GET / 200"]);

    let without = Served::plain().await;
    let refused = Client::connect(&without).await.get("/").await;
    assert!(refused.is_err(), "nobody there understands it");
}

#[tokio::test]
async fn over_tls_the_client_chooses_unless_it_is_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let trusted = renewed(folder.path());
    let files = [folder.path().join("cert.pem"), folder.path().join("key.pem")];
    let [certificate, key] = files.clone();
    let both = CertReloader::load(certificate, key).unwrap();
    let [certificate, key] = files;
    let one = CertReloader::load_for_http1(certificate, key).unwrap();
    let (h2, http1) = (&b"h2"[..], &b"http/1.1"[..]);
    for (keeper, offered, agreed) in [
        (&both, &[h2, http1][..], Some(h2)),
        (&both, &[http1, h2], Some(h2)),
        (&both, &[http1], Some(http1)),
        (&both, &[], None),
        (&one, &[h2, http1], Some(http1)),
        (&one, &[], None),
    ] {
        let served = Served::with(ConnectionLimits::default(), Some(keeper.clone()), &[]).await;
        let mut stream = tls_stream(served.at, &trusted, offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed, "{offered:?}");
        if agreed == Some(h2) {
            let answer = Client::over(stream).await.get("/").await.unwrap();
            assert_eq!(answer.status(), 200);
        } else {
            let asked = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
            stream.write_all(asked).await.unwrap();
            assert_eq!(status(&to_the_end(&mut stream).await), "200", "{offered:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_speaks_it_by_alpn_and_by_prior_knowledge() {
    let folder = tempfile::tempdir().unwrap();
    renewed(folder.path());
    let files = [folder.path().join("cert.pem"), folder.path().join("key.pem")];
    let [certificate, key] = files.clone();
    let keeper = CertReloader::load(certificate, key).unwrap();
    let secure = Served::with(ConnectionLimits::default(), Some(keeper), &[]).await;
    let plain = Served::with(limits(), None, &[]).await;
    let (large, long) = ("x".repeat(100_000), "x".repeat(20_000));
    let cookie = format!("Cookie: a={long}");
    for (scheme, served, how) in
        [("https", &secure, "--http2"), ("http", &plain, "--http2-prior-knowledge")]
    {
        let curl = async |path: &str, more: &[&str]| {
            let url = format!("{scheme}://localhost:{}{path}", served.at.port());
            let mut curl = Command::new("curl");
            curl.args([
                "-sk",
                "--ipv4",
                "--max-time",
                "10",
                how,
                "-w",
                " %{http_code} %{http_version}",
            ]);
            curl.args(more).arg(url);
            let done = tokio::task::spawn_blocking(move || curl.output().unwrap());
            String::from_utf8(done.await.unwrap().stdout).unwrap()
        };
        assert_eq!(curl("/", &[]).await, "hello 200 2");
        assert_eq!(curl("/form", &["-d", "a=b"]).await, "a=b 200 2");
        let refused = curl("/form", &["-d", &large]).await;
        assert!(refused.contains("too large") && refused.ends_with(" 413 2"), "{refused}");
        let refused = curl("/", &["-H", &cookie]).await;
        assert!(refused.contains("too large") && refused.ends_with(" 431 2"), "{refused}");
    }
}

#[tokio::test]
async fn the_authority_is_the_host_and_two_that_differ_are_none() {
    let served = Served::with(limits(), None, &["id.example"]).await;
    let client = Client::connect(&served).await;
    let asked = async |uri: &str, host: Option<&str>| {
        let request = Request::get(uri).version(Version::HTTP_2);
        let request = host.into_iter().fold(request, |it, host| it.header("host", host));
        client.ask(request.body(()).unwrap()).await.unwrap()
    };
    for (uri, host, expected) in [
        ("https://id.example/named", None, 200),
        ("https://ID.example:443/named", None, 200),
        ("https://id.example/named", Some("id.example"), 200),
        ("https://id.example/named", Some("ID.EXAMPLE"), 200),
        ("https://evil.example/named", None, 421),
        ("https://evil.example/named", Some("evil.example"), 421),
        ("https://id.example/named", Some("evil.example"), 400),
        ("https://evil.example/named", Some("id.example"), 400),
        ("https://10.1.2.3/health", None, 200),
    ] {
        assert_eq!(asked(uri, host).await.status(), expected, "{uri} {host:?}");
    }
    let seen = text(asked("https://id.example/named?a=b", None).await).await;
    assert_eq!(seen, "/named?a=b id.example ", "handlers see what HTTP/1.1 would have brought");
}

#[tokio::test]
async fn cookies_that_came_in_pieces_are_one_line() {
    let served = Served::with(limits(), None, &[]).await;
    let client = Client::connect(&served).await;
    let request = Request::get("http://x/named").header("cookie", "a=1");
    let request = request.header("cookie", "b=2; c=3").header("cookie", "d=4").body(()).unwrap();
    let seen = text(client.ask(request).await.unwrap()).await;
    assert_eq!(seen, "/named x a=1; b=2; c=3; d=4");
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_the_part_and_the_connection_goes_on() {
    let served = Served::with(limits(), None, &[]).await;
    let client = Client::connect(&served).await;
    let large = async |size: usize| {
        // Fields of 4 KiB: a client's tables hold no larger ones.
        let mut request = Request::get("http://x/");
        for n in 0..size / 4096 {
            request = request.header(format!("x-{n}"), "x".repeat(4096));
        }
        client.ask(request.body(()).unwrap()).await
    };
    assert_eq!(large(12 * 1024).await.unwrap().status(), 200);
    for size in [20 * 1024, 56 * 1024] {
        let answer = large(size).await.unwrap();
        assert_eq!(answer.status(), 431, "{size}");
        assert!(!answer.headers().contains_key("connection"));
        assert!(text(answer).await.contains("the headers are too large"), "{size}");
    }
    let beyond = large(136 * 1024).await.unwrap();
    assert_eq!((beyond.status().as_u16(), text(beyond).await.as_str()), (431, ""));
    assert_eq!(client.get(&format!("/?{}", "x".repeat(9000))).await.unwrap().status(), 414);

    let declared = Request::post("http://x/form").header("content-length", "65537");
    let mut send = client.send.clone().ready().await.unwrap();
    let (answer, _body) = send.send_request(declared.body(()).unwrap(), false).unwrap();
    let answer = answer.await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("connection")), (413, None));
    assert_eq!(client.get("/").await.unwrap().status(), 200, "the others go on");

    // Four times what is allowed: not a mistake any more.
    assert!(large(300 * 1024).await.is_err());
    assert_eq!(client.ended().await, Some(Reason::ENHANCE_YOUR_CALM));
}

#[tokio::test]
async fn a_resting_connection_may_rest_longer_than_a_header_may_take_but_not_for_ever() {
    let limits = ConnectionLimits {
        header_timeout: Duration::from_millis(100),
        keep_alive: Duration::from_millis(600),
        ping_interval: Duration::from_millis(50),
        ..limits()
    };
    let served = Served::with(limits, None, &[]).await;
    let client = Client::connect(&served).await;
    assert_eq!(client.get("/").await.unwrap().status(), 200);
    let rested = tokio::time::Instant::now();
    assert_eq!(client.ended().await, None, "a farewell and no error");
    assert!(rested.elapsed() > Duration::from_millis(400), "{:?}", rested.elapsed());
}

#[tokio::test]
async fn a_request_that_takes_for_ever_is_reset_and_the_others_go_on() {
    let limits = ConnectionLimits { request_timeout: Duration::from_millis(200), ..limits() };
    let served = Served::with(limits, None, &[]).await;
    let client = Client::connect(&served).await;
    let refused = client.get("/held").await.unwrap_err();
    assert!(refused.is_reset() && refused.is_remote(), "{refused}");
    assert_eq!(client.get("/").await.unwrap().status(), 200);
}

#[tokio::test]
async fn as_many_requests_are_under_way_as_there_may_be_connections() {
    let limits = ConnectionLimits { max_connections: 1, ..limits() };
    let served = Served::with(limits, None, &[]).await;
    let client = Client::connect(&served).await;
    let mut send = client.send.clone().ready().await.unwrap();
    let held = Request::get("http://x/held").body(()).unwrap();
    let (held, _) = send.send_request(held, true).unwrap();
    served.holding.notified().await;

    let refused = client.get("/").await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (503, &HeaderValue::from_static("5"))
    );
    assert!(text(refused).await.contains("too many are waiting"));
    served.release.notify_one();
    assert_eq!(text(held.await.unwrap()).await, "held");
    assert_eq!(client.get("/").await.unwrap().status(), 200, "there is room again");
}

#[tokio::test]
async fn an_answer_that_is_not_read_to_its_end_is_under_way_until_its_time_is_up() {
    let (max_connections, request_timeout) = (1, Duration::from_secs(2));
    let served =
        Served::with(ConnectionLimits { max_connections, request_timeout, ..limits() }, None, &[])
            .await;
    let stream = served.connect().await;
    let mut narrow = h2::client::Builder::new();
    let (send, connection) =
        narrow.initial_window_size(1).handshake::<_, Bytes>(stream).await.unwrap();
    let client = Client { send, connection: tokio::spawn(connection) };
    let mut unread = client.get("/").await.unwrap().into_body();
    assert_eq!(unread.data().await.unwrap().unwrap(), "h", "and there is room for no more");
    assert_eq!(client.get("/").await.unwrap().status(), 503);
    let cut = unread.data().await.unwrap().unwrap_err();
    assert!(cut.is_reset() && cut.is_remote(), "{cut}");
    assert_eq!(client.get("/").await.unwrap().status(), 200, "there is room again");
}

#[tokio::test]
async fn stopping_finishes_what_was_begun_and_takes_nothing_new() {
    let served = Served::with(limits(), None, &[]).await;
    let (resting, busy) = (Client::connect(&served).await, Client::connect(&served).await);
    assert_eq!(resting.get("/").await.unwrap().status(), 200);
    let mut send = busy.send.clone().ready().await.unwrap();
    let held = Request::get("http://x/held").body(()).unwrap();
    let (held, _) = send.send_request(held, true).unwrap();
    served.holding.notified().await;

    served.stop.send(true).unwrap();
    assert_eq!(resting.ended().await, None, "a farewell and no error");
    assert!(TcpStream::connect(served.at).await.is_err(), "nobody new");
    served.release.notify_one();
    let answer = held.await.unwrap();
    assert!(!answer.headers().contains_key("connection"), "{answer:?}");
    assert_eq!(text(answer).await, "held");
    assert!(busy.get("/").await.is_err(), "and no further request");
    assert_eq!(busy.ended().await, None);
    timeout(Duration::from_secs(5), served.ended).await.expect("in time").unwrap();
}

#[tokio::test]
async fn methods_and_targets_of_no_use_are_answered_like_any_other() {
    let served = Served::with(limits(), None, &["x"]).await;
    let client = Client::connect(&served).await;
    let connect = Request::connect("x:443").body(()).unwrap();
    assert_eq!(client.ask(connect).await.unwrap().status(), 400);
    let options = Request::options("http://x/").body(()).unwrap();
    assert_eq!(client.ask(options).await.unwrap().status(), 405);
    assert_eq!(client.get("/nowhere").await.unwrap().status(), 404);
    assert_eq!(client.get("/panics").await.unwrap().status(), 500);
    assert_eq!(client.get("/hangs").await.unwrap().status(), 503);
    assert_eq!(client.get("/").await.unwrap().status(), 200);
}
