//! F35: hosts of applications that hang, drip, flood, redirect inside, or whose name means something else a
//! moment later; and addresses of our own machine in many spellings.
//!
//! Signing out never waits for them, few connections are open to them at once, and a canary on loopback,
//! which nobody vouched for, is never even connected to. There is no DNS here to lie: a name flips by the
//! hosts file, where the machine lets the server have one of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use latchkey::infra::secret::base64url;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Browser, ConfidentialClient, Tokens};
use crate::context::RunContext;
use crate::history::quantile;
use crate::parts::hostile_hosts::{Host, HostBehaviour, HostCertificate, canary};
use crate::parts::http::{encode, send};
use crate::parts::installation::{Installation, username};
use crate::parts::server::Server;
use crate::report::Report;

/// Where the hosts are: 127.0.0.10 and on.
const FIRST: usize = 10;

/// The name that flips.
const FLIPS: &str = "rp.flip.test";

/// `canary_hits=0 logout_p99<=1s`, and the workers are bounded: eight logout workers, four fetches.
pub async fn run(context: RunContext) -> Vec<Report> {
    let own: Vec<String> = (0..6).map(|number| format!("127.0.0.{}", FIRST + number)).collect();
    let papers = HostCertificate::for_names(own.iter().map(String::as_str).chain([FLIPS]));
    let vouched = format!("127.0.0.2,{}", own.join(","));
    let canary_at = canary("127.0.0.1:0").await;
    let inside = canary_at.port();
    let mut hosts = Vec::new();
    for manner in [
        HostBehaviour::Ok,
        HostBehaviour::Hangs,
        HostBehaviour::Drips,
        HostBehaviour::Floods,
        HostBehaviour::Redirects(format!("https://127.0.0.1:{inside}/")),
        HostBehaviour::Redirects(format!("http://localhost:{inside}/")),
    ] {
        // An address for each: keys are fetched from one host once at a time.
        let at = format!("127.0.0.{}:0", FIRST + hosts.len());
        hosts.push(papers.host(&at, manner).await);
    }
    let flipping = Flipping::prepares(&papers).await;
    let mut uris: Vec<String> =
        hosts.iter().map(|host| format!("https://{}/heard", host.at())).collect();
    if let Some(flipping) = &flipping {
        uris.push(format!("https://{FLIPS}:{}/heard", flipping.good.port()));
    }
    let inner = ["127.0.0.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"];
    uris.extend(inner.iter().map(|name| format!("https://{name}:{inside}/heard")));

    let shops: Vec<_> =
        (0..uris.len()).map(|number| Arc::new(ConfidentialClient::new(100 + number))).collect();
    let installation = Installation::with_bootstrap(&applications(&shops, &uris)).await;
    let mut plan = installation
        .plan("memory:")
        .set("OUTGOING_CA_FILE", papers.path())
        .set("OUTGOING_ALLOW_PRIVATE", &vouched);
    let words = flipping.as_ref().map(Flipping::under).unwrap_or_default();
    if flipping.is_some() {
        plan = plan.under(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let server = plan.start().await;
    let rss = server.rss_mb();
    let turning = flipping.as_ref().map(Flipping::turns);

    let over = Arc::new(AtomicBool::new(false));
    let normal = tokio::spawn(normal(
        Arc::clone(&server),
        Arc::clone(installation.client(0)),
        Arc::clone(&over),
    ));
    let asking = asks_for_keys(&server, &shops, &uris, &over);
    let leaving = async {
        let took = sign_outs(&installation, &server, &shops, context.pick(12, 80)).await;
        // What is under way has three seconds; what is tried again waits for ten.
        sleep(Duration::from_secs(context.pick(4, 30))).await;
        over.store(true, Ordering::Relaxed);
        took
    };
    let ((answers, let_in), (logouts, failed)) = tokio::join!(asking, leaving);
    let tokens = normal.await.expect("a client that does not panic");
    let mut report = Report::new();
    report
        .figure("logouts", logouts.len())
        .never("logouts_failed", failed)
        .within("logout_p99_s", quantile(logouts, 0.99).as_secs_f64(), 1.0, 3.0)
        .at_least("well_told", number(hosts[0].visits()), 1.0)
        .figure("bad_told", hosts[1..].iter().map(Host::visits).sum::<usize>())
        .never("canary_hits", canary_at.visits())
        .at_most("connections_max", number(papers.open_max()), 12.0)
        .figure("key_reasons", reasons(&server))
        .figure("key_questions", answers.len())
        .never("key_let_in", let_in)
        .within("key_answer_max_s", quantile(answers, 1.0).as_secs_f64(), 3.5, 8.0)
        .within("token_p99_s", quantile(tokens, 0.99).as_secs_f64(), 0.2, 2.0)
        .at_most("rss_growth_mb", server.rss_peak_mb() - rss, 60.0)
        .never("panics", server.panics());
    match (&flipping, turning) {
        (Some(flipping), Some(turning)) => {
            turning.abort();
            report
                .at_least("flip_good", number(flipping.good.visits()), 1.0)
                .never("flip_canary_hits", flipping.canary.visits());
        }
        _ => drop(report.figure("flip", "untried")),
    }
    vec![report]
}

/// Why keys were not had, and how often.
fn reasons(server: &Server) -> String {
    let mut counted = BTreeMap::new();
    for line in server.log().lines().filter(|line| line.contains("jwks_uri could not be fetched")) {
        let line: Value = serde_json::from_str(line).unwrap_or_default();
        *counted.entry(line["reason"].as_str().unwrap_or("?").to_owned()).or_insert(0) += 1;
    }
    let words: Vec<_> = counted.iter().map(|(why, times)| format!("{why}:{times}")).collect();
    words.join(",").replace(' ', "_")
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Each with the same address for logouts, and beside it a robot with the same address for its keys.
fn applications(shops: &[Arc<ConfidentialClient>], uris: &[String]) -> String {
    let mut text = String::new();
    for (shop, uri) in shops.iter().zip(uris) {
        let _ = writeln!(
            text,
            "[[clients]]\nclient_id = \"{id}\"\nclient_secret = \"{}\"\nclient_name = \"Shop\"\n\
             redirect_uris = [\"{}\"]\nscope = \"openid\"\nbackchannel_logout_uri = \"{uri}\"\n\
             [clients.settings]\nfirst_party = true\n\
             [[clients]]\nclient_id = \"robot-{id}\"\nclient_name = \"Robot\"\n\
             token_endpoint_auth_method = \"private_key_jwt\"\njwks_uri = \"{uri}\"\n\
             grant_types = [\"client_credentials\"]\nresponse_types = []\nscope = \"openid\"",
            shop.secret,
            shop.redirect_uri,
            id = shop.id,
        );
    }
    text
}

/// People who have been everywhere sign out; how long each page took, and how many did not come.
async fn sign_outs(
    installation: &Installation,
    server: &Arc<Server>,
    shops: &[Arc<ConfidentialClient>],
    count: usize,
) -> (Vec<Duration>, usize) {
    let (mut took, mut failed) = (Vec::new(), 0);
    let http = server.client();
    for number in 0..count {
        let browser = Browser::sign_in(http, installation.client(0), &username(number))
            .await
            .expect("signed in");
        let mut hint = None;
        for shop in shops {
            let code = browser.code_for(http, shop, "openid").await.expect("a code");
            let reply = send(shop.redeem_request(http, &code)).await;
            hint = reply.text("id_token").or(hint);
        }
        let hint = hint.expect("an ID token");
        let url = format!("/logout?{}", encode(&[("id_token_hint", &hint)]));
        let since = Instant::now();
        let page = browser.open(http, &url).await;
        took.push(since.elapsed());
        let out = page.has_status(200) && page.body().contains("Signed out");
        let gone = browser.code_for(http, &shops[0], "openid").await.is_err();
        failed += usize::from(!(out && gone));
    }
    (took, failed)
}

/// Robots whose keys have to be fetched from there; how long each answer took, and how many were let in.
async fn asks_for_keys(
    server: &Arc<Server>,
    shops: &[Arc<ConfidentialClient>],
    uris: &[String],
    over: &Arc<AtomicBool>,
) -> (Vec<Duration>, usize) {
    let mut robots = JoinSet::new();
    for (shop, _) in shops.iter().zip(uris) {
        let (id, http) = (format!("robot-{}", shop.id), server.new_client(Duration::from_secs(10)));
        let over = Arc::clone(over);
        robots.spawn(async move {
            let (mut took, mut let_in, mut turn) = (Vec::new(), 0, 0);
            while !over.load(Ordering::Relaxed) {
                turn += 1;
                let assertion = assertion(&id, http.host(), turn);
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                let fields = [
                    ("grant_type", "client_credentials"),
                    ("client_assertion_type", kind),
                    ("client_assertion", &assertion),
                ];
                let reply = send(http.form("/token", &fields)).await;
                took.push(reply.took);
                let_in += usize::from(reply.has_status(200));
                sleep(Duration::from_millis(200)).await;
            }
            (took, let_in)
        });
    }
    let all = robots.join_all().await;
    let let_in = all.iter().map(|(_, let_in)| let_in).sum();
    (all.into_iter().flat_map(|(took, _)| took).collect(), let_in)
}

/// Right in everything but the signature, for which the keys are needed.
fn assertion(id: &str, host: &str, turn: u32) -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = since.unwrap_or_default().as_secs();
    let header = json!({ "alg": "RS256", "kid": "unknown" }).to_string();
    let claims = json!({
        "iss": id, "sub": id, "aud": format!("http://{host}"), "jti": format!("{id}-{turn}"),
        "iat": now, "exp": now + 60,
    });
    let parts = [header.as_bytes(), claims.to_string().as_bytes(), &[7; 256]].map(base64url);
    parts.join(".")
}

/// Somebody who has nothing to do with any of it.
async fn normal(
    server: Arc<Server>,
    shop: Arc<ConfidentialClient>,
    over: Arc<AtomicBool>,
) -> Vec<Duration> {
    let (mut took, http) = (Vec::new(), server.new_client(Duration::from_secs(10)));
    while !over.load(Ordering::Relaxed) {
        let reply = send(shop.client_credentials_request(&http)).await;
        assert!(Tokens::of(&reply).is_some() || reply.has_status(200), "no token: {reply:?}");
        took.push(reply.took);
        sleep(Duration::from_millis(30)).await;
    }
    took
}

/// A name that is a good host at one moment, and ours at the next.
struct Flipping {
    hosts_file: PathBuf,
    _folder: tempfile::TempDir,
    good: Host,
    canary: Host,
}

impl Flipping {
    /// None where nothing may be mounted.
    async fn prepares(papers: &HostCertificate) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let hosts_file = folder.path().join("hosts");
        write(&hosts_file, "127.0.0.2");
        let mut tried = std::process::Command::new("unshare");
        tried.args(["-m", "sh", "-c", "mount --bind \"$0\" /etc/hosts"]).arg(&hosts_file);
        if !tried.output().is_ok_and(|output| output.status.success()) {
            return None;
        }
        let good = papers.host("127.0.0.2:0", HostBehaviour::Ok).await;
        let canary = canary(&format!("127.0.0.1:{}", good.port())).await;
        Some(Self { hosts_file, _folder: folder, good, canary })
    }

    /// What the server is started under, so that it has this hosts file.
    fn under(&self) -> Vec<String> {
        let script = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        let path = self.hosts_file.to_str().expect("a readable path");
        ["unshare", "-m", "sh", "-c", script, path].map(str::to_owned).to_vec()
    }

    fn turns(&self) -> tokio::task::JoinHandle<()> {
        let path = self.hosts_file.clone();
        tokio::spawn(async move {
            loop {
                for address in ["127.0.0.2", "127.0.0.1"] {
                    write(&path, address);
                    sleep(Duration::from_millis(2)).await;
                }
            }
        })
    }
}

/// In place, since it is this very file that is mounted; both contents are equally long, so that nobody
/// reads half of it.
fn write(path: &Path, address: &str) {
    let text = format!("127.0.0.1 localhost\n{address} {FLIPS}\n");
    let file = File::options().create(true).truncate(false).write(true).open(path);
    file.and_then(|file| file.write_all_at(text.as_bytes(), 0)).expect("a written file");
}
