//! The one thread that writes: whatever waits goes into one transaction, and is answered after its fsync.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use redb::Error;
use tokio::sync::oneshot;

use super::super::StoreError;
use super::database::Database;
use super::tables::{self, Tables};
use crate::infra::clock::Clock;

/// As many changes may wait as there may be connections; more are refused.
const QUEUE: usize = 4096;
/// How many changes share a transaction at most: some tens of milliseconds of work.
const BATCH: usize = 256;
/// How often an idle store looks for what it may forget.
const IDLE: Duration = Duration::from_secs(1);
/// How much is forgotten in one transaction of its own.
const SWEEP: usize = 256;
/// How much is forgotten beside each change, which is more than it can file.
const BESIDE: usize = 8;
/// How long a change may take before its caller is told that nobody knows.
const PATIENCE: Duration = Duration::from_secs(5);

/// A change that waits for its turn, then for its fsync, and then tells.
trait Job: Send {
    fn weight(&self) -> u64;
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), Error>;
    fn tell(self: Box<Self>, committed: Result<(), String>);
}

struct Asked<T, W> {
    weight: u64,
    work: Option<W>,
    answer: Option<T>,
    tell: oneshot::Sender<Result<T, String>>,
}

impl<T, W> Job for Asked<T, W>
where
    T: Send,
    W: FnOnce(&mut Tables<'_>) -> Result<T, Error> + Send,
{
    fn weight(&self) -> u64 {
        self.weight
    }

    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), Error> {
        if let Some(work) = self.work.take() {
            self.answer = Some(work(tables)?);
        }
        Ok(())
    }

    fn tell(self: Box<Self>, committed: Result<(), String>) {
        let Self { answer, tell, .. } = *self;
        let undone = || "the change was not made".to_owned();
        // The caller may have gone away.
        let _heard = tell.send(committed.and_then(|()| answer.ok_or_else(undone)));
    }
}

/// The thread, which ends with this value.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// `lock` is held until the database is closed.
    pub fn spawn(database: Arc<Database>, clock: Clock, lock: File) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            write(&database, &clock, &jobs);
            database.close();
            drop(lock);
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Has the work done in a transaction, and answers once that is on disk. `weight` is how many bytes
    /// it brings.
    pub async fn asks<T: Send + 'static>(
        &self,
        weight: u64,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let unavailable = |why: &str| StoreError::Unavailable(why.to_owned());
        let (tell, told) = oneshot::channel();
        let job = Box::new(Asked { weight, work: Some(work), answer: None, tell });
        match self.queue.as_ref().map(|queue| queue.try_send(job)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => {
                return Err(unavailable("too many changes are waiting"));
            }
            Some(Err(TrySendError::Disconnected(_))) | None => {
                return Err(unavailable("the store's thread has ended"));
            }
        }
        match tokio::time::timeout(PATIENCE, told).await {
            Ok(Ok(answer)) => answer.map_err(StoreError::Unavailable),
            Ok(Err(_)) => Err(unavailable("the store's thread has ended")),
            Err(_) => Err(unavailable(
                "the change is not on disk yet, and nobody knows whether it will be",
            )),
        }
    }
}

impl Drop for Writer {
    /// What was asked for is still written; then the folder is free.
    fn drop(&mut self) {
        self.queue = None;
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

fn write(database: &Database, clock: &Clock, jobs: &Receiver<Box<dyn Job>>) {
    loop {
        let first = match jobs.recv_timeout(IDLE) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                sweep(database, clock);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut batch = vec![first];
        batch.extend(jobs.try_iter().take(BATCH - 1));
        let committed = commit(database, clock, &mut batch);
        for job in batch {
            job.tell(committed.clone());
        }
    }
}

/// All of them, or none.
fn commit(database: &Database, clock: &Clock, batch: &mut [Box<dyn Job>]) -> Result<(), String> {
    if !database.is_open() {
        database.reopen();
    }
    let weight = batch.iter().map(|job| job.weight()).sum();
    if !database.has_room(batch.len(), weight) {
        tracing::error!("the disk of the store is full, or nearly: nothing is changed");
        return Err("the disk is full".to_owned());
    }
    let written = database.write(|transaction| {
        let mut tables = Tables::open(transaction, clock.now())?;
        for job in &mut *batch {
            job.run(&mut tables)?;
        }
        if tables.changed() {
            tables.forget(batch.len().saturating_mul(BESIDE))?;
        }
        Ok(tables.changed())
    });
    recovered(database, written)
}

/// Forgets what is due while nothing else is asked; nothing due costs no write.
fn sweep(database: &Database, clock: &Clock) {
    let now = clock.now();
    let due = database.read(|from| tables::anything_due(from, now));
    if !due.unwrap_or(false) || !database.has_room(SWEEP / BESIDE, 0) {
        return;
    }
    let swept =
        database.write(|transaction| Ok(Tables::open(transaction, now)?.forget(SWEEP)? > 0));
    let _logged = recovered(database, swept);
}

/// After a failure redb wants to be opened again, and is at its last commit then: the one that failed, or
/// the one before.
fn recovered(database: &Database, written: Result<(), String>) -> Result<(), String> {
    written.inspect_err(|why| {
        tracing::error!(%why, "a write to the store failed, it is opened again");
        database.reopen();
    })
}
