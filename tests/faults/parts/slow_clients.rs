//! Clients that send or read very slowly.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::raw_http;

/// At what they take their time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SlowClient {
    /// The head of a request.
    Head,
    /// The body.
    Body,
    /// Many answers, asked for at once, of which next to nothing is ever read.
    Reader,
}

impl SlowClient {
    /// Connects and begins.
    pub async fn connect(self, at: SocketAddr, host: &str) -> std::io::Result<TcpStream> {
        let mut line = match self {
            Self::Head | Self::Body => raw_http::connect(at).await?,
            Self::Reader => raw_http::connect_with_small_buffer(at).await?,
        };
        let said = match self {
            Self::Head => raw_http::head("GET", "/live", host, &["X-Slow: "]).trim_end().to_owned(),
            Self::Body => {
                let kind = "Content-Type: application/x-www-form-urlencoded";
                raw_http::head("POST", "/token", host, &[kind, "Content-Length: 1000", ""])
            }
            Self::Reader => {
                let path = latchkey::http::assets::stylesheet_path();
                raw_http::head("GET", path, host, &[""]).repeat(100)
            }
        };
        line.write_all(said.as_bytes()).await?;
        Ok(line)
    }

    /// Goes on, a byte a second, until it is cut off; answers how long after `since` that was, or none if
    /// it was not by then. Of a reader nothing can be told from here: what the server has said before it
    /// went is still to be read.
    pub async fn goes_on(
        self,
        line: &mut TcpStream,
        since: Instant,
        until: Instant,
    ) -> Option<Duration> {
        let mut piece = [0; 1024];
        while Instant::now() < until {
            let one = Duration::from_secs(1).min(until.saturating_duration_since(Instant::now()));
            if self == Self::Reader {
                sleep(one).await;
                let _ = line.read(&mut piece[..1]).await;
                continue;
            }
            // Whatever is answered: gone is who has closed.
            let cut = timeout(one, async {
                while !matches!(line.read(&mut piece).await, Ok(0) | Err(_)) {}
            });
            if cut.await.is_ok() || line.write_all(b"x").await.is_err() {
                return Some(since.elapsed());
            }
        }
        None
    }
}
