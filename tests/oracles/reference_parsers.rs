//! Slow and simple parsers of the formats that Latchkey parses.

use std::net::{IpAddr, Ipv6Addr};

use serde_json::Value;

/// Base64 without line breaks or stray bits ([RFC 4648 §3.5]), digit by digit.
///
/// [RFC 4648 §3.5]: https://www.rfc-editor.org/rfc/rfc4648#section-3.5
pub fn base64(text: &[u8], alphabet_end: [u8; 2], padded: bool) -> Option<Vec<u8>> {
    let letters: Vec<u8> = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').collect();
    let digit = |byte: &u8| {
        let all = letters.iter().chain(&alphabet_end);
        all.enumerate().find(|(_, letter)| *letter == byte).map(|(at, _)| at)
    };
    let bare = text.iter().take_while(|byte| **byte != b'=').count();
    let padding = text.len() - bare;
    if text[bare..].iter().any(|byte| *byte != b'=') || bare % 4 == 1 {
        return None;
    }
    if padding != if padded { (4 - bare % 4) % 4 } else { 0 } {
        return None;
    }
    let mut bits: Vec<bool> = Vec::new();
    for byte in &text[..bare] {
        let value = digit(byte)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1 == 1));
    }
    let whole = bits.len() / 8 * 8;
    if bits[whole..].iter().any(|bit| *bit) {
        return None;
    }
    let byte = |bits: &[bool]| bits.iter().fold(0_u8, |byte, bit| byte << 1 | u8::from(*bit));
    Some(bits[..whole].chunks(8).map(byte).collect())
}

/// Base64url without padding, as JOSE has it ([RFC 7515 §2](https://www.rfc-editor.org/rfc/rfc7515#section-2)).
pub fn base64url(text: &[u8]) -> Option<Vec<u8>> {
    base64(text, *b"-_", false)
}

/// One name or value of a form ([URL Standard](https://url.spec.whatwg.org/#urlencoded-parsing)), where
/// anything undecodable is an error.
pub fn form_decoded(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::new();
    let mut at = 0;
    while at < text.len() {
        if text[at] == b'%' {
            let pair = std::str::from_utf8(text.get(at + 1..at + 3)?).ok()?;
            if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            bytes.push(u8::from_str_radix(pair, 16).ok()?);
            at += 3;
        } else {
            bytes.push(if text[at] == b'+' { b' ' } else { text[at] });
            at += 1;
        }
    }
    String::from_utf8(bytes).ok()
}

/// A URI taken apart by the expression of [RFC 3986 appendix B], and its authority by §3.2.
///
/// [RFC 3986 appendix B]: https://www.rfc-editor.org/rfc/rfc3986#appendix-B
#[derive(Debug, Default)]
pub struct Uri<'a> {
    pub scheme: Option<&'a str>,
    pub user: Option<&'a str>,
    pub host: Option<&'a str>,
    pub port: Option<&'a str>,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub fragment: Option<&'a str>,
}

impl<'a> Uri<'a> {
    pub fn split(text: &'a str) -> Self {
        let mut uri = Self::default();
        let (rest, fragment) = cut(text, '#');
        let (mut rest, query) = cut(rest, '?');
        (uri.query, uri.fragment) = (query, fragment);
        if let Some((scheme, after)) = rest.split_once(':')
            && !scheme.is_empty()
            && !scheme.contains('/')
        {
            (uri.scheme, rest) = (Some(scheme), after);
        }
        if let Some(after) = rest.strip_prefix("//") {
            let end = after.find('/').unwrap_or(after.len());
            let (authority, path) = after.split_at(end);
            rest = path;
            let (user, place) = match authority.split_once('@') {
                Some((user, place)) => (Some(user), place),
                None => (None, authority),
            };
            let bracket = place.find(']').map_or(0, |at| at + 1);
            let colon = place[bracket..].find(':').map(|at| bracket + at);
            uri.user = user;
            uri.host = Some(&place[..colon.unwrap_or(place.len())]);
            uri.port = colon.map(|at| &place[at + 1..]);
        }
        uri.path = rest;
        uri
    }

    /// Whether both of these hosts, one of them a browser's, are one.
    pub fn host_is(&self, seen: Option<&str>) -> bool {
        let address = |host: &str| -> Option<Ipv6Addr> {
            host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
        };
        match (self.host.filter(|host| !host.is_empty()), seen.filter(|host| !host.is_empty())) {
            (None, None) => true,
            (Some(ours), Some(theirs)) => {
                ours.eq_ignore_ascii_case(theirs)
                    || address(ours).is_some_and(|it| address(theirs) == Some(it))
            }
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// `localhost` and below, 127.0.0.0/8 and `::1`, as text.
    pub fn is_loopback(&self) -> bool {
        let Some(host) = self.host.map(str::to_ascii_lowercase) else { return false };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.ends_with(".localhost")
            || bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    match text.split_once(at) {
        Some((before, after)) => (before, Some(after)),
        None => (text, None),
    }
}

/// How many brackets are open at once, outside of strings.
pub fn json_depth(text: &[u8]) -> usize {
    let (mut deepest, mut depth, mut inside, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'[' | b'{' if !inside => depth += 1,
            b']' | b'}' if !inside => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// A `NumericDate` as whole seconds ([RFC 7519 §2](https://www.rfc-editor.org/rfc/rfc7519#section-2)):
/// `Err` for what is none.
pub fn seconds(value: Option<&Value>) -> Result<Option<u64>, ()> {
    let Some(value) = value else { return Ok(None) };
    let Value::Number(number) = value else { return Err(()) };
    if let Some(whole) = number.as_u64() {
        return Ok(Some(whole));
    }
    let float = number.as_f64().ok_or(())?;
    let text = format!("{:.0}", float.trunc());
    if (0.0..1e15).contains(&float) { text.parse().map(Some).map_err(drop) } else { Err(()) }
}

/// A claim that has to be text where it is there at all.
pub fn string(value: Option<&Value>) -> Result<Option<&str>, ()> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(()),
    }
}

/// `aud` as a list ([RFC 7519 §4.1.3](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3)).
pub fn audience(value: Option<&Value>) -> Result<Vec<&str>, ()> {
    match value {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(all)) => all.iter().map(|one| one.as_str().ok_or(())).collect(),
        Some(_) => Err(()),
    }
}
