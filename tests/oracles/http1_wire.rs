use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::sync::OnceLock;
use std::time::Duration;

use latchkey::server::serve::{ConnectionLimits, serve};
use tokio::sync::watch;

use super::in_process_server::InProcessServer;

/// Bytes on a connection get at most as many answers as a slow reader of [RFC 9112] finds requests in them:
/// a request that two servers could frame differently is at most the last one (§6.3, §11.2). Every answer
/// is well-formed, and none is our fault.
///
/// [RFC 9112]: https://www.rfc-editor.org/rfc/rfc9112
pub fn http1_wire(data: &[u8]) {
    let asked = ParsedRequests::in_these(data);
    let said = converse(data, &asked);
    holds(&asked, &said);
}

/// These bytes as an answer to that.
pub fn holds(asked: &ParsedRequests, said: &[u8]) {
    let statuses = answers(said, asked);
    assert!(statuses.len() <= asked.methods.len(), "{statuses:?} to {asked:?}");
    for status in &statuses {
        assert!(*status < 500 || [501, 503].contains(status), "{status} to {asked:?}");
    }
    // Of several, the first may be the last that it wants to hear; a single one has its answer.
    let alone = asked.is_clean && asked.methods.len() == 1;
    assert!(!alone || statuses.len() == 1, "no answer to {asked:?}");
}

/// The requests as a slow and simple parser reads them.
#[derive(Debug, Default)]
pub struct ParsedRequests {
    /// One for each request; the last one may be incomplete, or be none at all.
    pub methods: Vec<String>,
    /// Whether every request was whole and there was nothing behind it.
    pub is_clean: bool,
}

impl ParsedRequests {
    pub fn in_these(mut data: &[u8]) -> Self {
        let mut asked = Self::default();
        loop {
            // Empty lines before a request are passed over (§2.2).
            while let [b'\r' | b'\n', rest @ ..] = data {
                data = rest;
            }
            if data.is_empty() {
                asked.is_clean = true;
                return asked;
            }
            let method = data.split(|byte| *byte == b' ').next().unwrap_or_default();
            asked.methods.push(String::from_utf8_lossy(method).into_owned());
            let Some(rest) = head(data).and_then(|(head, rest)| body(&head, rest)) else {
                return asked;
            };
            data = rest;
        }
    }
}

/// The lines of the head, and what is behind it. A line may end in a bare LF (§2.2).
fn head(data: &[u8]) -> Option<(Vec<String>, &[u8])> {
    let (mut lines, mut rest) = (Vec::new(), data);
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        if line.is_empty() {
            return Some((lines, rest));
        }
        lines.push(line.iter().copied().map(char::from).collect());
    }
}

/// What is behind the body; nothing if there is any doubt about where that is.
fn body<'a>(head: &[String], rest: &'a [u8]) -> Option<&'a [u8]> {
    let (first, fields) = head.split_first()?;
    let words: Vec<&str> = first.split(' ').collect();
    let ["1.1" | "1.0"] = words.last()?.strip_prefix("HTTP/").into_iter().collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let (mut length, mut chunked) = (None, false);
    for field in fields {
        let (name, value) = field.split_once(':')?;
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(token) {
            return None;
        }
        let value = value.trim_matches([' ', '\t']).to_ascii_lowercase();
        match &*name.to_ascii_lowercase() {
            "content-length" => {
                let said: usize = value.parse().ok()?;
                if length.is_some_and(|before| before != said) || value.starts_with('+') {
                    return None;
                }
                length = Some(said);
            }
            // Any other coding, or several, may be read differently elsewhere (§6.1, §6.3).
            "transfer-encoding" if value == "chunked" && !chunked => chunked = true,
            "transfer-encoding" | "upgrade" => return None,
            _ => {}
        }
    }
    // Both at once are how requests are smuggled (§6.3).
    match (chunked, length) {
        (true, Some(_)) => None,
        (true, None) => chunks(rest),
        (false, length) => rest.get(length.unwrap_or(0)..),
    }
}

fn chunks(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        // What an extension says may be any bytes (RFC 9110 §5.6.4, `obs-text`).
        let size = rest[..end].split(|byte| b"; \t".contains(byte)).next()?;
        let size = std::str::from_utf8(size).ok()?;
        let digits = !size.is_empty() && size.bytes().all(|it| it.is_ascii_hexdigit());
        let size = usize::from_str_radix(size, 16).ok().filter(|_| digits)?;
        rest = &rest[end + 2..];
        if size == 0 {
            return head(rest).map(|(_, rest)| rest);
        }
        rest = rest.get(size..)?.strip_prefix(b"\r\n")?;
    }
}

/// The statuses of the whole answers, but for those that only announce another.
fn answers(mut said: &[u8], asked: &ParsedRequests) -> Vec<u16> {
    let mut statuses = Vec::new();
    loop {
        let method = asked.methods.get(statuses.len()).map_or("", String::as_str);
        let Some((status, rest)) = answer(said, method) else { return statuses };
        said = rest;
        if status >= 200 {
            statuses.push(status);
        }
    }
}

/// The status, and what is behind this answer; nothing if it is not whole.
fn answer<'a>(said: &'a [u8], method: &str) -> Option<(u16, &'a [u8])> {
    let (head, rest) = head(said)?;
    let (first, fields) = head.split_first().expect("a status line");
    let status = first.strip_prefix("HTTP/1.1 ").or(first.strip_prefix("HTTP/1.0 "));
    let status = status.and_then(|it| it.get(..3)?.parse().ok());
    let status: u16 = status.unwrap_or_else(|| panic!("no status: {first}"));
    let named = |name: &str| {
        let mut all = fields.iter().filter_map(|field| field.split_once(':'));
        all.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    assert_eq!(named("transfer-encoding"), None, "{head:?}");
    let length = named("content-length").map_or(0, |it| it.parse().expect("a length"));
    let bare = method == "HEAD" || status < 200 || [204, 304].contains(&status);
    Some((status, rest.get(if bare { 0 } else { length }..)?))
}

/// Sends it, hears so many answers, says that there is nothing more to come, and hears the rest.
fn converse(data: &[u8], asked: &ParsedRequests) -> Vec<u8> {
    let mut stream = TcpStream::connect(server()).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("an open socket");
    let _ = stream.set_nodelay(true);
    // Who is refused early is not listened to until the end.
    let _ = stream.write_all(data);
    let mut said = Vec::new();
    let mut piece = [0; 16 * 1024];
    let mut hears = |said: &mut Vec<u8>, stream: &mut TcpStream| match stream.read(&mut piece) {
        Ok(0) | Err(_) => false,
        Ok(read) => {
            said.extend_from_slice(&piece[..read]);
            true
        }
    };
    while asked.is_clean && answers(&said, asked).len() < asked.methods.len() {
        if !hears(&mut said, &mut stream) {
            return said;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    while hears(&mut said, &mut stream) {}
    said
}

/// A server on loopback, for as long as the process lives.
fn server() -> SocketAddr {
    static AT: OnceLock<SocketAddr> = OnceLock::new();
    *AT.get_or_init(|| {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let provider = InProcessServer::build();
            provider.waits(async {
                let listener =
                    tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
                tell.send(listener.local_addr().expect("its address")).expect("who asked");
                let limits = ConnectionLimits {
                    header_timeout: Duration::from_secs(2),
                    max_connections_per_address: 4096,
                    ..ConnectionLimits::default()
                };
                let (_stop, stopped) = watch::channel(false);
                serve(vec![listener], None, provider.router(), limits, stopped, Duration::ZERO)
                    .await;
            });
        });
        told.recv().expect("a server")
    })
}
