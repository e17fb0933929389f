//! A crowd that signs in all at once, and somebody who just wants a token meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Browser, Code, SCOPE, Tokens};
use crate::history::note;
use crate::parts::http::{Reply, Wire, send};
use crate::parts::installation::{House, PASSWORD, person};
use crate::parts::server::Server;

/// How long anybody waits. Somebody in a crowd of ten thousand does.
const PATIENCE: Duration = Duration::from_secs(300);

/// What the crowd came to.
#[derive(Debug, Default)]
pub struct Crowd {
    /// Signed in, with tokens.
    pub ok: usize,
    /// Told to come back later, and when.
    pub busy: usize,
    /// Those of them that did not even get the page, because the store did not keep up.
    pub busy_pages: usize,
    /// Anything else; the first few in words.
    pub other: usize,
    pub what: Vec<String>,
    /// Attempts without an answer, after which somebody began anew. The server waits five seconds for the
    /// first word on a connection, and ten thousand people on the cores of one bench are not always that
    /// quick.
    pub redialled: usize,
    /// Got what was somebody else's.
    pub mixed: usize,
    /// From the first to the last that was let in.
    pub lasted: Duration,
    /// How long a token took meanwhile, each time.
    pub tokens: Vec<Duration>,
    /// What was answered instead; 0 is nothing.
    pub tokens_failed: Vec<u16>,
}

enum Came {
    Ok,
    Busy { page: bool },
    Mixed,
    Other(String),
}

/// So many people at once, each with a connection of their own.
pub async fn comes(house: &Arc<House>, server: &Arc<Server>, count: usize) -> Crowd {
    let over = Arc::new(AtomicBool::new(false));
    let token = apart(tokens(Arc::clone(house), Arc::clone(server), Arc::clone(&over)));
    let wire = server.fresh_wire(PATIENCE);
    let since = Instant::now();
    let (mut people, redialled) = (JoinSet::new(), Arc::<AtomicUsize>::default());
    for number in 0..count {
        let (house, wire) = (Arc::clone(house), wire.clone());
        let redialled = Arc::clone(&redialled);
        people.spawn(async move { (one(&house, &wire, number, &redialled).await, Instant::now()) });
    }
    let mut crowd = Crowd::default();
    while let Some(came) = people.join_next().await {
        let (came, at) = came.expect("a person that does not panic");
        match came {
            Came::Ok => {
                crowd.ok += 1;
                crowd.lasted = crowd.lasted.max(at - since);
            }
            Came::Busy { page } => {
                crowd.busy += 1;
                crowd.busy_pages += usize::from(page);
            }
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
    crowd.redialled = redialled.load(Ordering::Relaxed);
    crowd
}

/// On a thread of its own, so that what is measured there is not the crowd's turn on this one.
fn apart<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> oneshot::Receiver<T> {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let _ = tell.send(runtime.expect("a runtime").block_on(work));
    });
    told
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

/// Somebody who begins anew when there is no answer, a few times.
async fn one(house: &House, wire: &Wire, number: usize, redialled: &AtomicUsize) -> Came {
    for _ in 0..5 {
        if let Some(came) = tries(house, wire, number).await {
            return came;
        }
        note(redialled);
    }
    Came::Other("never answered".to_owned())
}

/// From the first page to the tokens; none if something was not answered at all.
async fn tries(house: &House, wire: &Wire, number: usize) -> Option<Came> {
    let (name, shop) = (person(number), house.shop(number / 8));
    let state = format!("state-{number}");
    let browser = Browser::of(&name);
    let (url, verifier) = shop.asks(SCOPE, &[("state", &state)]);
    let page = browser.opens(wire, &url).await;
    if !page.is(200) {
        return not_let_in("page", &page);
    }
    let landed = browser.types_in(wire, &page, PASSWORD).await;
    let Some(text) = landed.landed_with("code") else { return not_let_in("login", &landed) };
    if landed.landed_with("state").as_ref() != Some(&state) {
        return Some(Came::Mixed);
    }
    let code = Code { text, verifier, shop: Arc::clone(shop), person: name.clone() };
    let reply = send(shop.redeeming(wire, &code)).await;
    match Tokens::of(&reply) {
        Some(tokens) if tokens.belong_to(&name, shop) => Some(Came::Ok),
        Some(_) => Some(Came::Mixed),
        None => not_let_in("token", &reply),
    }
}

/// "Not now" has to say when.
fn not_let_in(at: &str, reply: &Reply) -> Option<Came> {
    let status = reply.status()?;
    if status == 503 && reply.header("retry-after").is_some() {
        return Some(Came::Busy { page: at == "page" });
    }
    Some(Came::Other(format!("{at}:{status}")))
}

async fn tokens(
    house: Arc<House>,
    server: Arc<Server>,
    over: Arc<AtomicBool>,
) -> (Vec<Duration>, Vec<u16>) {
    let wire = server.fresh_wire(Duration::from_secs(20));
    let (mut took, mut failed) = (Vec::new(), Vec::new());
    // The connection is there before the crowd is: an application keeps one.
    while !over.load(Ordering::Relaxed) {
        let reply = send(house.shop(0).acting_alone(&wire)).await;
        took.push(reply.took);
        if !reply.is(200) {
            failed.push(reply.status().unwrap_or_default());
        }
        sleep(Duration::from_millis(20)).await;
    }
    (took, failed)
}
