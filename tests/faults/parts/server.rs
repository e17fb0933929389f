//! A Latchkey server as a process of its own.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::http::{HttpClient, send};

/// The longest that a start may take, on a machine that is busy with something else.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A server that can be started.
#[derive(Clone)]
pub struct ServerPlan {
    port: u16,
    folder: PathBuf,
    host: String,
    env: Vec<(String, String)>,
    under: Vec<String>,
}

impl ServerPlan {
    pub(super) fn new(port: u16, folder: &Path, host: &str) -> Self {
        let plan = Self {
            port,
            folder: folder.to_owned(),
            host: host.to_owned(),
            env: Vec::new(),
            under: Vec::new(),
        };
        plan.set("LISTEN", &format!("127.0.0.1:{port}")).set("LOG_FORMAT", "json")
    }

    /// With this variable.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.env.retain(|(held, _)| held != name);
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without this variable.
    #[must_use]
    pub fn unset(mut self, name: &str) -> Self {
        self.env.retain(|(held, _)| held != name);
        self
    }

    /// Under another program that becomes it: `prlimit --nofile=200`, `faketime -f +1h`.
    #[must_use]
    pub fn under(mut self, words: &[&str]) -> Self {
        self.under = words.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Where it runs, and where its log is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The program with these arguments, in the same folder and environment: `user disable p0`.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut words: Vec<&str> = self.under.iter().map(String::as_str).collect();
        let binary = binary();
        words.push(&binary);
        words.extend(args);
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(&self.folder).stdin(Stdio::null());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it, and returns when it is ready.
    pub async fn start(self) -> Arc<Server> {
        let server = self.spawn();
        server.wait_until_ready().await;
        server
    }

    /// Starts it, and waits for nothing.
    pub fn spawn(self) -> Arc<Server> {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let http = HttpClient::new(at, &self.host);
        let server = Server { plan: self, http, at, child: Mutex::new(None) };
        server.spawn();
        Arc::new(server)
    }

    /// Starts one that ends by itself: its exit code, and what it said on standard error.
    pub async fn run_to_exit(self) -> (Option<i32>, String) {
        let mut command = self.command(&["serve"]);
        let ended = tokio::task::spawn_blocking(move || command.output()).await;
        let output = ended.expect("a thread").expect("the program that was just built");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The program that is tried: `LATCHKEY_BIN`, or the one just built.
pub fn binary() -> String {
    std::env::var("LATCHKEY_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_latchkey").to_owned())
}

/// A server process, which may be killed and started again at the same place.
pub struct Server {
    plan: ServerPlan,
    http: HttpClient,
    at: SocketAddr,
    child: Mutex<Option<Child>>,
}

impl Server {
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    pub fn plan(&self) -> &ServerPlan {
        &self.plan
    }

    /// The way to it that everybody shares.
    pub fn client(&self) -> &HttpClient {
        &self.http
    }

    /// A way to it with connections of its own.
    pub fn new_client(&self, patience: Duration) -> HttpClient {
        HttpClient::with_timeout(self.at, &self.plan.host, patience)
    }

    /// Sends the signal, if it runs. `Signal::STOP`, `Signal::CONT`, `Signal::TERM`.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process(pid, signal);
        }
    }

    /// `kill -9`, and it is gone when this returns.
    pub fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it again where it was. Ready when this returns; answers how long that took.
    pub async fn restart(&self) -> Duration {
        self.kill();
        let since = Instant::now();
        self.spawn();
        self.wait_until_ready().await;
        since.elapsed()
    }

    /// Waits until `/ready` says yes.
    pub async fn wait_until_ready(&self) {
        let said = self.wait_for_status("/ready", 200, START_TIMEOUT).await;
        assert!(said.is_some(), "the server does not get ready: {}", self.log());
    }

    /// How long it took until the path had this status; none if it took longer than `within`, or if the
    /// process ended.
    pub async fn wait_for_status(
        &self,
        path: &str,
        status: u16,
        within: Duration,
    ) -> Option<Duration> {
        let since = Instant::now();
        let asks = self.new_client(Duration::from_secs(2));
        while since.elapsed() < within {
            if send(asks.get(path)).await.has_status(status) {
                return Some(since.elapsed());
            }
            if self.exit_code().is_some() {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    /// What it ended with, if it ended by itself; a signal counts as -1.
    pub fn exit_code(&self) -> Option<i32> {
        let ended = self.child().as_mut()?.try_wait().ok()??;
        Some(ended.code().unwrap_or(-1))
    }

    /// Waits until it has ended by itself: its exit code, and how long that took. None if it has not.
    pub async fn wait_for_exit(&self, within: Duration) -> Option<(i32, Duration)> {
        let since = Instant::now();
        while since.elapsed() < within {
            if let Some(code) = self.exit_code() {
                return Some((code, since.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        None
    }

    pub fn pid(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Memory in use, in MB; 0 if it does not run.
    pub fn rss_mb(&self) -> f64 {
        self.memory("VmRSS:")
    }

    /// The most memory that was ever in use, as the kernel counts it, in MB.
    pub fn rss_peak_mb(&self) -> f64 {
        self.memory("VmHWM:")
    }

    fn memory(&self, name: &str) -> f64 {
        let status = self.proc("status").unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        kilobytes.unwrap_or_default() / 1024.0
    }

    /// Open files; 0 if it does not run. Who may not look into the process (it is not dumpable, so only
    /// root may) counts its connections.
    pub fn fds(&self) -> usize {
        let Some(pid) = self.pid() else { return 0 };
        let files = std::fs::read_dir(format!("/proc/{pid}/fd"));
        files.map_or_else(|_| self.sockets(), Iterator::count)
    }

    /// Connections to its port that it has not closed, also those the other side has.
    fn sockets(&self) -> usize {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap_or_default();
        let port = format!(":{:04X}", self.at.port());
        let held = |line: &&str| {
            let mut words = line.split_whitespace().skip(1);
            let (local, state) = (words.next().unwrap_or_default(), words.nth(1));
            // ESTABLISHED and CLOSE_WAIT of proc_net_tcp(5).
            local.ends_with(&port) && matches!(state, Some("01" | "08"))
        };
        table.lines().filter(held).count()
    }

    /// Waits until it has no more files open than this; answers how many more there are if that does not
    /// happen soon.
    pub async fn leaked_fds(&self, files: usize) -> usize {
        let since = Instant::now();
        loop {
            let more = self.fds().saturating_sub(files);
            if more == 0 || since.elapsed() > Duration::from_secs(10) {
                return more;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Processor time used so far, in seconds.
    pub fn cpu_s(&self) -> f64 {
        let stat = self.proc("stat").unwrap_or_default();
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        // Fields 14 and 15 of proc(5), in hundredths of a second; the first two are cut off here.
        let ticks = fields.split(' ').skip(11).take(2).filter_map(|word| word.parse::<f64>().ok());
        ticks.sum::<f64>() / 100.0
    }

    /// Everything it has logged since the first start.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// How many threads of it have panicked.
    pub fn panics(&self) -> usize {
        self.log().matches("panicked at").count()
    }

    fn proc(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.pid()?)).ok()
    }

    fn log_path(&self) -> PathBuf {
        self.plan.folder.join("log")
    }

    fn spawn(&self) {
        let log = File::options().create(true).append(true).open(self.log_path());
        let log = log.expect("a file in the folder");
        let mut command = self.plan.command(&["serve"]);
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        *self.child() = Some(command.spawn().expect("the program that was just built"));
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
