//! Client libraries and a browser against the real program, in memory and on Redis: of the store they see no more
//! than the other tests.
//!
//! The scripts are in `tests/clients`; they need Node.js and Chromium.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::topologies::{child_output, shared_url};

const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
const USER: &str = "ada";
const PASSWORD: &str = "correct-horse-of-the-tests";

/// Latchkey as it is started by hand, in a folder of its own. It ends with this value.
struct Program {
    child: Child,
    issuer: String,
    folder: TempDir,
}

impl Program {
    fn start(prefix: Option<&str>) -> Self {
        // A port that was free a moment ago may be taken by now; then another one is tried.
        let started = (0..5).find_map(|_| Self::try_start(prefix));
        started.expect("latchkey gets ready")
    }

    fn try_start(prefix: Option<&str>) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let port = free_port();
        let issuer = format!("http://localhost:{port}");
        let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
        command
            .env_clear()
            .env("ISSUER_URL", &issuer)
            .env("KEYS_DIR", folder.path().join("keys"))
            .env("DEV_USER", USER)
            .env("DEV_PASSWORD", PASSWORD)
            .env("REGISTRATION_LOGOS", "true")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(child_output())
            .stderr(child_output());
        if let Some(prefix) = prefix {
            command.env("REDIS_URL", shared_url()).env("REDIS_PREFIX", prefix);
        }
        let child = command.spawn().expect("the program that was just built");
        let mut program = Self { child, issuer, folder };
        program.gets_ready(port).then_some(program)
    }

    /// Whether `/ready` says so before the program ends or a minute is over.
    fn gets_ready(&mut self, port: u16) -> bool {
        let until = Instant::now() + Duration::from_secs(60);
        while Instant::now() < until && matches!(self.child.try_wait(), Ok(None)) {
            if is_ready(port).unwrap_or(false) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Runs a script against this program; its exit code is the verdict.
    fn satisfies(&self, script: &str, more: &[&str]) {
        install();
        let output = Command::new("node")
            .arg(script)
            .args([&self.issuer, USER, PASSWORD])
            .args(more)
            .current_dir(SCRIPTS)
            .output()
            .expect("node is installed");
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{said}{complained}");
        assert!(said.starts_with("ok  "), "{script} checked nothing: {said}{complained}");
    }

    fn satisfies_a_browser(&self) {
        let pictures = self.folder.path().join("pictures");
        for script in ["pages.mjs", "logout.mjs"] {
            self.satisfies(script, &[pictures.to_str().expect("a plain path")]);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_ready(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET /ready HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200 "))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
    listener.local_addr().expect("its address").port()
}

/// The scripts' libraries, exactly as locked, unless they are there already.
fn install() {
    static INSTALLED: OnceLock<()> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        if Path::new(SCRIPTS).join("node_modules/.package-lock.json").exists() {
            return;
        }
        let args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        let output = Command::new("npm").args(args).current_dir(SCRIPTS).output();
        let output = output.expect("npm is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
}

#[test]
fn openid_client_is_served_from_memory() {
    Program::start(None).satisfies("openid-client.mjs", &[]);
}

#[test]
fn openid_client_is_served_from_redis() {
    Program::start(Some("it-openid-client:")).satisfies("openid-client.mjs", &[]);
}

#[test]
fn a_single_page_app_is_served_from_memory() {
    Program::start(None).satisfies("oidc-client-ts.mjs", &[]);
}

#[test]
fn a_single_page_app_is_served_from_redis() {
    Program::start(Some("it-oidc-client-ts:")).satisfies("oidc-client-ts.mjs", &[]);
}

#[test]
fn the_pages_please_a_browser_from_memory() {
    Program::start(None).satisfies_a_browser();
}

#[test]
fn the_pages_please_a_browser_from_redis() {
    Program::start(Some("it-pages:")).satisfies_a_browser();
}

#[test]
fn people_in_a_hurry_get_there() {
    Program::start(None).satisfies("tabs.mjs", &[]);
}

#[test]
fn applications_that_send_people_on_get_them() {
    Program::start(None).satisfies("onward.mjs", &[]);
}

#[test]
fn the_session_cookie_goes_where_the_documentation_says() {
    Program::start(None).satisfies("cookies.mjs", &[]);
}
