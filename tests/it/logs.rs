//! The log of a whole sign-in, at its most talkative, holds nothing that opens anything.

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use reqwest::Method;
use serde_json::json;
use tracing::Dispatch;
use tracing::dispatcher::set_default;
use tracing_subscriber::fmt::MakeWriter;

use latchkey::http::assets::stylesheet_path;

use crate::support::http;
use crate::support::test_server::{Backend, PASSWORD, TestServer};

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("the log").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A second subscriber beside that of a test, for as long as the process lives. While there is only one, `tracing`
/// decides whether a place in the code logs at all by the thread that comes there first; and that may be a thread of
/// another test, which logs nowhere.
static SECOND_SUBSCRIBER: LazyLock<Dispatch> = LazyLock::new(|| {
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    Dispatch::new(subscriber.with_writer(std::io::sink).finish())
});

/// Runs it with every thread of the runtime logging here.
pub fn logged<T>(scenario: impl Future<Output = T>) -> (T, String) {
    LazyLock::force(&SECOND_SUBSCRIBER);
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
    let dispatch = Dispatch::new(subscriber.with_ansi(false).with_writer(log.clone()).finish());
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let of_thread = dispatch.clone();
    // For as long as the thread lives.
    runtime.on_thread_start(move || std::mem::forget(set_default(&of_thread)));
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime");
    let here = set_default(&dispatch);
    let told = runtime.block_on(scenario);
    drop((here, runtime));
    let bytes = log.0.lock().expect("the log").clone();
    (told, String::from_utf8(bytes).expect("text"))
}

/// Everything a whole life hands out or is shown, with a name for each.
async fn secrets_of_a_life(backing: Backend) -> Vec<(&'static str, String)> {
    const WRONG: &str = "not the password at all";
    let server = TestServer::start(backing).await;
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let request = shop.authorization_request("openid email offline_access");
    let login = ada.open(&request.url()).await;
    let login = ada.sign_in_as(&login, "ada", WRONG).await;
    let hidden = login.hidden_fields_beside("#login-submit");
    ada.sign_in(&login).await;
    let tokens = shop.sign_in(&ada, "openid email offline_access").await;
    server.userinfo(tokens.access()).await.success_json();
    shop.introspect(tokens.access()).await;
    let next = shop.refresh(tokens.refresh()).await.success_json();
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    shop.redeem(&tokens.code, &tokens.request).await;
    shop.revoke(tokens.refresh()).await;
    shop.refresh(tokens.refresh()).await;
    server.userinfo(tokens.access()).await;
    let confirm = ada.open(&server.url("/logout")).await;
    let farewell = confirm.hidden_fields_beside("#logout-confirm");
    let cookies = ada.cookie_values();
    // In a POST without cookies, in the address it becomes, and as the reason that the session ends.
    let hint =
        [("id_token_hint", tokens.id()), ("state", "the-state-of-a-logout-and-of-nothing-else")];
    let sent = server.browser("ada").post("/logout", &hint).await;
    ada.open(sent.location().expect("a way on")).await;
    let url = server.url("/register");
    let metadata = json!({"redirect_uris": ["https://new.example/cb"]});
    let new =
        http::send(http::json(server.http(), Method::POST, &url, &metadata)).await.success_json();
    let body_of_jwt = |token: &str| token.rsplit_once('.').expect("a JWT").1.to_owned();
    let mut secrets = vec![
        ("password", PASSWORD.to_owned()),
        ("wrong password", WRONG.to_owned()),
        ("client secret", shop.secret.clone()),
        ("code", tokens.code.clone()),
        ("code verifier", tokens.request.verifier.clone()),
        ("access token", body_of_jwt(tokens.access())),
        ("ID token", body_of_jwt(tokens.id())),
        ("refresh token", tokens.refresh().to_owned()),
        ("next refresh token", text(&next["refresh_token"])),
        ("next access token", body_of_jwt(&text(&next["access_token"]))),
        ("registered secret", text(&new["client_secret"])),
        ("registration token", text(&new["registration_access_token"])),
    ];
    secrets.extend(hidden.into_iter().map(|(_, value)| ("hidden field", value)));
    secrets.extend(farewell.into_iter().map(|(_, value)| ("logout field", value)));
    secrets.push(("logout state", hint[1].1.to_owned()));
    secrets.extend(cookies.into_iter().map(|value| ("cookie", value)));
    secrets
}

