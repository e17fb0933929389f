//! The store on Redis, 6.2 or later: one primary, a primary behind sentinels, or a cluster.
//!
//! - A transaction is one Lua script (`redis/commit.lua`), run whole or not at all.
//! - A command is sent again only after a reply that proves that it did not run (`topology.rs`). A call without a
//!   reply in time is [`StoreError::Unavailable`], and so is every refusal by Redis itself (`READONLY`, `LOADING`,
//!   `MASTERDOWN`, `CLUSTERDOWN`, `MISCONF`, `OOM` …): the write may have happened.
//! - Redis replicates asynchronously, so a failover can undo a write that was acknowledged. With
//!   `min_replicas_ack`, `commit` and `get_and_remove` wait until so many replicas have the write, and are
//!   `Unavailable` if they do not get it in time. Counters do not wait.
//!
//! Decisions: docs/decisions/redis-connections.md, redis-cluster-client.md, hash-tags-as-partitions.md.

mod cluster;
mod command;
mod connections;
mod connector;
mod error;
mod options;
mod reconnect;
mod sentinel;
mod server_check;
mod slots;
mod state;
mod topology;
mod tracking;
mod url;

use std::sync::Arc;
use std::time::Duration;

use redis::{FromRedisValue, ToRedisArgs, Value, cmd};

use self::command::{RedisCommand, Script};
pub use self::connector::RedisTls;
use self::error::{CommandError, invalid_options, unreachable};
pub use self::options::RedisOptions;
use self::server_check::check_server;
use self::topology::Topology;
pub use self::url::RedisUrl;
use super::{
    ChangeListener, CommitOutcome, OpenError, Partition, PingInfo, Precondition, RawKey, Store,
    StoreError, StoreFuture, Subscription, Transaction, Write,
};
use crate::infra::clock::{Clock, UnixTime};

/// A store on Redis, in whichever topology the URL names.
pub struct RedisStore {
    servers: Topology,
    prefix: String,
    clock: Clock,
    commit: Script,
    increment: Script,
    warnings: Vec<String>,
}

impl RedisStore {
    /// Connects, and fails if a server is unsuitable ([`check_server`]) or takes no write.
    pub async fn connect(options: &RedisOptions) -> Result<Self, OpenError> {
        if options.prefix.contains(['{', '}']) {
            return Err(invalid_options("the key prefix must not contain { or }"));
        }
        let mut store = Self {
            servers: Topology::connect(options).await?,
            prefix: options.prefix.clone(),
            clock: options.clock.clone(),
            // A script rather than WATCH: what is watched belongs to the connection, which is shared.
            commit: Script::new(include_str!("redis/commit.lua")),
            increment: Script::new(include_str!("redis/increment.lua")),
            warnings: Vec::new(),
        };

        for info in store.servers.send_to_each(|_| RedisCommand::plain(cmd("INFO"))).await? {
            let info: String = parse_value(info)?;
            let is_cluster = store.servers.is_cluster();
            for warning in check_server(&info, is_cluster, options.allow_volatile)? {
                if !store.warnings.contains(&warning) {
                    store.warnings.push(warning);
                }
            }
        }
        store.ping().await.map_err(|error| unreachable(error.to_string()))?;
        Ok(store)
    }

    /// [`connect`](Self::connect) that logs the [`warnings`](Self::warnings).
    pub(super) async fn open(options: &RedisOptions) -> Result<Self, OpenError> {
        let store = Self::connect(options).await?;
        for warning in store.warnings() {
            tracing::warn!(%warning, "ALLOW_VOLATILE_STORE: this redis may lose what it has acknowledged");
        }
        Ok(store)
    }

    /// What `allow_volatile` let pass.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The prefix precedes the hash tag, and so does not change the slot.
    fn redis_key(&self, key: &RawKey) -> String {
        format!("{}{key}", self.prefix)
    }

