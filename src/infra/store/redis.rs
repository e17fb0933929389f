//! The store on redis, 6.2 or later: one primary, one behind sentinels, or a cluster.
//!
//! A change is one Lua script, run whole or not at all. Nothing here sends a command twice unless redis
//! has said that it did not run it: a script it does not know (`NOSCRIPT`) is loaded and called again,
//! and what belongs to another node of a cluster (`MOVED`, `ASK`, `TRYAGAIN`) is sent there. A call that
//! gets no answer within the timeout is `Unavailable`, as is every refusal of redis itself (`READONLY`,
//! `LOADING`, `MASTERDOWN`, `CLUSTERDOWN`, `MISCONF`, `OOM` …), and the caller decides what a write that
//! may have happened means.
//!
//! Redis replicates asynchronously: a failover can un-spend a code that was redeemed the moment
//! before. Therefore a `commit` or a `take` can wait until enough replicas have what it changed
//! (`min_replicas_ack`), and is `Unavailable` if they do not get it in time: it may have happened, and
//! the caller repeats it as after any other lost answer. Counters do not wait; losing some only lets
//! somebody try a little more often.

mod address;
mod cluster;
mod door;
mod failure;
mod keeper;
mod link;
mod order;
mod sentinel;
mod servers;
mod slots;
mod tracking;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::{FromRedisValue, ToRedisArgs, Value, cmd};
use zeroize::Zeroizing;

pub use self::address::RedisUrl;
pub use self::door::RedisTls;
use self::failure::Failure;
use self::order::{Lua, Order};
use self::servers::Servers;
use super::{
    ChangeListener, CommitOutcome, OpenError, Partition, PingInfo, Precondition, RawKey, Store,
    StoreError, StoreFuture, Subscription, Transaction, Write, fitness,
};
use crate::infra::clock::{Clock, UnixTime};

/// Where redis is and how far it is trusted.
#[derive(Clone)]
pub struct RedisOptions {
    /// What [`RedisUrl::parse`] takes.
    pub url: Zeroizing<String>,
    /// Whom to trust where the URL says TLS.
    pub tls: RedisTls,
    /// What the sentinels ask for, which need not be what redis asks for.
    pub sentinel_password: Option<Zeroizing<String>>,
    /// How many replicas must have a change before it is believed; what is usual there if `None`.
    pub min_replicas_ack: Option<u32>,
    /// Goes before every key, for a redis that is shared.
    pub prefix: String,
    /// Whether to start on a redis that forgets: without an append-only file, or with eviction.
    pub allow_volatile: bool,
    /// How long a call may take, connecting included.
    pub timeout: Duration,
    /// The clock by which records say when they may be forgotten.
    pub clock: Clock,
}

impl RedisOptions {
    /// No prefix, nothing volatile, one second, the system's clock.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Zeroizing::new(url.into()),
            tls: RedisTls::default(),
            sentinel_password: None,
            min_replicas_ack: None,
            prefix: String::new(),
            allow_volatile: false,
            timeout: Duration::from_secs(1),
            clock: Clock::System,
        }
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &"redis://…")
            .field("tls", &self.tls)
            .field("sentinel_password", &self.sentinel_password.as_ref().map(|_| "…"))
            .field("min_replicas_ack", &self.min_replicas_ack)
            .field("prefix", &self.prefix)
            .field("allow_volatile", &self.allow_volatile)
            .field("timeout", &self.timeout)
            .field("clock", &self.clock)
            .finish()
    }
}

/// Redis, whoever that is at the moment.
pub struct RedisStore {
    servers: Servers,
    prefix: String,
    clock: Clock,
    commit: Lua,
    tally: Lua,
    warnings: Vec<String>,
}

