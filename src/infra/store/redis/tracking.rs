//! Tracks changes of keys by Redis ([client-side caching], in broadcasting mode), on a connection of its own
//! to every primary that is read from.
//!
//! - A tracking connection ends with the connections of its primary: the server that reports changes has to be
//!   the one that is read from. It is not one of them, so that a Redis without RESP3 or without permission
//!   for `CLIENT TRACKING` costs only the cache.
//! - A heartbeat every 500 ms sends `ROLE`, which also shows that the server is still a primary. Redis delivers
//!   an invalidation no later than the reply to the command that caused it, and replies in order: a reply to a
//!   heartbeat proves that every change acknowledged before it was sent has been delivered.
//! - The cache is valid until the oldest proof is `VALIDITY` (1.5 s) old. While any primary has no proof,
//!   nothing is served from the cache.
//!
//! [client-side caching]: https://redis.io/docs/latest/develop/reference/client-side-caching/

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use redis::{PushInfo, PushKind, RedisConnectionInfo, Value, cmd};
use tokio::join;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::connector::{Connection, Connector, PushHandler};
use super::error::{CommandError, classify_error};
use super::reconnect::backoff;
use super::sentinel::is_primary;
use super::state::{ConnectionState, disconnect};
use crate::infra::store::{ChangeListener, Subscription};

/// Every primary that is read from.
pub(super) type TrackingTargets = Vec<TrackingTarget>;

/// A primary that is read from, and how to connect to it.
#[derive(Clone)]
pub(super) struct TrackingTarget {
    pub(super) state: watch::Receiver<ConnectionState>,
    /// The other end of `state`, while the connections exist.
    pub(super) connections: Weak<watch::Sender<ConnectionState>>,
    pub(super) connector: Connector,
    pub(super) login: RedisConnectionInfo,
}

/// Reports every change on every target to the listener, until the subscription is dropped.
pub(super) fn subscribe(
    mut targets: watch::Receiver<TrackingTargets>,
    prefix: &str,
    listener: &Arc<dyn ChangeListener>,
) -> Subscription {
    let (prefix, listener) = (prefix.to_owned(), Arc::clone(listener));
    let warned = Arc::new(AtomicBool::new(false));
    Subscription::new(tokio::spawn(async move {
        loop {
            let current = targets.borrow_and_update().clone();
            let tracking = Arc::new(TrackingState {
                prefix: prefix.clone(),
                listener: Arc::clone(&listener),
                warned: Arc::clone(&warned),
                valid_until: Mutex::new(Some(vec![None; current.len()])),
            });
            let mut tasks = JoinSet::new();
            for (index, target) in current.into_iter().enumerate() {
                tasks.spawn(track_loop(target, index, Arc::clone(&tracking)));
            }
            if targets.changed().await.is_err() {
                // The targets of a single primary never change.
                while tasks.join_next().await.is_some() {}
                return;
            }
            tracking.close();
        }
    }))
}

/// The proofs of one set of targets, and the listener that depends on them.
struct TrackingState {
    prefix: String,
    listener: Arc<dyn ChangeListener>,
    /// Whether the log says already that tracking is unavailable.
    warned: Arc<AtomicBool>,
    /// For each target, until when its proof counts. `None` once other targets have taken their place.
    valid_until: Mutex<Option<Vec<Option<Instant>>>>,
}

impl TrackingState {
    fn valid_until(&self) -> MutexGuard<'_, Option<Vec<Option<Instant>>>> {
        self.valid_until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on, nothing that a task of these targets still reports counts.
    fn close(&self) {
        *self.valid_until() = None;
        self.listener.invalidate_all();
    }

    fn lost(&self, index: usize) {
        if let Some(valid_until) = &mut *self.valid_until() {
            valid_until[index] = None;
            self.listener.invalidate_all();
        }
    }

    /// Calls the listener under the lock, so that `lost` in another task cannot come in between.
    fn confirm(&self, index: usize, until: Instant, disconnected: &AtomicBool) {
        let mut guard = self.valid_until();
        let is_connected = !disconnected.load(Ordering::SeqCst);
        let Some(valid_until) = guard.as_mut().filter(|_| is_connected) else { return };
        valid_until[index] = Some(until);
        let all: Option<Vec<Instant>> = valid_until.iter().copied().collect();
        if let Some(until) = all.and_then(|all| all.into_iter().min()) {
            self.listener.valid_until(until);
        }
    }

    fn on_push(&self, index: usize, info: PushInfo, disconnected: &AtomicBool) {
        match info.kind {
            PushKind::Invalidate => match info.data.first() {
                Some(Value::Array(keys)) => keys.iter().for_each(|key| self.invalidate(key)),
                // Null instead of keys: the database was flushed.
                Some(_) | None => self.listener.invalidate_all(),
            },
            PushKind::Disconnection => {
                disconnected.store(true, Ordering::SeqCst);
                self.lost(index);
            }
            _ => {}
        }
    }

    fn invalidate(&self, key: &Value) {
        let Value::BulkString(key) = key else { return };
        let key = str::from_utf8(key).ok().and_then(|key| key.strip_prefix(&self.prefix));
        if let Some(key) = key {
            self.listener.invalidate(key);
        }
    }

