//! Many users who sign in at once, while a client requests tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Browser, Code, SCOPE, Tokens};
use crate::history::increment;
use crate::parts::http::{HttpClient, HttpOutcome, send};
use crate::parts::installation::{Installation, PASSWORD, username};
use crate::parts::server::Server;

/// How long anybody waits. Somebody in a crowd of ten thousand does.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(300);

/// What the crowd came to.
#[derive(Debug, Default)]
pub struct LoginBurst {
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

enum LoginResult {
    Ok,
    Busy { page: bool },
    Mixed,
    Other(String),
}

/// So many people at once, each with a connection of their own.
pub async fn run_burst(
    installation: &Arc<Installation>,
    server: &Arc<Server>,
    count: usize,
) -> LoginBurst {
    let over = Arc::new(AtomicBool::new(false));
    let token = apart(tokens(Arc::clone(installation), Arc::clone(server), Arc::clone(&over)));
    let http = server.new_client(LOGIN_TIMEOUT);
    let since = Instant::now();
    let (mut people, redialled) = (JoinSet::new(), Arc::<AtomicUsize>::default());
    for number in 0..count {
        let (installation, http) = (Arc::clone(installation), http.clone());
        let redialled = Arc::clone(&redialled);
        people.spawn(async move {
            (one(&installation, &http, number, &redialled).await, Instant::now())
        });
    }
    let mut crowd = LoginBurst::default();
    while let Some(came) = people.join_next().await {
        let (came, at) = came.expect("a person that does not panic");
        match came {
            LoginResult::Ok => {
                crowd.ok += 1;
                crowd.lasted = crowd.lasted.max(at - since);
            }
            LoginResult::Busy { page } => {
                crowd.busy += 1;
                crowd.busy_pages += usize::from(page);
            }
            LoginResult::Mixed => crowd.mixed += 1,
            LoginResult::Other(what) => {
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
pub async fn sign_in_alone(installation: &Installation, server: &Server) -> Duration {
    let mut best = Duration::MAX;
    for number in 0..5 {
        let (http, browser) = (server.client(), Browser::new(&username(number)));
        let (url, _) = installation.client(0).authorization_url("openid", &[]);
        let page = browser.open(http, &url).await;
        let since = Instant::now();
        browser.post_login(http, &page, PASSWORD).await;
        best = best.min(since.elapsed());
    }
    best
}

/// Somebody who begins anew when there is no answer, a few times.
async fn one(
    installation: &Installation,
    http: &HttpClient,
    number: usize,
    redialled: &AtomicUsize,
) -> LoginResult {
    for _ in 0..5 {
        if let Some(came) = tries(installation, http, number).await {
            return came;
        }
        increment(redialled);
    }
    LoginResult::Other("never answered".to_owned())
}

/// From the first page to the tokens; none if something was not answered at all.
async fn tries(
    installation: &Installation,
    http: &HttpClient,
    number: usize,
) -> Option<LoginResult> {
    let (name, shop) = (username(number), installation.client(number / 8));
    let state = format!("state-{number}");
    let browser = Browser::new(&name);
    let (url, verifier) = shop.authorization_url(SCOPE, &[("state", &state)]);
    let page = browser.open(http, &url).await;
    if !page.has_status(200) {
        return not_let_in("page", &page);
    }
    let landed = browser.submit_login(http, &page, PASSWORD).await;
    let Some(text) = landed.redirect_param("code") else { return not_let_in("login", &landed) };
    if landed.redirect_param("state").as_ref() != Some(&state) {
        return Some(LoginResult::Mixed);
    }
    let code = Code { text, verifier, client: Arc::clone(shop), person: name.clone() };
    let reply = send(shop.redeem_request(http, &code)).await;
    match Tokens::of(&reply) {
        Some(tokens) if tokens.belong_to(&name, shop) => Some(LoginResult::Ok),
        Some(_) => Some(LoginResult::Mixed),
        None => not_let_in("token", &reply),
    }
}

/// "Not now" has to say when.
fn not_let_in(at: &str, reply: &HttpOutcome) -> Option<LoginResult> {
    let status = reply.status()?;
    if status == 503 && reply.header("retry-after").is_some() {
        return Some(LoginResult::Busy { page: at == "page" });
    }
    Some(LoginResult::Other(format!("{at}:{status}")))
}

async fn tokens(
    installation: Arc<Installation>,
    server: Arc<Server>,
    over: Arc<AtomicBool>,
) -> (Vec<Duration>, Vec<u16>) {
    let http = server.new_client(Duration::from_secs(20));
    let (mut took, mut failed) = (Vec::new(), Vec::new());
    // The connection is there before the crowd is: an application keeps one.
    while !over.load(Ordering::Relaxed) {
        let reply = send(installation.client(0).client_credentials_request(&http)).await;
        took.push(reply.took);
        if !reply.has_status(200) {
            failed.push(reply.status().unwrap_or_default());
        }
        sleep(Duration::from_millis(20)).await;
    }
    (took, failed)
}
