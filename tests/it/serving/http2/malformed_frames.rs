//! HTTP/2 frames that no well-behaved client sends.

use super::*;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const END_STREAM: u8 = 1;
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head, &stream.to_be_bytes()[..], payload].concat()
}

/// Header fields as HPACK writes them without any compression.
fn fields(pairs: &[(&str, &str)]) -> Vec<u8> {
    let text = |it: &str| [&[u8::try_from(it.len()).unwrap()], it.as_bytes()].concat();
    pairs.iter().flat_map(|(name, value)| [&[0][..], &text(name), &text(value)].concat()).collect()
}

fn get_fields(path: &str) -> Vec<u8> {
    fields(&[(":method", "GET"), (":scheme", "http"), (":authority", "x"), (":path", path)])
}

fn get_frame(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &get_fields(path))
}

/// The next frame: its kind, its stream and what is in it. `None` once the server has closed.
async fn next(stream: &mut TcpStream) -> Option<(u8, u32, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
}

/// Everything the server says to these frames until it closes: within ten seconds.
async fn told(served: &Served, frames: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let mut stream = served.connect().await;
    stream.write_all(&[PREFACE, frames].concat()).await.unwrap();
    let mut said = Vec::new();
    let all = async {
        while let Some(frame) = next(&mut stream).await {
            said.push(frame);
        }
    };
    timeout(Duration::from_secs(10), all).await.expect("the server closes");
    said
}

/// The reason of the last farewell.
fn farewell(said: &[(u8, u32, Vec<u8>)]) -> Option<Reason> {
    let (_, _, payload) = said.iter().rfind(|(kind, _, _)| *kind == GOAWAY)?;
    Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()).into())
}

#[tokio::test]
async fn a_request_without_an_authority_is_named_by_its_host() {
    let served = Served::with(limits(), None, &["id.example"]).await;
    let nameless = fields(&[(":method", "GET"), (":scheme", "http"), (":path", "/named")]);
    let by_host = [&*nameless, &fields(&[("host", "id.example")])].concat();
    for (block, expected) in [(nameless, "400"), (by_host, "200")] {
        let mut stream = served.connect().await;
        let asked = frame(HEADERS, END_HEADERS | END_STREAM, 1, &block);
        stream.write_all(&[PREFACE, &asked].concat()).await.unwrap();
        let answered = async {
            while let Some((kind, _, payload)) = next(&mut stream).await {
                if kind == HEADERS {
                    return payload[0];
                }
            }
            0
        };
        // The two statuses that have a number of their own in HPACK's table.
        let code = if expected == "200" { 0x88 } else { 0x8c };
        assert_eq!(answered.await, code, "{expected}");
    }
}

#[tokio::test]
async fn a_header_or_a_preface_that_does_not_come_to_an_end_is_cut() {
    let limits = ConnectionLimits { header_timeout: Duration::from_millis(200), ..limits() };
    let served = Served::with(limits, None, &[]).await;
    assert_eq!(served.told("").await, "", "silent from the start");
    assert_eq!(served.told("PRI * HTTP/2.0\r\n").await, "", "begun and not ended");
    let block = get_fields("/");
    for frames in [
        frame(HEADERS, END_STREAM, 1, &block),
        get_frame(1, "/")[..20].to_vec(),
        [frame(HEADERS, END_STREAM, 1, &block), frame(CONTINUATION, 0, 1, b"")].concat(),
        [get_frame(1, "/held"), frame(HEADERS, END_STREAM, 3, &block)].concat(),
    ] {
        let said = told(&served, &frames).await;
        assert!(said.iter().all(|(kind, _, _)| *kind != HEADERS), "{said:?}");
    }
}

#[tokio::test]
async fn who_does_not_read_an_answer_loses_it() {
    let limits = ConnectionLimits { request_timeout: Duration::from_millis(200), ..limits() };
    let served = Served::with(limits, None, &[]).await;
    // SETTINGS_INITIAL_WINDOW_SIZE: there is never room for a whole body, if for any of it.
    for window in [0, 1, 4] {
        let mut stream = served.connect().await;
        let narrow = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, window]);
        let preface = &PREFACE[..24];
        stream.write_all(&[preface, &narrow, &get_frame(1, "/")].concat()).await.unwrap();
        let reset = async {
            while let Some((kind, on, _)) = next(&mut stream).await {
                if (kind, on) == (RST_STREAM, 1) {
                    return true;
                }
            }
            false
        };
        assert!(timeout(Duration::from_secs(10), reset).await.expect("in time"), "{window}");
    }
}

