//! A redis whose disk is small, and can be made larger.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;

use tempfile::TempDir;

use super::redis::{eventually, free_port, send_command};

/// Keeps the disk, which only this shell and its children see, and does what it is told: one word a
/// line, repeated when it is done. Where nothing can be mounted, a limit for each file stands in.
const KEEPER: &str = r#"limit=
if [ "$MOUNTS" = yes ]; then mount -t tmpfs -o size=3m none "$0" || exit 1
else trap '' XFSZ; limit='prlimit --fsize=3000000:unlimited'; fi
cd "$0" || exit 1
redis=
ends() { [ -z "$redis" ] || kill -KILL "$redis" 2>/dev/null; wait; }
while read -r word; do
  case $word in
    starts) ends; $limit redis-server "$@" </dev/null >/dev/null 2>&1 & redis=$!;;
    ends) ends;;
    grows)
      if [ "$MOUNTS" = yes ]; then mount -o remount,size=200m "$0"
      else limit=; prlimit --pid "$redis" --fsize=unlimited 2>/dev/null; fi;;
  esac
  echo "$word"
done
ends"#;

/// A redis with three megabytes to write to. It ends with this value, and the disk with it.
pub struct SmallDisk {
    port: u16,
    keeper: Mutex<Keeper>,
    mounted: bool,
    _folder: TempDir,
}

struct Keeper {
    child: Child,
    tells: Option<ChildStdin>,
    hears: BufReader<ChildStdout>,
}

impl SmallDisk {
    /// As Latchkey wants it, with this `appendfsync`.
    pub fn start(fsync: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let mounted = Command::new("unshare").args(["-m", "true"]).stderr(Stdio::null()).status();
        let mounted = mounted.is_ok_and(|status| status.success());
        let words: &[&str] = if mounted { &["unshare", "-m", "sh"] } else { &["sh"] };
        let mut child = Command::new(words[0])
            .args(&words[1..])
            .args(["-c", KEEPER])
            .arg(folder.path())
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--appendonly", "yes", "--appendfsync", fsync, "--save", ""])
            .args(["--maxmemory-policy", "noeviction"])
            .env("MOUNTS", if mounted { "yes" } else { "no" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        let tells = child.stdin.take();
        let hears = BufReader::new(child.stdout.take().expect("a pipe"));
        let keeper = Mutex::new(Keeper { child, tells, hears });
        let disk = Self { port, keeper, mounted, _folder: folder };
        disk.start_redis();
        disk
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Whether it is a disk, and not only a limit.
    pub fn is_mounted(&self) -> bool {
        self.mounted
    }

    /// Whether redis answers at all.
    pub fn answers(&self) -> bool {
        send_command(self.port, &[b"PING"]).is_ok_and(|said| !said.is_empty())
    }

    /// Writes until it is refused; answers with what, which is nothing if redis ended over it.
    pub fn fill(&self) -> String {
        let much = vec![b'x'; 50_000];
        for number in 0..200 {
            let key = format!("filler:{number}");
            match send_command(self.port, &[b"SET", key.as_bytes(), &much]) {
                Ok(said) if said.starts_with('+') => {}
                Ok(said) => return said,
                Err(_) => return String::new(),
            }
        }
        panic!("the disk does not fill");
    }

    /// There is room from now on.
    pub fn grow(&self) {
        self.tells("grows");
    }

    /// Ends redis, if it runs, and starts it again.
    pub fn start_redis(&self) {
        self.tells("starts");
        let up = || send_command(self.port, &[b"PING"]).is_ok_and(|said| said.starts_with('+'));
        assert!(eventually(up), "redis does not start on the small disk");
    }

    /// `kill -9`.
    pub fn stop_redis(&self) {
        self.tells("ends");
    }

    fn tells(&self, word: &str) {
        let mut keeper = self.keeper.lock().expect("the keeper");
        let pipe = keeper.tells.as_mut().expect("a keeper that runs");
        writeln!(pipe, "{word}").expect("a keeper that runs");
        let mut done = String::new();
        keeper.hears.read_line(&mut done).expect("a keeper that runs");
        assert_eq!(done.trim(), word, "the keeper of the disk is gone");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let Ok(mut keeper) = self.keeper.lock() else { return };
        keeper.tells.take();
        let _ = keeper.child.wait();
    }
}
