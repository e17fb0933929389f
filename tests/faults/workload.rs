//! Many clients at work while something breaks: refresh tokens in loops, and codes redeemed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::RequestBuilder;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::checker::WorkloadResult;
use crate::client::{Browser, Code, ConfidentialClient, SCOPE, Tokens};
use crate::history::{History, Kind, increment};
use crate::parts::http::{HttpClient, HttpOutcome, send};
use crate::parts::installation::{Installation, username};
use crate::parts::server::Server;

/// How much of what.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Refresh families, each in a loop of its own.
    pub families: usize,
    /// All of them together.
    pub refreshes_per_s: f64,
    /// Each is redeemed at once, and what came of it is looked at in the end.
    pub codes_per_s: f64,
    /// The chance of each turn of a family to be its last, because the client revokes it.
    pub revoked: f64,
}

impl Default for Load {
    fn default() -> Self {
        Self { families: 100, refreshes_per_s: 100.0, codes_per_s: 10.0, revoked: 0.01 }
    }
}

/// A refresh family as its client knows it.
#[derive(Clone, Debug)]
pub struct Family {
    pub number: usize,
    pub client: Arc<ConfidentialClient>,
    pub person: String,
    /// The newest tokens.
    pub newest: Tokens,
    /// Those before.
    pub previous: Option<Tokens>,
    pub state: FamilyState,
    /// What it came of.
    pub code: Option<Code>,
}

/// What its client thinks of a family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FamilyState {
    Active,
    /// It was told `invalid_grant`, which makes it throw its tokens away.
    Refused,
    /// It asked for that, and was told that it is so.
    Revoked,
    /// It asked for that, and does not know.
    MaybeRevoked,
}

/// How many sign people in at the same time.
const SIGN_IN_WORKERS: u8 = 4;

/// What goes on. It goes on in the background, until it is told to end.
pub struct Workload {
    state: Arc<WorkloadState>,
    stop: watch::Sender<bool>,
    loops: Vec<JoinHandle<Vec<Family>>>,
    watching: JoinHandle<()>,
    peak_kb: Arc<AtomicU64>,
}

/// What every hand needs.
struct WorkloadState {
    history: Arc<History>,
    servers: Vec<Arc<Server>>,
    clients: [Arc<ConfidentialClient>; 2],
    /// Codes and families have numbers of their own.
    codes: AtomicUsize,
    families: AtomicUsize,
}

impl Workload {
    /// Signs people in, makes the families, and lets go. All is well while that is done.
    pub async fn start(
        installation: &Installation,
        servers: &[Arc<Server>],
        load: Load,
        seed: u64,
    ) -> Self {
        let scene = Arc::new(WorkloadState {
            history: Arc::default(),
            servers: servers.to_vec(),
            clients: [Arc::clone(installation.client(0)), Arc::clone(installation.client(1))],
            codes: AtomicUsize::new(0),
            families: AtomicUsize::new(0),
        });
        let mut rng = StdRng::seed_from_u64(seed);
        let families = create_families(&scene, load.families).await;
        let (stop, stopped) = watch::channel(false);
        let mut loops = Vec::new();
        let pause = Duration::from_secs_f64(
            f64::from(u32::try_from(load.families).unwrap_or(u32::MAX)) / load.refreshes_per_s,
        );
        for family in families {
            let hand = Worker::of(&scene, &stopped, rng.random());
            loops.push(tokio::spawn(hand.refresh_loop(family, pause, load.revoked)));
        }
        if load.codes_per_s > 0.0 {
            let pause = Duration::from_secs_f64(f64::from(SIGN_IN_WORKERS) / load.codes_per_s);
            for number in 0..SIGN_IN_WORKERS {
                let hand = Worker::of(&scene, &stopped, rng.random());
                loops.push(tokio::spawn(hand.redeem_loop(username(number.into()), pause)));
            }
        }
        let peak_kb = Arc::new(AtomicU64::new(0));
        let watching = tokio::spawn(watch_memory(servers.to_vec(), Arc::clone(&peak_kb)));
        Self { state: scene, stop, loops, watching, peak_kb }
    }

