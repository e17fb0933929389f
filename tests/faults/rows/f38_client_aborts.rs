//! F38: requests that are cut off at any byte.
//!
//! Whoever comes next sees what is theirs and nothing of what the one before was about to get, no
//! connection is kept for the departed, and no token is lost with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::checker::check_families;
use crate::client::{Browser, claims, userinfo};
use crate::context::RunContext;
use crate::history::increment;
use crate::parts::http::{HttpClient, encode, send};
use crate::parts::installation::{Installation, USER_COUNT, username};
use crate::parts::raw_http;
use crate::parts::redis::RedisServer;
use crate::parts::server::Server;
use crate::report::Report;
use crate::workload::{self, Family};

/// `mix=0 fd_leak=0 lost=0`.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Arc::new(Installation::new().await);
    let server = installation.start_server(&redis.url()).await;
    let new_families = workload::new_families(&installation, &[Arc::clone(&server)], 64).await;
    sleep(Duration::from_millis(200)).await;
    let files = server.fds();

    let over = Arc::new(AtomicBool::new(false));
    let (mixed, honest, failed) = (
        Arc::<AtomicUsize>::default(),
        Arc::<AtomicUsize>::default(),
        Arc::<AtomicUsize>::default(),
    );
    let mut looking = JoinSet::new();
    for number in 0..USER_COUNT {
        let (installation, http) =
            (Arc::clone(&installation), server.new_client(Duration::from_secs(10)));
        let (over, mixed) = (Arc::clone(&over), Arc::clone(&mixed));
        let (honest, failed) = (Arc::clone(&honest), Arc::clone(&failed));
        looking.spawn(async move {
            let shop = installation.client(number);
            let browser =
                Browser::sign_in(&http, shop, &username(number)).await.expect("signed in");
            while !over.load(Ordering::Relaxed) {
                match is_mine(&browser, &http, &installation, number).await {
                    Some(true) => increment(&honest),
                    Some(false) => increment(&mixed),
                    None => increment(&failed),
                }
            }
        });
    }
    let total = context.pick(2000, 10_000);
    let whole = cuts(&installation, &server, &new_families, total, context.seed).await;
    over.store(true, Ordering::Relaxed);
    looking.join_all().await;
    // One connection of the test may be resting.
    let leaked = server.leaked_fds(files + 1).await;
    let settled = check_families(&new_families, &[Arc::clone(&server)]).await;
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    let mut report = Report::new();
    report
        .figure("cut", total)
        .figure("whole", whole)
        .figure("honest", count(&honest))
        .never("failed", count(&failed))
        .never("mix", count(&mixed) + settled.mixed)
        .never("lost", settled.lost)
        .never("fd_leak", leaked)
        .never("panics", server.panics());
    vec![report]
}

/// Whether a person gets a code, tokens and claims that are their own; none if they get nothing.
async fn is_mine(
    browser: &Browser,
    http: &HttpClient,
    installation: &Installation,
    number: usize,
) -> Option<bool> {
    let shop = installation.client(number);
    let code = browser.code(http, shop).await.ok()?;
    let tokens = crate::client::Tokens::of(&send(shop.redeem_request(http, &code)).await)?;
    let opened = send(userinfo(http, &tokens.access)).await;
    let told = send(shop.introspect_request(http, &tokens.access)).await;
    let mine = tokens.belong_to(&username(number), shop)
        && opened.json()["sub"] == username(number)
        && told.json()["sub"] == username(number)
        && claims(&tokens.access)["client_id"] == *shop.id;
    Some(mine)
}

/// So many requests, each cut behind a byte of its own; answers how many were whole.
async fn cuts(
    installation: &Installation,
    server: &Arc<Server>,
    families: &[Family],
    total: usize,
    seed: u64,
) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut flying = JoinSet::new();
    let mut whole = 0;
    for number in 0..total {
        let text = request(installation, &families[number % families.len()], number);
        // One in eight says all of it, and goes without the answer.
        let cut = if rng.random_bool(0.125) { text.len() } else { rng.random_range(0..text.len()) };
        let (reset, patience) = (rng.random_bool(0.5), rng.random_range(0..60));
        whole += usize::from(cut == text.len());
        let at = server.at();
        flying.spawn(async move {
            let Ok(mut line) = raw_http::connect(at).await else { return };
            let _ = line.write_all(&text.as_bytes()[..cut]).await;
            sleep(Duration::from_millis(patience)).await;
            if reset {
                raw_http::resets(line);
            }
        });
        if flying.len() >= 16 {
            flying.join_next().await;
        }
    }
    flying.join_all().await;
    whole
}

/// A good request of one kind or another. Of a refresh, its client does not learn what came of it.
fn request(installation: &Installation, family: &Family, number: usize) -> String {
    let signed = house_header(family);
    let form = |path: &str, body: String| {
        let length = format!("Content-Length: {}", body.len());
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let head =
            raw_http::head("POST", path, installation.host(), &[&*signed, kind, &*length, ""]);
        head + &body
    };
    match number % 4 {
        0 => {
            let bearer = format!("Authorization: Bearer {}", family.newest.access);
            raw_http::head("GET", "/userinfo", installation.host(), &[&*bearer, ""])
        }
        1 => form("/introspect", encode(&[("token", &family.newest.access)])),
        2 => form(
            "/token",
            encode(&[("grant_type", "refresh_token"), ("refresh_token", &family.newest.refresh)]),
        ),
        _ => form("/token", encode(&[("grant_type", "client_credentials")])),
    }
}

fn house_header(family: &Family) -> String {
    use base64::Engine as _;
    let pair = format!("{}:{}", family.client.id, family.client.secret);
    format!("Authorization: Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}
