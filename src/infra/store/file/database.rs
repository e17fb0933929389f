//! The database file. It is opened again after a failed write.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use redb::backends::FileBackend;
use redb::{ReadTransaction, ReadableDatabase, WriteTransaction};
use rustix::fs::StatVfs;

use super::super::OpenError;
use super::{data_dir, tables};

/// Holds the inner pages of a million records and the leaves that are in use. The page cache of the machine
/// holds the rest.
const CACHE_BYTES: usize = 64 * 1024 * 1024;
/// The free space that a transaction needs besides its changes.
const TRANSACTION_BYTES: u64 = 256 * 1024;
/// The most that one change may need: the pages on its path in each tree, copied.
const MAX_CHANGE_BYTES: u64 = 64 * 1024;

/// One redb file. After a failed write redb refuses every operation until the file is opened again; it then
/// stands at its last commit.
pub(super) struct Database {
    folder: PathBuf,
    /// `None` while it cannot be opened again.
    database: RwLock<Option<redb::Database>>,
}

impl Database {
    /// Opens or creates the file. Fails if it is damaged or of a later schema.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let database = open(folder).map_err(|why| data_dir::open_error(folder, why))?;
        Ok(Self { folder: folder.to_owned(), database: RwLock::new(Some(database)) })
    }

    /// Reads the last commit.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, String> {
        let database = self.lock();
        let database = database.as_ref().ok_or_else(closed)?;
        let transaction = database.begin_read().map_err(redb::Error::from);
        transaction.and_then(|transaction| read(&transaction)).map_err(|error| error.to_string())
    }

    /// Runs `write` in a transaction, and commits it to disk if `write` answers true.
    pub fn write(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<bool, redb::Error>,
    ) -> Result<(), String> {
        let database = self.lock();
        let database = database.as_ref().ok_or_else(closed)?;
        let run = || -> Result<(), redb::Error> {
            // A commit is durable: redb's default.
            let transaction = database.begin_write()?;
            if write(&transaction)? { Ok(transaction.commit()?) } else { Ok(transaction.abort()?) }
        };
        run().map_err(|error| error.to_string())
    }

    /// Whether the disk has room for so many changes with so many bytes in all. True where the file system does
    /// not report its free space: the write itself will fail then.
    pub fn has_room(&self, changes: usize, payload_bytes: u64) -> bool {
        let changes = u64::try_from(changes).unwrap_or(u64::MAX);
        let needed = MAX_CHANGE_BYTES.saturating_mul(changes).saturating_add(TRANSACTION_BYTES);
        let needed = needed.saturating_add(payload_bytes.saturating_mul(4));
        free_bytes(rustix::fs::statvfs(&self.folder).ok()).is_none_or(|free| free >= needed)
    }

    /// Closes it and opens it at its last commit. If that fails, the next call tries again.
    pub fn reopen(&self) {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        *database = None;
        match open(&self.folder) {
            Ok(opened) => *database = Some(opened),
            Err(why) => tracing::error!(%why, "the store cannot be opened again yet"),
        }
    }

    pub fn is_open(&self) -> bool {
        self.lock().is_some()
    }

    /// Closes it for good.
    pub fn close(&self) {
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn lock(&self) -> RwLockReadGuard<'_, Option<redb::Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The free bytes, if the file system reports them. One that reports no blocks at all does not count them.
fn free_bytes(disk: Option<StatVfs>) -> Option<u64> {
    let disk = disk.filter(|disk| disk.f_blocks > 0)?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn open(folder: &Path) -> Result<redb::Database, String> {
    let path = data_dir::database_path(folder);
    let opened = data_dir::open_private(&path).map(drop).or_else(|why| match why.kind() {
        ErrorKind::NotFound => create(folder, &path).map_err(|why| why.to_string()),
        _ => Err(why.to_string()),
    });
    opened.map_err(|why| format!("{}: {why}", path.display()))?;
    // redb may panic on a damaged file.
    let opened = catch_unwind(AssertUnwindSafe(|| -> Result<_, redb::Error> {
        let mut builder = redb::Database::builder();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let database = builder.open(&path)?;
        tables::schema(&database).map(|schema| (database, schema))
    }));
    match opened {
        Ok(Ok((database, Some(schema)))) if schema <= tables::SCHEMA => Ok(database),
        Ok(Ok((_, Some(schema)))) => Err(format!(
            "a later version of Latchkey has written it (schema {schema}, this one knows up to {})",
            tables::SCHEMA
        )),
        Ok(Ok((_, None))) => Err(damaged(&path, "it is not a store of Latchkey's")),
        Ok(Err(redb::Error::DatabaseAlreadyOpen)) => {
            Err(format!("{} is open in another process", path.display()))
        }
        Ok(Err(redb::Error::Io(why)))
            if !matches!(why.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof) =>
        {
            Err(format!("{}: {why}", path.display()))
        }
        Ok(Err(why @ redb::Error::UpgradeRequired(_))) => {
            Err(format!("{} has another format of file: {why}", path.display()))
        }
        Ok(Err(why)) => Err(damaged(&path, &why.to_string())),
        Err(_) => Err(damaged(&path, "it contradicts itself")),
    }
}

/// Creates the file under another name and renames it, so that a file with the right name is complete: an
/// empty one is damaged.
fn create(folder: &Path, path: &Path) -> Result<(), redb::Error> {
    let new = path.with_extension("new");
    let file = data_dir::create_private(&new)?;
    let database = redb::Database::builder().create_with_backend(FileBackend::new(file)?)?;
    tables::create(&database)?;
    drop(database);
    std::fs::rename(&new, path)?;
    Ok(std::fs::File::open(folder)?.sync_all()?)
}

fn damaged(path: &Path, why: &str) -> String {
    let path = path.display();
    format!(
        "{path} is damaged ({why}); put a copy from before in its place, or move it away to begin anew"
    )
}

fn closed() -> String {
    "the store's file is not open, see the log".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_does_not_count_is_not_full() {
        let folder = tempfile::tempdir().unwrap();
        let disk = || rustix::fs::statvfs(folder.path()).unwrap();
        assert!(free_bytes(Some(disk())).is_some());
        let full = StatVfs { f_bavail: 0, ..disk() };
        assert_eq!(free_bytes(Some(full)), Some(0));
        let uncounted = StatVfs { f_blocks: 0, f_bavail: 0, ..disk() };
        assert_eq!(free_bytes(Some(uncounted)), None);
        assert_eq!(free_bytes(None), None);
    }
}
