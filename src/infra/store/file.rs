//! The store in a folder of this machine, for one server process: a [redb](https://www.redb.org) database.
//!
//! - All changes go through one thread (`file/writer.rs`). While it is in an fsync, further changes queue up and
//!   share the next transaction. No caller is answered before the fsync.
//! - Readers never wait for the writer, and see what is committed.
//! - A full disk refuses changes before they begin, and accepts them again when there is room. After a write
//!   that fails in the middle, the database is opened again and stands at its last commit.
//!
//! Why redb, what was measured: docs/decisions/file-store-writer-thread.md.

mod data_dir;
mod database;
mod tables;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::database::Database;
use self::writer::Writer;
use super::{
    CommitOutcome, OpenError, PingInfo, RawKey, Store, StoreError, StoreFuture, Transaction,
};
use crate::infra::clock::Clock;

/// A store in a folder, which this process locks until the store is dropped.
pub struct FileStore {
    database: Arc<Database>,
    clock: Clock,
    writer: Writer,
}

impl FileStore {
    /// Opens the store in the folder, and creates both if they do not exist. Checks every page once.
    pub async fn open(folder: &Path, clock: Clock) -> Result<Self, OpenError> {
        let (folder, writer_clock) = (folder.to_owned(), clock.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let lock = data_dir::lock(&folder)?;
            let database = Arc::new(Database::open(&folder)?);
            let writer = Writer::spawn(Arc::clone(&database), writer_clock, lock);
            let writer = writer.map_err(|error| data_dir::open_error(&folder, error))?;
            Ok::<_, OpenError>((database, writer))
        });
        let (backend, reason) = ("file", "this process is ending".to_owned());
        let shutting_down = |_| OpenError::Unreachable { backend, reason };
        let (database, writer) = opened.await.map_err(shutting_down)??;
        Ok(Self { database, clock, writer })
    }

    /// The number of records and of deadlines, expired ones included.
    pub async fn count_entries(&self) -> Result<(u64, u64), StoreError> {
        self.read(tables::count_entries).await
    }

    /// Reads on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        let task = tokio::task::spawn_blocking(move || database.read(read));
        match task.await {
            Ok(value) => value.map_err(StoreError::Unavailable),
            Err(_) => Err(StoreError::Unavailable("the reading ended early".to_owned())),
        }
    }
}

impl Store for FileStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let (key, now) = (key.to_string(), self.clock.now());
            self.read(move |transaction| tables::get(transaction, &key, now)).await
        })
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        let key = key.to_string();
        Box::pin(self.writer.run(0, move |tables| tables.take(&key)))
    }

    fn commit(&self, transaction: Transaction) -> StoreFuture<'_, CommitOutcome> {
        let payload_bytes = tables::payload_bytes(&transaction);
        Box::pin(self.writer.run(payload_bytes, move |tables| tables.commit(&transaction)))
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        Box::pin(async move {
            let (index, after) = (index.to_string(), after.to_owned());
            self.read(move |transaction| tables::scan_index(transaction, &index, &after, limit))
                .await
        })
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        let counter = counter.to_string();
        Box::pin(self.writer.run(0, move |tables| tables.tally(&counter, window)))
    }

    /// Writes, with an fsync: a disk that is full or read-only can still be read.
    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        Box::pin(async {
            self.writer.run(0, tables::touch).await?;
            Ok(PingInfo { ahead_millis: Some(0) })
        })
    }
}
