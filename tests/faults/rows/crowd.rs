//! A crowd that signs in all at once, and somebody who just wants a token meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Browser, Tokens};
use crate::parts::house::{House, PASSWORD, person};
use crate::parts::server::Server;
use crate::parts::wire::{Reply, Wire, send};

/// How long anybody waits. Somebody in a crowd of ten thousand does.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the crowd came to.
#[derive(Debug, Default)]
pub struct Crowd {
    /// Signed in, with tokens.
    pub ok: usize,
    /// Told to come back later, and when.
    pub busy: usize,
    /// Anything else; the first few in words.
    pub other: usize,
    pub what: Vec<String>,
    /// Got what was somebody else's.
    pub mixed: usize,
    /// From the first to the last that was let in.
    pub lasted: Duration,
    /// How long a token took meanwhile, each time.
    pub tokens: Vec<Duration>,
    /// How often there was none.
    pub tokens_failed: usize,
}

enum Came {
    Ok,
    Busy,
    Mixed,
    Other(String),
}

/// So many people at once, each with a connection of their own.
pub async fn comes(house: &Arc<House>, server: &Arc<Server>, count: usize) -> Crowd {
    let over = Arc::new(AtomicBool::new(false));
    let token = tokio::spawn(tokens(Arc::clone(house), Arc::clone(server), Arc::clone(&over)));
    let wire = server.fresh_wire(PATIENCE);
    let since = Instant::now();
    let mut people = JoinSet::new();
    for number in 0..count {
        let (house, wire) = (Arc::clone(house), wire.clone());
        people.spawn(async move { (one(&house, &wire, number).await, Instant::now()) });
    }
    let mut crowd = Crowd::default();
    while let Some(came) = people.join_next().await {
        let (came, at) = came.expect("a person that does not panic");
        match came {
            Came::Ok => {
                crowd.ok += 1;
                crowd.lasted = crowd.lasted.max(at - since);
            }
            Came::Busy => crowd.busy += 1,
            Came::Mixed => crowd.mixed += 1,
            Came::Other(what) => {
                crowd.other += 1;
                if crowd.what.len() < 3 {
                    crowd.what.push(what);
                }
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    (crowd.tokens, crowd.tokens_failed) = token.await.expect("a client that does not panic");
    crowd
}

/// How long one hash takes on this machine now: the quickest of a few sign-ins, with all around it.
pub async fn sign_in_alone(house: &House, server: &Server) -> Duration {
    let mut best = Duration::MAX;
    for number in 0..5 {
        let (wire, browser) = (server.wire(), Browser::of(&person(number)));
        let (url, _) = house.shop(0).asks("openid", &[]);
        let page = browser.opens(wire, &url).await;
        let since = Instant::now();
        browser.presses_login(wire, &page, PASSWORD).await;
        best = best.min(since.elapsed());
    }
    best
}

async fn one(house: &House, wire: &Wire, number: usize) -> Came {
    let (name, shop) = (person(number), house.shop(number / 8));
    let state = format!("state-{number}");
    let browser = Browser::of(&name);
    let (url, verifier) = shop.asks(crate::client::SCOPE, &[("state", &state)]);
    let page = browser.opens(wire, &url).await;
    if !page.is(200) {
        return not_let_in("page", &page);
    }
    let landed = browser.types_in(wire, &page, PASSWORD).await;
    let Some(text) = landed.landed_with("code") else { return not_let_in("login", &landed) };
    if landed.landed_with("state").as_ref() != Some(&state) {
        return Came::Mixed;
    }
    let code = crate::client::Code { text, verifier, shop: Arc::clone(shop), person: name.clone() };
    let reply = send(shop.redeeming(wire, &code)).await;
    match Tokens::of(&reply) {
        Some(tokens) if tokens.belong_to(&name, shop) => Came::Ok,
        Some(_) => Came::Mixed,
        None => not_let_in("token", &reply),
    }
}

/// "Not now" has to say when.
fn not_let_in(at: &str, reply: &Reply) -> Came {
    if reply.is(503) && reply.header("retry-after").is_some() {
        return Came::Busy;
    }
    Came::Other(format!("{at}:{:?}:{}", reply.status(), reply.took.as_secs()))
}

async fn tokens(
    house: Arc<House>,
    server: Arc<Server>,
    over: Arc<AtomicBool>,
) -> (Vec<Duration>, usize) {
    let wire = server.fresh_wire(Duration::from_secs(20));
    let (mut took, mut failed) = (Vec::new(), 0);
    // The connection is there before the crowd is: an application keeps one.
    while !over.load(Ordering::Relaxed) {
        let reply = send(house.shop(0).acting_alone(&wire)).await;
        took.push(reply.took);
        failed += usize::from(!reply.is(200));
        sleep(Duration::from_millis(20)).await;
    }
    (took, failed)
}