    pub fn history(&self) -> &Arc<History> {
        &self.state.history
    }

    /// Nothing new is begun; what is under way ends.
    pub async fn stop_and_collect(self) -> WorkloadResult {
        self.stop.send_replace(true);
        let mut families = Vec::new();
        for one in self.loops {
            families.extend(one.await.expect("a hand that does not panic"));
        }
        self.watching.abort();
        #[expect(clippy::cast_precision_loss, reason = "it is no more than the memory there is")]
        let rss_max_mb = self.peak_kb.load(Ordering::Relaxed) as f64 / 1024.0;
        let history = Arc::clone(&self.state.history);
        WorkloadResult { history, families, servers: self.state.servers.clone(), rss_max_mb }
    }
}

/// So many families, made in good times, without a note in the history.
pub async fn new_families(
    installation: &Installation,
    servers: &[Arc<Server>],
    count: usize,
) -> Vec<Family> {
    let scene = WorkloadState {
        history: Arc::default(),
        servers: servers.to_vec(),
        clients: [Arc::clone(installation.client(0)), Arc::clone(installation.client(1))],
        codes: AtomicUsize::new(0),
        families: AtomicUsize::new(0),
    };
    create_families(&scene, count).await
}

async fn create_families(scene: &WorkloadState, count: usize) -> Vec<Family> {
    let mut made = Vec::new();
    let people = count.min(crate::parts::installation::USER_COUNT);
    for number in 0..people {
        let (server, shop) = (&scene.servers[0], &scene.clients[number % 2]);
        let browser = Browser::sign_in(server.client(), shop, &username(number)).await;
        let browser = browser.unwrap_or_else(|reply| panic!("cannot sign in: {reply:?}"));
        for turn in (number..count).step_by(people) {
            let shop = &scene.clients[turn % 2];
            let code = browser.code(server.client(), shop).await;
            let code = code.unwrap_or_else(|reply| panic!("no code: {reply:?}"));
            let reply = send(shop.redeem_request(server.client(), &code)).await;
            let held = Tokens::of(&reply).unwrap_or_else(|| panic!("no tokens: {reply:?}"));
            made.push(scene.family(code, held));
        }
    }
    made
}

impl WorkloadState {
    fn family(&self, code: Code, held: Tokens) -> Family {
        let number = self.families.fetch_add(1, Ordering::Relaxed);
        let (shop, person) = (Arc::clone(&code.client), code.person.clone());
        let (before, state) = (None, FamilyState::Active);
        Family {
            number,
            client: shop,
            person,
            newest: held,
            previous: before,
            state,
            code: Some(code),
        }
    }
}

/// One client of many.
struct Worker {
    state: Arc<WorkloadState>,
    stopped: watch::Receiver<bool>,
    rng: StdRng,
}

impl Worker {
    fn of(scene: &Arc<WorkloadState>, stopped: &watch::Receiver<bool>, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self { state: Arc::clone(scene), stopped: stopped.clone(), rng }
    }

    /// Refreshes again and again. Without an answer, or after a "not now", the same token is shown
    /// again, to the next server.
    async fn refresh_loop(
        mut self,
        mut family: Family,
        pause: Duration,
        revoked: f64,
    ) -> Vec<Family> {
        while family.state == FamilyState::Active && self.pause(pause).await {
            if self.rng.random_bool(revoked) {
                self.revoke(&mut family).await;
                continue;
            }
            let (shop, held) = (Arc::clone(&family.client), family.newest.clone());
            let subject = (family.number, held.generation());
            let ask = |http: &HttpClient| shop.refresh_request(http, &held.refresh);
            let (reply, _) = self.retry_until_conclusive(Kind::Refresh, subject, ask).await;
            if let Some(next) = Tokens::of(&reply) {
                self.check_owner(&next, &family.person, &shop);
                family.previous = Some(std::mem::replace(&mut family.newest, next));
            } else if !reply.is_inconclusive() {
                family.state = FamilyState::Refused;
            }
        }
        vec![family]
    }

