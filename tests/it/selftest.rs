//! `latchkey selftest`, played against a server that keeps the rules and against ones that break them.
//!
//! A check that cannot fail is worth nothing: every check of the table is seen to be caught by a fault
//! made for it (`faults.rs`), which something in front of the server puts into its answers.

mod intercepting_proxy;
mod over_tls;
mod provider_faults;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::{any, get};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;

use self::intercepting_proxy::Fault;
use self::provider_faults::FAULTS;
use crate::support::test_server::{Backend, PASSWORD, TestServer, on_every_store};

on_every_store![a_house_passes_without_a_warning, nothing_is_left_behind];

/// A finished run.
struct SelfTestRun {
    code: Option<i32>,
    said: String,
    complained: String,
}

impl SelfTestRun {
    /// Name and outcome of every check.
    fn outcomes(&self) -> BTreeMap<String, String> {
        let report: Value = serde_json::from_str(&self.said)
            .unwrap_or_else(|_| panic!("{}\n{}", self.said, self.complained));
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let checks = report["checks"].as_array().expect("checks");
        checks.iter().map(|it| (text(&it["name"]), text(&it["outcome"]))).collect()
    }

    fn panicked(&self) -> bool {
        self.complained.contains("panicked")
    }

    fn named(&self, outcome: &str) -> BTreeSet<String> {
        let all = self.outcomes().into_iter();
        all.filter(|(_, other)| other == outcome).map(|(name, _)| name).collect()
    }
}

async fn run(args: &[&str]) -> SelfTestRun {
    let output = Command::new(env!("CARGO_BIN_EXE_latchkey"))
        .arg("selftest")
        .args(args)
        .env("LATCHKEY_SELFTEST_PASSWORD", PASSWORD)
        .stdin(Stdio::null())
        .output()
        .await
        .expect("the binary");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    SelfTestRun {
        code: output.status.code(),
        said: text(output.stdout),
        complained: text(output.stderr),
    }
}

async fn run_with_ada(issuer: &str) -> SelfTestRun {
    run(&["--issuer", issuer, "--user", "ada", "--json"]).await
}

async fn a_house_passes_without_a_warning(server: TestServer) {
    let ran = run_with_ada(server.issuer()).await;
    let nothing = BTreeSet::new();
    assert_eq!((ran.named("fail"), ran.named("warn")), (nothing.clone(), nothing), "{}", ran.said);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.named("skip"), BTreeSet::new(), "{}", ran.said);
}

