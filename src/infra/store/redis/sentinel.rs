//! Asks the sentinels for the address of the primary.
//!
//! All are asked at once, and the majority decides: a sentinel that was partitioned together with an old
//! primary still names that one. If fewer than a majority reply in time, the address that most of them named
//! is taken: without a majority there is no failover either.

use std::time::Duration;

use redis::{FromRedisValue, RedisConnectionInfo, RedisResult, Value, cmd};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::connector::{Connection, Connector};
use super::error::{CommandError, classify_error};
use super::url::Endpoint;

/// The sentinels of one service.
pub(super) struct Sentinels {
    pub(super) connector: Connector,
    pub(super) login: RedisConnectionInfo,
    pub(super) all: Vec<Endpoint>,
    pub(super) service: String,
    /// How long to wait for a majority.
    pub(super) timeout: Duration,
}

impl Sentinels {
    /// The address of the primary that most of them name.
    pub(super) async fn primary(&self) -> Result<Endpoint, CommandError> {
        let mut asking = JoinSet::new();
        for sentinel in &self.all {
            let (connector, sentinel) = (self.connector.clone(), sentinel.clone());
            let (login, service) = (self.login.clone(), self.service.clone());
            asking
                .spawn(async move { fetch_primary(&connector, &sentinel, &login, &service).await });
        }
        let deadline = Instant::now() + self.timeout;
        let mut votes = Vec::new();
        let mut last_error = CommandError::unavailable("no sentinel answers in time");
        while let Ok(Some(reply)) = timeout_at(deadline, asking.join_next()).await {
            match reply {
                Ok(Ok(primary)) => votes.push(primary),
                Ok(Err(error)) => last_error = error,
                Err(_ended) => {}
            }
            if let Some((primary, count)) = leading(&votes)
                && count > self.all.len() / 2
            {
                return Ok(primary.clone());
            }
        }
        let (primary, _) = leading(&votes).ok_or(last_error)?;
        Ok(primary.clone())
    }
}

/// The endpoint with most votes, and how many they are.
fn leading(votes: &[Endpoint]) -> Option<(&Endpoint, usize)> {
    let count = |endpoint: &Endpoint| votes.iter().filter(|vote| *vote == endpoint).count();
    votes.iter().map(|endpoint| (endpoint, count(endpoint))).max_by_key(|(_, count)| *count)
}

async fn fetch_primary(
    connector: &Connector,
    sentinel: &Endpoint,
    login: &RedisConnectionInfo,
    service: &str,
) -> Result<Endpoint, CommandError> {
    let connection = connector.connect(sentinel, login).await?;
    let mut command = cmd("SENTINEL");
    command.arg("GET-MASTER-ADDR-BY-NAME").arg(service);
    let primary: Option<(String, u16)> =
        query(connection, &command).await.map_err(|error| classify_error(&error))?;
    let (host, port) = primary
        .ok_or_else(|| CommandError::unavailable("the sentinels know no service of that name"))?;
    Ok(Endpoint::tcp(&host, port))
}

/// Whether the server's own `ROLE` is that of a primary.
pub(super) async fn is_primary(connection: Connection) -> Result<bool, CommandError> {
    let role = query(connection, &cmd("ROLE")).await;
    let role: Vec<Value> = role.map_err(|error| classify_error(&error))?;
    Ok(matches!(role.first(), Some(Value::BulkString(word)) if word == b"master"))
}

async fn query<T: FromRedisValue>(
    mut connection: Connection,
    command: &redis::Cmd,
) -> RedisResult<T> {
    command.query_async(&mut connection.multiplexed).await
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
