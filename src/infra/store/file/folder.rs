//! The folder of a store: who may look into it, and who has it.

use std::fmt::Display;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::super::OpenError;

/// What the database is called in its folder.
const DATABASE: &str = "latchkey.redb";
/// Locked as long as a process uses the folder; it says which.
const LOCK: &str = "lock";

pub(super) fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// Makes the folder if need be, and keeps every other process out until the file is dropped. The
/// kernel drops it when the process ends, in whatever way.
pub(super) fn hold(folder: &Path) -> Result<File, OpenError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|why| barred(folder, &why))?;
    let lock = folder.join(LOCK);
    let opened = options().create(true).truncate(false).open(&lock);
    let mut file = opened.map_err(|why| barred(folder, &why))?;
    match file.try_lock() {
        Ok(()) => {
            // Whom to stop, for the next one who asks; whether it can be written is not what counts.
            let _told = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut by = String::new();
            let _told = file.read_to_string(&mut by);
            Err(OpenError::InUse { folder: folder.to_owned(), by: by.trim().parse().ok() })
        }
        Err(TryLockError::Error(why)) => Err(unusable(folder, why)),
    }
}

/// Sees to it that only its owner may read a file, whoever copied it there.
pub(super) fn private(path: &Path) -> io::Result<File> {
    let file = options().open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// An empty file that only its owner may read.
pub(super) fn created(path: &Path) -> io::Result<File> {
    options().create(true).truncate(true).open(path)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// The same, with what there is to do where this user may not.
fn barred(folder: &Path, why: &io::Error) -> OpenError {
    let uid = rustix::process::geteuid().as_raw();
    match why.kind() {
        io::ErrorKind::PermissionDenied => unusable(
            folder,
            format!(
                "{why}; it has to belong to the user that Latchkey runs as, whose number is {uid}"
            ),
        ),
        io::ErrorKind::ReadOnlyFilesystem => {
            unusable(folder, format!("{why}; in a container, mount a volume there"))
        }
        _ => unusable(folder, why),
    }
}

pub(super) fn unusable(folder: &Path, why: impl Display) -> OpenError {
    OpenError::DataDir { folder: folder.to_owned(), why: why.to_string() }
}
