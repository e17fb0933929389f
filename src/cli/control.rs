//! The client of the control socket: operations that a running server runs.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::error::CliError;
use crate::infra::secret::from_base64url;
use crate::infra::store::{
    CommitOutcome, PingInfo, RawKey, Store, StoreError, StoreFuture, Transaction,
};
use crate::operations::{Operation, OperationError, records};

/// The control socket of a running server.
pub(super) struct ControlClient {
    path: PathBuf,
}

/// The head of a response, and the connection that its body is read from.
struct ControlResponse {
    status: u16,
    length: u64,
    received: Vec<u8>,
    stream: UnixStream,
}

/// Enough for an operation on a large store; bounded, for the server may hang.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(120);
/// The most an answer's head may have.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// The most an answer that is read whole may have.
const MAX_RESPONSE_BYTES: u64 = 1024 * 1024 * 1024;

impl ControlClient {
    /// The socket, if a server listens on it.
    pub async fn connect(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).await?;
        Ok(Self { path: path.to_owned() })
    }

    /// Sends the operation and reads its result.
    pub async fn run<O: Operation>(&self, operation: &O) -> Result<O::Output, CliError> {
        let mut response = self.send(O::NAME, operation).await?;
        let body = response.read_body().await.map_err(|error| self.no_response(&error))?;
        if response.status == 200 {
            return serde_json::from_slice(&body).map_err(|_| self.other_version(O::NAME));
        }
        Err(self.error(O::NAME, response.status, &body))
    }

    async fn send(&self, name: &str, input: &impl Serialize) -> Result<ControlResponse, CliError> {
        let body = serde_json::to_vec(input)
            .map_err(|error| CliError::Refused(format!("{name} cannot be asked for: {error}")))?;
        let response = timeout(RESPONSE_TIMEOUT, self.exchange(name, &body)).await;
        response
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(|error| self.no_response(&error))
    }

    /// HTTP/1.0, so that a body is as long as it says and no longer.
    async fn exchange(&self, name: &str, body: &[u8]) -> io::Result<ControlResponse> {
        let mut stream = UnixStream::connect(&self.path).await?;
        let head = format!(
            "POST /v1/{name} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await?;
        let mut received = Vec::new();
        loop {
            if let Some(at) = received.windows(4).position(|it| it == b"\r\n\r\n") {
                let rest = received.split_off(at + 4);
                let (status, length) = read_head(&received).ok_or(io::ErrorKind::InvalidData)?;
                return Ok(ControlResponse { status, length, received: rest, stream });
            }
            if received.len() > MAX_HEAD_BYTES {
                return Err(io::ErrorKind::InvalidData.into());
            }
            if stream.read_buf(&mut received).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn error(&self, name: &str, status: u16, body: &[u8]) -> CliError {
        match serde_json::from_slice::<OperationError>(body) {
            Ok(why) => why.into(),
            Err(_) if status == 404 => self.other_version(name),
            Err(_) => self.no_response(&io::ErrorKind::InvalidData.into()),
        }
    }

    fn other_version(&self, name: &str) -> CliError {
        let path = self.path.display();
        CliError::Unavailable(format!(
            "the server at {path} is another release of Latchkey and does not understand {name}: start the \
             server of this release first, or use the command that came with the server"
        ))
    }

    fn no_response(&self, error: &io::Error) -> CliError {
        let path = self.path.display();
        CliError::Unavailable(format!(
            "the server at {path} did not answer: {error}; whether a change happened is not known"
        ))
    }
}

impl ControlResponse {
    async fn read_body(&mut self) -> io::Result<Vec<u8>> {
        if self.length > MAX_RESPONSE_BYTES {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut body = std::mem::take(&mut self.received);
        let left = self.length.saturating_sub(body.len() as u64);
        let rest = (&mut self.stream).take(left).read_to_end(&mut body).await?;
        if (rest as u64) < left {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(body)
    }
}

/// The status and the length of the body.
fn read_head(head: &[u8]) -> Option<(u16, u64)> {
    let mut lines = str::from_utf8(head).ok()?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut fields = lines.filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    Some((status, length.map_or(Some(0), |(_, value)| value.trim().parse().ok())?))
}

/// The store of a running server, to be read.
pub(super) struct ControlStore(pub ControlClient);

impl ControlStore {
    async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, StoreError> {
        self.0.run(&operation).await.map_err(|why| StoreError::Unavailable(why.to_string()))
    }
}

fn read_only<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("the store of a running server is only read here".to_owned()))
}

impl Store for ControlStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        let read = records::Read { key: key.to_string() };
        Box::pin(async move { Ok(self.run(read).await?.and_then(|found| from_base64url(&found))) })
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        let names = records::Names { index: index.to_string(), after: after.to_owned(), limit };
        Box::pin(self.run(names))
    }

    fn get_and_remove<'a>(&'a self, _key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async { read_only() })
    }

    fn commit(&self, _change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async { read_only() })
    }

    fn increment<'a>(&'a self, _counter: &'a RawKey, _window: Duration) -> StoreFuture<'a, u64> {
        Box::pin(async { read_only() })
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        Box::pin(async { read_only() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_a_status_and_a_length() {
        let read = |head: &str| read_head(head.as_bytes());
        assert_eq!(read("HTTP/1.0 200 OK\r\ncontent-length: 12\r\n\r\n"), Some((200, 12)));
        assert_eq!(read("HTTP/1.1 404 Not Found\r\n\r\n"), Some((404, 0)));
        assert_eq!(read("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"), None);
        assert_eq!(read("nothing"), None);
    }
}
