//! A TCP proxy that can be told to behave badly: between a server and redis, between a redis and its
//! replica, between a client and a server.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// What the line is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NetworkFault {
    /// Everything passes.
    Fair,
    /// Every connection is reset, old or new.
    Reset,
    /// Every connection is closed politely, old or new.
    Closed,
    /// Nothing passes, and nobody is told. When it clears, what was on the way arrives.
    BlackHole,
    /// As if the other end had lost its power: old connections stay open and nothing ever comes of them,
    /// new ones are not made. When it clears, they are reset as soon as somebody uses them.
    HalfOpen,
    /// Each direction takes longer: there, and back.
    Slow(Duration, Duration),
    /// So many bytes a second come through in each direction.
    Drip(u32),
    /// Only what a primary tells its replicas takes longer: whoever has said `PSYNC` hears it later.
    Lag(Duration),
}

/// A running proxy. It ends with this value.
pub struct Proxy {
    port: u16,
    fault: watch::Sender<NetworkFault>,
    open: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// To this port of this machine.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a loopback port");
        let own = listener.local_addr().expect("its address").port();
        let (fault, seen) = watch::channel(NetworkFault::Fair);
        let open = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&open);
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (seen, counter) = (seen.clone(), Arc::clone(&counter));
                tokio::spawn(async move {
                    counter.fetch_add(1, Ordering::Relaxed);
                    let _ = carry(client, target, seen).await;
                    counter.fetch_sub(1, Ordering::Relaxed);
                });
            }
        });
        Self { port: own, fault, open, accepting }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Redis behind this proxy.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// From now on.
    pub fn set_fault(&self, fault: NetworkFault) {
        self.fault.send_replace(fault);
    }

    /// How many connections are open through it.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        // Who is carried notices that nobody steers any more, and ends.
    }
}

type Seen = watch::Receiver<NetworkFault>;

/// One connection, to its end.
async fn carry(client: TcpStream, target: SocketAddr, mut seen: Seen) -> io::Result<()> {
    // Whoever comes while nothing passes is left to wait.
    let stuck =
        |fault: &NetworkFault| matches!(fault, NetworkFault::BlackHole | NetworkFault::HalfOpen);
    let Ok(fault) = seen.wait_for(|fault| !stuck(fault)).await.map(|it| *it) else {
        return Ok(());
    };
    if ends(&fault) {
        return cut(&client, fault);
    }
    let upstream = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    upstream.set_nodelay(true)?;
    let mut told = seen.clone();
    let follows = AtomicBool::new(false);
    let notices = |said: &[u8]| {
        if said.windows(5).any(|word| word == b"PSYNC") {
            follows.store(true, Ordering::Relaxed);
        }
    };
    let lags = || follows.load(Ordering::Relaxed);
    tokio::select! {
        _ = async { tokio::join!(
            pump(&client, &upstream, seen.clone(), |fault, said| {
                notices(said);
                if let NetworkFault::Slow(there, _) = fault { there } else { Duration::ZERO }
            }),
            pump(&upstream, &client, seen.clone(), |fault, _| match fault {
                NetworkFault::Slow(_, back) => back,
                NetworkFault::Lag(behind) if lags() => behind,
                _ => Duration::ZERO,
            }),
        ) } => return Ok(()),
        _ = told.wait_for(ends) => {}
    }
    let fault = *seen.borrow();
    cut(&upstream, fault)?;
    if fault == NetworkFault::HalfOpen {
        drop(upstream);
        swallow(&client, seen).await?;
        return cut(&client, NetworkFault::Reset);
    }
    cut(&client, fault)
}

fn ends(fault: &NetworkFault) -> bool {
    matches!(fault, NetworkFault::Reset | NetworkFault::Closed | NetworkFault::HalfOpen)
}

/// Makes the end of this stream, which is about to be dropped, what the network fault says.
fn cut(stream: &TcpStream, fault: NetworkFault) -> io::Result<()> {
    let socket = SockRef::from(stream);
    match fault {
        NetworkFault::Reset | NetworkFault::HalfOpen => socket.set_linger(Some(Duration::ZERO)),
        NetworkFault::Closed => socket.shutdown(Shutdown::Write),
        NetworkFault::Fair
        | NetworkFault::BlackHole
        | NetworkFault::Slow(..)
        | NetworkFault::Drip(_)
        | NetworkFault::Lag(_) => Ok(()),
    }
}

/// Reads and says nothing, until somebody uses the connection when the power is back.
async fn swallow(client: &TcpStream, seen: Seen) -> io::Result<()> {
    let mut bytes = [0; 4096];
    loop {
        client.readable().await?;
        match client.try_read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(_) if *seen.borrow() != NetworkFault::HalfOpen => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// One direction, to its end. What has just been read takes as long as `delay` says.
async fn pump(
    from: &TcpStream,
    to: &TcpStream,
    seen: Seen,
    delay: impl Fn(NetworkFault, &[u8]) -> Duration,
) -> io::Result<()> {
    let (push, mut queue) = mpsc::channel::<(Instant, Vec<u8>)>(256);
    let fault = seen.clone();
    let reading = async move {
        let mut bytes = vec![0; 16 * 1024];
        loop {
            from.readable().await?;
            let read = match from.try_read(&mut bytes) {
                Ok(0) => return Ok::<(), io::Error>(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            let due = Instant::now() + delay(*fault.borrow(), &bytes[..read]);
            if push.send((due, bytes[..read].to_vec())).await.is_err() {
                return Ok(());
            }
        }
    };
    let writing = async move {
        while let Some((due, bytes)) = queue.recv().await {
            sleep_until(due).await;
            write(to, &bytes, seen.clone()).await?;
        }
        SockRef::from(to).shutdown(Shutdown::Write)
    };
    tokio::try_join!(reading, writing).map(drop)
}

/// All of it, as fast as the network fault lets it.
async fn write(to: &TcpStream, mut bytes: &[u8], mut seen: Seen) -> io::Result<()> {
    while !bytes.is_empty() {
        let fair = seen.wait_for(|fault| *fault != NetworkFault::BlackHole).await.map(|it| *it);
        let fault = fair.unwrap_or(NetworkFault::Fair);
        let piece = match fault {
            NetworkFault::Drip(rate) => bytes.len().min((rate as usize / 20).max(1)),
            _ => bytes.len(),
        };
        to.writable().await?;
        match to.try_write(&bytes[..piece]) {
            Ok(written) => {
                bytes = &bytes[written..];
                if let NetworkFault::Drip(rate) = fault {
                    let written = u32::try_from(written).unwrap_or(u32::MAX);
                    sleep(Duration::from_secs(1) * written / rate.max(1)).await;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
