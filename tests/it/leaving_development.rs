//! From a development installation to a public one, on the same store: what development made ends, and
//! what is for programs is not for everybody.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use latchkey::domain::clients::{self, ClientId};
use latchkey::domain::development::{self, DisabledAccounts};
use latchkey::domain::users;
use latchkey::infra::secret::{Digest, Secret};
use rustix::process::{Pid, Signal, kill_process};

use crate::cli::{Program, command, free_port};
use crate::support::browser::Browser;
use crate::support::http::{self, FormFields};
use crate::support::test_server::{PASSWORD, TestServer, on_every_store};

on_every_store![what_development_made_is_off_with_all_it_was_given];

async fn what_development_made_is_off_with_all_it_was_given(provider: TestServer) {
    let (demo, shop) = (provider.relying_party("demo").await, provider.relying_party("shop").await);
    let id = ClientId::parse("demo").expect("an id");
    let marked = clients::update(provider.store(), &id, |client| client.development = true).await;
    assert_eq!(marked.expect("a store"), Some(()));
    let ada = provider.user("ada").await.sub;
    development::mark_user(provider.store(), &ada).await.expect("a store");
    let marked = users::update(provider.store(), &ada, |user| user.development = true).await;
    assert_eq!(marked.expect("a store"), Some(()));

    let browser = provider.browser("ada");
    let hers = shop.sign_in(&browser, "openid offline_access").await;
    let his = demo.sign_in(&provider.browser("bob"), "openid").await;
    let other = shop.sign_in(&provider.browser("bob"), "openid").await;

    let off = async || {
        development::disable_all(provider.store(), provider.app().now()).await.expect("a store")
    };
    let made = DisabledAccounts { users: vec!["ada".into()], clients: vec!["demo".into()] };
    assert_eq!(off().await, made);
    assert_eq!(shop.refresh(hers.refresh()).await.error().1, "invalid_grant");
    assert_eq!(provider.userinfo(hers.access()).await.status, 401);
    assert_eq!(shop.introspect(hers.access()).await["active"], false);
    let page =
        browser.open(&shop.authorization_request("openid").with("prompt", "login").url()).await;
    let page = browser.sign_in(&page).await;
    assert!(page.has_element("#login-submit"), "her password is right and opens nothing: {page:?}");
    assert_eq!(demo.refresh(his.refresh()).await.error().1, "invalid_client");
    assert_eq!(provider.userinfo(his.access()).await.status, 401);
    assert_eq!(provider.userinfo(other.access()).await.status, 200, "nobody else is affected");

    let on = |user: &mut users::User| user.enabled = true;
    users::update(provider.store(), &ada, on).await.expect("a store").expect("a user");
    assert_eq!(off().await, made);
    assert!(!provider.user("ada").await.enabled, "whatever was done to it meanwhile");

    users::update(provider.store(), &ada, on).await.expect("a store").expect("a user");
    let again = shop.refresh(hers.refresh()).await;
    assert_eq!(again.error().1, "invalid_grant", "what she was given does not come back");
}

/// A server with a public issuer, behind a proxy that is this test.
struct Public {
    child: Child,
    at: SocketAddr,
}

const LOOPBACK: FormFields<'_> =
    &[("STORE_URL", "file:./data"), ("DEV_USER", "ada"), ("DEV_PASSWORD", PASSWORD)];

/// The same, with nothing changed but the issuer and what that asks for.
fn public(folder: &Path) -> Command {
    let key = folder.join("keys/secret");
    let mut command = command(folder, &[("STORE_URL", "file:./data"), ("DEV_USER", "ada")]);
    command.env("ISSUER_URL", "https://id.example").env("SECRET_KEY_FILE", key);
    command
}

impl Public {
    async fn start(folder: &Path) -> Self {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        let mut command = public(folder);
        command.env("LISTEN", at.to_string()).stdout(Stdio::null()).stderr(log);
        let server = Self { child: command.spawn().expect("the program"), at };
        let since = Instant::now();
        while server.asks("/ready").await != Some(200) {
            assert!(since.elapsed() < Duration::from_secs(60), "never ready");
            tokio::task::yield_now().await;
        }
        server
    }

    async fn asks(&self, path: &str) -> Option<u16> {
        let request = reqwest::Client::new().get(format!("http://{}{path}", self.at));
        let answer = request.header("host", "id.example").send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    async fn refreshes(&self, token: &str) -> http::HttpResponse {
        let fields =
            [("client_id", "demo"), ("grant_type", "refresh_token"), ("refresh_token", token)];
        let url = format!("http://{}/token", self.at);
        let request = http::form(&reqwest::Client::new(), &url, &fields);
        http::send(request.header("host", "id.example")).await
    }

    fn stops(mut self) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a pid");
        kill_process(pid, Signal::TERM).expect("a running program");
        assert_eq!(self.child.wait().expect("an end").code(), Some(0));
    }
}

impl Drop for Public {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A refresh token of the demo client, for the development account.
async fn refresh_token(program: &Program) -> String {
    let verifier = Secret::random().reveal();
    let challenge = Digest::of(verifier.as_bytes()).to_base64url();
    let redirect_uri = "http://127.0.0.1/callback";
    let query = http::encode(&[
        ("response_type", "code"),
        ("client_id", "demo"),
        ("redirect_uri", redirect_uri),
        ("scope", "openid offline_access"),
        ("prompt", "consent"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let ada = Browser::new(http::client(program.at), &program.issuer, "ada");
    let code = ada.authorize(&format!("{}/authorize?{query}", program.issuer)).await.code();
    let fields = [
        ("client_id", "demo"),
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", redirect_uri),
        ("code_verifier", &verifier),
    ];
    let url = format!("{}/token", program.issuer);
    let tokens =
        http::send(http::form(&http::client(program.at), &url, &fields)).await.success_json();
    tokens["refresh_token"].as_str().expect("a refresh token").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_account_does_not_survive_going_public() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let program = Program::start_in(folder.path(), port, LOOPBACK).await;
    let token = refresh_token(&program).await;
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    // On a store that lasts, a loopback server makes its secret beside the keys.
    assert!(folder.path().join("keys/secret").exists());

    let server = Public::start(folder.path()).await;
    assert_eq!(server.refreshes(&token).await.error().1, "invalid_client");
    assert_eq!(server.asks("/metrics").await, Some(404), "not where people come");
    server.stops();
    let log = std::fs::read_to_string(folder.path().join("log")).expect("a log");
    let told = log.lines().find(|line| line.contains("made by development and off"));
    let told = told.unwrap_or_else(|| panic!("nothing is said of it: {log}"));
    assert!(told.contains("user ada") && told.contains("client demo"), "{told}");
    assert!(log.contains("DEV_USER is not used"), "{log}");

    let says = |arguments: &[&str]| {
        let Output { status, stdout, stderr } =
            public(folder.path()).args(arguments).output().expect("an end");
        assert!(status.success(), "{arguments:?}");
        String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()
    };
    assert!(says(&["user", "enable", "ada"]).contains("made by development and off"));
    assert!(says(&["user", "list"]).contains("disabled"), "{}", says(&["user", "list"]));

    let program = Program::start_in(folder.path(), port, LOOPBACK).await;
    refresh_token(&program).await;
}
