//! Clients that receive back-channel logout requests: HTTPS servers on loopback, with a CA of their own.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::test_server::{Backend, TestServer};

/// An authority, and the applications whose certificates it signs.
pub struct TestCa {
    authority: CertifiedIssuer<'static, KeyPair>,
    file: NamedTempFile,
}

impl TestCa {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let file = NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), authority.pem()).expect("a written file");
        Self { authority, file }
    }

    /// The variables of a server that trusts the town.
    pub fn env_vars(&self) -> [(&str, &str); 2] {
        let path = self.file.path().to_str().expect("a plain path");
        [("OUTGOING_CA_FILE", path), ("OUTGOING_ALLOW_PRIVATE", "localhost")]
    }

    pub async fn start_server(&self, backing: Backend) -> TestServer {
        TestServer::start_with(backing, &self.env_vars()).await
    }

    /// An application that answers 200, unless it is told otherwise.
    pub async fn start_receiver(&self) -> LogoutReceiver {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let leaf = params.signed_by(&key, &self.authority).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let tls = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .expect("a server");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let (tell, heard) = mpsc::unbounded_channel();
        let replies = Arc::new(Mutex::new(VecDeque::new()));
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        tokio::spawn(listen(listener, acceptor, tell, Arc::clone(&replies)));
        LogoutReceiver { port, requests: heard.into(), replies }
    }
}

/// How it answers once.
#[derive(Clone, Debug)]
pub enum ScriptedResponse {
    Status(u16),
    Redirect(String),
    /// Never.
    Silence,
}

/// One application.
pub struct LogoutReceiver {
    port: u16,
    requests: tokio::sync::Mutex<mpsc::UnboundedReceiver<ReceivedRequest>>,
    replies: Arc<Mutex<VecDeque<ScriptedResponse>>>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    pub head: String,
    pub body: String,
}

impl LogoutReceiver {
    pub fn url(&self) -> String {
        format!("https://localhost:{}/heard", self.port)
    }

    /// What it answers next, one after the other.
    pub fn respond_with(&self, replies: impl IntoIterator<Item = ScriptedResponse>) {
        self.replies.lock().expect("the replies").extend(replies);
    }

    /// The next thing it hears.
    pub async fn next_request(&self) -> ReceivedRequest {
        let mut heard = self.requests.lock().await;
        let next = tokio::time::timeout(Duration::from_secs(20), heard.recv()).await;
        next.expect("something is heard").expect("an ear")
    }

    /// Whether nothing has reached it that was not looked at.
    pub async fn has_no_more_requests(&self) -> bool {
        self.requests.lock().await.is_empty()
    }
}

async fn listen(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    tell: mpsc::UnboundedSender<ReceivedRequest>,
    replies: Arc<Mutex<VecDeque<ScriptedResponse>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, tell, replies) = (acceptor.clone(), tell.clone(), Arc::clone(&replies));
        tokio::spawn(answer(stream, acceptor, tell, replies));
    }
}

async fn answer(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    tell: mpsc::UnboundedSender<ReceivedRequest>,
    replies: Arc<Mutex<VecDeque<ScriptedResponse>>>,
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut bytes = Vec::new();
    let heard = loop {
        let mut piece = [0; 4096];
        let read = stream.read(&mut piece).await?;
        bytes.extend_from_slice(&piece[..read]);
        if let Some(heard) = whole(&bytes) {
            break heard;
        }
        if read == 0 {
            return Ok(());
        }
    };
    let reply =
        replies.lock().expect("the replies").pop_front().unwrap_or(ScriptedResponse::Status(200));
    // Nobody may listen any more.
    let _ = tell.send(heard);
    let head = match reply {
        ScriptedResponse::Status(status) => format!("HTTP/1.1 {status} So\r\n"),
        ScriptedResponse::Redirect(to) => format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\n"),
        ScriptedResponse::Silence => return std::future::pending().await,
    };
    stream
        .write_all(format!("{head}Content-Length: 0\r\nConnection: close\r\n\r\n").as_bytes())
        .await?;
    stream.shutdown().await
}

/// The request, once all of it is there.
fn whole(bytes: &[u8]) -> Option<ReceivedRequest> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let complete = body.len() >= length.unwrap_or(0);
    complete.then(|| ReceivedRequest { head: head.to_owned(), body: body.to_owned() })
}
