//! Drains an HTTP/2 request body that was answered before it was read.
//!
//! Dropping it would reset the stream with `NO_ERROR` after the response, as [RFC 9113 §8.1] has it. Against the same section,
//! clients discard the response then, and their user never learns that the body was too large. So the rest is read and
//! discarded, for a moment and up to a limit.
//!
//! [RFC 9113 §8.1]: https://www.rfc-editor.org/rfc/rfc9113#section-8.1

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::timeout;

const UNREAD_BODY_TIMEOUT: Duration = Duration::from_secs(1);
const MAX_UNREAD_BODY: usize = 1024 * 1024;

/// A body whose rest is read when it is dropped.
pub(super) struct DrainOnDrop(Option<Incoming>);

impl DrainOnDrop {
    pub(super) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
}

impl Drop for DrainOnDrop {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) else { return };
        tokio::spawn(timeout(UNREAD_BODY_TIMEOUT, async {
            let mut rest = Limited::new(body, MAX_UNREAD_BODY);
            while let Some(Ok(_)) = rest.frame().await {}
        }));
    }
}

impl Body for DrainOnDrop {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