fn tells_nothing(backing: Backend) {
    let (secrets, log) = logged(secrets_of_a_life(backing));
    assert!(secrets.len() >= 16, "hidden fields and cookies are among them");
    assert!(log.contains("shop") && log.contains("TRACE"), "the log is listened to");
    for (name, secret) in secrets {
        assert!(secret.len() >= 20, "{name} is long enough to be looked for");
        let at = log.lines().find(|line| line.contains(&secret));
        assert_eq!(at, None, "the {name} is in the log");
    }
}

fn at_least_info(line: &str) -> bool {
    [" INFO ", " WARN ", "ERROR "].iter().any(|level| line.contains(level))
}

/// Clients that fail in every way there is to say who one is.
async fn strangers() {
    let server = TestServer::start(Backend::Memory).await;
    let shop = server.relying_party("shop").await;
    let part = |text: &str| latchkey::infra::secret::base64url(text.as_bytes());
    let jwt =
        format!("{}.{}.{}", part(r#"{"alg":"ES256"}"#), part(r#"{"sub":"by-jwt"}"#), part("x"));
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let long = "x".repeat(1000);
    for request in [
        shop.form("/token", &[]).basic_auth("by-header", Some("wrong")),
        shop.form("/token", &[("client_assertion", &*jwt), ("client_assertion_type", kind)]),
        shop.form("/token", &[("client_assertion", &*jwt)]),
        shop.form("/token", &[("client_id", "by-form")]).header("authorization", "Basic !"),
        shop.form("/token", &[("client_id", "two\nlines\u{1b}[31m")]),
        shop.form("/token", &[("client_id", &*long)]),
    ] {
        assert_eq!(http::send(request).await.status, 401);
    }
}

#[test]
fn a_client_that_fails_is_told_by_the_name_it_claims_escaped_and_cut() {
    let ((), log) = logged(strangers());
    let told: Vec<&str> = log.lines().filter(|line| line.contains("client_auth_failed")).collect();
    assert_eq!(told.len(), 6, "{told:?}");
    // The audit line and that of the request: nothing says it a third time.
    let at_token = |line: &&str| line.contains("path=\"/token\"") && at_least_info(line);
    let lines: Vec<&str> = log.lines().filter(at_token).collect();
    assert_eq!(lines.len(), 12, "{lines:?}");
    let answered = lines.iter().filter(|line| line.contains("answered"));
    let says_why =
        |line: &&&str| line.contains("error=\"invalid_client\"") && line.contains("why=");
    assert_eq!(answered.filter(says_why).count(), 6, "{lines:?}");
    for (line, name) in told.iter().zip(["by-header", "by-jwt", "by-jwt", "by-form", "two", "xxx"])
    {
        assert!(line.contains(name), "{name}: {line}");
    }
    assert!(!told[4].contains('\u{1b}') && told[4].contains("[31m"), "{}", told[4]);
    assert!(told[5].contains(&"x".repeat(128)) && !told[5].contains(&"x".repeat(129)));
}

/// What programs ask every few seconds, and somebody who knows us by another name.
async fn asked_by_programs() {
    let server = TestServer::start(Backend::Memory).await;
    for path in ["/live", "/ready", "/health", "/metrics", stylesheet_path(), "/favicon.ico"] {
        assert_eq!(http::send(server.http().get(server.url(path))).await.status, 200);
    }
    server.failing_store().fail_operation("ping");
    assert_eq!(http::send(server.http().get(server.url("/ready"))).await.status, 503);
    server.failing_store().heal();
    let strange = server.http().get(server.url("/authorize")).header("host", "latchkey:5000");
    let refused = http::send(strange).await;
    assert_eq!(refused.status, 421);
    assert!(refused.body.contains("EXTRA_HOSTS"), "{}", refused.body);
}

#[test]
fn what_is_asked_all_the_time_fills_no_log_and_a_strange_name_is_told_with_the_setting_for_it() {
    let ((), log) = logged(asked_by_programs());
    let answered: Vec<&str> = log.lines().filter(|line| line.contains("answered")).collect();
    let quiet = answered.iter().filter(|line| line.contains("DEBUG")).count();
    assert_eq!((quiet, answered.len()), (6, 8), "{answered:?}");
    assert!(answered.iter().any(|line| line.contains("503") && line.contains("INFO")));
    let told = log.lines().find(|line| line.contains("EXTRA_HOSTS")).expect("a line");
    assert!(told.contains("latchkey:5000") && told.contains("localhost:"), "{told}");
}

/// Somebody who signs in, after a wrong password and under names that nobody has.
async fn sign_ins() {
    let server = TestServer::start(Backend::Memory).await;
    let shop = server.relying_party("shop").await;
    let ada = server.browser("ada");
    let mut page = ada.open(&shop.authorization_request("openid").url()).await;
    for (name, password) in
        [("nobody-here", "x"), ("Nobody-Here ", "x"), ("another-one", "x"), ("ada", "wrong")]
    {
        page = ada.sign_in_as(&page, name, password).await;
    }
    ada.sign_in(&page).await;
}

#[test]
fn who_signed_in_has_a_name_and_a_name_that_nobody_has_is_told_by_a_digest() {
    let ((), log) = logged(sign_ins());
    let told = |event: &str| -> Vec<&str> {
        let event = format!("event=\"{event}\"");
        log.lines().filter(|line| line.contains(&event)).collect()
    };
    let signed_in = told("signed_in");
    assert!(signed_in.len() == 1 && signed_in[0].contains("username=\"ada\""), "{signed_in:?}");
    let failed = told("sign_in_failed");
    let field = |line: &str, name: &str| {
        let text = line.split_once(&format!("{name}=\""))?.1;
        text.split_once('"').map(|(value, _)| value.to_owned())
    };
    let digests: Vec<_> = failed.iter().map(|line| field(line, "name_digest")).collect();
    assert_eq!(digests.len(), 4);
    assert!(digests[0].as_ref().is_some_and(|it| it.len() == 16), "{failed:?}");
    assert_eq!(digests[0], digests[1], "as people type it");
    assert_ne!(digests[0], digests[2]);
    assert_eq!((&digests[3], field(failed[3], "sub")), (&None, Some("sub-of-ada".to_owned())));
    for name in ["nobody-here", "Nobody-Here", "another-one"] {
        assert!(!log.contains(name), "{name}");
    }
}

#[test]
fn nothing_that_opens_anything_is_logged_in_memory() {
    tells_nothing(Backend::Memory);
}

#[test]
fn nothing_that_opens_anything_is_logged_in_a_file() {
    tells_nothing(Backend::File);
}

#[test]
fn nothing_that_opens_anything_is_logged_in_redis() {
    tells_nothing(Backend::Redis);
}

#[test]
fn who_speaks_for_others_without_being_trusted_to_is_told_of_once() {
    let asks = async |variables| {
        let server = TestServer::start_with(Backend::Memory, variables).await;
        for _ in 0..3 {
            let request = server.http().get(server.url("/nothing"));
            http::send(request.header("x-forwarded-for", "198.51.100.7")).await;
        }
    };
    let warned = |log: &str| log.lines().filter(|line| line.contains("TRUSTED_PROXIES")).count();
    assert_eq!(warned(&logged(asks(&[])).1), 1);
    let trusted = [("TRUSTED_PROXIES", "127.0.0.1,::1")];
    assert_eq!(warned(&logged(asks(&trusted)).1), 0);
}
