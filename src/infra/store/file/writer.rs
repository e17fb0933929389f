//! The one thread that writes: all waiting changes share a transaction, and are answered after its fsync.

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

/// As many changes may wait as there may be connections. More are refused.
const QUEUE_CAPACITY: usize = 4096;
/// Changes in one transaction: some tens of milliseconds of work.
const MAX_BATCH: usize = 256;
/// How often an idle store looks for expired records.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);
/// Expired records deleted in one sweep.
const MAX_SWEEP: usize = 256;
/// Expired records deleted beside each change: more than a change adds.
const EXPIRED_PER_CHANGE: usize = 8;
/// How long a caller waits. After that the outcome of its change is unknown.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// A change that runs in a transaction and replies after the commit.
trait Job: Send {
    fn payload_bytes(&self) -> u64;
    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), Error>;
    fn reply(self: Box<Self>, committed: Result<(), String>);
}

struct PendingChange<T, W> {
    payload_bytes: u64,
    work: Option<W>,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, String>>,
}

impl<T, W> Job for PendingChange<T, W>
where
    T: Send,
    W: FnOnce(&mut Tables<'_>) -> Result<T, Error> + Send,
{
    fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }

    fn run(&mut self, tables: &mut Tables<'_>) -> Result<(), Error> {
        if let Some(work) = self.work.take() {
            self.result = Some(work(tables)?);
        }
        Ok(())
    }

    fn reply(self: Box<Self>, committed: Result<(), String>) {
        let Self { result, reply, .. } = *self;
        let not_run = || "the change was not made".to_owned();
        // The caller may have gone away.
        let _received = reply.send(committed.and_then(|()| result.ok_or_else(not_run)));
    }
}

/// The writer thread. Dropping this value ends it.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread, which keeps `lock` until the database is closed.
    pub fn spawn(database: Arc<Database>, clock: Clock, lock: File) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE_CAPACITY);
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(move || {
            writer_loop(&database, &clock, &jobs);
            database.close();
            drop(lock);
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs the work in a transaction, and answers once that is on disk. `payload_bytes` is how many bytes it adds.
    pub async fn run<T: Send + 'static>(
        &self,
        payload_bytes: u64,
        work: impl FnOnce(&mut Tables<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let unavailable = |why: &str| StoreError::Unavailable(why.to_owned());
        let (sender, reply) = oneshot::channel();
        let work = Some(work);
        let job = Box::new(PendingChange { payload_bytes, work, result: None, reply: sender });
        match self.queue.as_ref().map(|queue| queue.try_send(job)) {
            Some(Ok(())) => {}
            Some(Err(TrySendError::Full(_))) => {
                return Err(unavailable("too many changes are waiting"));
            }
            Some(Err(TrySendError::Disconnected(_))) | None => {
                return Err(unavailable("the store's thread has ended"));
            }
        }
        match tokio::time::timeout(WRITE_TIMEOUT, reply).await {
            Ok(Ok(result)) => result.map_err(StoreError::Unavailable),
            Ok(Err(_)) => Err(unavailable("the store's thread has ended")),
            Err(_) => Err(unavailable(
                "the change is not on disk yet, and nobody knows whether it will be",
            )),
        }
    }
}

impl Drop for Writer {
    /// Waits for the queued changes; then the folder is unlocked.
    fn drop(&mut self) {
        self.queue = None;
        let _joined = self.thread.take().map(JoinHandle::join);
    }
}

fn writer_loop(database: &Database, clock: &Clock, jobs: &Receiver<Box<dyn Job>>) {
    loop {
        let first = match jobs.recv_timeout(SWEEP_INTERVAL) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                sweep(database, clock);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut batch = vec![first];
        batch.extend(jobs.try_iter().take(MAX_BATCH - 1));
        let committed = commit(database, clock, &mut batch);
        for job in batch {
            job.reply(committed.clone());
        }
    }
}

/// Runs the batch in one transaction: all of it is applied, or nothing.
fn commit(database: &Database, clock: &Clock, batch: &mut [Box<dyn Job>]) -> Result<(), String> {
    if !database.is_open() {
        database.reopen();
    }
    let payload_bytes = batch.iter().map(|job| job.payload_bytes()).sum();
    if !database.has_room(batch.len(), payload_bytes) {
        tracing::error!("the disk of the store is full, or nearly: nothing is changed");
        return Err("the disk is full".to_owned());
    }
    let written = database.write(|transaction| {
        let mut tables = Tables::open(transaction, clock.now())?;
        for job in &mut *batch {
            job.run(&mut tables)?;
        }
        if tables.changed() {
            tables.remove_expired(batch.len().saturating_mul(EXPIRED_PER_CHANGE))?;
        }
        Ok(tables.changed())
    });
    reopen_on_error(database, written)
}

/// Deletes expired records of an idle store. Writes nothing if there are none.
fn sweep(database: &Database, clock: &Clock) {
    let now = clock.now();
    let has_expired = database.read(|transaction| tables::has_expired(transaction, now));
    if !has_expired.unwrap_or(false) || !database.has_room(MAX_SWEEP / EXPIRED_PER_CHANGE, 0) {
        return;
    }
    let swept = database
        .write(|transaction| Ok(Tables::open(transaction, now)?.remove_expired(MAX_SWEEP)? > 0));
    let _logged = reopen_on_error(database, swept);
}

/// Opens the database again after a failed write. It then stands at its last commit: the one that failed, or
/// the one before.
fn reopen_on_error(database: &Database, written: Result<(), String>) -> Result<(), String> {
    written.inspect_err(|why| {
        tracing::error!(%why, "a write to the store failed, it is opened again");
        database.reopen();
    })
}
