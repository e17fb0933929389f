//! F01: many concurrent redemptions of one code, on two servers.
//!
//! Exactly one of them gets tokens, every other one reads `invalid_grant`. The rightful client's second
//! use ends the grant (RFC 6749 §4.1.2), however soon it comes: so what the winner got is worth nothing
//! when the losers are through, and that is counted, too.

use std::sync::Arc;

use crate::burst::at_once;
use crate::client::{Browser, Tokens};
use crate::context::RunContext;
use crate::parts::http::send;
use crate::parts::installation::{Installation, username};
use crate::parts::redis::RedisServer;
use crate::report::Report;

/// `winners=all double_code=0 5xx=0`, and no grant outlives the race.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &redis.url()).await;
    let shop = installation.client(0);
    let http = servers[0].client();
    let browser = Browser::sign_in(http, shop, &username(0)).await.expect("signed in");
    let rounds = context.pick(10, 50);
    let (mut winners, mut double, mut refused, mut bad, mut alive) = (0, 0, 0, 0, 0);
    for hands in [2, 8, 32, 128] {
        for _ in 0..rounds {
            let code = Arc::new(browser.code(http, shop).await.expect("a code"));
            let replies = at_once(hands, |hand| {
                let (code, server) = (Arc::clone(&code), Arc::clone(&servers[hand % 2]));
                async move { send(code.client.redeem_request(server.client(), &code)).await }
            })
            .await;
            let won: Vec<_> = replies.iter().filter_map(Tokens::of).collect();
            winners += usize::from(won.len() == 1);
            double += usize::from(won.len() > 1);
            refused += replies.iter().filter(|it| it.is_error("invalid_grant")).count();
            bad += replies.iter().filter(|it| it.is_inconclusive()).count();
            for tokens in won {
                let told = send(shop.introspect_request(servers[1].client(), &tokens.access)).await;
                alive += usize::from(told.json()["active"] != false);
            }
        }
    }
    let hands: usize = [2, 8, 32, 128].iter().map(|hands| hands - 1).sum();
    let mut report = Report::new();
    report
        .figure("codes", 4 * rounds)
        .equals("winners", winners, 4 * rounds)
        .never("double_code", double)
        .equals("invalid_grant", refused, hands * rounds)
        .never("5xx", bad)
        .never("outlived_replay", alive);
    vec![report]
}
