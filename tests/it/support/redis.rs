//! Real redis servers, each on a loopback port and in a folder of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::topologies::{child_output, logs_enabled};

/// What Latchkey asks of a redis.
const DURABLE: [&str; 8] = [
    "--appendonly",
    "yes",
    "--appendfsync",
    "everysec",
    "--maxmemory-policy",
    "noeviction",
    "--save",
    "",
];

/// Ends redis when the test process ends, in whatever way: the pipe to its stdin closes then. Unless
/// told to leave the folder ($0) to the test process, it takes that along. Given a port in `$ASKED`, it
/// has that redis tell first which errors it ever answered, how often each.
const WATCHDOG: &str = r#"cd "$0" && redis-server "$@" </dev/null >/dev/null 2>&1 & redis=$!
echo $redis
told=$(cat)
test -z "$ASKED" || timeout 5 redis-cli -p "$ASKED" INFO errorstats >&2
kill -KILL $redis 2>/dev/null; wait $redis
test "$told" = leave || rm -rf "$0""#;

/// A redis server that ends, and whose folder goes, with this value.
pub struct RedisServer {
    kind: Kind,
    port: u16,
    folder: TempDir,
    running: Mutex<Running>,
}

/// What is started.
enum Kind {
    Server(Vec<String>),
    /// Its configuration, which it goes on writing.
    Sentinel(String),
}

impl Kind {
    fn command_line(&self, port: u16, folder: &Path) -> Vec<String> {
        let port = port.to_string();
        match self {
            Self::Server(args) => {
                let all = ["--bind", "127.0.0.1", "--port", &port];
                all.into_iter().map(str::to_owned).chain(args.iter().cloned()).collect()
            }
            Self::Sentinel(text) => {
                let file = folder.join("sentinel.conf");
                let text = format!("port {port}\nbind 127.0.0.1\n{text}");
                std::fs::write(&file, text).expect("a file in the folder");
                vec![file.to_str().expect("a readable path").to_owned(), "--sentinel".to_owned()]
            }
        }
    }
}

struct Running {
    watchdog: Child,
    leash: Option<ChildStdin>,
    redis: Pid,
}

/// What can be done to a running server.
#[derive(Clone, Copy, Debug)]
pub enum ServerSignal {
    /// It stands still, and its sockets stay open.
    Stop,
    /// It goes on where it stood.
    Continue,
    /// It is gone, at once.
    Kill,
}

impl RedisServer {
    /// A server as Latchkey wants it.
    pub fn start() -> Self {
        Self::start_with(&DURABLE)
    }

    /// A server that has everything on disk before it answers: with `everysec`, a write that meets an
    /// fsync under way may wait for it, and a kill in that moment takes it along.
    pub fn start_strict() -> Self {
        let strict = DURABLE.map(|arg| if arg == "everysec" { "always" } else { arg });
        Self::start_with(&strict)
    }

    /// A server as Latchkey wants it, with some arguments more.
    pub fn start_with_extra(args: &[&str]) -> Self {
        Self::start_with(&[&DURABLE[..], args].concat())
    }

    /// A server with these arguments only, port and folder apart.
    pub fn start_with(args: &[&str]) -> Self {
        Self::start_kind(Kind::Server(args.iter().map(|&arg| arg.to_owned()).collect()))
    }

    /// A sentinel with this configuration, port apart.
    pub fn sentinel(configuration: String) -> Self {
        Self::start_kind(Kind::Sentinel(configuration))
    }

