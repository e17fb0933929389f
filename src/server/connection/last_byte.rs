//! Sends the last byte of an HTTP/2 response by itself.
//!
//! hyper hands a whole piece of a body to `h2` once there is window for one byte of it, and drops the body after the last
//! piece: that the peer never makes room for the rest would not be noticed ([RFC 9113 §6.9]). With its last byte in a
//! piece of its own, a body is dropped only when there is window for all of it.
//!
//! [RFC 9113 §6.9]: https://www.rfc-editor.org/rfc/rfc9113#section-6.9

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// Yields each piece of a body in two: all but its last byte, then that byte.
pub(super) struct SplitLastByte<B> {
    body: B,
    last_byte: Option<Bytes>,
}

impl<B> SplitLastByte<B> {
    pub(super) fn new(body: B) -> Self {
        Self { body, last_byte: None }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for SplitLastByte<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(last) = self.last_byte.take() {
            return Poll::Ready(Some(Ok(Frame::data(last))));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
        Poll::Ready(Some(Ok(frame.map_data(|mut data| {
            if data.len() > 1 {
                self.last_byte = Some(data.split_off(data.len() - 1));
            }
            data
        }))))
    }

    fn is_end_stream(&self) -> bool {
        self.last_byte.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let held = self.last_byte.as_ref().map_or(0, |_| 1);
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower() + held);
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + held);
        }
        hint
    }
}
