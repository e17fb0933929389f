//! Hosts of clients that misbehave, and a canary address that must never be reached.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

/// How a host answers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HostBehaviour {
    /// 200, and nothing else.
    Ok,
    /// Never.
    Hangs,
    /// A byte a second.
    Drips,
    /// Ten gigabytes.
    Floods,
    /// To this address.
    Redirects(String),
}

/// The certificate that all of them show.
pub struct HostCertificate {
    file: NamedTempFile,
    tls: TlsAcceptor,
    open: Arc<AtomicUsize>,
    open_max: Arc<AtomicUsize>,
}

impl HostCertificate {
    /// For these names and addresses.
    pub fn for_names<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<_> = names.map(str::to_owned).collect();
        let made = CertificateParams::new(names).expect("names").self_signed(&key);
        let made = made.expect("a certificate");
        let file = NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), made.pem()).expect("a written file");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let tls = ServerConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.der().clone()], key)
            .expect("a server");
        let none = Arc::<AtomicUsize>::default;
        Self { file, tls: TlsAcceptor::from(Arc::new(tls)), open: none(), open_max: none() }
    }

    /// For `OUTGOING_CA_FILE`.
    pub fn path(&self) -> &str {
        self.file.path().to_str().expect("a readable path")
    }

    /// The most connections to all hosts together at one time.
    pub fn open_max(&self) -> usize {
        self.open_max.load(Ordering::Relaxed)
    }

    /// A host at this address; port 0 for any.
    pub async fn host(&self, at: &str, manner: HostBehaviour) -> Host {
        let listener = TcpListener::bind(at).await.expect("an address of this machine");
        let at = listener.local_addr().expect("its address");
        let visits = Arc::<AtomicUsize>::default();
        let (tls, counted) = (self.tls.clone(), Arc::clone(&visits));
        let (open, open_max) = (Arc::clone(&self.open), Arc::clone(&self.open_max));
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, manner, counted) = (tls.clone(), manner.clone(), Arc::clone(&counted));
                let (open, open_max) = (Arc::clone(&open), Arc::clone(&open_max));
                tokio::spawn(async move {
                    open_max.fetch_max(open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                    let _ = answer(stream, &tls, &manner, &counted).await;
                    open.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Host { at, visits, accepting }
    }
}

/// One of them. It ends with this value.
pub struct Host {
    at: SocketAddr,
    visits: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Host {
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    pub fn port(&self) -> u16 {
        self.at.port()
    }

    /// Requests that were heard.
    pub fn visits(&self) -> usize {
        self.visits.load(Ordering::Relaxed)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Counts whoever connects at all, whatever they have to say.
pub async fn canary(at: &str) -> Host {
    let listener = TcpListener::bind(at).await.expect("an address of this machine");
    let at = listener.local_addr().expect("its address");
    let visits = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&visits);
    let accepting = tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    Host { at, visits, accepting }
}

async fn answer(
    stream: TcpStream,
    tls: &TlsAcceptor,
    manner: &HostBehaviour,
    visits: &AtomicUsize,
) -> io::Result<()> {
    let mut stream = tls.accept(stream).await?;
    let mut piece = [0; 8192];
    if stream.read(&mut piece).await? == 0 {
        return Ok(());
    }
    visits.fetch_add(1, Ordering::Relaxed);
    let short = "Content-Length: 0\r\nConnection: close\r\n\r\n";
    match manner {
        HostBehaviour::Ok => {
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{short}").as_bytes()).await?;
        }
        HostBehaviour::Redirects(to) => {
            let said = format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {to}\r\n{short}");
            stream.write_all(said.as_bytes()).await?;
        }
        HostBehaviour::Hangs => while stream.read(&mut piece).await? > 0 {},
        HostBehaviour::Drips => {
            for byte in b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}" {
                stream.write_all(&[*byte]).await?;
                stream.flush().await?;
                sleep(Duration::from_secs(1)).await;
            }
        }
        HostBehaviour::Floods => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
                        Content-Length: 10737418240\r\n\r\n[";
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(&[b' '; 16 * 1024]).await?;
            }
        }
    }
    stream.shutdown().await
}
