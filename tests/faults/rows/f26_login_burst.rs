//! F26: thousands of users sign in at the same moment.
//!
//! A hash is dear, so a few are computed at a time and a few wait; everybody else is told at once to come
//! back, and when. Nobody gets somebody else's page, and an application that wants a token does not notice.

use std::sync::Arc;

use super::concurrent_logins;
use crate::context::RunContext;
use crate::history::quantile;
use crate::parts::fd_limit;
use crate::parts::installation::Installation;
use crate::parts::redis::RedisServer;
use crate::report::Report;

/// `ok+503=all errors_other=0 mix=0 token_p99<=200ms rss_max<=600MB`, and logins as fast as hashes are.
pub async fn run(context: RunContext) -> Vec<Report> {
    let files = fd_limit::raise_to_maximum();
    let count = context.pick(400, 10_000);
    let redis = RedisServer::start();
    let installation = Arc::new(Installation::new().await);
    let server = installation.plan(&redis.url()).set("MAX_CONNECTIONS", "12000").start().await;
    let alone = concurrent_logins::sign_in_alone(&installation, &server).await;
    let crowd = concurrent_logins::run_burst(&installation, &server, count).await;
    let mut report = Report::new();
    if files < 10_500 && context.long {
        report.figure("files", files);
    }
    let each = crowd.lasted.as_secs_f64() * 1000.0
        / f64::from(u32::try_from(crowd.ok.max(1)).unwrap_or(1));
    let threads =
        std::thread::available_parallelism().map_or(1, |it| it.get().saturating_sub(1).max(1));
    let promised =
        alone.as_secs_f64() * 1000.0 / (0.8 * f64::from(u32::try_from(threads).unwrap_or(1)));
    report
        .figure("logins", count)
        .figure("ok", crowd.ok)
        .figure("503", crowd.busy)
        .figure("503_pages", crowd.busy_pages)
        .figure("redialled", crowd.redialled)
        .equals("ok+503", crowd.ok + crowd.busy, count)
        .never("errors_other", crowd.other)
        .never("mix", crowd.mixed);
    if !crowd.what.is_empty() {
        report.figure("what", crowd.what.join(","));
    }
    report
        .at_least("let_in", f64::from(u32::try_from(crowd.ok).unwrap_or(u32::MAX)), 1.0)
        .measurement("alone_ms", alone.as_secs_f64() * 1000.0)
        // The pages and tokens of everybody are made by the same two cores, and so is the crowd.
        .within("ms_per_login", each, promised, 20.0 * promised)
        .figure("tokens", crowd.tokens.len())
        .figure("tokens_503", crowd.tokens_failed.iter().filter(|it| **it == 503).count())
        .never("tokens_other", crowd.tokens_failed.iter().filter(|it| **it != 503).count())
        .within("token_p99_s", quantile(crowd.tokens, 0.99).as_secs_f64(), 0.2, 4.0)
        .at_most("rss_max_mb", server.rss_peak_mb().round(), 600.0)
        .never("panics", server.panics());
    vec![report]
}
