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

use crate::checker::Aftermath;
use crate::client::{Browser, Code, SCOPE, Shop, Tokens};
use crate::history::{Kind, Ledger, note};
use crate::parts::http::{Reply, Wire, send};
use crate::parts::installation::{House, person};
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
    pub shop: Arc<Shop>,
    pub person: String,
    /// The newest tokens.
    pub held: Tokens,
    /// Those before.
    pub before: Option<Tokens>,
    pub state: State,
    /// What it came of.
    pub code: Option<Code>,
}

/// What its client thinks of a family.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    Alive,
    /// It was told `invalid_grant`, which makes it throw its tokens away.
    Refused,
    /// It asked for that, and was told that it is so.
    Revoked,
    /// It asked for that, and does not know.
    PerhapsRevoked,
}

/// How many sign people in at the same time.
const HANDS: u8 = 4;

/// What goes on. It goes on in the background, until it is told to end.
pub struct Storm {
    scene: Arc<Scene>,
    stop: watch::Sender<bool>,
    loops: Vec<JoinHandle<Vec<Family>>>,
    watching: JoinHandle<()>,
    peak_kb: Arc<AtomicU64>,
}

/// What every hand needs.
struct Scene {
    ledger: Arc<Ledger>,
    servers: Vec<Arc<Server>>,
    shops: [Arc<Shop>; 2],
    /// Codes and families have numbers of their own.
    codes: AtomicUsize,
    families: AtomicUsize,
}

impl Storm {
    /// Signs people in, makes the families, and lets go. All is well while that is done.
    pub async fn begins(house: &House, servers: &[Arc<Server>], load: Load, seed: u64) -> Self {
        let scene = Arc::new(Scene {
            ledger: Arc::default(),
            servers: servers.to_vec(),
            shops: [Arc::clone(house.shop(0)), Arc::clone(house.shop(1))],
            codes: AtomicUsize::new(0),
            families: AtomicUsize::new(0),
        });
        let mut rng = StdRng::seed_from_u64(seed);
        let families = make_families(&scene, load.families).await;
        let (stop, stopped) = watch::channel(false);
        let mut loops = Vec::new();
        let pause = Duration::from_secs_f64(
            f64::from(u32::try_from(load.families).unwrap_or(u32::MAX)) / load.refreshes_per_s,
        );
        for family in families {
            let hand = Hand::of(&scene, &stopped, rng.random());
            loops.push(tokio::spawn(hand.refreshes(family, pause, load.revoked)));
        }
        if load.codes_per_s > 0.0 {
            let pause = Duration::from_secs_f64(f64::from(HANDS) / load.codes_per_s);
            for number in 0..HANDS {
                let hand = Hand::of(&scene, &stopped, rng.random());
                loops.push(tokio::spawn(hand.redeems(person(number.into()), pause)));
            }
        }
        let peak_kb = Arc::new(AtomicU64::new(0));
        let watching = tokio::spawn(watch_memory(servers.to_vec(), Arc::clone(&peak_kb)));
        Self { scene, stop, loops, watching, peak_kb }
    }

    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.scene.ledger
    }

    /// Nothing new is begun; what is under way ends.
    pub async fn ends(self) -> Aftermath {
        self.stop.send_replace(true);
        let mut families = Vec::new();
        for one in self.loops {
            families.extend(one.await.expect("a hand that does not panic"));
        }
        self.watching.abort();
        #[expect(clippy::cast_precision_loss, reason = "it is no more than the memory there is")]
        let rss_max_mb = self.peak_kb.load(Ordering::Relaxed) as f64 / 1024.0;
        let ledger = Arc::clone(&self.scene.ledger);
        Aftermath { ledger, families, servers: self.scene.servers.clone(), rss_max_mb }
    }
}

/// So many families, made in good times, without a note in the ledger.
pub async fn families(house: &House, servers: &[Arc<Server>], count: usize) -> Vec<Family> {
    let scene = Scene {
        ledger: Arc::default(),
        servers: servers.to_vec(),
        shops: [Arc::clone(house.shop(0)), Arc::clone(house.shop(1))],
        codes: AtomicUsize::new(0),
        families: AtomicUsize::new(0),
    };
    make_families(&scene, count).await
}

async fn make_families(scene: &Scene, count: usize) -> Vec<Family> {
    let mut made = Vec::new();
    let people = count.min(crate::parts::installation::PEOPLE);
    for number in 0..people {
        let (server, shop) = (&scene.servers[0], &scene.shops[number % 2]);
        let browser = Browser::signed_in(server.wire(), shop, &person(number)).await;
        let browser = browser.unwrap_or_else(|reply| panic!("cannot sign in: {reply:?}"));
        for turn in (number..count).step_by(people) {
            let shop = &scene.shops[turn % 2];
            let code = browser.code(server.wire(), shop).await;
            let code = code.unwrap_or_else(|reply| panic!("no code: {reply:?}"));
            let reply = send(shop.redeeming(server.wire(), &code)).await;
            let held = Tokens::of(&reply).unwrap_or_else(|| panic!("no tokens: {reply:?}"));
            made.push(scene.family(code, held));
        }
    }
    made
}

