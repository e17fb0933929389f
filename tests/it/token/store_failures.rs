//! A store that fails in the middle of a token request: the client sends it again, and has lost nothing.

use latchkey::domain::clients::ClientSettings;
use serde_json::{Value, json};

use crate::support::failing_store::Fault;
use crate::support::http::HttpResponse;
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::{TestServer, on_every_store};

// Nothing is answered from memory, so that every command there can be is one that fails.
on_every_store! {
    &[("REDIS_CACHE_TTL", "0")];
    whichever_command_fails_a_code_can_be_sent_again,
    whichever_command_fails_a_refresh_token_can_be_sent_again,
    whichever_command_fails_a_client_can_ask_for_itself_again
}

/// One client with each kind of access token.
async fn clients(server: &TestServer) -> [RelyingParty; 2] {
    let opaque = ClientSettings { opaque_access_tokens: true, ..ClientSettings::default() };
    let metadata = json!({"scope": "openid offline_access reports.read"});
    [
        server.relying_party_with("shop", &metadata, ClientSettings::default()).await,
        server.relying_party_with("kiosk", &metadata, opaque).await,
    ]
}

/// Sends the request with every command of it failing once, one after the other and each in both ways,
/// and a second time where the answer was that the store is away. `next` makes the request, `judge` looks
/// at the body it brought.
async fn with_every_fault<R>(
    server: &TestServer,
    mut next: impl AsyncFnMut() -> R,
    send: impl AsyncFn(&R) -> HttpResponse,
    mut judge: impl AsyncFnMut(Value),
) {
    for fault in [Fault::NotRun, Fault::ReplyLost] {
        let mut failed = 0;
        for spared in 0..100 {
            let request = next().await;
            server.failing_store().fail_once(spared, fault);
            let mut answer = send(&request).await;
            let over = server.failing_store().heal();
            if answer.status == 503 && !over {
                assert!(answer.header("retry-after").is_some(), "{answer:?}");
                failed += 1;
                answer = send(&request).await;
            }
            assert_eq!(answer.status, 200, "{fault:?} after {spared}: {answer:?}");
            judge(answer.json()).await;
            if over {
                break;
            }
            assert!(spared < 99, "there is an end to it");
        }
        assert!(failed >= 1, "{fault:?}");
    }
}

fn text(body: &Value, name: &str) -> String {
    body[name].as_str().unwrap_or_else(|| panic!("no {name}: {body}")).to_owned()
}

async fn whichever_command_fails_a_code_can_be_sent_again(server: TestServer) {
    for shop in clients(&server).await {
        let ada = server.browser("ada");
        let next = async || {
            let request = shop.authorization_request("openid offline_access");
            (ada.authorize(&request.url()).await.code(), request)
        };
        with_every_fault(
            &server,
            next,
            async |(code, request)| shop.redeem(code, request).await,
            async |body| {
                assert_eq!(server.userinfo(&text(&body, "access_token")).await.status, 200);
                assert_eq!(shop.refresh(&text(&body, "refresh_token")).await.status, 200);
            },
        )
        .await;
    }
}

async fn whichever_command_fails_a_refresh_token_can_be_sent_again(server: TestServer) {
    for shop in clients(&server).await {
        let tokens = shop.sign_in(&server.browser("ada"), "openid").await;
        let held = std::cell::RefCell::new(tokens.refresh().to_owned());
        with_every_fault(
            &server,
            async || held.borrow().clone(),
            async |token| shop.refresh(token).await,
            async |body| {
                assert_eq!(server.userinfo(&text(&body, "access_token")).await.status, 200);
                *held.borrow_mut() = text(&body, "refresh_token");
            },
        )
        .await;
    }
}

async fn whichever_command_fails_a_client_can_ask_for_itself_again(server: TestServer) {
    for robot in clients(&server).await {
        let fields = [("grant_type", "client_credentials"), ("scope", "reports.read")];
        with_every_fault(
            &server,
            async || (),
            async |()| robot.post("/token", &fields).await,
            async |body| {
                let told = robot.introspect(&text(&body, "access_token")).await;
                assert_eq!(told["active"], true);
            },
        )
        .await;
    }
}
