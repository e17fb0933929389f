//! Requests that are interrupted: what was begun is completed when the client disconnects, and can be done again
//! when the store fails.

use std::future::Future;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, header};
use latchkey::config::SecretString;
use latchkey::domain::consent;
use latchkey::domain::epoch::{self, EpochOwner};
use latchkey::infra::client_ip;
use latchkey::infra::store::Consistency;
use latchkey::operations::users::{Remove, SetPassword, Show};
use latchkey::server::control::ControlSocket;
use latchkey::server::routes;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::sync::watch;
use tower::ServiceExt as _;

use crate::support::browser::Browser;
use crate::support::http::{self, HttpResponse};
use crate::support::test_server::{Backend, PASSWORD, TestServer, on_every_store};

on_every_store![
    a_removal_that_fails_half_way_can_be_done_again_and_leaves_nothing,
    a_new_password_that_fails_half_way_leaves_no_way_in_with_the_old_one_once_it_is_set,
];

/// The login form on this page as a request, filled in by that person.
fn login(server: &TestServer, browser: &Browser, page: &HttpResponse, name: &str) -> Request<Body> {
    let hidden = page.hidden_fields_beside("#login-submit");
    let mut fields: Vec<_> = hidden.iter().map(|(name, value)| (&**name, &**value)).collect();
    fields.extend([("username", name), ("password", PASSWORD)]);
    let mut cookies = Vec::new();
    for name in browser.cookie_names() {
        cookies.push(format!("{name}={}", browser.cookie(&name).expect("its own")));
    }
    let authority = server.issuer().split_once("://").expect("an origin").1;
    let mut request = Request::post("/login")
        .header(header::HOST, authority)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::COOKIE, cookies.join("; "))
        .body(Body::from(http::encode(&fields)))
        .expect("a request");
    request.extensions_mut().insert(client_ip::PeerAddr(server.at()));
    request
}

/// What has not happened by then never will.
const A_LONG_TIME: Duration = Duration::from_secs(30);

/// Somebody hangs up while a change of `first` is on its way; what changes `then` is on its way all the same.
async fn goes_on<T>(
    server: &TestServer,
    first: &'static str,
    then: &'static str,
    asks: impl Future<Output = T>,
) {
    let kept_back = server.failing_store().pause_next_commit(first);
    tokio::select! {
        _ = asks => panic!("answered before anything was changed"),
        () = kept_back.wait_until_reached() => {}
    }
    let next = server.failing_store().pause_next_commit(then);
    kept_back.resume();
    let arrived = tokio::time::timeout(A_LONG_TIME, next.wait_until_reached()).await;
    arrived.expect("what was begun is done, though nobody waits for it");
    next.resume();
}

#[tokio::test]
async fn a_sign_in_goes_on_when_the_browser_hangs_up() {
    let server = TestServer::start(Backend::Memory).await;
    let (shop, browser) = (server.relying_party("shop").await, server.browser("ada"));
    let page = browser.open(&shop.authorization_request("openid").url()).await;
    let request = login(&server, &browser, &page, "ada");
    // Its session is filed, and then it is noted in the interaction.
    goes_on(&server, "session.v1", "interaction.v1", routes::router(server.app()).oneshot(request))
        .await;
}

#[tokio::test]
async fn an_operation_goes_on_when_the_command_is_interrupted() {
    let server = TestServer::start(Backend::Memory).await;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("control.sock");
    let socket = ControlSocket::bind(&path).await.expect("a socket");
    let (stop, stopped) = watch::channel(false);
    let serving = socket.serve(server.app().clone(), stopped);
    let asks = async {
        let mut command = UnixStream::connect(&path).await.expect("a connection");
        let body = r#"{"user":"ada"}"#;
        let head =
            format!("POST /v1/user-disable HTTP/1.1\r\nhost: x\r\ncontent-length: {}", body.len());
        command.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await.expect("a peer");
        std::future::pending::<()>().await;
    };
    // The server ends before the change goes on, and so has seen that nobody waits.
    let is_over = async { tokio::join!(serving, asks) };
    let sub = server.user("ada").await.sub;
    let (owner, store) = (EpochOwner::User(sub), server.store());
    let before = epoch::current(store, &owner, Consistency::Strong).await.expect("a store");
    goes_on(&server, "user.v1", "epoch.v1", is_over).await;
    drop(stop);
    assert!(!server.user("ada").await.enabled);
    assert!(epoch::current(store, &owner, Consistency::Strong).await.expect("a store") >= before);
}

async fn a_removal_that_fails_half_way_can_be_done_again_and_leaves_nothing(server: TestServer) {
    let (shop, browser) = (server.relying_party("shop").await, server.browser("ada"));
    let tokens = shop.sign_in(&browser, "openid offline_access").await;
    let sub = server.user("ada").await.sub;
    let mut failed = 0;
    for spared in 0.. {
        server.failing_store().fail_from(spared);
        let done = server.try_operation(Remove { user: "ada".to_owned() }).await;
        server.failing_store().heal();
        if done.is_ok() {
            break;
        }
        failed += 1;
        let is_there = server.try_operation(Show { user: "ada".to_owned() }).await.is_ok();
        let nothing_left =
            consent::list_clients(server.store(), &sub).await.expect("a store").is_empty();
        assert!(is_there || nothing_left, "step {spared} left what nobody can remove any more");
        if !is_there {
            break;
        }
    }
    assert!(failed > 5, "only {failed} steps");
    assert_eq!(consent::list_clients(server.store(), &sub).await.expect("a store").len(), 0);
    assert_eq!(shop.refresh(tokens.refresh()).await.error(), (400, "invalid_grant".to_owned()));
    assert_eq!(server.userinfo(tokens.access()).await.status, 401);
}

async fn a_new_password_that_fails_half_way_leaves_no_way_in_with_the_old_one_once_it_is_set(
    server: TestServer,
) {
    let (shop, browser) = (server.relying_party("shop").await, server.browser("ada"));
    let tokens = shop.sign_in(&browser, "openid offline_access").await;
    let mut failed = 0;
    for spared in 0.. {
        server.failing_store().fail_from(spared);
        let password = SecretString::new("another long password of hers");
        let done = server.try_operation(SetPassword { user: "ada".to_owned(), password }).await;
        server.failing_store().heal();
        if done.is_ok() {
            break;
        }
        failed += 1;
    }
    assert!(failed > 5, "only {failed} steps");
    let visitor = server.browser("ada");
    let page = visitor.open(&shop.authorization_request("openid").url()).await;
    assert!(visitor.sign_in_as(&page, "ada", PASSWORD).await.has_element("#login-submit"));
    assert_eq!(shop.refresh(tokens.refresh()).await.error(), (400, "invalid_grant".to_owned()));
}
