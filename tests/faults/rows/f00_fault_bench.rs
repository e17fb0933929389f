//! F00: the fault proxy itself. A proxy that does not do what it says would make other rows pass for nothing.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::context::RunContext;
use crate::parts::proxy::{NetworkFault, Proxy};
use crate::report::Report;

const SOON: Duration = Duration::from_millis(150);
const SLOW: Duration = Duration::from_millis(100);

/// Each network fault, seen by a client of an echo.
pub async fn run(_: RunContext) -> Vec<Report> {
    let port = echo().await;
    let proxy = Proxy::start(port).await;
    let mut report = Report::new();

    let mut line = dial(&proxy).await;
    report.must("fair", says(&mut line).await == "echo");

    proxy.set_fault(NetworkFault::Slow(SLOW, SLOW));
    let since = Instant::now();
    let late = says_within(&mut line, Duration::from_secs(2)).await == "echo";
    report.must("slow", late && since.elapsed() >= 2 * SLOW);

    proxy.set_fault(NetworkFault::Drip(20));
    let since = Instant::now();
    let drips = says_within(&mut line, Duration::from_secs(2)).await == "echo";
    report.must("drip", drips && since.elapsed() >= Duration::from_millis(150));

    proxy.set_fault(NetworkFault::BlackHole);
    let held = says(&mut line).await;
    let stranger = says(&mut dial(&proxy).await).await;
    proxy.set_fault(NetworkFault::Fair);
    let arrives = hears(&mut line, Duration::from_secs(2)).await;
    report.must("black_hole", [&*held, &*stranger, &*arrives] == ["nothing", "nothing", "echo"]);

    proxy.set_fault(NetworkFault::HalfOpen);
    let silent = says(&mut line).await;
    proxy.set_fault(NetworkFault::Fair);
    let noticed = says(&mut line).await;
    let anew = says(&mut dial(&proxy).await).await;
    report.must("half_open", [&*silent, &*noticed, &*anew] == ["nothing", "reset", "echo"]);

    for (name, fault, sign) in
        [("reset", NetworkFault::Reset, "reset"), ("closed", NetworkFault::Closed, "end")]
    {
        proxy.set_fault(NetworkFault::Fair);
        let mut line = dial(&proxy).await;
        let before = says(&mut line).await;
        proxy.set_fault(fault);
        report.must(name, [&*before, &*hears(&mut line, SOON).await] == ["echo", sign]);
    }
    proxy.set_fault(NetworkFault::Fair);
    report.must("heals", says(&mut dial(&proxy).await).await == "echo");
    vec![report]
}

async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    port
}

async fn dial(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(("127.0.0.1", proxy.port())).await.expect("the proxy")
}

async fn says(line: &mut TcpStream) -> String {
    says_within(line, SOON).await
}

async fn says_within(line: &mut TcpStream, patience: Duration) -> String {
    let _ = line.write_all(b"echo").await;
    hears(line, patience).await
}

async fn hears(line: &mut TcpStream, patience: Duration) -> String {
    let mut bytes = [0; 4];
    match timeout(patience, line.read_exact(&mut bytes)).await {
        Err(_) => "nothing".to_owned(),
        Ok(Ok(_)) => String::from_utf8_lossy(&bytes).into_owned(),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => "end".to_owned(),
        Ok(Err(_)) => "reset".to_owned(),
    }
}
