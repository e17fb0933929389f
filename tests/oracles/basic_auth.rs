use latchkey::protocol::client_auth::read_basic;

use super::{lines, reference_parsers, text};

/// A Basic header is read as a slow reader does it ([RFC 7617 §2], [RFC 6749 §2.3.1]): strict base64, cut at
/// the first colon, both halves form-decoded. Whatever id and secret were written, they are read again.
///
/// Lines: a header's value; or, behind `+`, an id, and a secret.
///
/// [RFC 7617 §2]: https://www.rfc-editor.org/rfc/rfc7617#section-2
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub fn basic_auth(data: &[u8]) {
    holds(data, read_basic);
}

pub fn holds(data: &[u8], read: impl Fn(&str) -> Option<(String, String)>) {
    let [first, secret] = lines(data);
    if let Some(id) = first.strip_prefix(b"+") {
        let (id, secret) = (text(id), text(secret));
        let expected = (!id.is_empty()).then(|| (id.clone(), secret.clone()));
        assert_eq!(read(&written(&id, &secret)), expected);
    }
    let header = text(data);
    let found = read(&header);
    assert_eq!(found, slowly(&header), "{header:?}");
    if let Some((id, secret)) = found {
        assert_eq!(read(&written(&id, &secret)), Some((id, secret)), "{header:?}");
    }
}

/// As a client writes it.
fn written(id: &str, secret: &str) -> String {
    let encoded =
        |it: &str| url::form_urlencoded::byte_serialize(it.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(id), encoded(secret));
    let url =
        latchkey::infra::secret::base64url(pair.as_bytes()).replace('-', "+").replace('_', "/");
    let padding = "=".repeat((4 - url.len() % 4) % 4);
    format!("Basic {url}{padding}")
}

fn slowly(header: &str) -> Option<(String, String)> {
    if header.len() < 6
        || !header.is_char_boundary(6)
        || !header[..6].eq_ignore_ascii_case("basic ")
    {
        return None;
    }
    let decoded = reference_parsers::base64(&header.as_bytes()[6..], *b"+/", true)?;
    let mut halves = decoded.splitn(2, |byte| *byte == b':');
    let id = reference_parsers::form_decoded(halves.next()?)?;
    let secret = reference_parsers::form_decoded(halves.next()?)?;
    if id.is_empty() { None } else { Some((id, secret)) }
}
