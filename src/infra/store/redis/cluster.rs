//! The connections to every primary of a Redis Cluster, and the map from slots to primaries.
//!
//! A wrong map costs one redirection, which Redis gives instead of running the command, and a refresh of the
//! map. The library's cluster client is not used: docs/decisions/redis-cluster-client.md.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use redis::cmd;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::command::ReplicaAcks;
use super::connections::PrimaryConnections;
use super::connector::Connector;
use super::error::{CommandError, classify_error};
use super::reconnect::{PrimaryConnector, PrimaryLocation};
use super::slots::{SlotRange, covers_all_slots, parse_slot_map, slot_of};
use super::tracking::TrackingTargets;
use super::url::Endpoint;

/// The cluster as it was last seen.
pub(super) struct Cluster {
    shared: Arc<Shared>,
    refresh_task: JoinHandle<()>,
}

struct Shared {
    seeds: Vec<Endpoint>,
    options: ConnectOptions,
    map: RwLock<SlotMap>,
    /// Every primary that may be read from. Updated before anything is read over new connections.
    tracking_targets: watch::Sender<TrackingTargets>,
    refresh_requested: Notify,
}

#[derive(Default)]
struct SlotMap {
    ranges: Vec<SlotRange>,
    primaries: HashMap<Endpoint, Arc<PrimaryConnections>>,
}

/// How to connect to a node.
pub(super) struct ConnectOptions {
    pub(super) connector: Connector,
    pub(super) login: redis::RedisConnectionInfo,
    pub(super) acks: Option<ReplicaAcks>,
    pub(super) timeout: Duration,
    pub(super) allow_volatile: bool,
}

impl Cluster {
    /// Takes the slot map of the first seed that replies, and connects to every primary in it.
    pub(super) async fn discover(
        seeds: Vec<Endpoint>,
        options: ConnectOptions,
    ) -> Result<Self, CommandError> {
        let (map, refresh_requested) = (RwLock::default(), Notify::new());
        let tracking_targets = watch::Sender::default();
        let shared = Shared { seeds, options, map, tracking_targets, refresh_requested };
        let shared = Arc::new(shared);
        let ranges = shared.fetch_slot_map_any().await?;
        if !covers_all_slots(&ranges) {
            return Err(CommandError::unavailable("the cluster has slots that no node serves"));
        }
        for range in &ranges {
            if shared.primary(&range.primary).is_none() {
                let connector = shared.primary_connector(&range.primary);
                let connections = Arc::new(PrimaryConnections::connect(connector).await?);
                let node = range.primary.clone();
                shared.write(|map| map.primaries.insert(node, connections));
            }
        }
        shared.apply_slot_map(ranges);
        let refresh_task = tokio::spawn(refresh_loop(Arc::clone(&shared)));
        Ok(Self { shared, refresh_task })
    }

    /// The primary of the slot, as far as is known.
    pub(super) fn primary_of(&self, slot: u16) -> Option<(Endpoint, Arc<PrimaryConnections>)> {
        self.shared.read(|map| {
            let range = map.range(slot)?;
            Some((range.primary.clone(), Arc::clone(map.primaries.get(&range.primary)?)))
        })
    }

    /// The connections to a node that a redirection names. Connects if the node is new.
    pub(super) fn connections_to(&self, node: &Endpoint) -> Arc<PrimaryConnections> {
        if let Some(connections) = self.shared.primary(node) {
            return connections;
        }
        let connector = self.shared.primary_connector(node);
        let connections = Arc::new(PrimaryConnections::connect_later(connector));
        self.shared.write(|map| {
            let connections = map.primaries.entry(node.clone()).or_insert(connections);
            let connections = Arc::clone(connections);
            self.shared.publish_tracking_targets(map);
            connections
        })
    }

    /// The primaries on which changes have to be tracked, as they change.
    pub(super) fn tracking_targets(&self) -> watch::Receiver<TrackingTargets> {
        self.shared.tracking_targets.subscribe()
    }

    /// Has the slot map fetched again, because a reply contradicted it.
    pub(super) fn request_slot_refresh(&self) {
        self.shared.refresh_requested.notify_one();
    }

    /// For each primary a hash tag in one of its slots.
    pub(super) fn tag_for_each_primary(&self) -> Vec<String> {
        self.shared.read(|map| {
            let mut missing: HashSet<&Endpoint> =
                map.ranges.iter().map(|range| &range.primary).collect();
            let wanted = missing.len();
            let new = |tag: &String| {
                map.range(slot_of(tag)).is_some_and(|range| missing.remove(&range.primary))
            };
            (0..MAX_TAGS).map(|number| format!("ping{number}")).filter(new).take(wanted).collect()
        })
    }
}

impl SlotMap {
    fn range(&self, slot: u16) -> Option<&SlotRange> {
        let index = self.ranges.partition_point(|range| range.last < slot);
        self.ranges.get(index).filter(|range| range.first <= slot)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.refresh_task.abort();
    }
}

