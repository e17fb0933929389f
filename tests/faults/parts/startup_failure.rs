//! A server that should not start: what it says instead, and that it opens no port before.

use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::sleep;

use super::server::ServerPlan;

/// How it went.
#[derive(Debug)]
pub struct StartupFailure {
    /// None if it was still running after ten seconds.
    pub code: Option<i32>,
    /// What it said that is not a line of its log.
    pub said: Vec<String>,
    /// Whether its port was open for a moment.
    pub bound: bool,
}

impl StartupFailure {
    pub async fn of(plan: ServerPlan) -> Self {
        let server = plan.spawn();
        let (since, mut bound) = (Instant::now(), false);
        let mut code = None;
        while code.is_none() && !bound && since.elapsed() < Duration::from_secs(10) {
            code = server.exit_code();
            bound |= TcpStream::connect(server.at()).await.is_ok();
            sleep(Duration::from_millis(1)).await;
        }
        // One line of its log is one line of JSON.
        let log = server.log();
        let said = log.lines().filter(|line| !line.starts_with('{') && !line.is_empty());
        Self { code, said: said.map(str::to_owned).collect(), bound }
    }

    /// Whether it ended with this code, opened nothing, and said one sentence that names this.
    pub fn matches(&self, code: i32, named: &str) -> bool {
        let one = self.said.len() == 1 && self.said[0].contains(named);
        self.code == Some(code) && !self.bound && one && !self.said[0].contains("panicked")
    }
}