    fn start_kind(kind: Kind) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // A port that was free a moment ago may be taken by now; then another one is tried.
        for _ in 0..5 {
            let port = free_port();
            if let Some(running) = Running::start(port, folder.path(), &kind) {
                return Self { kind, port, folder, running: Mutex::new(running) };
            }
        }
        panic!("redis-server does not start; is it installed?");
    }

    /// One server for the whole test process. Take care not to hurt it.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<RedisServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn pid(&self) -> i32 {
        self.running.lock().expect("the server").redis.as_raw_nonzero().get()
    }

    /// Does it to the server, and returns once it is done.
    pub fn signal(&self, blow: ServerSignal) {
        let mut running = self.running.lock().expect("the server");
        match blow {
            ServerSignal::Stop => {
                kill_process(running.redis, Signal::STOP).expect("a running redis");
                let stopped = || process_state(running.redis) == Some('T');
                assert!(eventually(stopped), "redis does not stop");
            }
            ServerSignal::Continue => {
                kill_process(running.redis, Signal::CONT).expect("a running redis");
            }
            ServerSignal::Kill => running.end(),
        }
    }

    /// Ends it, if it runs, and starts it again on the same port and folder.
    pub fn restart(&self) {
        let mut running = self.running.lock().expect("the server");
        running.end();
        *running = Running::start(self.port, self.folder.path(), &self.kind)
            .expect("redis starts again on its port");
    }

    /// Says one command by hand and returns the raw first reply, for what Latchkey itself never says. A
    /// server whose role changes ends its connections; then it is said once more.
    pub fn command(&self, words: &[&[u8]]) -> String {
        let said = send_command(self.port, words).or_else(|error| match error.kind() {
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => send_command(self.port, words),
            _ => Err(error),
        });
        said.expect("an answer")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner).end();
    }
}

impl Running {
    /// `None` if it ended before it answered.
    fn start(port: u16, folder: &Path, kind: &Kind) -> Option<Self> {
        let mut watchdog = Command::new("sh")
            .args(["-c", WATCHDOG])
            .arg(folder)
            .args(kind.command_line(port, folder))
            .env("ASKED", if logs_enabled() { port.to_string() } else { String::new() })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(child_output())
            .spawn()
            .expect("a shell");
        let leash = watchdog.stdin.take();
        let redis = read_pid(&mut watchdog);
        let mut running = Self { watchdog, leash, redis };

        let says = |words: &[&str]| {
            let pong = send_command(port, &[b"PING"]).unwrap_or_default();
            words.iter().any(|word| pong.starts_with(word))
        };
        // Another process may hold the port, and answer: then ours has ended.
        let alive = || !matches!(process_state(redis), None | Some('Z'));
        if eventually(|| says(&["+PONG", "-NOAUTH", "-LOADING"]) || !alive()) {
            // Loading takes as long as there is something to load.
            while alive() && says(&["-LOADING"]) {
                std::thread::sleep(Duration::from_millis(20));
            }
            if alive() {
                return Some(running);
            }
        }
        running.end();
        None
    }

    fn end(&mut self) {
        if let Some(mut leash) = self.leash.take() {
            let _ = leash.write_all(b"leave");
        }
        let _ = self.watchdog.wait();
    }
}

/// The watchdog's first line.
fn read_pid(watchdog: &mut Child) -> Pid {
    let mut line = Vec::new();
    let mut stdout = watchdog.stdout.take().expect("a pipe");
    let mut byte = [0];
    while stdout.read(&mut byte).is_ok_and(|read| read == 1) && byte != *b"\n" {
        line.extend(byte);
    }
    let digits = String::from_utf8(line).expect("digits");
    digits.parse().ok().and_then(Pid::from_raw).expect("the pid of redis")
}

fn process_state(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// One command to whoever listens at this port, and the raw first reply.
pub fn send_command(port: u16, words: &[&[u8]]) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend(format!("${}\r\n", word.len()).bytes());
        request.extend_from_slice(word);
        request.extend(b"\r\n");
    }
    stream.write_all(&request)?;
    let mut reply = vec![0; 64 * 1024];
    let read = stream.read(&mut reply)?;
    reply.truncate(read);
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
    listener.local_addr().expect("its address").port()
}

/// Looks again every few milliseconds, for ten seconds at most.
pub fn eventually(mut so: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if so() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}
