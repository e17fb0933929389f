//! The store on one redis primary, 6.2 or later.
//!
//! A change is one Lua script, run whole or not at all. Nothing here sends a command twice, with one
//! harmless exception: a script that redis does not know (`NOSCRIPT`) has not run, and is loaded and
//! called again. A call that gets no answer within the timeout is `Unavailable`, as is every refusal
//! of redis itself (`READONLY`, `LOADING`, `MASTERDOWN`, `CLUSTERDOWN`, `MISCONF`, `OOM` …), and the
//! caller decides what a write that may have happened means.
//!
//! Redis replicates asynchronously: a failover can un-spend a code that was redeemed the moment
//! before. `min-replicas-to-write` narrows that window, nothing here can close it.

mod link;

use std::fmt;
use std::time::Duration;

use redis::{Client, Script, ScriptInvocation, cmd};

use self::link::{Failure, Link};
use super::{
    Change, Expect, Outcome, Pending, RawKey, StartError, Store, StoreError, Write, fitness,
};
use crate::clock::UnixTime;

/// Where redis is and how far it is trusted.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://[user][:password@]host[:port][/db]`.
    pub url: String,
    /// Goes before every key, for a redis that is shared.
    pub prefix: String,
    /// Whether to start on a redis that forgets: without an append-only file, or with eviction.
    pub allow_volatile: bool,
    /// How long a call may take, connecting included.
    pub timeout: Duration,
}

impl RedisOptions {
    /// No prefix, nothing volatile, one second.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: String::new(),
            allow_volatile: false,
            timeout: Duration::from_secs(1),
        }
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions")
            .field("url", &"redis://…")
            .field("prefix", &self.prefix)
            .field("allow_volatile", &self.allow_volatile)
            .field("timeout", &self.timeout)
            .finish()
    }
}

/// A redis primary.
pub struct RedisStore {
    link: Link,
    prefix: String,
    commit: Script,
    tally: Script,
    warnings: Vec<String>,
}

impl RedisStore {
    /// Connects, and refuses a redis that could not keep what it acknowledges.
    pub async fn connect(options: &RedisOptions) -> Result<Self, StartError> {
        let client = client(options)?;
        let link = Link::dial(client, options.timeout).await.map_err(unreachable)?;
        let mut store = Self {
            link,
            prefix: options.prefix.clone(),
            // One script rather than WATCH: the connection is shared by every request in flight, and
            // what a WATCH watches belongs to the connection.
            commit: Script::new(include_str!("commit.lua")),
            tally: Script::new(include_str!("tally.lua")),
            warnings: Vec::new(),
        };

        let info: String = store
            .link
            .call(|mut link| async move { cmd("INFO").query_async(&mut link).await })
            .await
            .map_err(unreachable)?;
        store.warnings = fitness::judge(&info, options.allow_volatile)?;
        store.ping().await.map_err(|error| StartError::Unreachable(error.to_string()))?;
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

    fn invocation(&self, change: &Change) -> ScriptInvocation<'_> {
        let mut call = self.commit.prepare_invoke();
        let mut keys = Keys::default();
        call.arg(change.expected.len());
        for (key, expect) in &change.expected {
            call.arg(keys.number(key));
            match expect {
                Expect::Absent => call.arg("absent").arg(""),
                Expect::Unchanged(bytes) => call.arg("same").arg(bytes.as_slice()),
            };
        }
        for write in &change.writes {
            match write {
                Write::Put { key, bytes, forget_at: None } => {
                    call.arg("put").arg(keys.number(key)).arg(bytes.as_slice())
                }
                Write::Put { key, bytes, forget_at: Some(at) } => call
                    .arg("put_until")
                    .arg(keys.number(key))
                    .arg(bytes.as_slice())
                    .arg(deadline(*at)),
                Write::Delete { key } => call.arg("delete").arg(keys.number(key)),
                Write::Link { index, name } => {
                    call.arg("link").arg(keys.number(index)).arg(name.as_str())
                }
                Write::Unlink { index, name } => {
                    call.arg("unlink").arg(keys.number(index)).arg(name.as_str())
                }
            };
        }
        for key in keys.0 {
            call.key(self.name(key));
        }
        call
    }
}

