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
use crate::context::RunContext;
use crate::parts::http::HttpOutcome;
use crate::parts::installation::{Installation, PASSWORD, username};
use crate::parts::redis::RedisServer;
use crate::parts::server::Server;
use crate::report::Report;

/// How many tries of one account are answered at once, and the pause after them.
const LIMIT: usize = 5;
const PAUSE: Duration = Duration::from_secs(3);

const GUESSES: usize = 200;

/// `checked<=limit` and `right_won_early=0`; each account is tried once.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let mut servers = Vec::new();
    for _ in 0..2 {
        let plan = installation.plan(&redis.url()).set("DEV_GUESS_LIMITS_ENABLED", "true");
        // Whoever guesses is one address, and it is not the limit of addresses that is tried here: that is off.
        let plan = plan.set("HASH_QUEUE", "512");
        servers.push(plan.start().await);
    }
    let accounts = context.pick(2, 4);
    let (mut most, mut early, mut bad, mut locked) = (0, 0, 0, 0);
    for number in 0..accounts {
        let one = guess(&installation, &servers, &username(number)).await;
        most = most.max(one.checked);
        early += one.early;
        bad += one.bad;
        locked += usize::from(one.locked_out);
    }
    let mut report = Report::new();
    report.figure("accounts", accounts).figure("guesses", GUESSES).figure("checked_max", most);
    if most > LIMIT {
        report.equals("checked", most, LIMIT);
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

async fn guess(installation: &Installation, servers: &[Arc<Server>], name: &str) -> Guessed {
    let browser = Browser::new(name);
    let (url, _) = installation.client(0).authorization_url("openid", &[]);
    let page = browser.open(servers[0].client(), &url).await;
    let tries = |hands: usize, right: bool| {
        at_once(hands, {
            let (browser, page) = (&browser, &page);
            move |hand| {
                let (browser, page) = (browser.new_window(), page.clone());
                let server = Arc::clone(&servers[hand % 2]);
                let password =
                    if right { PASSWORD.to_owned() } else { format!("wrong horse number {hand}") };
                async move {
                    let reply = browser.post_login(server.client(), &page, &password).await;
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
    let won = |reply: &HttpOutcome| reply.location().is_some();
    for (reply, at) in wrong.iter().chain(&right) {
        let within = at.duration_since(since) < PAUSE;
        // The form again is the answer to a password that was looked at.
        sum.checked += usize::from(reply.has_status(200) && within);
        sum.early += usize::from(won(reply) && within);
        sum.bad += usize::from(reply.is_inconclusive());
    }
    // Whoever was answered after the pause may have begun another one.
    for _ in 0..8 {
        sleep(PAUSE).await;
        let reply = browser.new_window().post_login(servers[1].client(), &page, PASSWORD).await;
        if won(&reply) {
            return sum;
        }
    }
    sum.locked_out = true;
    sum
}
