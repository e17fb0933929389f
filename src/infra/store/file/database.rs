//! The database file, opened again when it failed.

use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use redb::backends::FileBackend;
use redb::{ReadTransaction, ReadableDatabase, WriteTransaction};
use rustix::fs::StatVfs;

use super::super::OpenError;
use super::{folder, tables};

/// Enough for the inner pages of a million records and the leaves that are in use; the rest is left to
/// the page cache of the machine.
const CACHE: usize = 64 * 1024 * 1024;
/// What a transaction may need that writes next to nothing.
const RESERVE: u64 = 256 * 1024;
/// What one change may need at most: its path of pages in each of the trees, written anew.
const EACH: u64 = 64 * 1024;

/// One redb file. After a failed write redb refuses everything until it is opened again, which keeps it
/// at its last commit.
pub(super) struct Database {
    folder: PathBuf,
    /// `None` while it could not be opened again.
    open: RwLock<Option<redb::Database>>,
}

impl Database {
    /// Opens or makes it, and refuses one that is damaged or of a later schema.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let open = open(folder).map_err(|why| folder::unusable(folder, why))?;
        Ok(Self { folder: folder.to_owned(), open: RwLock::new(Some(open)) })
    }

    /// What `read` answers of the last commit.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, String> {
        let open = self.opened();
        let database = open.as_ref().ok_or_else(closed)?;
        let began = database.begin_read().map_err(redb::Error::from);
        began.and_then(|transaction| read(&transaction)).map_err(told)
    }

    /// All of what `write` does, on disk, if it answers that there is something to keep.
    pub fn write(
        &self,
        write: impl FnOnce(&WriteTransaction) -> Result<bool, redb::Error>,
    ) -> Result<(), String> {
        let open = self.opened();
        let database = open.as_ref().ok_or_else(closed)?;
        let ended = || -> Result<(), redb::Error> {
            // Durable when it is committed, which is redb's default.
            let transaction = database.begin_write()?;
            if write(&transaction)? { Ok(transaction.commit()?) } else { Ok(transaction.abort()?) }
        };
        ended().map_err(told)
    }

    /// Whether there is room for so many changes with so many bytes. A file system that cannot say is
    /// believed to have it: the write will tell.
    pub fn has_room(&self, changes: usize, weight: u64) -> bool {
        let changes = u64::try_from(changes).unwrap_or(u64::MAX);
        let needed = EACH.saturating_mul(changes).saturating_add(RESERVE);
        let needed = needed.saturating_add(weight.saturating_mul(4));
        free(rustix::fs::statvfs(&self.folder).ok()).is_none_or(|free| free >= needed)
    }

    /// Closes it and opens it at its last commit. If that fails, the next call tries again.
    pub fn reopen(&self) {
        let mut database = self.open.write().unwrap_or_else(PoisonError::into_inner);
        *database = None;
        match open(&self.folder) {
            Ok(opened) => *database = Some(opened),
            Err(why) => tracing::error!(%why, "the store cannot be opened again yet"),
        }
    }

    /// Whether there is a file to write to.
    pub fn is_open(&self) -> bool {
        self.opened().is_some()
    }

    /// Closes it for good.
    pub fn close(&self) {
        *self.open.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn opened(&self) -> RwLockReadGuard<'_, Option<redb::Database>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes we may still take, if the file system says. One that claims to have no blocks at all does not
/// count them.
fn free(disk: Option<StatVfs>) -> Option<u64> {
    let disk = disk.filter(|disk| disk.f_blocks > 0)?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn open(folder: &Path) -> Result<redb::Database, String> {
    let path = folder::database(folder);
    let made = folder::private(&path).map(drop).or_else(|why| match why.kind() {
        ErrorKind::NotFound => make(folder, &path).map_err(|why| why.to_string()),
        _ => Err(why.to_string()),
    });
    made.map_err(|why| format!("{}: {why}", path.display()))?;
    // An assertion of redb's about a damaged file is an answer, too.
    let opened = catch_unwind(AssertUnwindSafe(|| -> Result<_, redb::Error> {
        let mut builder = redb::Database::builder();
        builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
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

/// Under another name first, so that what bears the right one was whole once: an empty file is damage.
fn make(folder: &Path, path: &Path) -> Result<(), redb::Error> {
    let new = path.with_extension("new");
    let file = folder::created(&new)?;
    let database = redb::Database::builder().create_with_backend(FileBackend::new(file)?)?;
    tables::make(&database)?;
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

fn told(error: redb::Error) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_does_not_count_is_not_full() {
        let folder = tempfile::tempdir().unwrap();
        let disk = || rustix::fs::statvfs(folder.path()).unwrap();
        assert!(free(Some(disk())).is_some());
        let full = StatVfs { f_bavail: 0, ..disk() };
        assert_eq!(free(Some(full)), Some(0));
        let uncounted = StatVfs { f_blocks: 0, f_bavail: 0, ..disk() };
        assert_eq!(free(Some(uncounted)), None);
        assert_eq!(free(None), None);
    }
}
