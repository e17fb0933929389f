use std::time::Duration;

use redis::aio::{ConnectionLike, ConnectionManager};
use redis::{Cmd, RedisError, RedisFuture, Script, Value, cmd};

use super::{Change, Expect, Outcome, Pending, RawKey, Store, StoreError, Write};

/// One script rather than WATCH: connections here are shared by every request in flight, and what a
/// WATCH watches belongs to the connection.
const COMMIT: &str = include_str!("commit.lua");

const TALLY: &str = "
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return count";

pub struct RedisStore {
    link: Link,
    commit: Script,
    tally: Script,
}

#[derive(Clone)]
enum Link {
    Single(ConnectionManager),
}

impl RedisStore {
    pub async fn single(url: &str) -> Result<Self, StoreError> {
        let client = redis::Client::open(url).map_err(unavailable)?;
        Ok(Self::over(Link::Single(ConnectionManager::new(client).await.map_err(unavailable)?)))
    }

    fn over(link: Link) -> Self {
        Self { link, commit: Script::new(COMMIT), tally: Script::new(TALLY) }
    }
}

impl Store for RedisStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let mut link = self.link.clone();
            cmd("GET").arg(key.as_str()).query_async(&mut link).await.map_err(unavailable)
        })
    }

    fn take<'a>(&'a self, key: &'a RawKey) -> Pending<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let mut link = self.link.clone();
            cmd("GETDEL").arg(key.as_str()).query_async(&mut link).await.map_err(unavailable)
        })
    }

    fn commit(&self, change: Change) -> Pending<'_, Outcome> {
        Box::pin(async move {
            let mut link = self.link.clone();
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
                        call.arg("put").arg(keys.number(key)).arg(bytes.as_slice());
                    }
                    Write::Put { key, bytes, forget_at: Some(at) } => {
                        call.arg("put_until").arg(keys.number(key)).arg(bytes.as_slice());
                        call.arg(at.as_millis());
                    }
                    Write::Delete { key } => {
                        call.arg("delete").arg(keys.number(key));
                    }
                    Write::Link { index, name } => {
                        call.arg("link").arg(keys.number(index)).arg(name.as_str());
                    }
                    Write::Unlink { index, name } => {
                        call.arg("unlink").arg(keys.number(index)).arg(name.as_str());
                    }
                }
            }
            for key in keys.0 {
                call.key(key.as_str());
            }

            let done: i64 = call.invoke_async(&mut link).await.map_err(unavailable)?;
            Ok(if done == 1 { Outcome::Committed } else { Outcome::Conflict })
        })
    }

    fn names<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> Pending<'a, Vec<String>> {
        Box::pin(async move {
            let mut link = self.link.clone();
            let from = if after.is_empty() { "-".to_owned() } else { format!("({after}") };
            let mut range = cmd("ZRANGE");
            range
                .arg(index.as_str())
                .arg(from)
                .arg("+")
                .arg("BYLEX")
                .arg("LIMIT")
                .arg(0)
                .arg(limit);
            range.query_async(&mut link).await.map_err(unavailable)
        })
    }

    fn tally<'a>(&'a self, counter: &'a RawKey, window: Duration) -> Pending<'a, u64> {
        Box::pin(async move {
            let mut link = self.link.clone();
            let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
            let mut call = self.tally.key(counter.as_str());
            call.arg(window).invoke_async(&mut link).await.map_err(unavailable)
        })
    }

    fn ping(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut link = self.link.clone();
            let _: Value = cmd("PING").query_async(&mut link).await.map_err(unavailable)?;
            Ok(())
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

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Single(link) => link.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a redis::Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Single(link) => link.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Single(link) => link.get_db(),
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "shaped for map_err")]
fn unavailable(error: RedisError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
