//! Hears of changes: on every server that may answer, one connection on which redis says which keys were
//! changed, by whomever ([client-side caching], in broadcasting mode).
//!
//! Such a connection belongs to a link, and goes with it: what is heard has to come from the server that
//! answers. It is not the link's own, so that a redis that knows no RESP3 or does not grant `CLIENT
//! TRACKING` costs nothing but what could be heard.
//!
//! It proves twice a second that it is alive, by `ROLE` rather than by `PING`, for it also has to be
//! that of a primary. Answers come in line with what is told: redis tells of a change no later than it
//! answers whoever made it, so an answer proves that everything answered before the question has been
//! told. If any of the connections has nothing to show for the last 1.5 seconds, nothing is heard at all,
//! and all that was heard is void: half a cluster is not worth the proof which half.
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

use super::door::{Door, Ear, Wire};
use super::failure::{Failure, told};
use super::keeper::pause;
use super::link::{Slot, hang_up};
use super::sentinel::plays_primary;
use crate::infra::store::{ChangeListener, Subscription};

/// Everybody who may answer.
pub(super) type Posts = Vec<Post>;

/// Where one link leads, and how to get there.
#[derive(Clone)]
pub(super) struct Post {
    pub(super) slot: watch::Receiver<Slot>,
    /// The same, for as long as the link itself is there.
    pub(super) link: Weak<watch::Sender<Slot>>,
    pub(super) door: Door,
    pub(super) login: RedisConnectionInfo,
}

/// Tells the listener of every change on whoever may answer.
pub(super) fn listen(
    mut posts: watch::Receiver<Posts>,
    prefix: &str,
    listener: &Arc<dyn ChangeListener>,
) -> Subscription {
    let (prefix, listener) = (prefix.to_owned(), Arc::clone(listener));
    let complained = Arc::new(AtomicBool::new(false));
    Subscription::by(tokio::spawn(async move {
        loop {
            let manned = posts.borrow_and_update().clone();
            let desk = Arc::new(Desk {
                prefix: prefix.clone(),
                listener: Arc::clone(&listener),
                complained: Arc::clone(&complained),
                heard: Mutex::new(Some(vec![None; manned.len()])),
            });
            let mut watches = JoinSet::new();
            for (number, post) in manned.into_iter().enumerate() {
                watches.spawn(keep_watch(post, number, Arc::clone(&desk)));
            }
            if posts.changed().await.is_err() {
                // There will never be others.
                while watches.join_next().await.is_some() {}
                return;
            }
            desk.close();
        }
    }))
}

/// Where what is heard comes together.
struct Desk {
    prefix: String,
    listener: Arc<dyn ChangeListener>,
    /// Whether the log knows that nothing can be heard.
    complained: Arc<AtomicBool>,
    /// Until when each connection has told everything, if it is there; nothing once it is closed.
    heard: Mutex<Option<Vec<Option<Instant>>>>,
}

impl Desk {
    fn heard(&self) -> MutexGuard<'_, Option<Vec<Option<Instant>>>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing that was begun here counts any more.
    fn close(&self) {
        *self.heard() = None;
        self.listener.invalidate_all();
    }

    fn lost(&self, number: usize) {
        if let Some(heard) = &mut *self.heard() {
            heard[number] = None;
            self.listener.invalidate_all();
        }
    }

    /// The listener is told while the lock is held, so that what was lost stays lost.
    fn confirm(&self, number: usize, until: Instant, over: &AtomicBool) {
        let mut guard = self.heard();
        let Some(heard) = guard.as_mut().filter(|_| !over.load(Ordering::SeqCst)) else { return };
        heard[number] = Some(until);
        let all: Option<Vec<Instant>> = heard.iter().copied().collect();
        if let Some(until) = all.and_then(|all| all.into_iter().min()) {
            self.listener.valid_until(until);
        }
    }

    /// What redis says without being asked.
    fn hear(&self, number: usize, info: PushInfo, over: &AtomicBool) {
        match info.kind {
            PushKind::Invalidate => match info.data.first() {
                Some(Value::Array(keys)) => keys.iter().for_each(|key| self.changed(key)),
                // All of them, at once: the database was emptied.
                Some(_) | None => self.listener.invalidate_all(),
            },
            PushKind::Disconnection => {
                over.store(true, Ordering::SeqCst);
                self.lost(number);
            }
            _ => {}
        }
    }

    fn changed(&self, key: &Value) {
        let Value::BulkString(key) = key else { return };
        let key = str::from_utf8(key).ok().and_then(|key| key.strip_prefix(&self.prefix));
        if let Some(key) = key {
            self.listener.invalidate(key);
        }
    }