    /// Logs once: the cause is in the configuration of Redis and does not go away by itself.
    fn warn_once(&self, error: &CommandError) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                why = %error,
                "redis client tracking is unavailable, read cache disabled: \
                 it needs RESP3, and +client|tracking for our user"
            );
        }
    }
}

/// Tracks one target for as long as it exists: at once when its primary is connected, and with growing
/// pauses while the primary replies and tracking fails.
async fn track_loop(mut target: TrackingTarget, index: usize, tracking: Arc<TrackingState>) {
    let (mut failed_attempts, mut last) = (0, None);
    loop {
        let connected = target.state.wait_for(|state| state.connected_generation().is_some()).await;
        let Ok(generation) = connected.map(|state| state.connected_generation()) else { return };
        if last != generation {
            (failed_attempts, last) = (0, generation);
        }
        let mut changes = target.state.clone();
        let is_replaced = |state: &ConnectionState| state.connected_generation() != generation;
        let began = Instant::now();
        let error = tokio::select! {
            error = track_until_error(&target, index, &tracking) => Some(error),
            _ = changes.wait_for(is_replaced) => None,
        };
        tracking.lost(index);
        let Some(error) = error else { continue };
        if began.elapsed() >= VALIDITY {
            failed_attempts = 0;
        }
        tracing::debug!(why = %error, "redis client tracking was lost");
        if failed_attempts >= FAILURES_BEFORE_WARNING {
            tracking.warn_once(&error);
        }
        let is_persistent = failed_attempts > FAILURES_BEFORE_WARNING;
        let pause = if is_persistent { SLOW_RETRY } else { backoff(failed_attempts) };
        failed_attempts += 1;
        tokio::select! {
            () = sleep(pause) => {}
            _ = changes.wait_for(is_replaced) => {}
        }
    }
}

async fn track_until_error(
    target: &TrackingTarget,
    index: usize,
    tracking: &Arc<TrackingState>,
) -> CommandError {
    let disconnected = Arc::new(AtomicBool::new(false));
    let connection = match start_tracking(target, index, tracking, &disconnected).await {
        Ok(connection) => connection,
        Err(error) => return error,
    };
    loop {
        let sent = Instant::now();
        match timeout(HEARTBEAT_TIMEOUT, verify_primary(connection.clone())).await {
            Ok(Ok(())) => tracking.confirm(index, sent + VALIDITY, &disconnected),
            Ok(Err(error)) => return error,
            Err(_elapsed) => return CommandError::unavailable("no answer in time"),
        }
        sleep(HEARTBEAT_INTERVAL).await;
    }
}

/// Connects, and subscribes to the key prefixes of the listener.
async fn start_tracking(
    target: &TrackingTarget,
    index: usize,
    tracking: &Arc<TrackingState>,
    disconnected: &Arc<AtomicBool>,
) -> Result<Connection, CommandError> {
    let (generation, current) = {
        let state = target.state.borrow();
        (state.connected_generation(), state.current())
    };
    let (endpoint, reading) = current.ok_or_else(|| CommandError::unavailable("no connection"))?;
    let on_push: PushHandler = {
        let (tracking, disconnected) = (Arc::clone(tracking), Arc::clone(disconnected));
        Arc::new(move |info| tracking.on_push(index, info, &disconnected))
    };
    let connection = target.connector.connect_with_push(&endpoint, &target.login, on_push).await?;
    let mut command = cmd("CLIENT");
    command.arg("TRACKING").arg("ON").arg("BCAST");
    for prefix in tracking.listener.key_prefixes() {
        command.arg("PREFIX").arg(format!("{}{prefix}", tracking.prefix));
    }
    let mut sender = connection.multiplexed.clone();
    command.query_async::<()>(&mut sender).await.map_err(|error| classify_error(&error))?;
    // One address may lead to several servers: a DNS name that was changed, a load balancer.
    let (tracked, read_from) = join!(run_id(connection.clone()), run_id(reading));
    let tracked = tracked?;
    match read_from {
        Ok(read_from) if read_from == tracked => Ok(connection),
        Ok(_) => Err(CommandError::unavailable("another server answers at the same address")),
        Err(error) => {
            // The connection that is read from is broken, and no command has noticed it yet.
            if let Some(state) = target.connections.upgrade() {
                disconnect(&state, generation);
            }
            Err(error)
        }
    }
}

/// The id that a server has from its start to its end.
async fn run_id(mut connection: Connection) -> Result<Option<String>, CommandError> {
    let mut command = cmd("INFO");
    command.arg("server");
    let info = command.query_async::<String>(&mut connection.multiplexed).await;
    let info = info.map_err(|error| classify_error(&error))?;
    Ok(info.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::to_owned))
}

async fn verify_primary(connection: Connection) -> Result<(), CommandError> {
    if is_primary(connection).await? {
        Ok(())
    } else {
        Err(CommandError::unavailable("it is no primary any more"))
    }
}

/// How long a proof counts, from when the heartbeat was sent.
const VALIDITY: Duration = HEARTBEAT_INTERVAL.saturating_add(HEARTBEAT_TIMEOUT);

/// From a reply to the next heartbeat.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(1);

/// So many failures in a row, while the primary itself replies, are no accident.
const FAILURES_BEFORE_WARNING: u32 = 3;

/// The pause between attempts once the warning is out.
const SLOW_RETRY: Duration = Duration::from_secs(5);
