//! The real binary against the real binary, over TLS.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::run;
use crate::support::test_server::PASSWORD;

/// A server of its own, with a certificate that only this test knows.
struct Server {
    child: Child,
    issuer: String,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(["localhost".into()]).expect("a certificate");
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).expect("a file");
        let key = made.signing_key.serialize_pem();
        std::fs::write(folder.path().join("key.pem"), key).expect("a file");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
        let issuer = format!("https://localhost:{}", port.expect("a port").port());
        let child = Command::new(env!("CARGO_BIN_EXE_latchkey"))
            .current_dir(folder.path())
            .envs([("ISSUER_URL", &*issuer), ("DEV_USER", "ada"), ("DEV_PASSWORD", PASSWORD)])
            .envs([("TLS_CERT_PATH", "cert.pem"), ("TLS_KEY_PATH", "key.pem")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary");
        let server = Self { child, issuer, folder };
        server.is_ready().await;
        server
    }

    async fn is_ready(&self) {
        let begun = Instant::now();
        let ready = format!("{}/ready", self.issuer);
        let answers = || Command::new("curl").args(["-sfk", "-o", "/dev/null", &ready]).status();
        while !answers().is_ok_and(|status| status.success()) {
            assert!(begun.elapsed() < Duration::from_secs(30), "not ready after 30 s");
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_a_certificate_of_its_own_is_tested_when_that_is_trusted() {
    let server = Server::start().await;
    let certificate = server.folder.path().join("cert.pem");
    let certificate = certificate.to_str().expect("a path");
    let issuer = &*server.issuer;
    let trusting =
        run(&["--issuer", issuer, "--user", "ada", "--ca-file", certificate, "--json"]).await;
    assert_eq!(trusting.code, Some(0), "{}", trusting.said);
    assert_eq!((trusting.named("fail").len(), trusting.named("warn").len()), (0, 0));

    let wary = run(&["--issuer", issuer, "--json"]).await;
    assert_eq!(wary.code, Some(1));
    assert_eq!(wary.named("ok").len(), 0, "{}", wary.said);
}
