//! F02: many concurrent refreshes with one refresh token, on two servers, generation after generation.
//!
//! All of them get tokens, and all of them the same next refresh token: a second tab or a retry signs
//! nobody out, and there is never more than one successor. Every fourth hand shows one of the two generations
//! before, as a client that refreshes in each call does: it gets the newest of its moment.

use std::collections::HashSet;
use std::sync::Arc;

use crate::burst::at_once;
use crate::checker::check_families;
use crate::client::Tokens;
use crate::context::RunContext;
use crate::parts::http::send;
use crate::parts::installation::Installation;
use crate::parts::redis::RedisServer;
use crate::report::Report;
use crate::workload::new_families;

/// `forks=0 distinct_successors_max=1 lost=0`, and no answer that is not a good one.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &redis.url()).await;
    let mut all = new_families(&installation, &servers, context.pick(8, 100)).await;
    let generations = context.pick(3, 20);
    let (mut forks, mut most, mut refused, mut bad) = (0, 0, 0, 0);
    for (number, family) in all.iter_mut().enumerate() {
        let hands = [2, 8, 32, 128][number % 4];
        let mut before: Vec<String> = Vec::new();
        for _ in 0..generations {
            let replies = at_once(hands, |hand| {
                let server = Arc::clone(&servers[hand % 2]);
                let older = before.iter().rev().nth((hand / 4) % 2).filter(|_| hand % 4 == 3);
                let token = older.unwrap_or(&family.newest.refresh).clone();
                let shop = Arc::clone(&family.client);
                async move { send(shop.refresh_request(server.client(), &token)).await }
            })
            .await;
            let tokens: Vec<_> = replies.iter().filter_map(Tokens::of).collect();
            let given = tokens.iter().map(|it| it.refresh.clone());
            // Who shows an older one before anybody shows the newest is given that.
            let next: HashSet<_> = given.filter(|it| *it != family.newest.refresh).collect();
            forks += usize::from(next.len() > 1);
            most = most.max(next.len());
            bad += replies.iter().filter(|reply| reply.is_inconclusive()).count();
            let lost = hands - tokens.len();
            refused += lost;
            before.push(family.newest.refresh.clone());
            if let Some(held) = tokens.into_iter().find(|it| it.refresh != family.newest.refresh) {
                family.previous = Some(std::mem::replace(&mut family.newest, held));
            }
        }
    }
    let settled = check_families(&all, &servers).await;
    let mut report = Report::new();
    report
        .figure("families", all.len())
        .figure("generations", generations)
        .never("forks", forks)
        .equals("distinct_successors_max", most, 1)
        .never("refused", refused)
        .never("lost", settled.lost)
        .never("mix", settled.mixed)
        .never("5xx", bad);
    vec![report]
}
