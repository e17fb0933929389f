//! A backup as an operator makes it, and what people and applications notice after a restore.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use latchkey::domain::keys::Activation;
use latchkey::infra::secret::Secret;
use tempfile::TempDir;

use crate::support::http;
use crate::support::test_server::{Backend, PASSWORD, SECRET_KEY, TestServer};

/// The backup commands of the program, with the folder and the settings they run with.
struct BackupCommands {
    folder: TempDir,
    settings: Vec<(&'static str, String)>,
}

impl BackupCommands {
    fn of(server: &TestServer) -> Self {
        let mut settings = server.redis_settings().to_vec();
        settings.push(("SECRET_KEY", SECRET_KEY.to_owned()));
        settings.push(("ISSUER_URL", server.issuer().to_owned()));
        Self { folder: tempfile::tempdir().expect("a folder"), settings }
    }

    /// The same commands over another part of the same Redis.
    fn moved_to(&mut self, prefix: &str) {
        self.with("REDIS_PREFIX", prefix);
    }

    fn with(&mut self, name: &'static str, value: &str) {
        self.settings.retain(|(held, _)| *held != name);
        self.settings.push((name, value.to_owned()));
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
        command.args(words).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command
    }

    fn runs(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("an end");
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        said(&output)
    }

    fn refuses(&self, words: &[&str]) -> String {
        let output = self.command(words).output().expect("an end");
        assert_eq!(output.status.code(), Some(1), "{words:?}: {}", said(&output));
        said(&output)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

fn fresh_prefix() -> String {
    format!("{}:", Secret::random().reveal())
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|it| it.expect("an entry").file_name().into_string().expect("text")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restore_people_sign_in_applications_authenticate_and_old_tokens_verify() {
    let old = TestServer::start(Backend::Redis).await;
    let shop = old.relying_party("shop").await;
    let before = shop.sign_in(&old.browser("ada"), "openid email").await;
    old.app().keys.rotate(Activation::Now).await.expect("a rotation");
    let keys = http::send(old.http().get(old.url("/jwks.json"))).await.json();

    let mut commands = BackupCommands::of(&old);
    let told = commands.runs(&["backup", "--out", "b"]);
    assert!(told.contains("users: 2\n") && told.contains("consents: 1\n"), "{told}");
    let file = std::fs::read(commands.path("b")).expect("a backup");
    for secret in ["argon2id", "ada", "shop", SECRET_KEY, PASSWORD] {
        assert!(!file.windows(secret.len()).any(|it| it == secret.as_bytes()), "{secret}");
    }
    assert!(commands.refuses(&["backup", "--out", "b"]).contains("already"));
    assert_eq!(names(commands.folder.path()), ["b"], "nothing is left lying about");

    let prefix = fresh_prefix();
    commands.moved_to(&prefix);
    let would = commands.runs(&["restore", "--in", "b", "--dry-run"]);
    assert!(would.contains("would restore") && would.contains("users: 2 new"), "{would}");
    assert!(commands.runs(&["user", "list"]).trim().is_empty(), "a dry run writes nothing");
    let did = commands.runs(&["restore", "--in", "b"]);
    assert!(did.contains("restored") && did.contains("users: 2 new"), "{did}");

    let new = TestServer::start_on_redis(&prefix, old.app().clock.clone()).await;
    assert_eq!(http::send(new.http().get(new.url("/jwks.json"))).await.json(), keys);
    let there = new.client_with_secret("shop", &shop.secret);
    let ada = new.browser("ada");
    let login = ada.open(&there.authorization_request("openid email").url()).await;
    let hub = ada.sign_in(&login).await;
    assert!(!hub.has_element("#consent-accept"), "she agreed before");
    let tokens = there.sign_in(&new.browser("ada"), "openid email").await;
    assert_eq!(new.userinfo(tokens.access()).await.status, 200);
    let robot = there.post("/token", &[("grant_type", "client_credentials")]).await;
    assert_eq!(robot.status, 200);
    let stranger = new.client_with_secret("shop", "wrong");
    let refused = stranger.post("/token", &[("grant_type", "client_credentials")]).await;
    assert_eq!(refused.status, 401);
    let refresh = there.refresh(before.refresh()).await;
    assert_eq!(refresh.error(), (400, "invalid_grant".to_owned()), "grants stayed behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_through_a_pipe_where_no_file_can_be_made() {
    let old = TestServer::start(Backend::Redis).await;
    let mut commands = BackupCommands::of(&old);
    let made = commands.command(&["backup", "--out", "-"]).output().expect("an end");
    assert!(made.status.success(), "{}", said(&made));
    let told = String::from_utf8_lossy(&made.stderr);
    assert!(told.contains("wrote standard output") && told.contains("users: 2\n"), "{told}");
    assert!(names(commands.folder.path()).is_empty(), "no file");

    let prefix = fresh_prefix();
    commands.moved_to(&prefix);
    let restore = |bytes: &[u8], words: &[&str]| {
        let file = commands.path("piped");
        std::fs::write(&file, bytes).expect("written");
        let mut command = commands.command(&[&["restore", "--in", "-"], words].concat());
        command.stdin(std::fs::File::open(file).expect("it was just written"));
        command.output().expect("an end")
    };
    let half = restore(&made.stdout[..made.stdout.len() / 2], &[]);
    assert_eq!(half.status.code(), Some(1));
    assert!(said(&half).starts_with("standard input: "), "{}", said(&half));
    let would = restore(&made.stdout, &["--dry-run"]);
    assert!(said(&would).contains("users: 2 new"), "{}", said(&would));
    assert!(commands.runs(&["user", "list"]).trim().is_empty(), "neither wrote anything");
    let did = restore(&made.stdout, &[]);
    assert!(did.status.success() && said(&did).contains("users: 2 new"), "{}", said(&did));
    assert!(commands.runs(&["user", "list"]).contains("ada"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_sessions_nobody_notices_the_move() {
    let old = TestServer::start(Backend::Redis).await;
    let shop = old.relying_party("shop").await;
    let ada = old.browser("ada");
    let before = shop.sign_in(&ada, "openid").await;
    let mut commands = BackupCommands::of(&old);
    let told = commands.runs(&["backup", "--out", "b", "--with-sessions"]);
    assert!(told.contains("sessions: 1\n") && told.contains("grants: 1\n"), "{told}");
    let prefix = fresh_prefix();
    commands.moved_to(&prefix);
    commands.runs(&["restore", "--in", "b"]);
    let new = TestServer::start_on_redis(&prefix, old.app().clock.clone()).await;
    let there = new.client_with_secret("shop", &shop.secret);
    let next = there.refresh(before.refresh()).await.success_json();
    assert!(next["refresh_token"].is_string(), "{next}");
    assert_eq!(there.redeem(&before.code, &before.request).await.status, 400, "still spent");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_use_is_left_alone_unless_overwriting_is_asked_for() {
    let server = TestServer::start(Backend::Redis).await;
    server.relying_party("shop").await;
    let mut commands = BackupCommands::of(&server);
    commands.runs(&["backup", "--out", "b"]);
    commands.runs(&["user", "remove", "bob"]);
    commands.runs(&["client", "disable", "shop"]);
    let refused = commands.refuses(&["restore", "--in", "b"]);
    assert!(refused.contains("nothing was written") && refused.contains("--overwrite"));
    assert!(refused.contains("clients: 0 new, 1 replaced"), "{refused}");
    let would = commands.runs(&["restore", "--in", "b", "--overwrite", "--dry-run"]);
    assert!(would.contains("it takes --overwrite"), "{would}");
    assert!(!commands.runs(&["user", "list"]).contains("bob"));
    let done = commands.runs(&["restore", "--in", "b", "--overwrite"]);
    assert!(done.contains("users: 1 new, 0 replaced, 1 unchanged"), "{done}");
    assert!(commands.runs(&["client", "list"]).contains("enabled"));
    assert!(commands.runs(&["restore", "--in", "b", "--overwrite"]).contains("users: 0 new"));

    commands.runs(&["user", "remove", "ada"]);
    let words = ["user", "add", "ADA", "--sub", "another"];
    let mut child = commands.command(&words).stdin(Stdio::piped()).spawn().expect("the program");
    let mut stdin = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, b"tea with seven otters\n").expect("a reader");
    drop(stdin);
    assert!(child.wait().expect("an end").success());
    let refused = commands.refuses(&["restore", "--in", "b", "--overwrite"]);
    assert!(refused.contains("ada is sub-of-ada in the backup and another in the store"));
    commands.with("ISSUER_URL", "http://localhost:1");
    let would = commands.refuses(&["restore", "--in", "b"]);
    assert!(would.contains("belong to other people"), "{would}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_secret_key_is_told_and_one_beside_the_old_seals_the_keys_anew() {
    const NEW: &str = "newer-for-tests-newer-for-tests-newer-for-te";
    let server = TestServer::start(Backend::Redis).await;
    let mut commands = BackupCommands::of(&server);
    commands.runs(&["backup", "--out", "b"]);
    commands.with("SECRET_KEY", NEW);
    assert!(commands.refuses(&["backup", "--out", "c"]).contains("does not open the signing key"));
    assert_eq!(names(commands.folder.path()), ["b"]);
    commands.moved_to(&fresh_prefix());
    let refused = commands.refuses(&["restore", "--in", "b"]);
    assert!(refused.contains("SECRET_KEY_PREVIOUS"), "{refused}");
    assert!(commands.runs(&["user", "list"]).trim().is_empty());
    assert!(commands.refuses(&["backup", "--out", "c"]).contains("nothing in this store"));
    commands.with("SECRET_KEY_PREVIOUS", SECRET_KEY);
    commands.runs(&["restore", "--in", "b"]);
    commands.with("SECRET_KEY_PREVIOUS", "");
    assert!(commands.runs(&["keys", "list"]).contains("signing"), "the new one alone opens them");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_restores_nothing_at_all() {
    let server = TestServer::start(Backend::Redis).await;
    let mut commands = BackupCommands::of(&server);
    commands.runs(&["backup", "--out", "b"]);
    commands.moved_to(&fresh_prefix());
    let whole = std::fs::read(commands.path("b")).expect("a backup");
    let middle = whole.len() / 2;
    let mut bent = whole.clone();
    bent[middle] ^= 1;
    let mut newer = whole.clone();
    newer[9] = 9;
    for (bytes, why) in [
        (&bent[..], "damaged"),
        (&whole[..middle], "cut off"),
        (&[&whole[..], b"x"].concat()[..], "goes on after its end"),
        (&newer[..], "newer Latchkey"),
        (&b"PK\x03\x04 something else"[..], "not a backup"),
    ] {
        std::fs::write(commands.path("x"), bytes).expect("written");
        let refused = commands.refuses(&["restore", "--in", "x", "--overwrite"]);
        assert!(refused.contains(why), "{refused}");
    }
    assert!(commands.refuses(&["restore", "--in", "nowhere"]).contains("nowhere"));
    assert!(commands.runs(&["user", "list"]).trim().is_empty());
}

#[test]
fn without_a_store_that_lasts_the_answer_is_what_to_keep_instead() {
    let folder = tempfile::tempdir().expect("a folder");
    let commands = BackupCommands { folder, settings: Vec::new() };
    let told = commands.refuses(&["backup", "--out", "b"]);
    assert!(told.contains("BOOTSTRAP_FILE") && told.contains("KEYS_DIR"), "{told}");
    assert!(names(commands.folder.path()).is_empty());
}
