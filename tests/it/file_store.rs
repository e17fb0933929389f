//! The program on a file store: what it keeps when it is killed, and who else may use the folder.

use std::path::Path;
use std::process::Output;

use latchkey::infra::secret::{Digest, Secret};
use rustix::process::Signal;
use serde_json::Value;

use crate::cli::{Program, command, free_port};
use crate::support::browser::{AuthorizationResponse, Browser};
use crate::support::http::{self, FormFields};
use crate::support::test_server::PASSWORD;

/// One of the demo client's.
const REDIRECT_URI: &str = "http://127.0.0.1/callback";
const VARIABLES: FormFields<'_> =
    &[("STORE_URL", "file:./data"), ("DEV_USER", "ada"), ("DEV_PASSWORD", PASSWORD)];

/// An authorization request of the demo client, and the verifier that goes with it.
fn request(program: &Program) -> (String, String) {
    let verifier = Secret::random().reveal();
    let challenge = Digest::of(verifier.as_bytes()).to_base64url();
    let query = http::encode(&[
        ("response_type", "code"),
        ("client_id", "demo"),
        ("redirect_uri", REDIRECT_URI),
        ("scope", "openid offline_access"),
        ("prompt", "consent"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    (format!("{}/authorize?{query}", program.issuer), verifier)
}

async fn token(program: &Program, fields: FormFields<'_>) -> http::HttpResponse {
    let fields = [&[("client_id", "demo")], fields].concat();
    let url = format!("{}/token", program.issuer);
    http::send(http::form(&http::client(program.at), &url, &fields)).await
}

async fn redeems(program: &Program, code: &str, verifier: &str) -> http::HttpResponse {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT_URI),
        ("code_verifier", verifier),
    ];
    token(program, &fields).await
}

async fn refreshes(program: &Program, refresh_token: &str) -> http::HttpResponse {
    token(program, &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)]).await
}

fn refresh_token(body: &Value) -> String {
    body["refresh_token"].as_str().expect("a refresh token").to_owned()
}

async fn keys(program: &Program) -> Value {
    let url = format!("{}/.well-known/jwks.json", program.issuer);
    http::send(http::client(program.at).get(url)).await.success_json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_codes_and_refresh_tokens_survive_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = free_port();
    let program = Program::start_in(folder.path(), port, VARIABLES).await;
    let ada = Browser::new(http::client(program.at), &program.issuer, "ada");
    let (url, verifier) = request(&program);
    let code = ada.authorize(&url).await.code();
    let first = redeems(&program, &code, &verifier).await.success_json();
    let second = refreshes(&program, &refresh_token(&first)).await.success_json();
    let (url, kept_verifier) = request(&program);
    let kept = ada.authorize(&url).await.code();
    let published = keys(&program).await;
    program.signal(Signal::KILL);
    assert_eq!(program.exit_code(), None);

    let program = Program::start_in(folder.path(), port, VARIABLES).await;
    assert_eq!(keys(&program).await, published);
    assert!(redeems(&program, &kept, &kept_verifier).await.success_json()["id_token"].is_string());
    let (url, verifier) = request(&program);
    let page = ada.open(&url).await;
    assert!(page.has_element("#consent-accept"), "signed in still: {page:?}");
    let silent =
        AuthorizationResponse::from_redirect(&ada.decide_consent(&page, "accept").await).code();
    assert!(redeems(&program, &silent, &verifier).await.success_json()["id_token"].is_string());
    let third = refreshes(&program, &refresh_token(&second)).await.success_json();
    // What was spent before the kill is spent after it, and its replay ends what came of it.
    assert_eq!(redeems(&program, &code, &verifier).await.error().1, "invalid_grant");
    assert_eq!(refreshes(&program, &refresh_token(&first)).await.error().1, "invalid_grant");
    assert_eq!(refreshes(&program, &refresh_token(&third)).await.error().1, "invalid_grant");
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
}

/// What a tool ends with and says; asked for a password, it reads a line.
fn says(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let line = folder.join("line");
    std::fs::write(&line, PASSWORD).expect("written");
    let mut tool = command(folder, VARIABLES);
    tool.stdin(std::fs::File::open(line).expect("it was just written"));
    let Output { status, stdout, stderr } = tool.args(arguments).output().expect("an end");
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_is_refused_and_so_are_tools_that_cannot_ask_the_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, said) = says(folder.path(), &["user", "add", "bob", "--name", "Bob"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(says(folder.path(), &["keys", "list"]).0, Some(0));

    let program = Program::start_in(folder.path(), free_port(), VARIABLES).await;
    let socket = folder.path().join("data/control.sock");
    std::fs::remove_file(&socket).expect("the control socket");
    for arguments in [&["user", "list"][..], &["client", "list"], &["keys", "rotate"]] {
        let (code, said) = says(folder.path(), arguments);
        assert_eq!(code, Some(69), "{said}");
        assert!(said.contains("./data") && said.contains("stop it"), "{said}");
        assert!(said.contains(&format!("process {}", program.pid())), "{said}");
    }
    // A second server, too.
    let (code, said) = says(folder.path(), &[]);
    assert_eq!(code, Some(69), "{said}");
    assert!(said.contains("the store in ./data is in use"), "{said}");
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    let (code, said) = says(folder.path(), &["user", "list"]);
    assert!(code == Some(0) && said.contains("bob") && said.contains("ada"), "{said}");
}