impl Shared {
    fn primary_connector(&self, node: &Endpoint) -> PrimaryConnector {
        PrimaryConnector {
            connector: self.options.connector.clone(),
            login: self.options.login.clone(),
            location: PrimaryLocation::Fixed(node.clone()),
            acks: self.options.acks,
            timeout: self.options.timeout,
            allow_volatile: self.options.allow_volatile,
        }
    }

    /// The first slot map that any node replies with. All nodes are asked at once, so that a dead one
    /// delays nothing.
    async fn fetch_slot_map_any(&self) -> Result<Vec<SlotRange>, CommandError> {
        let mut asking = JoinSet::new();
        for node in self.nodes() {
            let connector = self.options.connector.clone();
            let login = self.options.login.clone();
            asking.spawn(async move { fetch_slot_map(&connector, &node, &login).await });
        }
        let mut last_error = CommandError::unavailable("no node of the cluster answers in time");
        let first = async {
            while let Some(reply) = asking.join_next().await {
                match reply {
                    Ok(Ok(ranges)) => return Some(ranges),
                    Ok(Err(error)) => last_error = error,
                    Err(_ended) => {}
                }
            }
            None
        };
        let first = timeout(self.options.timeout, first).await.ok().flatten();
        first.ok_or(last_error)
    }

    fn nodes(&self) -> Vec<Endpoint> {
        let mut nodes = self.seeds.clone();
        self.read(|map| {
            for range in &map.ranges {
                nodes.push(range.primary.clone());
                nodes.extend(range.replicas.iter().cloned());
            }
        });
        nodes.sort_by_cached_key(|node| format!("{node:?}"));
        nodes.dedup();
        nodes
    }

    /// Replaces the map. Connections to a node that is no longer a primary are dropped once their last
    /// command has its reply.
    fn apply_slot_map(&self, ranges: Vec<SlotRange>) {
        self.write(|map| {
            let before = map.primaries.len();
            map.primaries.retain(|node, _| ranges.iter().any(|range| range.primary == *node));
            let mut changed = map.primaries.len() != before;
            for range in &ranges {
                if !map.primaries.contains_key(&range.primary) {
                    tracing::info!("a node of the redis cluster has become a primary");
                    let connector = self.primary_connector(&range.primary);
                    let connections = Arc::new(PrimaryConnections::connect_later(connector));
                    map.primaries.insert(range.primary.clone(), connections);
                    changed = true;
                }
            }
            map.ranges = ranges;
            if changed || self.tracking_targets.borrow().is_empty() {
                self.publish_tracking_targets(map);
            }
        });
    }

    fn publish_tracking_targets(&self, map: &SlotMap) {
        let targets = map.primaries.values().map(|primary| primary.tracking_target());
        self.tracking_targets.send_replace(targets.collect());
    }

    fn primary(&self, node: &Endpoint) -> Option<Arc<PrimaryConnections>> {
        self.read(|map| map.primaries.get(node).cloned())
    }

    fn read<T>(&self, read: impl FnOnce(&SlotMap) -> T) -> T {
        read(&self.map.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<T>(&self, write: impl FnOnce(&mut SlotMap) -> T) -> T {
        write(&mut self.map.write().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn fetch_slot_map(
    connector: &Connector,
    node: &Endpoint,
    login: &redis::RedisConnectionInfo,
) -> Result<Vec<SlotRange>, CommandError> {
    let mut connection = connector.connect(node, login).await?;
    let reply = cmd("CLUSTER").arg("SLOTS").query_async(&mut connection.multiplexed).await;
    let reply = reply.map_err(|error| classify_error(&error))?;
    // The map of a node that is still rejoining the cluster is empty.
    let ranges = parse_slot_map(reply, node).filter(|ranges| !ranges.is_empty());
    ranges.ok_or_else(|| CommandError::unavailable("a node of the cluster has no map of it"))
}

/// Fetches the slot map when a refresh is requested, at most every `MIN_REFRESH_INTERVAL`, and otherwise
/// every `REFRESH_INTERVAL`.
async fn refresh_loop(shared: Arc<Shared>) {
    loop {
        let _requested = timeout(REFRESH_INTERVAL, shared.refresh_requested.notified()).await;
        match shared.fetch_slot_map_any().await {
            Ok(ranges) => shared.apply_slot_map(ranges),
            Err(error) => {
                tracing::warn!(why = %error, "cannot refresh the slot map of the redis cluster");
            }
        }
        sleep(MIN_REFRESH_INTERVAL).await;
    }
}

const REFRESH_INTERVAL: Duration = Duration::from_secs(10);

const MIN_REFRESH_INTERVAL: Duration = Duration::from_millis(100);

/// Enough tags to find one for a node that has a single slot.
const MAX_TAGS: u32 = 1_000_000;