    /// `None` where `TIME` is not permitted: everything else works without it.
    async fn clock_ahead_millis(&self) -> Option<i64> {
        let times = self.servers.send_to_each(|_| RedisCommand::plain(cmd("TIME"))).await.ok()?;
        let ahead = times.into_iter().map(|time| {
            let (seconds, micros): (u64, u64) = parse_value(time).ok()?;
            let redis_time = UnixTime::from_secs(seconds).plus(Duration::from_micros(micros));
            Some(self.clock.now().millis_after(redis_time))
        });
        ahead.flatten().max_by_key(|millis| millis.unsigned_abs())
    }

    async fn send<T: FromRedisValue>(
        &self,
        partition: &Partition,
        command: RedisCommand,
    ) -> Result<T, CommandError> {
        parse_value(self.servers.send(partition, &command).await?)
    }

    /// The arguments are described at the head of `redis/commit.lua`.
    fn commit_command(&self, transaction: &Transaction) -> RedisCommand {
        let mut keys = Keys::default();
        let mut args = Args::default();
        let now = self.clock.now();
        args.push(transaction.preconditions.len());
        for (key, precondition) in &transaction.preconditions {
            args.push(keys.index(key));
            match precondition {
                Precondition::Absent => args.push("absent").push(""),
                Precondition::Unchanged(bytes) => args.push("same").push(bytes.as_slice()),
            };
        }
        for write in &transaction.writes {
            match write {
                Write::Put { key, bytes, delete_after: None } => {
                    args.push("put").push(keys.index(key)).push(bytes.as_slice())
                }
                Write::Put { key, bytes, delete_after: Some(at) } => match lifetime(*at, now) {
                    None => args.push("delete").push(keys.index(key)),
                    Some(millis) => args
                        .push("put_for")
                        .push(keys.index(key))
                        .push(bytes.as_slice())
                        .push(millis),
                },
                Write::Delete { key } => args.push("delete").push(keys.index(key)),
                Write::IndexAdd { index, name, until: None } => {
                    args.push("link").push(keys.index(index)).push(name.as_str())
                }
                Write::IndexAdd { index, name, until: Some(until) } => args
                    .push("link_for")
                    .push(keys.index(index))
                    .push(name.as_str())
                    .push(lifetime(*until, now).unwrap_or(1)),
                Write::IndexRemove { index, name } => {
                    args.push("unlink").push(keys.index(index)).push(name.as_str())
                }
            };
        }
        let keys: Vec<_> = keys.0.into_iter().map(|key| self.redis_key(key)).collect();
        let mut command = self.commit.call(&keys);
        command.command.arg(args.0);
        command.critical()
    }
}

impl Store for RedisStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let command = RedisCommand::plain(cmd("GET").arg(self.redis_key(key)).to_owned());
            self.send(key.partition(), command).await.map_err(|error| read_error(key, error))
        })
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let command = RedisCommand::plain(cmd("GETDEL").arg(self.redis_key(key)).to_owned());
            let reply = self.send(key.partition(), command.critical()).await;
            reply.map_err(|error| read_error(key, error))
        })
    }

    fn commit(&self, transaction: Transaction) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async move {
            let command = self.commit_command(&transaction);
            match self.send::<i64>(&transaction.partition, command).await? {
                0 => return Ok(CommitOutcome::Conflict),
                1 => {}
                _ => tracing::error!("something that was no index lay in the way of one"),
            }
            Ok(CommitOutcome::Committed)
        })
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        Box::pin(async move {
            let from = if after.is_empty() { "-".to_owned() } else { format!("({after}") };
            let mut range = cmd("ZRANGE");
            range.arg(self.redis_key(index)).arg(from).arg("+").arg("BYLEX");
            range.arg("LIMIT").arg(0).arg(limit);
            match self.send(index.partition(), RedisCommand::plain(range)).await {
                Err(CommandError::WrongType) => {
                    tracing::error!(store.kind = index.kind(), "what is no index counts as absent");
                    Ok(Vec::new())
                }
                reply => Ok(reply?),
            }
        })
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let window = u64::try_from(window.as_millis())
                .map_or(MAX_LIFETIME_MILLIS, |millis| millis.min(MAX_LIFETIME_MILLIS));
            let mut command = self.increment.call(&[self.redis_key(counter)]);
            command.command.arg(window);
            let (count, replaced): (u64, bool) = self.send(counter.partition(), command).await?;
            if replaced {
                tracing::error!(store.kind = counter.kind(), "what was no counter begins at one");
            }
            Ok(count)
        })
    }

    /// Writes to every primary, and waits for replicas as any other write does: a Redis that is full, read-only
    /// or cannot reach its disk still answers `PING`.
    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        Box::pin(async move {
            let write = |tag: &str| {
                let mut write = cmd("SET");
                write.arg(format!("{}{{{tag}}}ping", self.prefix)).arg("").arg("PX").arg(10_000);
                RedisCommand::plain(write).critical()
            };
            self.servers.send_to_each(write).await?;
            Ok(PingInfo { ahead_millis: self.clock_ahead_millis().await })
        })
    }

    fn subscribe(&self, listener: &Arc<dyn ChangeListener>) -> Option<Subscription> {
        Some(tracking::subscribe(self.servers.tracking_targets(), &self.prefix, listener))
    }
}

