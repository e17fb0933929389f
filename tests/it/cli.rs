//! The command line: what it prints, its exit codes, and when it refuses to start.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::support::browser::{AuthorizationResponse, Browser};
use crate::support::http::{self, FormFields};
use crate::support::redis::RedisServer;

/// Started in a folder of its own. It ends with this value.
pub struct Program {
    child: Child,
    pub at: SocketAddr,
    pub issuer: String,
    /// What it printed, by the words before the value.
    said: BTreeMap<String, String>,
    /// Goes with it, unless it is the test's.
    folder: Option<TempDir>,
}

pub fn command(folder: &Path, variables: FormFields<'_>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.current_dir(folder).envs(variables.iter().copied()).stdin(Stdio::null());
    command
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
    listener.local_addr().expect("its address").port()
}

impl Program {
    async fn start(variables: FormFields<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut program = Self::start_in(folder.path(), free_port(), variables).await;
        program.folder = Some(folder);
        program
    }

    /// In a folder that is there when it has ended.
    pub async fn start_in(folder: &Path, port: u16, variables: FormFields<'_>) -> Self {
        Self::start_saying(folder, port, variables, Stdio::null()).await
    }

    /// With its log going there.
    async fn start_saying(folder: &Path, port: u16, variables: FormFields<'_>, log: Stdio) -> Self {
        let issuer = format!("http://localhost:{port}");
        let mut command = command(folder, variables);
        command.env("ISSUER_URL", &issuer).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("the program that was just built");
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut said = BTreeMap::new();
        for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
            let line = line.expect("text");
            if let Some((name, value)) = line.trim().split_once("  ") {
                said.insert(name.to_owned(), value.trim().to_owned());
            }
            let facts = serde_json::from_str::<serde_json::Value>(&line).unwrap_or_default();
            for (name, value) in facts.as_object().into_iter().flatten() {
                let value = value.as_str().unwrap_or_default();
                said.insert(name.replace("demo_", "demo "), value.to_owned());
            }
            if line.contains("code_verifier") {
                break;
            }
        }
        let program = Self { child, at, issuer, said, folder: None };
        program.comes_to(200).await;
        program
    }

    async fn status(&self, path: &str) -> Option<u16> {
        let asked = http::client(self.at).get(format!("{}{path}", self.issuer)).send();
        asked.await.ok().map(|answer| answer.status().as_u16())
    }

    /// Waits until `/ready` says so.
    async fn comes_to(&self, status: u16) {
        let since = Instant::now();
        while self.status("/ready").await != Some(status) {
            assert!(since.elapsed() < Duration::from_secs(60), "never {status}");
            tokio::task::yield_now().await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a pid");
        kill_process(pid, signal).expect("a running program");
    }

    pub fn exit_code(mut self) -> Option<i32> {
        self.child.wait().expect("an end").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The exit code, and what was complained about.
fn refused(variables: FormFields<'_>) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let output = command(folder.path(), variables).output().expect("an end");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_printed_is_enough_to_get_tokens_and_a_signal_ends_it_well() {
    let program = Program::start(&[]).await;
    let said = |name: &str| &*program.said[name];
    let person = Browser::new(http::client(program.at), &program.issuer, said("demo user"));
    let login = person.open(said("demo request")).await;
    let consent = person.sign_in_as(&login, said("demo user"), said("demo password")).await;
    let hidden = consent.hidden_fields_beside("#consent-accept");
    let mut agreed: Vec<(&str, &str)> = hidden.iter().map(|(n, v)| (&**n, &**v)).collect();
    agreed.push(("decision", "accept"));
    let hub = person.post("/consent", &agreed).await;
    let on = format!("{}{}", program.issuer, hub.location().expect("the hub"));
    let landing = AuthorizationResponse::from_redirect(&person.get(&on).await);
    let home = format!("{}/", program.issuer);
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "demo"),
        ("code", &*landing.code()),
        ("redirect_uri", &*home),
        ("code_verifier", said("code_verifier")),
    ];
    let url = format!("{}/token", program.issuer);
    let body =
        http::send(http::form(&http::client(program.at), &url, &fields)).await.success_json();
    assert!(body["id_token"].is_string(), "{body}");
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_drains_it_serves_on_and_is_not_ready_and_a_second_signal_ends_it_at_once() {
    let program = Program::start(&[("DRAIN_DELAY", "1m"), ("LOG_FORMAT", "pretty")]).await;
    program.signal(Signal::INT);
    program.comes_to(503).await;
    assert_eq!(program.status("/live").await, Some(200));
    assert_eq!(program.status("/.well-known/openid-configuration").await, Some(200));
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(1));
}

