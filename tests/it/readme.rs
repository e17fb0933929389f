//! The README is run, not believed: its tour against the real binary, its table against the parser.

use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use latchkey::config::env_vars;

const README: &str = include_str!("../../README.md");

/// The real binary on a port of its own, in a folder of its own.
struct Server {
    child: Child,
    issuer: String,
    folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), "http", &[]).await
    }

    /// With a certificate that nobody knows; the tour's curl is told to take it, and to speak HTTP/2.
    async fn start_with_tls() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
        let write = |name, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("cert.pem", &made.cert.pem());
        write("key.pem", &made.signing_key.serialize_pem());
        write(".curlrc", "insecure\nhttp2\n");
        let files = [("TLS_CERT_PATH", "cert.pem"), ("TLS_KEY_PATH", "key.pem")];
        Self::start_in(folder, "https", &files).await
    }

    async fn start_in(folder: tempfile::TempDir, scheme: &str, settings: &[(&str, &str)]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let issuer = format!("{scheme}://localhost:{port}");
        let child = Command::new(env!("CARGO_BIN_EXE_latchkey"))
            .current_dir(folder.path())
            .envs([("ISSUER_URL", &*issuer), ("DEV_USER", "ada"), ("DEV_PASSWORD", "a long one")])
            .envs(settings.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, issuer, folder };
        server.wait_until_ready().await;
        server
    }

    async fn wait_until_ready(&self) {
        let begun = Instant::now();
        let ready = format!("{}/ready", self.issuer);
        while !answers(&ready) {
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

fn answers(url: &str) -> bool {
    let curl = Command::new("curl").args(["-skf", "-o", "/dev/null", url]).status();
    curl.is_ok_and(|status| status.success())
}

fn refused(settings: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.current_dir(folder.path()).envs(settings.iter().copied()).output().unwrap()
}

#[tokio::test]
async fn the_tour_works_as_pasted() {
    takes_the_tour(&Server::start().await);
}

#[tokio::test]
async fn the_tour_works_over_tls_and_http2() {
    takes_the_tour(&Server::start_with_tls().await);
}

fn takes_the_tour(server: &Server) {
    let blocks: Vec<&str> = README
        .split("```sh tour\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect();
    assert!(blocks.len() >= 5, "the tour has {} blocks", blocks.len());
    let output = Command::new("bash")
        .args(["-euc", &blocks.join("\n")])
        .current_dir(server.folder.path())
        .env("CURL_HOME", server.folder.path())
        .envs([("ISSUER", &*server.issuer), ("DEV_USER", "ada"), ("DEV_PASSWORD", "a long one")])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    for expected in ["registered ", "code ac1.", "\"id_token\"", "refreshed", "{\"active\":false}"]
    {
        assert!(said.contains(expected), "no {expected} in {said}");
    }
}

#[test]
fn the_configuration_table_is_the_parsers_own() {
    let table = README.split("<!-- config -->").nth(1).unwrap();
    let table = table.split("<!-- /config -->").next().unwrap().trim();
    assert_eq!(table, env_vars::markdown_table().trim());
}

#[test]
fn what_cannot_be_served_is_refused_with_78_and_the_name_of_the_setting() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = busy.local_addr().unwrap().to_string();
    for (settings, named) in [
        (vec![("ISSUER_URL", "http://id.example")], "ISSUER_URL"),
        (vec![("ISSUER_URL", "https://id.example?x")], "ISSUER_URL"),
        (vec![("ISSUER_URL", "http://localhost:5000/id")], "ISSUER_URL must not have a path"),
        (vec![("ISSUER_URL", "https://id.example")], "SECRET_KEY"),
        (vec![("ISSUER_URL", "https://id.example")], "STORE_URL"),
        (vec![("CODE_LIFETIME", "-1")], "CODE_LIFETIME"),
        (vec![("PRIVATE_KEY_PATH", "/nowhere/key.pem")], "/nowhere/key.pem"),
        (vec![("BOOTSTRAP_FILE", "/nowhere/users.toml")], "/nowhere/users.toml"),
        (vec![("SOFTWARE_STATEMENT_ISSUERS", "a=/nowhere/keys.json")], "/nowhere/keys.json"),
        (
            vec![("SOFTWARE_STATEMENT_ISSUERS", "a=http://a/keys.json")],
            "SOFTWARE_STATEMENT_ISSUERS",
        ),
        (vec![("PAIRWISE_SALT", "short")], "PAIRWISE_SALT"),
        (vec![("TLS_CERT_PATH", "/nowhere/cert.pem")], "TLS_"),
        (vec![("LISTEN", &*taken)], "LISTEN"),
    ] {
        let output = refused(&settings);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{settings:?}: {complaint}");
        assert!(complaint.contains(named), "{settings:?}: {complaint}");
    }
}

#[test]
fn a_redis_that_is_not_there_is_named_without_its_password() {
    let output = refused(&[("REDIS_URL", "redis://:hunter2hunter2@127.0.0.1:1")]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{complaint}");
    assert!(!complaint.contains("hunter2"), "{complaint}");
}
