//! Connects to a primary, and again whenever the connections are lost.

use std::sync::Arc;
use std::time::Duration;

use redis::{RedisConnectionInfo, cmd};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::command::ReplicaAcks;
use super::connector::{Connection, Connector};
use super::error::CommandError;
use super::sentinel::{Sentinels, is_primary};
use super::server_check::check_server;
use super::state::{ConnectionState, Connections};
use super::url::Endpoint;
use crate::infra::random;

/// Opens all connections to one primary.
pub(super) struct PrimaryConnector {
    pub(super) connector: Connector,
    pub(super) login: RedisConnectionInfo,
    pub(super) location: PrimaryLocation,
    pub(super) acks: Option<ReplicaAcks>,
    pub(super) timeout: Duration,
    pub(super) allow_volatile: bool,
}

/// How the address of the primary is known.
pub(super) enum PrimaryLocation {
    Fixed(Endpoint),
    /// The sentinels are asked at every connect.
    Sentinels(Sentinels),
}

impl PrimaryConnector {
    pub(super) async fn connect(&self) -> Result<Connections, CommandError> {
        let connected = timeout(self.timeout, self.connect_inner()).await;
        connected.unwrap_or_else(|_elapsed| Err(CommandError::unavailable("no answer in time")))
    }

    async fn connect_inner(&self) -> Result<Connections, CommandError> {
        let endpoint = match &self.location {
            PrimaryLocation::Fixed(endpoint) => endpoint.clone(),
            PrimaryLocation::Sentinels(sentinels) => sentinels.primary().await?,
        };
        let shared = self.connector.connect(&endpoint, &self.login).await?;
        // During a failover a sentinel may still name the old primary, and the old primary may still
        // believe itself one. Both must agree.
        let is_sentinel = matches!(self.location, PrimaryLocation::Sentinels(_));
        if is_sentinel && !is_primary(shared.clone()).await? {
            return Err(CommandError::unavailable(
                "the sentinels name a server that is no primary",
            ));
        }
        let mut connecting = JoinSet::new();
        for _ in 0..self.acks.map_or(0, |_| WRITE_CONNECTIONS) {
            let (connector, endpoint) = (self.connector.clone(), endpoint.clone());
            let login = self.login.clone();
            connecting.spawn(async move { connector.connect(&endpoint, &login).await });
        }
        let mut for_writes = Vec::new();
        while let Some(connected) = connecting.join_next().await {
            let shutting_down = |_| CommandError::unavailable("the store is shutting down");
            for_writes.push(connected.map_err(shutting_down)??);
        }
        Ok(Connections { endpoint, shared, for_writes: for_writes.into() })
    }

    /// Checks a primary found after the start as the first one was checked, but only logs what is wrong:
    /// refusing it would stop the service.
    async fn warn_if_misconfigured(&self, mut connection: Connection) {
        let info =
            timeout(self.timeout, cmd("INFO").query_async(&mut connection.multiplexed)).await;
        let Ok(Ok::<String, _>(info)) = info else { return };
        if let Err(complaint) = check_server(&info, true, self.allow_volatile) {
            tracing::error!(%complaint, "this redis would not have been accepted at the start");
        }
    }

    /// Returns when the sentinels name another primary than this one. While no sentinel answers, the
    /// connected primary stays.
    async fn primary_changed(&self, connected: Option<Endpoint>) {
        let (PrimaryLocation::Sentinels(sentinels), Some(connected)) = (&self.location, connected)
        else {
            return std::future::pending().await;
        };
        loop {
            sleep(SENTINEL_POLL_INTERVAL).await;
            if sentinels.primary().await.is_ok_and(|primary| primary != connected) {
                return;
            }
        }
    }
}

/// Connects whenever `state` is disconnected: at once after connections that were stable, otherwise with
/// growing, jittered pauses.
pub(super) async fn reconnect_loop(
    state: Arc<watch::Sender<ConnectionState>>,
    primary: PrimaryConnector,
) {
    let mut changes = state.subscribe();
    let mut failed_attempts = 0;
    let mut connected_at = Instant::now();
    loop {
        let endpoint = changes.borrow().current().map(|(endpoint, _)| endpoint);
        tokio::select! {
            lost = changes.wait_for(|state| state.connections.is_err()) => {
                if lost.is_err() {
                    return;
                }
            }
            () = primary.primary_changed(endpoint) => {
                tracing::warn!("the sentinels name another primary");
                state.send_if_modified(ConnectionState::disconnect);
            }
        }
        if connected_at.elapsed() >= STABLE_AFTER {
            failed_attempts = 0;
        }
        tracing::warn!("lost the connection to redis, reconnecting");
        let connections = loop {
            sleep(backoff(failed_attempts)).await;
            failed_attempts += 1;
            match primary.connect().await {
                Ok(connections) => break connections,
                Err(error) => tracing::debug!(why = %error, "cannot connect to redis"),
            }
        };
        tracing::info!("connected to redis");
        connected_at = Instant::now();
        let shared = connections.shared.clone();
        state.send_modify(|state| {
            state.generation += 1;
            state.connections = Ok(connections);
        });
        primary.warn_if_misconfigured(shared).await;
    }
}

/// The pause before an attempt: none before the first, then half to all of 50, 100, 200 … 500 ms.
pub(super) fn backoff(failed_attempts: u32) -> Duration {
    if failed_attempts == 0 {
        return Duration::ZERO;
    }
    let longest = MIN_BACKOFF.saturating_mul(1 << failed_attempts.min(5)).min(MAX_BACKOFF);
    let jitter = f64::from(u16::from_be_bytes(random::bytes())) / f64::from(u16::MAX);
    longest.mul_f64(0.5 + jitter / 2.0)
}

/// Connections for critical writes. Each write takes a round trip to the replicas, rarely more than a few
/// milliseconds.
pub(super) const WRITE_CONNECTIONS: usize = 8;

/// How often the sentinels are asked for the primary: a demoted one that is cut off from them may not know.
const SENTINEL_POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Connections that lived this long reset the backoff.
const STABLE_AFTER: Duration = Duration::from_secs(1);

const MIN_BACKOFF: Duration = Duration::from_millis(25);
const MAX_BACKOFF: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_two_tries_grows_and_stays_under_half_a_second() {
        assert_eq!(backoff(0), Duration::ZERO);
        for failed_attempts in 1..100 {
            let pause = backoff(failed_attempts);
            assert!(pause >= Duration::from_millis(25), "{pause:?} after {failed_attempts}");
            assert!(pause <= MAX_BACKOFF, "{pause:?} after {failed_attempts}");
        }
        assert!(backoff(50) >= MAX_BACKOFF / 2);
    }
}
