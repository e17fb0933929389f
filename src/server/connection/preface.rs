//! The first bytes of a connection that may speak either HTTP
//! ([RFC 9113 §3.3, §3.4](https://www.rfc-editor.org/rfc/rfc9113#section-3.4)).

use std::io::{self, Cursor};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Chain, ReadBuf};

/// What every HTTP/2 connection begins with.
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads until it is clear whether this is HTTP/2. The returned stream yields those bytes again.
pub(super) async fn detect<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<(bool, Rewind<S>)> {
    let (mut first, mut len) = ([0; PREFACE.len()], 0);
    while len < first.len() && PREFACE.starts_with(&first[..len]) {
        match stream.read(&mut first[len..]).await? {
            0 => break,
            more => len += more,
        }
    }
    let again = Cursor::new(first[..len].to_vec());
    Ok((first == *PREFACE, Rewind(AsyncReadExt::chain(again, stream))))
}

/// A stream whose first bytes are read again.
pub(super) struct Rewind<S>(Chain<Cursor<Vec<u8>>, S>);

impl<S: AsyncRead + Unpin> Rewind<S> {
    fn stream(self: Pin<&mut Self>) -> Pin<&mut S> {
        Pin::new(self.get_mut().0.get_mut().1)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewind<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Rewind<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.get_ref().1.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_bytes_tell_and_none_of_them_is_lost() {
        let whole = [PREFACE.as_slice(), b"\0\0\0\x04\0\0\0\0\0"].concat();
        for (first, is_http2) in [
            (whole.as_slice(), true),
            (b"GET / HTTP/1.1\r\n\r\n", false),
            (b"PUT / HTTP/1.1\r\n\r\n", false),
            (b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n", false),
            (b"PRI * HTTP/2.0\r\n", false),
            (b"", false),
        ] {
            // By single bytes, as a slow network brings them.
            let (mut near, far) = tokio::io::duplex(1);
            let sent = first.to_vec();
            tokio::spawn(async move {
                let _gone = tokio::io::AsyncWriteExt::write_all(&mut near, &sent).await;
            });
            let (found, mut stream) = detect(far).await.unwrap();
            let mut again = Vec::new();
            stream.read_to_end(&mut again).await.unwrap();
            assert_eq!((found, &*again), (is_http2, first));
        }
    }
}
