//! The answers that hyper makes by itself, to what never became a request: a status, no words. They get the
//! words of [`Refusal`] here, as page or as JSON, on their way to the socket.

use std::io::Write as _;
use std::task::{Context, Poll, Waker};

use axum::body::HttpBody;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use tower::BoxError;

use crate::random;
use crate::server::layers::{MAX_URI, X_REQUEST_ID, secure};
use crate::server::reader::Reader;
use crate::server::refusal::Refusal;

/// What is remembered of how a request began.
#[derive(Debug, Default)]
pub(super) struct Start {
    first: Vec<u8>,
    /// Bytes of the first line so far, and whether it has come to its end.
    line: usize,
    line_ended: bool,
}

/// Enough for a method and the path of a page.
const FIRST: usize = 32;

impl Start {
    pub(super) fn arrived(&mut self, bytes: &[u8]) {
        if self.line_ended {
            return;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        self.first.extend(bytes.iter().take(FIRST - self.first.len()));
        self.line += end.unwrap_or(bytes.len());
        self.line_ended = end.is_some();
    }

    fn reader(&self) -> Reader {
        let text = str::from_utf8(&self.first).unwrap_or_default();
        let (method, target) = text.split_once(' ').unwrap_or_default();
        Reader::of_start(method, target.split([' ', '?']).next().unwrap_or_default())
    }
}

/// The whole answer to be written instead of these bytes, if they are one of hyper's own.
pub(super) fn reworded(bytes: &[u8], start: &Start) -> Option<Vec<u8>> {
    let refusal = match status_of_bare(bytes)? {
        StatusCode::BAD_REQUEST => Refusal::Unreadable,
        StatusCode::URI_TOO_LONG => Refusal::UriTooLong,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE if start.line > MAX_URI => Refusal::UriTooLong,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => Refusal::HeadersTooLarge,
        _ => return None,
    };
    let id = random::uuid().to_string();
    tracing::info!(%id, status = refusal.status().as_u16(), "answered what was no whole request");
    let mut answer = refusal.worded(start.reader(), &id, None);
    secure(answer.headers_mut(), false);
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(X_REQUEST_ID, id);
    }
    written(answer).ok()
}

/// The status of an answer that says nothing else: hyper's own have no header but these, and every one of
/// ours has more.
fn status_of_bare(bytes: &[u8]) -> Option<StatusCode> {
    let text = str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let (line, headers) = text.strip_prefix("HTTP/1.1 ")?.split_once("\r\n")?;
    let known = ["connection: close", "content-length: 0"];
    let bare = |it: &str| known.contains(&it) || it.starts_with("date: ");
    headers.split("\r\n").all(bare).then(|| line.get(..3)?.parse().ok()).flatten()
}

/// The answer as it stands on the wire ([RFC 9112 §2.1]).
///
/// [RFC 9112 §2.1]: https://www.rfc-editor.org/rfc/rfc9112#section-2.1
fn written(answer: Response) -> Result<Vec<u8>, BoxError> {
    let (parts, mut body) = answer.into_parts();
    let mut text = Vec::new();
    // A body of ours is there at once.
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(frame)) = std::pin::Pin::new(&mut body).poll_frame(&mut cx) {
        text.extend(frame?.into_data().unwrap_or_default());
    }
    let mut wire = Vec::with_capacity(text.len() + 512);
    write!(wire, "HTTP/1.1 {}\r\n", parts.status)?;
    let length = ("content-length", HeaderValue::from(text.len()));
    let named = parts.headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH);
    let lines = named.map(|(name, value)| (name.as_str(), value));
    for (name, value) in lines.chain([(length.0, &length.1)]) {
        write!(wire, "{name}: ")?;
        wire.extend(value.as_bytes());
        wire.extend(b"\r\n");
    }
    wire.extend(b"\r\n");
    wire.extend(text);
    Ok(wire)
}