/// The keys of a script call, each once. Lua counts from one.
#[derive(Default)]
struct Keys<'a>(Vec<&'a RawKey>);

impl<'a> Keys<'a> {
    fn index(&mut self, key: &'a RawKey) -> usize {
        let found = self.0.iter().position(|known| *known == key);
        let index = found.unwrap_or_else(|| {
            self.0.push(key);
            self.0.len() - 1
        });
        index + 1
    }
}

/// The arguments of a script call, collected together with its keys and sent after them.
#[derive(Default)]
struct Args(Vec<Vec<u8>>);

impl Args {
    fn push(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.0.append(&mut arg.to_redis_args());
        self
    }
}

fn parse_value<T: FromRedisValue>(value: Value) -> Result<T, CommandError> {
    T::from_redis_value(value).map_err(|_| {
        CommandError::unavailable("redis answered something that is no answer to this")
    })
}

/// The milliseconds that a record has left; `None` if there are none, because `PX 0` is an error.
fn lifetime(delete_after: UnixTime, now: UnixTime) -> Option<u64> {
    match delete_after.as_millis().saturating_sub(now.as_millis()) {
        0 => None,
        millis => Some(millis.min(MAX_LIFETIME_MILLIS)),
    }
}

/// Eight thousand years: Redis adds the lifetime to its clock in signed numbers.
const MAX_LIFETIME_MILLIS: u64 = 253_402_300_799_000;

fn read_error(key: &RawKey, error: CommandError) -> StoreError {
    match error {
        CommandError::WrongType => StoreError::Corrupt {
            key: key.to_string(),
            reason: "something of another type is filed there".to_owned(),
        },
        CommandError::Redirected(_) | CommandError::Unavailable(_) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[tokio::test]
    async fn neither_the_options_nor_a_refusal_repeat_the_url() {
        for url in ["redis://ada:hunter2@host:notaport/0", "redis-sentinel://:hunter2@h", "hunter2"]
        {
            let mut options = RedisOptions::new(url);
            options.sentinel_password = Some(Zeroizing::new("hunter2".to_owned()));
            assert!(!format!("{options:?}").contains("hunter2"));
            let refusal = RedisStore::connect(&options).await.err().unwrap();
            assert!(matches!(refusal, OpenError::InvalidOptions { .. }));
            assert!(!format!("{refusal} {refusal:?}").contains("hunter2"));
        }
    }

    #[tokio::test]
    async fn a_prefix_cannot_begin_a_hash_tag_of_its_own() {
        let options = RedisOptions { prefix: "a{b".to_owned(), ..RedisOptions::new("redis://h") };
        let refusal = RedisStore::connect(&options).await.err();
        assert!(matches!(refusal, Some(OpenError::InvalidOptions { .. })));
    }

    #[test]
    fn a_lifetime_is_never_zero_and_never_overflows() {
        let now = UnixTime::from_millis(1_800_000_000_000);
        assert_eq!(lifetime(UnixTime::from_millis(0), now), None);
        assert_eq!(lifetime(now, now), None);
        assert_eq!(lifetime(now.plus(Duration::from_millis(1)), now), Some(1));
        assert_eq!(lifetime(UnixTime::from_millis(u64::MAX), now), Some(MAX_LIFETIME_MILLIS));
    }
}
