//! A clock that can be set while a server looks at it: libfaketime, for a server that is linked to a libc.

use std::path::{Path, PathBuf};

use super::server::ServerPlan;

/// A clock of its own for every server that is given it. Only the time of day is faked, never the
/// monotonic clock.
pub struct FakeClock {
    file: PathBuf,
    library: PathBuf,
}

impl FakeClock {
    /// The right time, so far. Its file is in this folder.
    ///
    /// # Panics
    /// If libfaketime is not installed.
    pub fn new(folder: &Path, name: &str) -> Self {
        let library = library().expect("libfaketime is installed (apt-get install libfaketime)");
        let clock = Self { file: folder.join(name), library };
        clock.jump(0);
        clock
    }

    /// From now on it is so many seconds off.
    pub fn jump(&self, seconds: i64) {
        let sign = if seconds < 0 { '-' } else { '+' };
        let draft = self.file.with_extension("new");
        // Replaced and not rewritten: who reads while it is written sees all of it or nothing of it.
        std::fs::write(&draft, format!("{sign}{}\n", seconds.abs())).expect("a file");
        std::fs::rename(draft, &self.file).expect("a renamed file");
    }

    /// A server that goes by it.
    #[must_use]
    pub fn applied_to(&self, plan: ServerPlan) -> ServerPlan {
        let path = |path: &Path| path.to_str().expect("a readable path").to_owned();
        plan.set("LD_PRELOAD", &path(&self.library))
            .set("FAKETIME_TIMESTAMP_FILE", &path(&self.file))
            .set("FAKETIME_NO_CACHE", "1")
            .set("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .set("NO_FAKE_STAT", "1")
    }
}

/// Where distributions put it.
fn library() -> Option<PathBuf> {
    let folders = ["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from);
    let below = |folder: &PathBuf| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let nested: Vec<_> = folders.iter().flat_map(below).collect();
    let places = folders.into_iter().chain(nested);
    let found = places.flat_map(|folder| {
        ["libfaketime.so.1", "faketime/libfaketime.so.1"].map(|name| folder.join(name))
    });
    found.into_iter().find(|path| path.is_file())
}