impl Store for RedisStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let name = self.name(key);
            let answer = self
                .link
                .call(|mut link| async move { cmd("GET").arg(name).query_async(&mut link).await });
            answer.await.map_err(|failure| failed(key, failure))
        })
    }

    fn take<'a>(&'a self, key: &'a RawKey) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let name = self.name(key);
            let answer = self.link.call(|mut link| async move {
                cmd("GETDEL").arg(name).query_async(&mut link).await
            });
            answer.await.map_err(|failure| failed(key, failure))
        })
    }

    fn commit(&self, change: Change) -> Pending<'_, Outcome> {
        Box::pin(async move {
            let call = self.invocation(&change);
            let answer =
                self.link.call(|mut link| async move { call.invoke_async::<i64>(&mut link).await });
            match answer.await.map_err(unavailable)? {
                0 => return Ok(Outcome::Conflict),
                1 => {}
                _ => tracing::error!("something that was no index lay in the way of one"),
            }
            Ok(Outcome::Committed)
        })
    }

    fn names<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> Pending<'a, Vec<String>> {
        Box::pin(async move {
            let from = if after.is_empty() { "-".to_owned() } else { format!("({after}") };
            let mut range = cmd("ZRANGE");
            range.arg(self.name(index)).arg(from).arg("+").arg("BYLEX");
            range.arg("LIMIT").arg(0).arg(limit);
            let answer =
                self.link.call(|mut link| async move { range.query_async(&mut link).await });
            match answer.await {
                Err(Failure::WrongType) => {
                    tracing::error!(store.kind = index.kind(), "what is no index counts as absent");
                    Ok(Vec::new())
                }
                answer => answer.map_err(unavailable),
            }
        })
    }

    fn tally<'a>(&'a self, counter: &'a RawKey, window: Duration) -> Pending<'a, u64> {
        Box::pin(async move {
            let window = u64::try_from(window.as_millis()).map_or(FAR, |millis| millis.min(FAR));
            let mut call = self.tally.key(self.name(counter));
            call.arg(window);
            let answer = self
                .link
                .call(|mut link| async move { call.invoke_async::<(u64, bool)>(&mut link).await });
            let (count, replaced) = answer.await.map_err(unavailable)?;
            if replaced {
                tracing::error!(store.kind = counter.kind(), "what was no counter begins at one");
            }
            Ok(count)
        })
    }

    /// A write, for a redis that is full, read-only or cannot reach its disk answers PING all the same.
    fn ping(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut write = cmd("SET");
            write.arg(format!("{}{{ping}}ping", self.prefix)).arg("").arg("PX").arg(10_000);
            let answer =
                self.link.call(|mut link| async move { write.query_async::<()>(&mut link).await });
            answer.await.map_err(unavailable)
        })
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

fn client(options: &RedisOptions) -> Result<Client, StartError> {
    if options.prefix.contains(['{', '}']) {
        return Err(StartError::Options("the key prefix must not contain { or }"));
    }
    if options.url.starts_with("rediss://") {
        return Err(StartError::Options("rediss:// is not supported, this build has no TLS to it"));
    }
    if !["redis://", "redis+unix://"].iter().any(|scheme| options.url.starts_with(scheme)) {
        return Err(StartError::Options("its URL must begin with redis:// or redis+unix://"));
    }
    Client::open(options.url.as_str()).map_err(|_| {
        StartError::Options("its URL is not redis://[user][:password@]host[:port][/db]")
    })
}

/// `PXAT 0` is an error, any other moment that has passed deletes, and redis counts in signed numbers.
fn deadline(at: UnixTime) -> u64 {
    at.as_millis().clamp(1, FAR)
}

/// The year 9999, or eight thousand years, in milliseconds: far enough for everything.
const FAR: u64 = 253_402_300_799_000;

fn failed(key: &RawKey, failure: Failure) -> StoreError {
    match failure {
        Failure::WrongType => StoreError::Corrupt {
            key: key.to_string(),
            reason: "something of another type is filed there".to_owned(),
        },
        Failure::Unavailable(why) => StoreError::Unavailable(why),
    }
}

fn unavailable(failure: Failure) -> StoreError {
    StoreError::Unavailable(described(failure))
}

fn unreachable(failure: Failure) -> StartError {
    StartError::Unreachable(described(failure))
}

fn described(failure: Failure) -> String {
    match failure {
        Failure::WrongType => "redis answered WRONGTYPE".to_owned(),
        Failure::Unavailable(why) => why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_the_options_nor_a_refusal_repeat_the_url() {
        for url in ["redis://ada:hunter2@host:notaport/0", "rediss://:hunter2@host", "hunter2"] {
            let options = RedisOptions::new(url);
            assert!(!format!("{options:?}").contains("hunter2"));
            let refusal = client(&options).unwrap_err();
            assert!(!format!("{refusal} {refusal:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_prefix_cannot_begin_a_hash_tag_of_its_own() {
        let options = RedisOptions { prefix: "a{b".to_owned(), ..RedisOptions::new("redis://h") };
        assert!(matches!(client(&options), Err(StartError::Options(_))));
    }

    #[test]
    fn a_deadline_is_never_zero_and_never_overflows() {
        assert_eq!(deadline(UnixTime::from_millis(0)), 1);
        assert_eq!(deadline(UnixTime::from_millis(u64::MAX)), FAR);
        assert_eq!(deadline(UnixTime::from_millis(1_800_000_000_000)), 1_800_000_000_000);
    }
}
