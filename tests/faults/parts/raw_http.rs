//! HTTP by hand: half requests, too large ones, and ones that are never read to their end.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// The head of a request up to its last line, which the caller may leave out.
pub fn head(method: &str, path: &str, host: &str, more: &[&str]) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n");
    for line in more {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text
}

/// One connection.
pub async fn connect(at: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(at).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// One connection with hardly any room for what it has not read.
pub async fn connect_with_small_buffer(at: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4096)?;
    socket.connect(at).await
}

/// Ends it by a reset instead of a goodbye.
pub fn resets(stream: TcpStream) {
    let _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

/// The status that comes within this time, if one does.
pub async fn status(stream: &mut TcpStream, patience: Duration) -> Option<u16> {
    let mut said = Vec::new();
    let reading = async {
        loop {
            let mut piece = [0; 1024];
            let read = stream.read(&mut piece).await.ok()?;
            said.extend_from_slice(&piece[..read]);
            if said.len() >= 12 {
                return std::str::from_utf8(&said[9..12]).ok()?.parse().ok();
            }
            if read == 0 {
                return None;
            }
        }
    };
    timeout(patience, reading).await.ok()?
}

/// How long it takes until the other side has closed or reset the connection, whatever it says before;
/// none if it is still open after `patience`.
pub async fn is_closed_after(stream: &mut TcpStream, patience: Duration) -> Option<Duration> {
    let since = Instant::now();
    let reading = async {
        let mut piece = [0; 4096];
        while !matches!(stream.read(&mut piece).await, Ok(0) | Err(_)) {}
    };
    timeout(patience, reading).await.ok()?;
    Some(since.elapsed())
}

/// What was answered to something large.
#[derive(Clone, Copy, Debug)]
pub struct UploadOutcome {
    /// None if there was no answer.
    pub status: Option<u16>,
    /// How many bytes the server's side took before it said so.
    pub taken: usize,
}

/// Says the head and then `body` again and again, up to `most` bytes, while it listens for an answer;
/// whoever gets one stops sending.
pub async fn upload(
    at: SocketAddr,
    head: &str,
    body: &[u8],
    most: usize,
    patience: Duration,
) -> UploadOutcome {
    let Ok(stream) = connect(at).await else { return UploadOutcome { status: None, taken: 0 } };
    let (mut reading, mut writing) = stream.into_split();
    let mut taken = 0;
    let talk = async {
        let mut answer = Vec::new();
        let mut piece = [0; 1024];
        let pouring = async {
            writing.write_all(head.as_bytes()).await?;
            while taken < most && !body.is_empty() {
                let next = &body[..body.len().min(most - taken)];
                taken += writing.write(next).await?;
            }
            writing.flush().await
        };
        let mut pouring = std::pin::pin!(pouring);
        let mut poured = false;
        loop {
            tokio::select! {
                biased;
                read = reading.read(&mut piece) => match read {
                    Ok(0) | Err(_) => break,
                    Ok(read) => {
                        answer.extend_from_slice(&piece[..read]);
                        if answer.len() >= 12 { break }
                    }
                },
                // An error of writing: the answer may stand before it all the same.
                _ = &mut pouring, if !poured => poured = true,
            }
        }
        answer
    };
    let answer = timeout(patience, talk).await.unwrap_or_default();
    let status = answer.get(9..12).and_then(|it| std::str::from_utf8(it).ok()?.parse().ok());
    UploadOutcome { status, taken }
}
