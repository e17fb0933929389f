//! Whoever has the keys: one primary, by its address or by its sentinels, or a cluster of them.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::address::{Endpoint, Place, RedisUrl};
use super::cluster::{Cluster, Reach};
use super::door::Door;
use super::failure::{Detour, Failure};
use super::keeper::{Dialler, Way};
use super::link::Link;
use super::order::{Acks, Manner, Order};
use super::sentinel::Sentinels;
use super::slots::slot_of;
use super::tracking::Posts;
use super::{OpenError, RedisOptions};
use crate::infra::store::Partition;

/// Every server there is, and how long a command may take in all.
pub(super) struct Servers {
    shape: Shape,
    patience: Duration,
}

enum Shape {
    One(Arc<Link>),
    Cluster(Cluster),
}

impl Servers {
    /// Connects to all of them.
    pub(super) async fn connect(options: &RedisOptions) -> Result<Self, OpenError> {
        let RedisUrl { place, tls, login } =
            RedisUrl::parse(&options.url).map_err(OpenError::InvalidOptions)?;
        let RedisOptions { timeout: patience, allow_volatile, .. } = *options;
        let door = Door::new(tls.then_some(&options.tls), patience)?;
        let acks = options.acks();
        let way = match place {
            Place::One(at) => Way::At(at),
            Place::Sentinel { sentinels: all, service } => {
                let mut login = redis::RedisConnectionInfo::default();
                if let Some(password) = &options.sentinel_password {
                    login = login.set_password(password.as_str());
                }
                // The other half is for connecting to whom they name.
                let patience = patience / 2;
                Way::Ask(Sentinels { door: door.clone(), login, all, service, patience })
            }
            Place::Cluster { seeds } => {
                let reach = Reach { door, login, acks, patience, allow_volatile };
                let shape = Shape::Cluster(Cluster::survey(seeds, reach).await?);
                return Ok(Self { shape, patience });
            }
        };
        let link = Link::dial(Dialler { door, login, way, acks, patience, allow_volatile }).await?;
        Ok(Self { shape: Shape::One(Arc::new(link)), patience })
    }

    pub(super) fn are_a_cluster(&self) -> bool {
        matches!(self.shape, Shape::Cluster(_))
    }

    /// Says it to whoever has the partition.
    pub(super) async fn call(
        &self,
        partition: &Partition,
        order: &Order,
    ) -> Result<Value, Failure> {
        self.call_slot(slot_of(partition.as_str()), order, Instant::now() + self.patience).await
    }

    /// Says to every primary what is made for a hash tag of its own; the answers, or the first failure.
    pub(super) async fn call_each(
        &self,
        order: impl Fn(&str) -> Order,
    ) -> Result<Vec<Value>, Failure> {
        let by = Instant::now() + self.patience;
        let tags = match &self.shape {
            Shape::One(_) => vec!["ping".to_owned()],
            Shape::Cluster(cluster) => cluster.tags(),
        };
        let mut answers = Vec::new();
        for tag in tags {
            answers.push(self.call_slot(slot_of(&tag), &order(&tag), by).await?);
        }
        Ok(answers)
    }

    /// Says it again only where an answer proves that it has not run.
    async fn call_slot(&self, slot: u16, order: &Order, by: Instant) -> Result<Value, Failure> {
        let (mut at, mut link) = self.whose(slot)?;
        let mut manner = Manner::default();
        for _ in 0..MOST_DETOURS {
            let detour = match link.say(order, manner, by).await {
                Err(Failure::Detour(detour)) => detour,
                Err(Failure::Unavailable(why)) => {
                    self.doubt();
                    return Err(Failure::Unavailable(why));
                }
                answer => return answer,
            };
            manner.asking = false;
            let Shape::Cluster(cluster) = &self.shape else {
                match detour {
                    Detour::Load if !manner.load => manner.load = true,
                    other => return Err(Failure::Detour(other)),
                }
                continue;
            };
            match detour {
                Detour::Load => manner.load = true,
                Detour::Moved(to) => {
                    cluster.doubt();
                    (at, link) = redirected(cluster, &to, at.as_ref())?;
                }
                Detour::Ask(to) => {
                    (at, link) = redirected(cluster, &to, at.as_ref())?;
                    manner.asking = true;
                }
                Detour::Later => {
                    sleep_until(by.min(Instant::now() + A_MOMENT)).await;
                    (at, link) = self.whose(slot)?;
                }
            }
        }
        Err(Failure::unavailable("the nodes of the cluster send one another's keys in circles"))
    }

    fn whose(&self, slot: u16) -> Result<(Option<Endpoint>, Arc<Link>), Failure> {
        match &self.shape {
            Shape::One(link) => Ok((None, Arc::clone(link))),
            Shape::Cluster(cluster) => {
                let Some((at, link)) = cluster.of(slot) else {
                    cluster.doubt();
                    return Err(Failure::unavailable("no node of the cluster has the key's slot"));
                };
                Ok((Some(at), link))
            }
        }
    }

    /// Where to listen for changes.
    pub(super) fn posts(&self) -> watch::Receiver<Posts> {
        match &self.shape {
            Shape::One(link) => watch::Sender::new(vec![link.post()]).subscribe(),
            Shape::Cluster(cluster) => cluster.posts(),
        }
    }

    fn doubt(&self) {
        match &self.shape {
            Shape::One(_) => {}
            Shape::Cluster(cluster) => cluster.doubt(),
        }
    }
}

fn redirected(
    cluster: &Cluster,
    to: &str,
    asked: Option<&Endpoint>,
) -> Result<(Option<Endpoint>, Arc<Link>), Failure> {
    let to = asked.and_then(|asked| Endpoint::redirected(to, asked));
    let to = to.ok_or_else(|| Failure::unavailable("redis redirects to no address"))?;
    let link = cluster.at(&to);
    Ok((Some(to), link))
}

/// How often a command may be sent elsewhere: a new node, a new script there, and once more of each.
const MOST_DETOURS: usize = 6;

/// Until keys on their way have arrived.
const A_MOMENT: Duration = Duration::from_millis(20);

impl RedisOptions {
    /// What a critical write waits for: half the time there is, so that its answer comes in time.
    fn acks(&self) -> Option<Acks> {
        let usual = || RedisUrl::parse(&self.url).map_or(0, |address| address.usual_acks());
        let replicas = self.min_replicas_ack.unwrap_or_else(usual);
        let millis = u64::try_from(self.timeout.as_millis() / 2).unwrap_or(u64::MAX).max(1);
        (replicas > 0).then_some(Acks { replicas, millis })
    }
}