/// The end of whoever read the log, or of the disk it is on, is not the end of the service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_stops_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a full device");
    let variables = [("LOG_LEVEL", "trace"), ("LOG_FORMAT", "json")];
    let program = Program::start_saying(folder.path(), free_port(), &variables, full.into()).await;
    for path in ["/live", "/.well-known/openid-configuration", "/authorize", "/nowhere"] {
        assert!(program.status(path).await.is_some(), "{path}");
    }
    program.signal(Signal::USR1);
    program.signal(Signal::HUP);
    assert_eq!(program.status("/jwks.json").await, Some(200));
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announcement_that_nobody_can_hear_does_not_keep_it_from_serving() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("a full device");
    let port = free_port();
    let issuer = format!("http://localhost:{port}");
    let mut command = command(folder.path(), &[("ISSUER_URL", &*issuer)]);
    let child = command.stdout(full()).stderr(full()).spawn().expect("the program");
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let program = Program { child, at, issuer, said: BTreeMap::new(), folder: Some(folder) };
    program.comes_to(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_can_have_a_listener_of_their_own_and_are_nowhere_else_then() {
    let port = free_port().to_string();
    let program = Program::start(&[("METRICS_LISTEN", &*port)]).await;
    assert_eq!(program.status("/metrics").await, Some(404));
    let own = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.expect("an answer");
    assert!(own.text().await.expect("text").contains("# TYPE "));
    let other = reqwest::get(format!("http://127.0.0.1:{port}/authorize")).await;
    assert_eq!(other.expect("an answer").status().as_u16(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_streams_together_are_json_line_by_line_and_say_no_span_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = std::fs::File::create(folder.path().join("log")).expect("a log");
    let program = Program::start_saying(folder.path(), free_port(), &[], log.into()).await;
    assert!(program.said.contains_key("demo password") && !program.said.contains_key("discovery"));
    assert_eq!(program.status("/authorize").await, Some(400));
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    let log = std::fs::read_to_string(folder.path().join("log")).expect("a log");
    let lines = log.lines().map(serde_json::from_str::<serde_json::Value>);
    let lines: Vec<_> = lines.map(|line| line.expect("JSON")).collect();
    let answered = lines.iter().find(|line| line["span"]["path"] == "/authorize");
    let answered = answered.expect("the request");
    assert_eq!((&answered["message"], &answered["status"]), (&"answered".into(), &400.into()));
    assert_eq!(answered["error"], "invalid_request");
    assert!(lines.iter().all(|line| line.get("spans").is_none()), "{log}");
    let serving = lines.iter().find(|line| line["message"] == "serving").expect("the start");
    assert!(serving["discovery"].as_str().is_some_and(|it| it.ends_with("openid-configuration")));
}

#[test]
fn a_redis_that_may_forget_is_complained_of_also_when_that_is_allowed() {
    let redis = RedisServer::start_with(&["--maxmemory-policy", "allkeys-lru", "--save", ""]);
    // It gets as far as its port, which is taken.
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let taken = held.local_addr().expect("its address").to_string();
    let url = redis.url();
    let variables = [("REDIS_URL", &*url), ("LISTEN", &taken), ("ALLOW_VOLATILE_STORE", "true")];
    let (code, said) = refused(&variables);
    assert_eq!(code, Some(78), "{said}");
    for complaint in ["appendonly yes", "allkeys-lru"] {
        assert!(said.contains(complaint), "{said}");
    }
}

#[test]
fn what_keeps_it_from_starting_is_a_sentence_and_an_exit_code() {
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let taken = held.local_addr().expect("its address").to_string();
    let free = free_port();
    let here = format!("http://localhost:{free}");
    let gone = format!("redis://127.0.0.1:{}/", free_port());
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").expect("written");
    let empty = empty.to_str().expect("a readable path");
    for (variables, code, complaint) in [
        (&[("ISSUER_URL", "http://id.example")][..], 78, "ISSUER_URL"),
        (&[("ISSUER_URL", "http://localhost:1/path")], 78, "ISSUER_URL must not have a path"),
        (&[("ISSUER_URL", &here), ("CODE_LIFETIME", "1d")], 78, "CODE_LIFETIME"),
        (&[("ISSUER_URL", &here), ("PRIVATE_KEY_PATH", "/nowhere.pem")], 78, "/nowhere.pem"),
        (&[("ISSUER_URL", &here), ("PRIVATE_KEY_PATH", empty)], 78, "empty.pem"),
        (
            &[("ISSUER_URL", &here), ("TLS_CERT_PATH", empty), ("TLS_KEY_PATH", empty)],
            78,
            "holds no certificate",
        ),
        (&[("ISSUER_URL", &here), ("OUTGOING_CA_FILE", empty)], 78, "empty.pem"),
        (&[("ISSUER_URL", &here), ("BOOTSTRAP_FILE", "/nowhere.toml")], 78, "/nowhere.toml"),
        (&[("ISSUER_URL", &here), ("REDIS_URL", &gone)], 69, "redis"),
        (&[("ISSUER_URL", &here), ("STORE_URL", "file:/proc/data")], 69, "/proc/data"),
        (&[("ISSUER_URL", &here), ("STORE_URL", "file:")], 78, "STORE_URL"),
        (
            &[("ISSUER_URL", &here), ("STORE_URL", "memory:"), ("REDIS_URL", &gone)],
            78,
            "STORE_URL must not be set beside REDIS_URL",
        ),
        (&[("ISSUER_URL", &here), ("LISTEN", &taken)], 78, "LISTEN"),
        (&[("ISSUER_URL", &here), ("METRICS_LISTEN", &taken)], 78, "METRICS_LISTEN"),
    ] {
        let (ended, said) = refused(variables);
        assert_eq!(ended, Some(code), "{variables:?}: {said}");
        assert!(said.contains(complaint), "{variables:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_shows_who_signed_in_and_what_it_was_told_once() {
    let program = Program::start(&[]).await;
    let said = |name: &str| &*program.said[name];
    let person = Browser::new(http::client(program.at), &program.issuer, said("demo user"));
    let login = person.open(said("demo page")).await;
    let consent = person.sign_in_as(&login, said("demo user"), said("demo password")).await;
    assert!(
        consent.has_element("#consent-accept") && !consent.has_element(".caution"),
        "it is our own"
    );
    let told = person.decide_consent(&consent, "accept").await;
    assert_eq!(told.text_of("h1").as_deref(), Some("Signed in as Demo User"), "{told:?}");
    for (at, what) in [
        ("#claims", "demo@demo.example"),
        ("#id-token", "\"aud\": \"demo\""),
        ("#access-token", "a JWT that an API can check by itself"),
    ] {
        assert!(told.text_of(at).expect("words").contains(what), "{what} in {told:?}");
    }
    // Somebody else's answer is not taken, nor is one that was not asked for.
    for path in ["/demo/callback?code=x&state=y", "/demo/callback"] {
        let refused = person.get(&format!("{}{path}", program.issuer)).await;
        assert_eq!(refused.status, 400);
        assert_eq!(refused.attribute("a.button", "href").as_deref(), Some("/demo"));
    }
    let denied = person.decide_consent(&person.open(said("demo page")).await, "deny").await;
    assert_eq!(denied.text_of("h1").as_deref(), Some("Not signed in"));
}