impl RedisStore {
    /// Connects, and refuses a redis that could not keep what it acknowledges.
    pub async fn connect(options: &RedisOptions) -> Result<Self, OpenError> {
        if options.prefix.contains(['{', '}']) {
            return Err(OpenError::InvalidOptions("the key prefix must not contain { or }"));
        }
        let mut store = Self {
            servers: Servers::connect(options).await?,
            prefix: options.prefix.clone(),
            clock: options.clock.clone(),
            // One script rather than WATCH: the connection is shared by every request in flight, and
            // what a WATCH watches belongs to the connection.
            commit: Lua::new(include_str!("commit.lua")),
            tally: Lua::new(include_str!("tally.lua")),
            warnings: Vec::new(),
        };

        for info in store.servers.call_each(|_| Order::plain(cmd("INFO"))).await? {
            let told: String = read(info)?;
            for warning in
                fitness::judge(&told, store.servers.are_a_cluster(), options.allow_volatile)?
            {
                if !store.warnings.contains(&warning) {
                    store.warnings.push(warning);
                }
            }
        }
        store.ping().await.map_err(|error| OpenError::Unreachable(error.to_string()))?;
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

    /// What the operator allowed and should still be told of.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The prefix stands before the hash tag, and so changes nothing about the slot.
    fn name(&self, key: &RawKey) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Not worth an error: whoever may not ask for the time can do everything else.
    async fn ahead(&self) -> Option<i64> {
        let told = self.servers.call_each(|_| Order::plain(cmd("TIME"))).await.ok()?;
        let ahead = told.into_iter().map(|time| {
            let (seconds, micros): (u64, u64) = read(time).ok()?;
            let theirs = UnixTime::from_secs(seconds).plus(Duration::from_micros(micros));
            Some(self.clock.now().millis_after(theirs))
        });
        ahead.flatten().max_by_key(|millis| millis.unsigned_abs())
    }

    async fn ask<T: FromRedisValue>(
        &self,
        partition: &Partition,
        order: Order,
    ) -> Result<T, Failure> {
        read(self.servers.call(partition, &order).await?)
    }

    fn written(&self, change: &Transaction) -> Order {
        let mut keys = Keys::default();
        let mut args = Args::default();
        let now = self.clock.now();
        args.push(change.expected.len());
        for (key, expect) in &change.expected {
            args.push(keys.number(key));
            match expect {
                Precondition::Absent => args.push("absent").push(""),
                Precondition::Unchanged(bytes) => args.push("same").push(bytes.as_slice()),
            };
        }
        for write in &change.writes {
            match write {
                Write::Put { key, bytes, forget_at: None } => {
                    args.push("put").push(keys.number(key)).push(bytes.as_slice())
                }
                Write::Put { key, bytes, forget_at: Some(at) } => match lifetime(*at, now) {
                    None => args.push("delete").push(keys.number(key)),
                    Some(millis) => args
                        .push("put_for")
                        .push(keys.number(key))
                        .push(bytes.as_slice())
                        .push(millis),
                },
                Write::Delete { key } => args.push("delete").push(keys.number(key)),
                Write::Link { index, name, until: None } => {
                    args.push("link").push(keys.number(index)).push(name.as_str())
                }
                Write::Link { index, name, until: Some(until) } => args
                    .push("link_for")
                    .push(keys.number(index))
                    .push(name.as_str())
                    .push(lifetime(*until, now).unwrap_or(1)),
                Write::Unlink { index, name } => {
                    args.push("unlink").push(keys.number(index)).push(name.as_str())
                }
            };
        }
        let names: Vec<_> = keys.0.into_iter().map(|key| self.name(key)).collect();
        let mut order = self.commit.on(&names);
        order.command.arg(args.0);
        order.critical()
    }
}

impl Store for RedisStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let order = Order::plain(cmd("GET").arg(self.name(key)).to_owned());
            self.ask(key.partition(), order).await.map_err(|failure| failed(key, failure))
        })
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let order = Order::plain(cmd("GETDEL").arg(self.name(key)).to_owned()).critical();
            self.ask(key.partition(), order).await.map_err(|failure| failed(key, failure))
        })
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        Box::pin(async move {
            match self.ask::<i64>(&change.partition, self.written(&change)).await? {
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
            range.arg(self.name(index)).arg(from).arg("+").arg("BYLEX");
            range.arg("LIMIT").arg(0).arg(limit);
            match self.ask(index.partition(), Order::plain(range)).await {
                Err(Failure::WrongType) => {
                    tracing::error!(store.kind = index.kind(), "what is no index counts as absent");
                    Ok(Vec::new())
                }
                answer => Ok(answer?),
            }
        })
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        Box::pin(async move {
            let window = u64::try_from(window.as_millis()).map_or(FAR, |millis| millis.min(FAR));
            let mut order = self.tally.on(&[self.name(counter)]);
            order.command.arg(window);
            let (count, replaced): (u64, bool) = self.ask(counter.partition(), order).await?;
            if replaced {
                tracing::error!(store.kind = counter.kind(), "what was no counter begins at one");
            }
            Ok(count)
        })
    }

    /// A write, for a redis that is full, read-only or cannot reach its disk answers PING all the same.
    /// On every primary, and with as many replicas as any other change.
    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        Box::pin(async move {
            let write = |tag: &str| {
                let mut write = cmd("SET");
                write.arg(format!("{}{{{tag}}}ping", self.prefix)).arg("").arg("PX").arg(10_000);
                Order::plain(write).critical()
            };
            self.servers.call_each(write).await?;
            Ok(PingInfo { ahead_millis: self.ahead().await })
        })
    }

    fn subscribe(&self, listener: &Arc<dyn ChangeListener>) -> Option<Subscription> {
        Some(tracking::listen(self.servers.posts(), &self.prefix, listener))
    }
}

