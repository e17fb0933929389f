//! The servers that `REDIS_URL` names: one primary, a primary behind sentinels, or a cluster.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::cluster::{Cluster, ConnectOptions};
use super::command::{RedisCommand, SendOptions};
use super::connections::PrimaryConnections;
use super::connector::Connector;
use super::error::{CommandError, Redirection, invalid_options};
use super::options::RedisOptions;
use super::reconnect::{PrimaryConnector, PrimaryLocation};
use super::sentinel::Sentinels;
use super::slots::slot_of;
use super::tracking::TrackingTargets;
use super::url::{Endpoint, RedisUrl, ServerAddresses};
use crate::infra::store::{OpenError, Partition};

/// Sends a command to the server that has its partition, within one timeout, redirections included.
pub(super) struct Topology {
    servers: Servers,
    timeout: Duration,
}

enum Servers {
    /// One primary, at an address or behind sentinels.
    Single(Arc<PrimaryConnections>),
    Cluster(Cluster),
}

impl Topology {
    /// Connects to every primary.
    pub(super) async fn connect(options: &RedisOptions) -> Result<Self, OpenError> {
        let RedisUrl { servers, tls, login } =
            RedisUrl::parse(&options.url).map_err(invalid_options)?;
        let RedisOptions { timeout, allow_volatile, .. } = *options;
        let connector = Connector::new(tls.then_some(&options.tls), timeout)?;
        let acks = options.acks();
        let location = match servers {
            ServerAddresses::Single(endpoint) => PrimaryLocation::Fixed(endpoint),
            ServerAddresses::Sentinels { sentinels: all, service } => {
                let mut login = redis::RedisConnectionInfo::default();
                if let Some(password) = &options.sentinel_password {
                    login = login.set_password(password.as_str());
                }
                // The other half is for connecting to the primary that they name.
                let timeout = timeout / 2;
                let connector = connector.clone();
                PrimaryLocation::Sentinels(Sentinels { connector, login, all, service, timeout })
            }
            ServerAddresses::Cluster { seeds } => {
                let options = ConnectOptions { connector, login, acks, timeout, allow_volatile };
                let servers = Servers::Cluster(Cluster::discover(seeds, options).await?);
                return Ok(Self { servers, timeout });
            }
        };
        let primary =
            PrimaryConnector { connector, login, location, acks, timeout, allow_volatile };
        let connections = PrimaryConnections::connect(primary).await?;
        Ok(Self { servers: Servers::Single(Arc::new(connections)), timeout })
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.servers, Servers::Cluster(_))
    }

    /// Sends the command to the primary that has the partition.
    pub(super) async fn send(
        &self,
        partition: &Partition,
        command: &RedisCommand,
    ) -> Result<Value, CommandError> {
        let deadline = Instant::now() + self.timeout;
        self.send_to_slot(slot_of(partition.as_str()), command, deadline).await
    }

    /// Sends one command to every primary. `command` is given a hash tag that the primary owns. Answers all
    /// replies, or the first error.
    pub(super) async fn send_to_each(
        &self,
        command: impl Fn(&str) -> RedisCommand,
    ) -> Result<Vec<Value>, CommandError> {
        let deadline = Instant::now() + self.timeout;
        let tags = match &self.servers {
            Servers::Single(_) => vec!["ping".to_owned()],
            Servers::Cluster(cluster) => cluster.tag_for_each_primary(),
        };
        let mut replies = Vec::new();
        for tag in tags {
            replies.push(self.send_to_slot(slot_of(&tag), &command(&tag), deadline).await?);
        }
        Ok(replies)
    }

    /// Sends the command again only after a reply that proves that it has not run.
    async fn send_to_slot(
        &self,
        slot: u16,
        command: &RedisCommand,
        deadline: Instant,
    ) -> Result<Value, CommandError> {
        let (mut node, mut connections) = self.connections_for_slot(slot)?;
        let mut options = SendOptions::default();
        for _ in 0..MAX_REDIRECTIONS {
            let redirection = match connections.send(command, options, deadline).await {
                Err(CommandError::Redirected(redirection)) => redirection,
                Err(CommandError::Unavailable(reason)) => {
                    self.request_slot_refresh();
                    return Err(CommandError::Unavailable(reason));
                }
                reply => return reply,
            };
            options.asking = false;
            let Servers::Cluster(cluster) = &self.servers else {
                match redirection {
                    Redirection::LoadScript if !options.load_script => options.load_script = true,
                    other => return Err(CommandError::Redirected(other)),
                }
                continue;
            };
            match redirection {
                Redirection::LoadScript => options.load_script = true,
                Redirection::Moved(target) => {
                    cluster.request_slot_refresh();
                    (node, connections) = redirected(cluster, &target, node.as_ref())?;
                }
                Redirection::Ask(target) => {
                    (node, connections) = redirected(cluster, &target, node.as_ref())?;
                    options.asking = true;
                }
                Redirection::TryAgain => {
                    sleep_until(deadline.min(Instant::now() + TRYAGAIN_DELAY)).await;
                    (node, connections) = self.connections_for_slot(slot)?;
                }
            }
        }
        Err(CommandError::unavailable(
            "the nodes of the cluster send one another's keys in circles",
        ))
    }

    /// The node is `None` unless it is one of a cluster.
    fn connections_for_slot(
        &self,
        slot: u16,
    ) -> Result<(Option<Endpoint>, Arc<PrimaryConnections>), CommandError> {
        match &self.servers {
            Servers::Single(connections) => Ok((None, Arc::clone(connections))),
            Servers::Cluster(cluster) => {
                let Some((node, connections)) = cluster.primary_of(slot) else {
                    cluster.request_slot_refresh();
                    return Err(CommandError::unavailable(
                        "no node of the cluster has the key's slot",
                    ));
                };
                Ok((Some(node), connections))
            }
        }
    }

    /// The primaries on which changes have to be tracked, as they change.
    pub(super) fn tracking_targets(&self) -> watch::Receiver<TrackingTargets> {
        match &self.servers {
            Servers::Single(connections) => {
                watch::Sender::new(vec![connections.tracking_target()]).subscribe()
            }
            Servers::Cluster(cluster) => cluster.tracking_targets(),
        }
    }

    fn request_slot_refresh(&self) {
        match &self.servers {
            Servers::Single(_) => {}
            Servers::Cluster(cluster) => cluster.request_slot_refresh(),
        }
    }
}

fn redirected(
    cluster: &Cluster,
    target: &str,
    asked: Option<&Endpoint>,
) -> Result<(Option<Endpoint>, Arc<PrimaryConnections>), CommandError> {
    let target = asked.and_then(|asked| Endpoint::parse_redirection(target, asked));
    let target =
        target.ok_or_else(|| CommandError::unavailable("redis redirects to no address"))?;
    let connections = cluster.connections_to(&target);
    Ok((Some(target), connections))
}

/// How often a command may be sent again: to a new node, with the script there, and once more of each.
const MAX_REDIRECTIONS: usize = 6;

/// How long a command waits for the keys of a migrating slot to arrive.
const TRYAGAIN_DELAY: Duration = Duration::from_millis(20);
