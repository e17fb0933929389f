use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::infra::secret::Secret;

/// A file that appears under its name when it is complete and on disk, or not at all. Nobody but its owner
/// reads it.
pub(super) struct PendingFile {
    file: File,
    name: PathBuf,
    temporary: PathBuf,
}

impl PendingFile {
    /// Under a passing name in the same folder, so that renaming it is one step.
    pub fn create(name: &Path) -> io::Result<Self> {
        if fs::symlink_metadata(name).is_ok() {
            return Err(already_exists());
        }
        let mut temporary_name =
            name.file_name().ok_or_else(|| io::Error::other("no file name"))?.to_owned();
        temporary_name.push(format!(".{}.part", &Secret::random().reveal()[..8]));
        let temporary = name.with_file_name(temporary_name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        Ok(Self { file, name: name.to_owned(), temporary })
    }

    pub fn as_file(&self) -> &File {
        &self.file
    }

    /// On disk, under its name, and the name on disk. A link does not replace a file that came meanwhile,
    /// as renaming would.
    pub fn commit(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::hard_link(&self.temporary, &self.name).or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Err(already_exists()),
            // A file system without links.
            _ => fs::rename(&self.temporary, &self.name),
        })?;
        let folder = self.name.parent().filter(|it| !it.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for PendingFile {
    fn drop(&mut self) {
        // Gone already if it was renamed.
        let _ = fs::remove_file(&self.temporary);
    }
}

fn already_exists() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "there is a file of that name already")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_whole_and_private_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let name = folder.path().join("backup");
        drop(PendingFile::create(&name).unwrap());
        assert!(names(folder.path()).is_empty(), "what was begun is gone");

        let (first, second) =
            (PendingFile::create(&name).unwrap(), PendingFile::create(&name).unwrap());
        first.as_file().write_all(b"whole").unwrap();
        first.commit().unwrap();
        assert_eq!(second.commit().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(PendingFile::create(&name).is_err());
        assert_eq!(names(folder.path()), ["backup"]);
        assert_eq!(fs::read(&name).unwrap(), b"whole");
        assert_eq!(fs::metadata(&name).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