/// Numbers the keys of a script call from one, each key once.
#[derive(Default)]
struct Keys<'a>(Vec<&'a RawKey>);

impl<'a> Keys<'a> {
    fn number(&mut self, key: &'a RawKey) -> usize {
        let found = self.0.iter().position(|known| *known == key);
        let at = found.unwrap_or_else(|| {
            self.0.push(key);
            self.0.len() - 1
        });
        at + 1
    }
}

/// The arguments of a script call, which come after its keys and are known at the same time.
#[derive(Default)]
struct Args(Vec<Vec<u8>>);

impl Args {
    fn push(&mut self, arg: impl ToRedisArgs) -> &mut Self {
        self.0.append(&mut arg.to_redis_args());
        self
    }
}

fn read<T: FromRedisValue>(value: Value) -> Result<T, Failure> {
    T::from_redis_value(value)
        .map_err(|_| Failure::unavailable("redis answered something that is no answer to this"))
}

/// How many milliseconds a record has left, if any: `PX 0` is an error, and redis counts in signed
/// numbers.
fn lifetime(forget_at: UnixTime, now: UnixTime) -> Option<u64> {
    match forget_at.as_millis().saturating_sub(now.as_millis()) {
        0 => None,
        millis => Some(millis.min(FAR)),
    }
}

/// Eight thousand years in milliseconds: far enough for everything.
const FAR: u64 = 253_402_300_799_000;

fn failed(key: &RawKey, failure: Failure) -> StoreError {
    match failure {
        Failure::WrongType => StoreError::Corrupt {
            key: key.to_string(),
            reason: "something of another type is filed there".to_owned(),
        },
        Failure::Detour(_) | Failure::Unavailable(_) => failure.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn neither_the_options_nor_a_refusal_repeat_the_url() {
        for url in ["redis://ada:hunter2@host:notaport/0", "redis-sentinel://:hunter2@h", "hunter2"]
        {
            let mut options = RedisOptions::new(url);
            options.sentinel_password = Some(Zeroizing::new("hunter2".to_owned()));
            assert!(!format!("{options:?}").contains("hunter2"));
            let refusal = RedisStore::connect(&options).await.err().unwrap();
            assert!(matches!(refusal, OpenError::InvalidOptions(_)));
            assert!(!format!("{refusal} {refusal:?}").contains("hunter2"));
        }
    }

    #[tokio::test]
    async fn a_prefix_cannot_begin_a_hash_tag_of_its_own() {
        let options = RedisOptions { prefix: "a{b".to_owned(), ..RedisOptions::new("redis://h") };
        let refusal = RedisStore::connect(&options).await.err();
        assert!(matches!(refusal, Some(OpenError::InvalidOptions(_))));
    }

    #[test]
    fn a_lifetime_is_never_zero_and_never_overflows() {
        let now = UnixTime::from_millis(1_800_000_000_000);
        assert_eq!(lifetime(UnixTime::from_millis(0), now), None);
        assert_eq!(lifetime(now, now), None);
        assert_eq!(lifetime(now.plus(Duration::from_millis(1)), now), Some(1));
        assert_eq!(lifetime(UnixTime::from_millis(u64::MAX), now), Some(FAR));
    }
}
