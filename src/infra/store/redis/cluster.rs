//! A Redis Cluster: a link to every primary, and a map that says which one has a key.
//!
//! The library's own cluster client is not used. It says a command again when the connection was lost
//! under it, up to sixteen times, which would break the rule that no call is repeated behind its
//! caller's back; and it puts no bound on what waits. Here a link is a link, as on a single server. A
//! wrong map costs one redirection, which redis gives instead of running the command, and has the map
//! drawn anew.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::cmd;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::address::Endpoint;
use super::door::Door;
use super::failure::{Failure, told};
use super::keeper::{Dialler, Way};
use super::link::Link;
use super::order::Acks;
use super::slots::{Run, are_all, runs, slot_of};
use super::tracking::Posts;

/// The cluster as it was last seen.
pub(super) struct Cluster {
    shared: Arc<Shared>,
    surveyor: JoinHandle<()>,
}

struct Shared {
    seeds: Vec<Endpoint>,
    door: Door,
    login: redis::RedisConnectionInfo,
    acks: Option<Acks>,
    patience: Duration,
    allow_volatile: bool,
    map: RwLock<Map>,
    /// Everybody who may answer: changed before anything is asked over a new link.
    posts: watch::Sender<Posts>,
    doubted: Notify,
}

#[derive(Default)]
struct Map {
    runs: Vec<Run>,
    links: HashMap<Endpoint, Arc<Link>>,
}

/// How the nodes are reached.
pub(super) struct Reach {
    pub(super) door: Door,
    pub(super) login: redis::RedisConnectionInfo,
    pub(super) acks: Option<Acks>,
    pub(super) patience: Duration,
    pub(super) allow_volatile: bool,
}

impl Cluster {
    /// Draws the first map, from whichever seed answers, and dials every primary on it.
    pub(super) async fn survey(seeds: Vec<Endpoint>, reach: Reach) -> Result<Self, Failure> {
        let Reach { door, login, acks, patience, allow_volatile } = reach;
        let (map, doubted, posts) = (RwLock::default(), Notify::new(), watch::Sender::default());
        let shared =
            Shared { seeds, door, login, acks, patience, allow_volatile, map, posts, doubted };
        let shared = Arc::new(shared);
        let runs = shared.ask_around().await?;
        if !are_all(&runs) {
            return Err(Failure::unavailable("the cluster has slots that no node serves"));
        }
        for run in &runs {
            if shared.known(&run.primary).is_none() {
                let link = Arc::new(Link::dial(shared.dialler(&run.primary)).await?);
                shared.write(|map| map.links.insert(run.primary.clone(), link));
            }
        }
        shared.draw(runs);
        let surveyor = tokio::spawn(keep_drawing(Arc::clone(&shared)));
        Ok(Self { shared, surveyor })
    }

    /// Who has the slot, as far as is known.
    pub(super) fn of(&self, slot: u16) -> Option<(Endpoint, Arc<Link>)> {
        self.shared.read(|map| {
            let run = map.run(slot)?;
            Some((run.primary.clone(), Arc::clone(map.links.get(&run.primary)?)))
        })
    }

    /// The node that a redirection names, which may be news.
    pub(super) fn at(&self, node: &Endpoint) -> Arc<Link> {
        if let Some(link) = self.shared.known(node) {
            return link;
        }
        let link = Arc::new(Link::begin(self.shared.dialler(node)));
        self.shared.write(|map| {
            let link = Arc::clone(map.links.entry(node.clone()).or_insert(link));
            self.shared.post(map);
            link
        })
    }

    /// Where to listen for changes, as it is from time to time.
    pub(super) fn posts(&self) -> watch::Receiver<Posts> {
        self.shared.posts.subscribe()
    }

    /// Has the map drawn anew, for something was not as it says.
    pub(super) fn doubt(&self) {
        self.shared.doubted.notify_one();
    }

    /// A hash tag on every primary.
    pub(super) fn tags(&self) -> Vec<String> {
        self.shared.read(|map| {
            let mut missing: HashSet<&Endpoint> = map.runs.iter().map(|run| &run.primary).collect();
            let wanted = missing.len();
            let new = |tag: &String| {
                map.run(slot_of(tag)).is_some_and(|run| missing.remove(&run.primary))
            };
            (0..MOST_TAGS).map(|number| format!("ping{number}")).filter(new).take(wanted).collect()
        })
    }
}