impl Scene {
    fn family(&self, code: Code, held: Tokens) -> Family {
        let number = self.families.fetch_add(1, Ordering::Relaxed);
        let (shop, person) = (Arc::clone(&code.shop), code.person.clone());
        let (before, state) = (None, State::Alive);
        Family { number, shop, person, held, before, state, code: Some(code) }
    }
}

/// One client of many.
struct Hand {
    scene: Arc<Scene>,
    stopped: watch::Receiver<bool>,
    rng: StdRng,
}

impl Hand {
    fn of(scene: &Arc<Scene>, stopped: &watch::Receiver<bool>, seed: u64) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        Self { scene: Arc::clone(scene), stopped: stopped.clone(), rng }
    }

    /// Refreshes again and again. Without an answer, or after a "not now", the same token is shown
    /// again, to the next server.
    async fn refreshes(mut self, mut family: Family, pause: Duration, revoked: f64) -> Vec<Family> {
        while family.state == State::Alive && self.waits(pause).await {
            if self.rng.random_bool(revoked) {
                self.revokes(&mut family).await;
                continue;
            }
            let (shop, held) = (Arc::clone(&family.shop), family.held.clone());
            let subject = (family.number, held.generation());
            let ask = |wire: &Wire| shop.refreshing(wire, &held.refresh);
            let (reply, _) = self.insists(Kind::Refresh, subject, ask).await;
            if let Some(next) = Tokens::of(&reply) {
                self.checks(&next, &family.person, &shop);
                family.before = Some(std::mem::replace(&mut family.held, next));
            } else if !reply.is_inconclusive() {
                family.state = State::Refused;
            }
        }
        vec![family]
    }

    async fn revokes(&mut self, family: &mut Family) {
        let (shop, held) = (Arc::clone(&family.shop), family.held.clone());
        let ask = |wire: &Wire| shop.revoking(wire, &held.refresh);
        let subject = (family.number, held.generation());
        let (reply, _) = self.insists(Kind::Revoke, subject, ask).await;
        family.state = if reply.is(200) { State::Revoked } else { State::PerhapsRevoked };
    }

    /// Signs this person in, and then gets and redeems one code after the other.
    async fn redeems(mut self, person: String, pause: Duration) -> Vec<Family> {
        let (mut made, mut browser) = (Vec::new(), None);
        while self.waits(pause).await {
            let shop = Arc::clone(&self.scene.shops[self.rng.random_range(0..2)]);
            let Some(code) = self.code(&mut browser, &person, &shop).await else { continue };
            let number = self.scene.codes.fetch_add(1, Ordering::Relaxed);
            let ask = |wire: &Wire| shop.redeeming(wire, &code);
            let (reply, silences) = self.insists(Kind::Redeem, (number, 0), ask).await;
            if let Some(held) = Tokens::of(&reply) {
                self.checks(&held, &person, &shop);
                made.push(self.scene.family(code, held));
            } else if !reply.is_inconclusive() && silences == 0 {
                note(&self.scene.ledger.burnt);
            }
        }
        made
    }

    /// A code from whichever server gives one. Who is not signed in any more signs in again.
    async fn code(
        &mut self,
        browser: &mut Option<Browser>,
        person: &str,
        shop: &Arc<Shop>,
    ) -> Option<Code> {
        let server = self.any_server();
        let wire = self.scene.servers[server].wire().clone();
        let Some(signed_in) = browser else {
            *browser = Browser::signed_in(&wire, shop, person).await.ok();
            return None;
        };
        let mut code = None;
        let asks = async {
            let (got, reply) = signed_in.tries_for_code(&wire, shop, SCOPE).await;
            code = got;
            reply
        };
        let ledger = Arc::clone(&self.scene.ledger);
        let reply = ledger.records((server, Kind::Authorize), (0, 0), asks).await;
        if reply.landed_with("error").is_some_and(|error| error == "login_required") {
            note(&ledger.relogins);
            *browser = None;
        }
        code
    }

    /// Asks one server after the other until there is something to conclude from, or the storm is over.
    /// Answers that, and how many attempts before it had no answer.
    async fn insists(
        &mut self,
        kind: Kind,
        subject: (usize, u64),
        ask: impl Fn(&Wire) -> RequestBuilder,
    ) -> (Reply, usize) {
        let ledger = Arc::clone(&self.scene.ledger);
        let (mut number, mut silences) = (self.any_server(), 0);
        loop {
            let attempt = send(ask(self.scene.servers[number].wire()));
            let reply = ledger.records((number, kind), subject, attempt).await;
            if !reply.is_inconclusive() || *self.stopped.borrow() {
                return (reply, silences);
            }
            silences += usize::from(reply.is_silence());
            number = (number + 1) % self.scene.servers.len();
            sleep(Duration::from_millis(self.rng.random_range(20..100))).await;
        }
    }

    fn checks(&self, tokens: &Tokens, person: &str, shop: &Shop) {
        if !tokens.belong_to(person, shop) {
            note(&self.scene.ledger.mixed);
        }
    }

    fn any_server(&mut self) -> usize {
        self.rng.random_range(0..self.scene.servers.len())
    }

    /// Waits a while, about so long; answers whether to go on.
    async fn waits(&mut self, about: Duration) -> bool {
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
