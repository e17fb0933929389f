//! Who is the primary? The sentinels vote on it, so they are asked for their votes.
//!
//! All are asked at once. What most of them say is so. One that was cut off together with an old
//! primary still names that, and is outvoted; only when too few answer in time is the best that was
//! heard taken, for without a majority there is no failover either.

use std::time::Duration;

use redis::{FromRedisValue, RedisConnectionInfo, RedisResult, Value, cmd};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::address::Endpoint;
use super::door::{Door, Wire};
use super::failure::{Failure, told};

/// Whom to ask, and for which service.
pub(super) struct Sentinels {
    pub(super) door: Door,
    pub(super) login: RedisConnectionInfo,
    pub(super) all: Vec<Endpoint>,
    pub(super) service: String,
    /// How long to wait for the slower ones.
    pub(super) patience: Duration,
}

impl Sentinels {
    /// Where most of them say the primary is.
    pub(super) async fn primary(&self) -> Result<Endpoint, Failure> {
        let mut asking = JoinSet::new();
        for sentinel in &self.all {
            let (door, sentinel) = (self.door.clone(), sentinel.clone());
            let (login, service) = (self.login.clone(), self.service.clone());
            asking.spawn(async move { vote(&door, &sentinel, &login, &service).await });
        }
        let by = Instant::now() + self.patience;
        let mut votes = Vec::new();
        let mut failure = Failure::unavailable("no sentinel answers in time");
        while let Ok(Some(answered)) = timeout_at(by, asking.join_next()).await {
            match answered {
                Ok(Ok(named)) => votes.push(named),
                Ok(Err(why)) => failure = why,
                Err(_gone) => {}
            }
            if let Some((named, count)) = leading(&votes)
                && count > self.all.len() / 2
            {
                return Ok(named.clone());
            }
        }
        let (named, _) = leading(&votes).ok_or(failure)?;
        Ok(named.clone())
    }
}

/// The one that most named, and how many did.
fn leading(votes: &[Endpoint]) -> Option<(&Endpoint, usize)> {
    let count = |named: &Endpoint| votes.iter().filter(|vote| *vote == named).count();
    votes.iter().map(|named| (named, count(named))).max_by_key(|(_, count)| *count)
}

async fn vote(
    door: &Door,
    sentinel: &Endpoint,
    login: &RedisConnectionInfo,
    service: &str,
) -> Result<Endpoint, Failure> {
    let wire = door.open(sentinel, login).await?;
    let mut ask = cmd("SENTINEL");
    ask.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
    let named: Option<(String, u16)> = asked(wire, &ask).await.map_err(|error| told(&error))?;
    let (host, port) =
        named.ok_or_else(|| Failure::unavailable("the sentinels know no service of that name"))?;
    Ok(Endpoint::tcp(&host, port))
}

/// Whether the server itself says that it is one.
pub(super) async fn plays_primary(wire: Wire) -> Result<bool, Failure> {
    let role: Vec<Value> = asked(wire, &cmd("ROLE")).await.map_err(|error| told(&error))?;
    Ok(matches!(role.first(), Some(Value::BulkString(word)) if word == b"master"))
}

async fn asked<T: FromRedisValue>(mut wire: Wire, question: &redis::Cmd) -> RedisResult<T> {
    question.query_async(&mut wire.connection).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_most_sentinels_name_leads() {
        let (old, new) = (Endpoint::tcp("old", 1), Endpoint::tcp("new", 2));
        let votes = [old, new.clone(), new.clone()];
        assert_eq!(leading(&votes), Some((&new, 2)));
        assert_eq!(leading(&[]), None);
    }
}