/// Without anybody who signs in, and as lines.
async fn nothing_is_left_behind(server: TestServer) {
    let ran = run(&["--issuer", server.issuer()]).await;
    assert_eq!(ran.code, Some(0), "{}{}", ran.said, ran.complained);
    assert!(ran.said.contains("\nskip  sign-in.code: needs --user\n"), "{}", ran.said);
    assert!(ran.said.ends_with(" skip\n") && ran.said.contains("ok, 0 warn, 0 fail,"));
    let left = latchkey::domain::clients::list(server.store()).await.expect("a store");
    assert_eq!(left.len(), 0, "{left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_check_catches_the_fault_it_is_for() {
    let mut never_caught: BTreeSet<String> = {
        let server = TestServer::start(Backend::Memory).await;
        run_with_ada(server.issuer()).await.outcomes().into_keys().collect()
    };
    let mut complaints = Vec::new();
    for fault in FAULTS {
        let ran = against(fault).await;
        for (expected, found) in
            [(fault.fails, ran.named("fail")), (fault.warns, ran.named("warn"))]
        {
            let expected: BTreeSet<String> = expected.iter().map(|&name| name.to_owned()).collect();
            if !expected.is_subset(&found) || (fault.alone && expected != found) {
                complaints.push(format!("{}: {expected:?} is wanted, not {found:?}", fault.what));
            }
            never_caught.retain(|name| !expected.contains(name));
        }
        if ran.code != Some(i32::from(!fault.fails.is_empty())) || ran.panicked() {
            complaints.push(format!("{}: {:?} {}", fault.what, ran.code, ran.complained));
        }
    }
    assert_eq!(complaints, Vec::<String>::new());
    assert_eq!(never_caught, BTreeSet::new(), "checks that no fault makes fail");
}

async fn against(fault: &'static Fault) -> SelfTestRun {
    let front = |app: &_, router| intercepting_proxy::before(app, router, fault);
    let server = TestServer::start_with_middleware(Backend::Memory, &[], front).await;
    if fault.person {
        run_with_ada(server.issuer()).await
    } else {
        run(&["--issuer", server.issuer(), "--json"]).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_that_works_is_seen_to_work() {
    let ran = against(&provider_faults::GOOD_LOGOUT).await;
    assert_eq!(ran.named("fail"), BTreeSet::new(), "{}", ran.said);
    assert_eq!(ran.named("skip"), BTreeSet::new());
}

/// What the server says of itself must not lead into the network of whoever asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_addresses_of_other_hosts_are_asked_only_if_that_is_allowed() {
    let front =
        |app: &_, router| intercepting_proxy::before(app, router, &provider_faults::ELSEWHERE);
    let server = TestServer::start_with_middleware(Backend::Memory, &[], front).await;
    let kept = run(&["--issuer", server.issuer()]).await;
    let refused = "fail  userinfo.no-token: GET https://127.0.0.1:1/userinfo: not asked";
    assert!(kept.said.contains(refused), "{}", kept.said);
    let plain = "fail  introspection.no-client: POST http://id.example/introspect: not asked";
    assert!(kept.said.contains(plain), "{}", kept.said);
    let allowed = run(&["--issuer", server.issuer(), "--allow-private"]).await;
    assert!(!allowed.said.contains(refused), "{}", allowed.said);
    assert!(allowed.said.contains("fail  userinfo.no-token: "), "{}", allowed.said);
    assert!(allowed.said.contains(plain), "{}", allowed.said);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_fails_and_the_rest_is_skipped() {
    let server = TestServer::start(Backend::Memory).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("password");
    std::fs::write(&file, "something else\n").expect("a file");
    let file = file.to_str().expect("a path");
    let args = ["--issuer", server.issuer(), "--user", "ada", "--password-file", file, "--json"];
    let ran = run(&args).await;
    assert_eq!(ran.named("fail"), BTreeSet::from(["sign-in.code".to_owned()]));
    assert!(ran.named("skip").contains("refresh.works"));
    assert!(!ran.said.contains("something else") && !ran.complained.contains("something else"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registration_with_a_token_is_skipped_without_it_and_done_with_it() {
    let token = "for-the-self-test-for-the-self-test";
    let variables = [("REGISTRATION", "token"), ("REGISTRATION_TOKEN", token)];
    let server = TestServer::start_with(Backend::Memory, &variables).await;
    let without = run(&["--issuer", server.issuer(), "--json"]).await;
    assert_eq!(without.code, Some(0), "{}", without.said);
    assert!(without.named("skip").contains("registration.create"));

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, format!("{token}\n")).expect("a file");
    let file = file.to_str().expect("a path");
    let args = ["--issuer", server.issuer(), "--initial-access-token-file", file, "--json"];
    let with = run(&args).await;
    assert_eq!((with.code, with.named("fail").len()), (Some(0), 0), "{}", with.said);
    assert!(with.named("ok").contains("registration.delete"));
}

/// Serves this on loopback.
async fn serving(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let issuer = format!("http://localhost:{}", listener.local_addr().expect("its address").port());
    tokio::spawn(async move { axum::serve(listener, router).await });
    issuer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_makes_no_sense_ends_with_2() {
    for args in [
        &[] as &[&str],
        &["--issuer", "not a URL"],
        &["--issuer", "ftp://id.example"],
        &["--issuer", "https://id.example", "--password", "x"],
        &["--issuer", "https://id.example", "--user", "x", "--password-file", "/nowhere/at-all"],
        &["--issuer", "https://id.example", "--ca-file", "/nowhere/at-all"],
    ] {
        let ran = run(args).await;
        assert_eq!((ran.code, &*ran.said), (Some(2), ""), "{args:?}: {}", ran.complained);
    }
}

/// Whatever is answered, the run comes to an end and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_too_odd() {
    let nothing = Router::new().fallback(any(async || ""));
    let teapot = Router::new().fallback(any(async || (StatusCode::IM_A_TEAPOT, vec![0_u8, 255])));
    let round = Router::new().fallback(any(async || Redirect::to("/round")));
    let long = Router::new().fallback(any(async || vec![b'{'; 2_000_000]));
    for (what, router) in
        [("nothing", nothing), ("teapot", teapot), ("round", round), ("long", long)]
    {
        let ran = run(&["--issuer", &serving(router).await, "--json"]).await;
        assert_eq!(ran.code, Some(1), "{what}: {}", ran.complained);
        assert_eq!(ran.named("fail"), BTreeSet::from(["discovery.document".to_owned()]), "{what}");
        assert!(!ran.panicked(), "{what}: {}", ran.complained);
    }
}

/// Everything is found where it should be, and nothing there is what it should be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_talk_nonsense_fail_and_end_nothing() {
    for nonsense in
        [r#"{"keys":[7,{"kty":7,"n":[]}],"error":{},"client_id":"x\u001b[2J"}"#, "<form", "[]"]
    {
        let own = Arc::new(std::sync::OnceLock::<String>::new());
        let told = Arc::clone(&own);
        let metadata = get(async move || {
            let issuer = told.get().cloned().unwrap_or_default();
            let at = |path: &str| format!("{issuer}{path}");
            axum::Json(json!({
                "issuer": issuer, "authorization_endpoint": at("/a"), "token_endpoint": at("/t"),
                "userinfo_endpoint": at("/u"), "jwks_uri": at("/j"), "registration_endpoint": at("/r"),
                "introspection_endpoint": at("/i"), "revocation_endpoint": at("/v"),
                "end_session_endpoint": 7, "scopes_supported": [7, "openid"],
                "response_types_supported": {"code": 1}, "grant_types_supported": ["refresh_token"],
            }))
        });
        let body = nonsense.to_owned();
        let rest = any(async move || ([("content-type", "application/json")], body));
        let router =
            Router::new().route("/.well-known/openid-configuration", metadata).fallback(rest);
        let issuer = serving(router).await;
        own.set(issuer.clone()).expect("once");
        let ran = run_with_ada(&issuer).await;
        assert_eq!(ran.code, Some(1), "{nonsense}: {}", ran.complained);
        assert!(ran.named("fail").contains("discovery.types"), "{}", ran.said);
        assert!(!ran.panicked(), "{nonsense}: {}", ran.complained);
        assert!(!ran.said.contains('\u{1b}'), "nothing moves the cursor");
    }
}
