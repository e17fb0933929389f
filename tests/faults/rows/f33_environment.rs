//! F33: an environment that makes no sense.
//!
//! The exit code is 78 (69 where the store is not there), the one sentence names the variable, and no
//! port was opened. A name that only looks like ours is no reason not to start, since the environment at
//! large is not ours: it is warned of.

use tokio::net::TcpListener;

use crate::context::RunContext;
use crate::parts::installation::Installation;
use crate::parts::redis::free_port;
use crate::parts::startup_failure::StartupFailure;
use crate::report::Report;

const CONFIG: i32 = 78;
const UNAVAILABLE: i32 = 69;

/// The exit code, what is named, and the variables beside those of a plan that is good: an empty value
/// takes one away.
type Row<'a> = (i32, &'a str, &'a [(&'a str, &'a str)]);

/// `rows_ok=all`.
pub async fn run(_: RunContext) -> Vec<Report> {
    let installation = Installation::new().await;
    let held = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let taken = held.local_addr().expect("its address").to_string();
    let gone = format!("redis://127.0.0.1:{}/", free_port());
    let rows: &[Row<'_>] = &[
        (CONFIG, "ISSUER_URL", &[("ISSUER_URL", "http://id.example")]),
        (CONFIG, "ISSUER_URL", &[("ISSUER_URL", "https://id.example/?tenant=1")]),
        (CONFIG, "ISSUER_URL", &[("ISSUER_URL", "https://id.example/#here")]),
        (CONFIG, "ISSUER_URL", &[("ISSUER_URL", "https://id.example/path")]),
        (CONFIG, "ISSUER_URL", &[("ISSUER_URL", "id.example")]),
        (CONFIG, "ISSUER_URL", &[("ISSUER_URL", "https://user@id.example")]),
        (CONFIG, "SECRET_KEY", &[("ISSUER_URL", "https://id.example"), ("SECRET_KEY", "")]),
        (CONFIG, "SECRET_KEY", &[("SECRET_KEY", "short")]),
        (CONFIG, "SECRET_KEY_FILE", &[("SECRET_KEY", ""), ("SECRET_KEY_FILE", "/nowhere")]),
        (CONFIG, "SECRET_KEY", &[("SECRET_KEY_FILE", "/etc/hostname")]),
        (CONFIG, "CODE_LIFETIME", &[("CODE_LIFETIME", "-1s")]),
        (CONFIG, "CODE_LIFETIME", &[("CODE_LIFETIME", "0")]),
        (CONFIG, "ACCESS_TOKEN_LIFETIME", &[("ACCESS_TOKEN_LIFETIME", "99999999999999999999")]),
        (CONFIG, "SESSION_LIFETIME", &[("SESSION_LIFETIME", "one day")]),
        (CONFIG, "LISTEN", &[("LISTEN", "127.0.0.1:99999")]),
        (CONFIG, "METRICS_LISTEN", &[("METRICS_LISTEN", "nowhere")]),
        (CONFIG, "TLS_KEY_PATH", &[("TLS_CERT_PATH", "/nowhere.pem")]),
        (CONFIG, "STORE_URL", &[("STORE_URL", "s3://bucket")]),
        (CONFIG, "REDIS_URL", &[("STORE_URL", ""), ("REDIS_URL", "http://127.0.0.1/")]),
        (CONFIG, "STORE_URL", &[("REDIS_URL", &gone)]),
        (CONFIG, "RATE_LIMITING_ENABLED", &[("RATE_LIMITING_ENABLED", "perhaps")]),
        (CONFIG, "HASH_THREADS", &[("HASH_THREADS", "0")]),
        (CONFIG, "TRUSTED_PROXIES", &[("TRUSTED_PROXIES", "10.0.0.0/33")]),
        (CONFIG, "SIGNING_ALGS", &[("SIGNING_ALGS", "none")]),
        (CONFIG, "RESPONSE_TYPES", &[("RESPONSE_TYPES", "token code")]),
        (CONFIG, "/nowhere.toml", &[("BOOTSTRAP_FILE", "/nowhere.toml")]),
        (CONFIG, "OUTGOING_ALLOW_PRIVATE", &[("OUTGOING_ALLOW_PRIVATE", "http://x")]),
        (CONFIG, "LOG_FORMAT", &[("LOG_FORMAT", "xml")]),
        (UNAVAILABLE, "redis", &[("STORE_URL", ""), ("REDIS_URL", &gone)]),
        (UNAVAILABLE, "/proc/data", &[("STORE_URL", "file:/proc/data")]),
    ];
    let mut report = Report::new();
    let mut good = 0;
    for (code, named, variables) in rows {
        // It is for a loopback issuer only, and would be named beside what is.
        let mut plan = installation.plan("memory:").unset("DEV_GUESS_LIMITS_ENABLED");
        for (name, value) in *variables {
            plan = if value.is_empty() { plan.unset(name) } else { plan.set(name, value) };
        }
        let refusal = StartupFailure::of(plan).await;
        if refusal.matches(*code, named) {
            good += 1;
        } else {
            report.figure("row", format!("{variables:?}")).figure("came", format!("{refusal:?}"));
        }
    }
    report.equals("rows_ok", good, rows.len());
    report.must("port_busy", is_told_of(&installation, "LISTEN", &taken).await);
    report.must("metrics_port_busy", is_told_of(&installation, "METRICS_LISTEN", &taken).await);
    report.must("several_at_once", several(&installation).await);
    report.must("misspelt_is_warned_of", misspelt(&installation).await);
    vec![report]
}

/// Somebody else answers at that port, so only the code and the sentence are looked at.
async fn is_told_of(installation: &Installation, name: &str, taken: &str) -> bool {
    let (code, said) = installation.plan("memory:").set(name, taken).run_to_exit().await;
    code == Some(CONFIG) && said.lines().any(|line| line.contains(name) && line.contains(taken))
}

/// All that is wrong is said at once, a line each.
async fn several(installation: &Installation) -> bool {
    let plan = installation.plan("memory:").set("CODE_LIFETIME", "-1").set("HASH_QUEUE", "x");
    let refusal = StartupFailure::of(plan).await;
    let names = |name| refusal.said.iter().filter(|line| line.contains(name)).count() == 1;
    refusal.code == Some(CONFIG)
        && refusal.said.len() == 2
        && names("CODE_LIFETIME")
        && names("HASH_QUEUE")
        && !refusal.bound
}

async fn misspelt(installation: &Installation) -> bool {
    let server = installation.plan("memory:").set("REDIS_URI", "redis://127.0.0.1/").start().await;
    server.log().contains("REDIS_URI is not a variable of ours; did you mean REDIS_URL?")
}