impl Map {
    fn run(&self, slot: u16) -> Option<&Run> {
        let at = self.runs.partition_point(|run| run.last < slot);
        self.runs.get(at).filter(|run| run.first <= slot)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.surveyor.abort();
    }
}

impl Shared {
    fn dialler(&self, node: &Endpoint) -> Dialler {
        Dialler {
            door: self.door.clone(),
            login: self.login.clone(),
            way: Way::At(node.clone()),
            acks: self.acks,
            patience: self.patience,
            allow_volatile: self.allow_volatile,
        }
    }

    /// The first map that any node has. All are asked at once, so that a dead one costs nothing.
    async fn ask_around(&self) -> Result<Vec<Run>, Failure> {
        let mut asking = JoinSet::new();
        for node in self.nodes() {
            let (door, login) = (self.door.clone(), self.login.clone());
            asking.spawn(async move { ask(&door, &node, &login).await });
        }
        let mut failure = Failure::unavailable("no node of the cluster answers in time");
        let first = async {
            while let Some(answered) = asking.join_next().await {
                match answered {
                    Ok(Ok(runs)) => return Some(runs),
                    Ok(Err(why)) => failure = why,
                    Err(_gone) => {}
                }
            }
            None
        };
        let first = timeout(self.patience, first).await.ok().flatten();
        first.ok_or(failure)
    }

    fn nodes(&self) -> Vec<Endpoint> {
        let mut nodes = self.seeds.clone();
        self.read(|map| {
            for run in &map.runs {
                nodes.push(run.primary.clone());
                nodes.extend(run.replicas.iter().cloned());
            }
        });
        nodes.sort_by_cached_key(|node| format!("{node:?}"));
        nodes.dedup();
        nodes
    }

    /// Takes the map over. A link to who is a primary no more ends when its last command has.
    fn draw(&self, runs: Vec<Run>) {
        self.write(|map| {
            let before = map.links.len();
            map.links.retain(|node, _| runs.iter().any(|run| run.primary == *node));
            let mut others = map.links.len() != before;
            for run in &runs {
                if !map.links.contains_key(&run.primary) {
                    tracing::info!("a node of the redis cluster has become a primary");
                    let link = Arc::new(Link::begin(self.dialler(&run.primary)));
                    map.links.insert(run.primary.clone(), link);
                    others = true;
                }
            }
            map.runs = runs;
            if others || self.posts.borrow().is_empty() {
                self.post(map);
            }
        });
    }

    fn post(&self, map: &Map) {
        self.posts.send_replace(map.links.values().map(|link| link.post()).collect());
    }

    fn known(&self, node: &Endpoint) -> Option<Arc<Link>> {
        self.read(|map| map.links.get(node).cloned())
    }

    fn read<T>(&self, look: impl FnOnce(&Map) -> T) -> T {
        look(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, change: impl FnOnce(&mut Map) -> T) -> T {
        change(&mut self.map.write().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn ask(
    door: &Door,
    node: &Endpoint,
    login: &redis::RedisConnectionInfo,
) -> Result<Vec<Run>, Failure> {
    let mut wire = door.open(node, login).await?;
    let slots = cmd("CLUSTER").arg("SLOTS").query_async(&mut wire.connection).await;
    let slots = slots.map_err(|error| told(&error))?;
    // A node that is only just coming back has an empty map.
    let runs = runs(slots, node).filter(|runs| !runs.is_empty());
    runs.ok_or_else(|| Failure::unavailable("a node of the cluster has no map of it"))
}

/// Draws the map anew when it is doubted, not more often than is useful, and every now and then.
async fn keep_drawing(shared: Arc<Shared>) {
    loop {
        // Either way it is time.
        let _ = timeout(EVERY_NOW_AND_THEN, shared.doubted.notified()).await;
        match shared.ask_around().await {
            Ok(runs) => shared.draw(runs),
            Err(failure) => {
                tracing::warn!(why = failure.described(), "cannot ask who has which slots");
            }
        }
        sleep(AT_MOST_EVERY).await;
    }
}

/// How old a map may become that nobody doubts.
const EVERY_NOW_AND_THEN: Duration = Duration::from_secs(10);

/// Enough to hit a node that has a single slot.
const MOST_TAGS: u32 = 1_000_000;

const AT_MOST_EVERY: Duration = Duration::from_millis(100);
