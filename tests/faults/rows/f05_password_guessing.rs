//! F05: two hundred wrong passwords for one account at the same moment, on two servers.
//!
//! An attempt is counted before its hash is computed: five are answered, and then there is a pause of
//! three seconds in which the right password does not win either, wherever it is tried. After the pause
//! it does: nobody can lock somebody out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::burst::at_once;
use crate::client::Browser;
use crate::context::Bench;
use crate::parts::http::Reply;
use crate::parts::installation::{House, PASSWORD, person};
use crate::parts::redis::RedisServer;
use crate::parts::server::Server;
use crate::report::Report;

/// How many tries of one account are answered at once, and the pause after them.
const LIMIT: usize = 5;
const PAUSE: Duration = Duration::from_secs(3);

const GUESSES: usize = 200;

/// `checked<=limit` and `right_won_early=0`; each account is tried once.
pub async fn run(bench: Bench) -> Vec<Report> {
    let redis = RedisServer::start();
    let house = House::new().await;
    let mut servers = Vec::new();
    for _ in 0..2 {
        let plan = house.plan(&redis.url()).set("DEV_GUESS_LIMITS_ENABLED", "true");
        // Whoever guesses is one address, and it is not the limit of addresses that is tried here: that is off.
        let plan = plan.set("HASH_QUEUE", "512");
        servers.push(plan.start().await);
    }
    let accounts = bench.pick(2, 4);
    let (mut most, mut early, mut bad, mut locked) = (0, 0, 0, 0);
    for number in 0..accounts {
        let one = guess(&house, &servers, &person(number)).await;
        most = most.max(one.checked);
        early += one.early;
        bad += one.bad;
        locked += usize::from(one.locked_out);
    }
    let mut report = Report::new();
    report.says("accounts", accounts).says("guesses", GUESSES).says("checked_max", most);
    if most > LIMIT {
        report.counts("checked", most, LIMIT);
    }
    report.never("right_won_early", early).never("5xx", bad).never("locked_out", locked);
    vec![report]
}

#[derive(Default)]
struct Guessed {
    checked: usize,
    early: usize,
    bad: usize,
    locked_out: bool,
}

async fn guess(house: &House, servers: &[Arc<Server>], name: &str) -> Guessed {
    let browser = Browser::of(name);
    let (url, _) = house.shop(0).asks("openid", &[]);
    let page = browser.opens(servers[0].wire(), &url).await;
    let tries = |hands: usize, right: bool| {
        at_once(hands, {
            let (browser, page) = (&browser, &page);
            move |hand| {
                let (browser, page) = (browser.like(), page.clone());
                let server = Arc::clone(&servers[hand % 2]);
                let password =
                    if right { PASSWORD.to_owned() } else { format!("wrong horse number {hand}") };
                async move {
                    let reply = browser.presses_login(server.wire(), &page, &password).await;
                    (reply, Instant::now())
                }
            }
        })
    };
    let since = Instant::now();
    let wrong = tries(GUESSES, false).await;
    let mut sum = Guessed::default();
    // In the pause; a slow machine may need all of it, and then there is nothing to see here.
    let right = if since.elapsed() < PAUSE { tries(8, true).await } else { Vec::new() };
    let won = |reply: &Reply| reply.location().is_some();
    for (reply, at) in wrong.iter().chain(&right) {
        let within = at.duration_since(since) < PAUSE;
        // The form again is the answer to a password that was looked at.
        sum.checked += usize::from(reply.is(200) && within);
        sum.early += usize::from(won(reply) && within);
        sum.bad += usize::from(reply.is_inconclusive());
    }
    // Whoever was answered after the pause may have begun another one.
    for _ in 0..8 {
        sleep(PAUSE).await;
        let reply = browser.like().presses_login(servers[1].wire(), &page, PASSWORD).await;
        if won(&reply) {
            return sum;
        }
    }
    sum.locked_out = true;
    sum
}
