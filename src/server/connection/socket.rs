//! The stream of a connection: it reports what arrives, can replace what hyper writes, and closes without losing the last
//! bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// Sees the bytes between a socket and hyper.
pub(super) trait StreamTap: Unpin {
    /// These bytes were read.
    fn on_read(&mut self, bytes: &[u8]);

    /// What to write instead of these bytes, if not themselves.
    fn on_write(&mut self, bytes: &[u8]) -> Option<Vec<u8>>;
}

/// A socket with a [`StreamTap`].
pub(super) struct TappedStream<S, T> {
    stream: S,
    tap: T,
    /// Replaced bytes that are still to be written.
    pending: Vec<u8>,
    linger: Option<Linger>,
}

/// Reads and discards what still arrives, for a second and up to 1 MiB. A socket that is closed with unread bytes is
/// reset, and the reset may overtake the response
/// ([RFC 9112 §9.6](https://www.rfc-editor.org/rfc/rfc9112#section-9.6)).
struct Linger {
    timeout: Pin<Box<Sleep>>,
    remaining_bytes: usize,
}

impl Linger {
    fn new() -> Self {
        Self { timeout: Box::pin(sleep(Duration::from_secs(1))), remaining_bytes: 1024 * 1024 }
    }
}

impl<S, T: StreamTap> TappedStream<S, T> {
    pub(super) fn new(stream: S, tap: T) -> Self {
        Self { stream, tap, pending: Vec::new(), linger: None }
    }
}

impl<S: AsyncWrite + Unpin, T: StreamTap> TappedStream<S, T> {
    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.pending))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether other bytes are written in place of these.
    fn replace(&mut self, bytes: &[u8]) -> bool {
        let instead = self.tap.on_write(bytes);
        let found = instead.is_some();
        self.pending.extend(instead.unwrap_or_default());
        found
    }
}

impl<S: AsyncRead + Unpin, T: StreamTap> AsyncRead for TappedStream<S, T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if let Some(bytes) = buf.filled().get(before..)
            && !bytes.is_empty()
        {
            self.tap.on_read(bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin, T: StreamTap> AsyncWrite for TappedStream<S, T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(cx))?;
        if self.replace(buf) {
            return Poll::Ready(Ok(buf.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(cx))?;
        if let [only] = bufs
            && self.replace(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        let Self { stream, linger: lingering, .. } = self.get_mut();
        if lingering.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        let lingering = lingering.get_or_insert_with(Linger::new);
        let mut scrap = [0; 4096];
        loop {
            if lingering.timeout.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            let mut scrap = ReadBuf::new(&mut scrap);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut scrap));
            let came = scrap.filled().len();
            if read.is_err() || came == 0 || came > lingering.remaining_bytes {
                return Poll::Ready(Ok(()));
            }
            lingering.remaining_bytes -= came;
        }
    }
}
