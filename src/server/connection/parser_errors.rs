//! Replaces the responses that hyper makes by itself for what never became a request: it writes a status and nothing else.
//! Here they become an [`ErrorResponse`], as a page or as JSON, on their way to the socket.

use std::io::Write as _;
use std::task::{Context, Poll, Waker};

use axum::body::HttpBody;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use tower::BoxError;

use super::MAX_URI_LEN;
use crate::infra::random;
use crate::server::error_response::ErrorResponse;
use crate::server::response_format::ResponseFormat;
use crate::server::response_headers::{X_REQUEST_ID, set_security_headers};

/// The start of a request, as far as it is needed for an error response.
#[derive(Debug, Default)]
pub(super) struct RequestStart {
    prefix: Vec<u8>,
    /// Bytes of the first line so far, and whether it has ended.
    line: usize,
    line_ended: bool,
}

/// Long enough for a method and the path of a page.
const MAX_PREFIX: usize = 32;

impl RequestStart {
    pub(super) fn record(&mut self, bytes: &[u8]) {
        if self.line_ended {
            return;
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        self.prefix.extend(bytes.iter().take(MAX_PREFIX - self.prefix.len()));
        self.line += end.unwrap_or(bytes.len());
        self.line_ended = end.is_some();
    }

    fn format(&self) -> ResponseFormat {
        let text = str::from_utf8(&self.prefix).unwrap_or_default();
        let (method, target) = text.split_once(' ').unwrap_or_default();
        ResponseFormat::from_request_line(
            method,
            target.split([' ', '?']).next().unwrap_or_default(),
        )
    }
}

/// The response to be written instead of these bytes, if they are one of hyper's own.
pub(super) fn replacement_for(bytes: &[u8], start: &RequestStart, https: bool) -> Option<Vec<u8>> {
    let refusal = match bare_status(bytes)? {
        StatusCode::BAD_REQUEST => ErrorResponse::MalformedRequest,
        StatusCode::URI_TOO_LONG => ErrorResponse::UriTooLong,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE if start.line > MAX_URI_LEN => {
            ErrorResponse::UriTooLong
        }
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => ErrorResponse::HeadersTooLarge,
        _ => return None,
    };
    encode_error(refusal, start.format(), https)
}

/// The bytes of an error response to what was no readable request; the connection is closed after it.
pub(in crate::server) fn encode_error(
    refusal: ErrorResponse,
    reader: ResponseFormat,
    https: bool,
) -> Option<Vec<u8>> {
    let id = random::uuid().to_string();
    tracing::info!(%id, status = refusal.status().as_u16(), "answered what was no whole request");
    let mut answer = refusal.to_response(reader, &id, None);
    let headers = answer.headers_mut();
    set_security_headers(headers, https);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    headers.insert(X_REQUEST_ID, HeaderValue::from_str(&id).ok()?);
    encode(answer).ok()
}

/// The status of a response of hyper's own: those have no headers but these, and each of ours has more.
fn bare_status(bytes: &[u8]) -> Option<StatusCode> {
    let text = str::from_utf8(bytes).ok()?.strip_suffix("\r\n\r\n")?;
    let (line, headers) = text.strip_prefix("HTTP/1.1 ")?.split_once("\r\n")?;
    let known = ["connection: close", "content-length: 0"];
    let bare = |it: &str| known.contains(&it) || it.starts_with("date: ");
    headers.split("\r\n").all(bare).then(|| line.get(..3)?.parse().ok()).flatten()
}

/// The response in wire format ([RFC 9112 §2.1]).
///
/// [RFC 9112 §2.1]: https://www.rfc-editor.org/rfc/rfc9112#section-2.1
fn encode(answer: Response) -> Result<Vec<u8>, BoxError> {
    let (parts, mut body) = answer.into_parts();
    let mut text = Vec::new();
    // The bodies of error responses are in memory.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_too_many_connections_is_told_so_with_the_headers_of_every_answer() {
        for https in [true, false] {
            let answer =
                encode_error(ErrorResponse::Overloaded, ResponseFormat::Json, https).unwrap();
            let answer = String::from_utf8(answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{head}");
            let length = format!("content-length: {}", body.len());
            for line in ["cache-control: no-store", "connection: close", "retry-after: 5", &length]
            {
                assert!(head.lines().any(|it| it == line), "{line}: {head}");
            }
            assert!(head.contains("\r\nx-request-id: "), "{head}");
            assert_eq!(head.contains("strict-transport-security: "), https, "{head}");
            assert!(body.contains("temporarily_unavailable"), "{body}");
        }
    }
}
