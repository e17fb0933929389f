//! The store in one folder of this machine, for one server process.
//!
//! The database is [redb](https://www.redb.org): one file, a copy-on-write B-tree, checksums on every
//! page, readers that never wait for a writer. All changes go through one thread. While it is in an
//! fsync, further changes queue up, and the next transaction takes all of them: many hands share one
//! fsync, and a lone one waits for no timer. Nobody is answered before it. A reader sees what is
//! committed, never what is on its way there.
//!
//! Measured against fjall 3.1, an LSM tree with a journal: 50,000 records of 500 bytes, each with a
//! deadline and a listed name, on two cores that others used as well and ext4 on a virtual disk (writing
//! 4 KiB with `fdatasync`: 0.17 ms); the best of four runs, changes and reads a second, one thread. A
//! commit reads what it expects, replaces the record and moves its deadline.
//!
//! |                                   |   redb |  fjall |
//! | --------------------------------- | -----: | -----: |
//! | commit, an fsync each             |  3,050 |  2,040 |
//! | commit, 64 to an fsync            | 23,400 | 44,200 |
//! | take, an fsync each               |  2,660 |  2,260 |
//! | take, 64 to an fsync              | 20,600 | 49,700 |
//! | tally, an fsync each              |  2,880 |  5,170 |
//! | tally, 64 to an fsync             |151,000 |117,000 |
//! | get                               |471,000 |139,000 |
//! | names, 100 of them                | 71,400 | 11,200 |
//! | opened again after a kill, at worst | 0.24 s |  4.7 s |
//! | crates below it                   |      1 |     38 |
//!
//! Where many changes share an fsync, fjall's journal is ahead twice over: a B-tree writes its pages
//! where a journal appends. redb is chosen all the same. What it does there is several times what one
//! core can sign with RS256; reads and the pages of an index are three to six times as fast; it is back
//! soon after a kill; its file says of every page whether it is whole, so that damage is found at the
//! start; it is one crate, and one file.
//!
//! One-phase commits: a torn one is told by its checksum. That checksum is not a cryptographic one;
//! what two-phase commits are for is somebody who decides in which order the pages of this machine
//! reach its disk, and that one reads the file anyway.
//!
//! A disk that is full, or nearly, takes nothing more: changes are refused before they begin, and
//! accepted again when there is room. Should a write fail in the middle, the database is opened again
//! and stands at its last commit. What was forgotten makes room inside the file, which does not shrink.

mod database;
mod folder;
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

/// A folder that this process holds until the store is dropped.
pub struct FileStore {
    database: Arc<Database>,
    clock: Clock,
    writer: Writer,
}

impl FileStore {
    /// Opens the store in the folder, and makes both if need be. Every page is looked at once.
    pub async fn open(folder: &Path, clock: Clock) -> Result<Self, OpenError> {
        let (folder, time) = (folder.to_owned(), clock.clone());
        let opened = tokio::task::spawn_blocking(move || {
            let lock = folder::hold(&folder)?;
            let database = Arc::new(Database::open(&folder)?);
            let writer = Writer::spawn(Arc::clone(&database), time, lock);
            let writer = writer.map_err(|why| folder::unusable(&folder, why))?;
            Ok::<_, OpenError>((database, writer))
        });
        let ended = |_| OpenError::Unreachable("this process is ending".to_owned());
        let (database, writer) = opened.await.map_err(ended)??;
        Ok(Self { database, clock, writer })
    }

    /// How many records and deadlines are filed, those included that count as forgotten.
    pub async fn count_entries(&self) -> Result<(u64, u64), StoreError> {
        self.reads(tables::census).await
    }

    /// Reads on a thread that may wait for the disk.
    async fn reads<T: Send + 'static>(
        &self,
        read: impl FnOnce(&redb::ReadTransaction) -> Result<T, redb::Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = Arc::clone(&self.database);
        let reading = tokio::task::spawn_blocking(move || database.read(read));
        match reading.await {
            Ok(answer) => answer.map_err(StoreError::Unavailable),
            Err(_) => Err(StoreError::Unavailable("the reading ended early".to_owned())),
        }
    }
}

impl Store for FileStore {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let (key, now) = (key.to_string(), self.clock.now());
            self.reads(move |from| tables::get(from, &key, now)).await
        })
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        let key = key.to_string();
        Box::pin(self.writer.asks(0, move |tables| tables.take(&key)))
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        let weight = tables::weight(&change);
        Box::pin(self.writer.asks(weight, move |tables| tables.commit(&change)))
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        Box::pin(async move {
            let (index, after) = (index.to_string(), after.to_owned());
            self.reads(move |from| tables::names(from, &index, &after, limit)).await
        })
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        let counter = counter.to_string();
        Box::pin(self.writer.asks(0, move |tables| tables.tally(&counter, window)))
    }

    /// A write with its fsync, for a disk that is full or read-only can be read all the same.
    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        Box::pin(async {
            self.writer.asks(0, tables::touch).await?;
            Ok(PingInfo { ahead_millis: Some(0) })
        })
    }
}
