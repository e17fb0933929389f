//! The folder of a store: its permissions and its lock.

use std::fmt::Display;
use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::super::OpenError;

const DATABASE: &str = "latchkey.redb";
/// Locked while a process uses the folder; holds its process id.
const LOCK: &str = "lock";

pub(super) fn database_path(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// Creates the folder if it does not exist, and locks it until the file is dropped. The kernel closes the file
/// when the process ends, however it ends.
pub(super) fn lock(folder: &Path) -> Result<File, OpenError> {
    let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    created.map_err(|error| create_error(folder, &error))?;
    let path = folder.join(LOCK);
    let opened = options().create(true).truncate(false).open(&path);
    let mut file = opened.map_err(|error| create_error(folder, &error))?;
    match file.try_lock() {
        Ok(()) => {
            // For the error message of another process. The lock counts even if this cannot be written.
            let _written = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let _read = file.read_to_string(&mut pid);
            Err(OpenError::InUse { folder: folder.to_owned(), by: pid.trim().parse().ok() })
        }
        Err(TryLockError::Error(error)) => Err(open_error(folder, error)),
    }
}

/// Opens a file, and takes away the permissions of other users: a restored copy may have them.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let file = options().open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Creates an empty file that only its owner may read.
pub(super) fn create_private(path: &Path) -> io::Result<File> {
    options().create(true).truncate(true).open(path)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// [`open_error`] with advice on permissions.
fn create_error(folder: &Path, why: &io::Error) -> OpenError {
    let uid = rustix::process::geteuid().as_raw();
    match why.kind() {
        io::ErrorKind::PermissionDenied => open_error(
            folder,
            format!(
                "{why}; it has to belong to the user that Latchkey runs as, whose number is {uid}"
            ),
        ),
        io::ErrorKind::ReadOnlyFilesystem => {
            open_error(folder, format!("{why}; in a container, mount a volume there"))
        }
        _ => open_error(folder, why),
    }
}

pub(super) fn open_error(folder: &Path, why: impl Display) -> OpenError {
    OpenError::DataDir { folder: folder.to_owned(), why: why.to_string() }
}
