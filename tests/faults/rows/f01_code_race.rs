//! F01: many hands on one code, on two servers at once.
//!
//! Exactly one of them gets tokens, every other one reads `invalid_grant`. The rightful client's second
//! use ends the grant (RFC 6749 §4.1.2), however soon it comes: so what the winner got is worth nothing
//! when the losers are through, and that is counted, too.

use std::sync::Arc;

use crate::burst::at_once;
use crate::client::{Browser, Tokens};
use crate::context::Bench;
use crate::parts::http::send;
use crate::parts::installation::{House, person};
use crate::parts::redis::RedisServer;
use crate::report::Report;

/// `winners=all double_code=0 5xx=0`, and no grant outlives the race.
pub async fn run(bench: Bench) -> Vec<Report> {
    let redis = RedisServer::start();
    let house = House::new().await;
    let servers = house.start_many(2, &redis.url()).await;
    let shop = house.shop(0);
    let wire = servers[0].wire();
    let browser = Browser::signed_in(wire, shop, &person(0)).await.expect("signed in");
    let rounds = bench.pick(10, 50);
    let (mut winners, mut double, mut refused, mut bad, mut alive) = (0, 0, 0, 0, 0);
    for hands in [2, 8, 32, 128] {
        for _ in 0..rounds {
            let code = Arc::new(browser.code(wire, shop).await.expect("a code"));
            let replies = at_once(hands, |hand| {
                let (code, server) = (Arc::clone(&code), Arc::clone(&servers[hand % 2]));
                async move { send(code.shop.redeeming(server.wire(), &code)).await }
            })
            .await;
            let won: Vec<_> = replies.iter().filter_map(Tokens::of).collect();
            winners += usize::from(won.len() == 1);
            double += usize::from(won.len() > 1);
            refused += replies.iter().filter(|it| it.is_error("invalid_grant")).count();
            bad += replies.iter().filter(|it| it.is_inconclusive()).count();
            for tokens in won {
                let told = send(shop.introspecting(servers[1].wire(), &tokens.access)).await;
                alive += usize::from(told.json()["active"] != false);
            }
        }
    }
    let hands: usize = [2, 8, 32, 128].iter().map(|hands| hands - 1).sum();
    let mut report = Report::new();
    report
        .says("codes", 4 * rounds)
        .counts("winners", winners, 4 * rounds)
        .never("double_code", double)
        .counts("invalid_grant", refused, hands * rounds)
        .never("5xx", bad)
        .never("outlived_replay", alive);
    vec![report]
}
