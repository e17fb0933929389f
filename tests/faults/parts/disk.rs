//! A disk of a few megabytes that can be filled and made read-only: a tmpfs that only one sleeping process
//! has mounted, reached through that process. Where the machine lets nobody mount anything, there is none.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// It goes with this value.
pub struct Disk {
    holder: Child,
    at: PathBuf,
    way: &'static [&'static str],
}

/// By right, or as the owner of a user namespace.
const WAYS: [(&[&str], &[&str]); 2] = [
    (&["unshare", "-m"], &["nsenter", "-m"]),
    (&["unshare", "-rm"], &["nsenter", "-U", "-m", "--preserve-credentials"]),
];

impl Disk {
    /// Of so many megabytes, mounted on this empty folder.
    pub fn of(megabytes: u32, folder: &Path) -> Option<Self> {
        WAYS.iter().find_map(|(make, enter)| Self::by(make, enter, megabytes, folder))
    }

    fn by(
        make: &[&str],
        way: &'static [&'static str],
        megabytes: u32,
        folder: &Path,
    ) -> Option<Self> {
        let script =
            format!("mount -t tmpfs -o size={megabytes}m none \"$0\" && echo up && exec cat");
        let mut holder = Command::new(make[0])
            .args(&make[1..])
            .args(["sh", "-c", &script])
            .arg(folder)
            // It ends when this process does, in whatever way.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = String::new();
        let mut lines = BufReader::new(holder.stdout.take()?);
        let up = lines.read_line(&mut said).is_ok() && said == "up\n";
        let at = PathBuf::from(format!("/proc/{}/root{}", holder.id(), folder.display()));
        let disk = Self { holder, at, way };
        let good = up && std::fs::write(disk.at.join("try"), "").is_ok() && disk.remounts("rw");
        good.then_some(disk)
    }

    /// Where everybody finds it.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// Not a byte is left.
    pub fn fill(&self) {
        let ballast = std::fs::File::create(self.at.join("ballast"));
        let mut ballast = ballast.expect("room for a name");
        while std::io::Write::write_all(&mut ballast, &[1; 4096]).is_ok() {}
    }

    pub fn free_space(&self) {
        std::fs::remove_file(self.at.join("ballast")).expect("a file to remove");
    }

    /// Whether anything may be written.
    pub fn set_writable(&self, so: bool) {
        assert!(self.remounts(if so { "rw" } else { "ro" }), "the disk cannot be mounted again");
    }

    fn remounts(&self, how: &str) -> bool {
        let inside = self.at.to_string_lossy();
        let folder = inside.split_once("/root").map_or("", |(_, folder)| folder);
        let options = format!("remount,{how}");
        let pid = self.holder.id().to_string();
        let mut command = Command::new(self.way[0]);
        command.args(&self.way[1..]).args(["-t", &pid, "mount", "-o", &options, folder]);
        command.status().is_ok_and(|it| it.success())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