    async fn revoke(&mut self, family: &mut Family) {
        let (shop, held) = (Arc::clone(&family.client), family.newest.clone());
        let ask = |http: &HttpClient| shop.revoke_request(http, &held.refresh);
        let subject = (family.number, held.generation());
        let (reply, _) = self.retry_until_conclusive(Kind::Revoke, subject, ask).await;
        family.state =
            if reply.has_status(200) { FamilyState::Revoked } else { FamilyState::MaybeRevoked };
    }

    /// Signs this person in, and then gets and redeems one code after the other.
    async fn redeem_loop(mut self, person: String, pause: Duration) -> Vec<Family> {
        let (mut made, mut browser) = (Vec::new(), None);
        while self.pause(pause).await {
            let shop = Arc::clone(&self.state.clients[self.rng.random_range(0..2)]);
            let Some(code) = self.code(&mut browser, &person, &shop).await else { continue };
            let number = self.state.codes.fetch_add(1, Ordering::Relaxed);
            let ask = |http: &HttpClient| shop.redeem_request(http, &code);
            let (reply, silences) =
                self.retry_until_conclusive(Kind::Redeem, (number, 0), ask).await;
            if let Some(held) = Tokens::of(&reply) {
                self.check_owner(&held, &person, &shop);
                made.push(self.state.family(code, held));
            } else if !reply.is_inconclusive() && silences == 0 {
                increment(&self.state.history.burnt);
            }
        }
        made
    }

    /// A code from whichever server gives one. Who is not signed in any more signs in again.
    async fn code(
        &mut self,
        browser: &mut Option<Browser>,
        person: &str,
        shop: &Arc<ConfidentialClient>,
    ) -> Option<Code> {
        let server = self.any_server();
        let http = self.state.servers[server].client().clone();
        let Some(signed_in) = browser else {
            *browser = Browser::sign_in(&http, shop, person).await.ok();
            return None;
        };
        let mut code = None;
        let asks = async {
            let (got, reply) = signed_in.try_code(&http, shop, SCOPE).await;
            code = got;
            reply
        };
        let history = Arc::clone(&self.state.history);
        let reply = history.record((server, Kind::Authorize), (0, 0), asks).await;
        if reply.redirect_param("error").is_some_and(|error| error == "login_required") {
            increment(&history.relogins);
            *browser = None;
        }
        code
    }

    /// Asks one server after the other until there is something to conclude from, or the workload is over.
    /// Answers that, and how many attempts before it had no answer.
    async fn retry_until_conclusive(
        &mut self,
        kind: Kind,
        subject: (usize, u64),
        ask: impl Fn(&HttpClient) -> RequestBuilder,
    ) -> (HttpOutcome, usize) {
        let history = Arc::clone(&self.state.history);
        let (mut number, mut silences) = (self.any_server(), 0);
        loop {
            let attempt = send(ask(self.state.servers[number].client()));
            let reply = history.record((number, kind), subject, attempt).await;
            if !reply.is_inconclusive() || *self.stopped.borrow() {
                return (reply, silences);
            }
            silences += usize::from(reply.is_ambiguous());
            number = (number + 1) % self.state.servers.len();
            sleep(Duration::from_millis(self.rng.random_range(20..100))).await;
        }
    }

    fn check_owner(&self, tokens: &Tokens, person: &str, shop: &ConfidentialClient) {
        if !tokens.belong_to(person, shop) {
            increment(&self.state.history.mixed);
        }
    }

    fn any_server(&mut self) -> usize {
        self.rng.random_range(0..self.state.servers.len())
    }

    /// Waits a while, about so long; answers whether to go on.
    async fn pause(&mut self, about: Duration) -> bool {
        let pause = about.mul_f64(self.rng.random_range(0.0..2.0));
        tokio::select! {
            () = sleep(pause) => {}
            _ = self.stopped.wait_for(|stopped| *stopped) => {}
        }
        !*self.stopped.borrow()
    }
}

async fn watch_memory(servers: Vec<Arc<Server>>, peak_kb: Arc<AtomicU64>) {
    loop {
        for server in &servers {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a size")]
            peak_kb.fetch_max((server.rss_mb() * 1024.0) as u64, Ordering::Relaxed);
        }
        sleep(Duration::from_millis(100)).await;
    }
}