#[tokio::test]
async fn more_streams_than_there_may_be_are_refused() {
    let served = Served::with(limits(), None, &[]).await;
    let mut stream = served.connect().await;
    let asked: Vec<u8> = (0..101).flat_map(|n| get_frame(1 + 2 * n, "/held")).collect();
    stream.write_all(&[PREFACE, &asked].concat()).await.unwrap();
    let refused = async {
        while let Some((kind, on, payload)) = next(&mut stream).await {
            if kind == RST_STREAM {
                return Some((on, u32::from_be_bytes(payload.try_into().unwrap()).into()));
            }
        }
        None
    };
    let refused = timeout(Duration::from_secs(10), refused).await.expect("in time");
    assert_eq!(refused, Some((201, Reason::REFUSED_STREAM)));
}

#[tokio::test]
async fn who_takes_back_requests_before_they_are_looked_at_is_told_to_calm_down() {
    let served = Served::with(limits(), None, &[]).await;
    let both = |stream| {
        let cancel = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        [get_frame(stream, "/held"), cancel].concat()
    };
    let rapid: Vec<u8> = (0..500).flat_map(|n| both(1 + 2 * n)).collect();
    let said = told(&served, &rapid).await;
    assert_eq!(farewell(&said), Some(Reason::ENHANCE_YOUR_CALM), "{said:?}");
    assert_eq!(status(&served.get("/", "").await), "200");
}

#[tokio::test]
async fn who_takes_back_requests_that_were_begun_is_cut_off_unless_ten_times_as_many_are_answered()
{
    let served = Served::with(limits(), None, &[]).await;
    let begin = async |client: &Client| {
        let mut send = client.send.clone().ready().await?;
        let (answer, mut stream) =
            send.send_request(Request::get("http://x/held").body(()).unwrap(), true)?;
        tokio::select! {
            () = served.holding.notified() => {}
            failed = answer => return failed.map(drop),
        }
        stream.send_reset(Reason::CANCEL);
        Ok(())
    };
    let browser = Client::connect(&served).await;
    for _ in 0..120 {
        begin(&browser).await.unwrap();
        for _ in 0..10 {
            assert_eq!(browser.get("/").await.unwrap().status(), 200);
        }
    }
    // Whoever takes back each request, and whoever takes back every other.
    for every_other in [false, true] {
        let rapid = Client::connect(&served).await;
        let mut begun = 0;
        while begin(&rapid).await.is_ok() && !(every_other && rapid.get("/").await.is_err()) {
            begun += 1;
            assert!(begun < 1000, "nobody stops it");
        }
        assert!(begun > 99, "{begun}");
        rapid.ended().await;
    }
    assert_eq!(browser.get("/").await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_header_of_endless_pieces_and_endless_small_bodies_are_cut_off() {
    let served = Served::with(limits(), None, &[]).await;
    let pieces = frame(CONTINUATION, 0, 1, b"").repeat(5000);
    let begun = frame(HEADERS, END_STREAM, 1, &get_fields("/"));
    let said = told(&served, &[begun, pieces].concat()).await;
    assert_eq!(farewell(&said), Some(Reason::ENHANCE_YOUR_CALM), "{said:?}");

    let post = fields(&[
        (":method", "POST"),
        (":scheme", "http"),
        (":authority", "x"),
        (":path", "/form"),
    ]);
    let begun = frame(HEADERS, END_HEADERS, 1, &post);
    let empty = frame(0, 0, 1, b"").repeat(50_000);
    let said = told(&served, &[begun, empty].concat()).await;
    assert_eq!(farewell(&said), Some(Reason::ENHANCE_YOUR_CALM), "{said:?}");
}

#[tokio::test]
async fn a_peer_that_is_no_longer_there_is_not_waited_for() {
    let limits = ConnectionLimits {
        ping_interval: Duration::from_millis(100),
        ping_timeout: Duration::from_millis(100),
        ..limits()
    };
    let served = Served::with(limits, None, &[]).await;
    // It asks, and answers no ping.
    let said = told(&served, &get_frame(1, "/held")).await;
    assert!(said.iter().any(|(kind, _, _)| *kind == 6), "{said:?}");
    assert!(said.iter().all(|(kind, _, _)| *kind != HEADERS), "{said:?}");
}

#[tokio::test]
async fn a_peer_that_is_told_to_go_and_does_not_is_left() {
    let limits = ConnectionLimits { keep_alive: Duration::from_millis(200), ..limits() };
    let served = Served::with(limits, None, &[]).await;
    let said = told(&served, b"").await;
    assert_eq!(farewell(&said), Some(Reason::NO_ERROR), "{said:?}");
}