    /// Once is enough: whatever is the matter, it is the operator's to decide.
    fn complain(&self, failure: Failure) {
        if !self.complained.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                why = failure.described(),
                "redis does not tell of changes, so nothing is kept in memory: \
                 it needs RESP3, and +client|tracking for our user"
            );
        }
    }
}

/// Listens at one post for as long as there is one: at once when its link is there, and with growing
/// pauses while the link works and listening does not.
async fn keep_watch(mut post: Post, number: usize, desk: Arc<Desk>) {
    let (mut misses, mut last) = (0, None);
    loop {
        let there = post.slot.wait_for(|slot| slot.number().is_some()).await;
        let Ok(there) = there.map(|slot| slot.number()) else { return };
        if last != there {
            (misses, last) = (0, there);
        }
        let mut link = post.slot.clone();
        let elsewhere = |slot: &Slot| slot.number() != there;
        let began = Instant::now();
        let heard = tokio::select! {
            failure = listen_at(&post, number, &desk) => Some(failure),
            _ = link.wait_for(elsewhere) => None,
        };
        desk.lost(number);
        let Some(failure) = heard else { continue };
        if began.elapsed() >= WINDOW {
            misses = 0;
        }
        tracing::debug!("changes are not heard of");
        if misses >= ENOUGH {
            desk.complain(failure);
        }
        let pause = if misses > ENOUGH { LATER } else { pause(misses) };
        misses += 1;
        tokio::select! {
            () = sleep(pause) => {}
            _ = link.wait_for(elsewhere) => {}
        }
    }
}

/// Returns when nothing is heard there any more, and why.
async fn listen_at(post: &Post, number: usize, desk: &Arc<Desk>) -> Failure {
    let over = Arc::new(AtomicBool::new(false));
    let wire = match begin(post, number, desk, &over).await {
        Ok(wire) => wire,
        Err(failure) => return failure,
    };
    loop {
        let asked = Instant::now();
        match timeout(PATIENCE, proven(wire.clone())).await {
            Ok(Ok(())) => desk.confirm(number, asked + WINDOW, &over),
            Ok(Err(failure)) => return failure,
            Err(_elapsed) => return Failure::unavailable("no answer in time"),
        }
        sleep(BEAT).await;
    }
}

/// Connects, and has redis tell.
async fn begin(
    post: &Post,
    number: usize,
    desk: &Arc<Desk>,
    over: &Arc<AtomicBool>,
) -> Result<Wire, Failure> {
    let (used, answers) = {
        let slot = post.slot.borrow();
        (slot.number(), slot.answers())
    };
    let (at, link) = answers.ok_or_else(|| Failure::unavailable("no connection"))?;
    let ear: Ear = {
        let (desk, over) = (Arc::clone(desk), Arc::clone(over));
        Arc::new(move |info| desk.hear(number, info, &over))
    };
    let wire = post.door.open_hearing(&at, &post.login, ear).await?;
    let mut track = cmd("CLIENT");
    track.arg("TRACKING").arg("ON").arg("BCAST");
    for beginning in desk.listener.key_prefixes() {
        track.arg("PREFIX").arg(format!("{}{beginning}", desk.prefix));
    }
    let mut connection = wire.connection.clone();
    track.query_async::<()>(&mut connection).await.map_err(|error| told(&error))?;
    // Behind one address there may be several: a name that has just come to mean another, a balancer.
    let (heard, answering) = join!(run_id(wire.clone()), run_id(link));
    let heard = heard?;
    match answering {
        Ok(answering) if answering == heard => Ok(wire),
        Ok(_) => Err(Failure::unavailable("another server answers at the same address")),
        Err(failure) => {
            // It is gone, and nobody has asked it anything since.
            if let Some(slot) = post.link.upgrade() {
                hang_up(&slot, used);
            }
            Err(failure)
        }
    }
}

/// What a server calls itself for as long as it runs.
async fn run_id(mut wire: Wire) -> Result<Option<String>, Failure> {
    let mut info = cmd("INFO");
    info.arg("server");
    let asked = info.query_async::<String>(&mut wire.connection).await;
    let told = asked.map_err(|error| told(&error))?;
    Ok(told.lines().find_map(|line| line.strip_prefix("run_id:")).map(str::to_owned))
}

async fn proven(wire: Wire) -> Result<(), Failure> {
    if plays_primary(wire).await? {
        Ok(())
    } else {
        Err(Failure::unavailable("it is no primary any more"))
    }
}

/// How long a proof counts, from the question on.
const WINDOW: Duration = BEAT.saturating_add(PATIENCE);

/// From one answer to the next question.
const BEAT: Duration = Duration::from_millis(500);

/// From the question to the answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// So many tries in a row while the link itself works are no accident.
const ENOUGH: u32 = 3;

/// Until somebody who refuses is asked again.
const LATER: Duration = Duration::from_secs(5);
