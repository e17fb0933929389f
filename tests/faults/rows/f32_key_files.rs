//! F32: key files that are missing, damaged, of the wrong kind or within reach of others.
//!
//! None of them is started with, and the sentence names the file. One that is put in place while the
//! server runs is refused, too: it keeps the key it has, and says so.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::time::sleep;

use crate::context::RunContext;
use crate::parts::http::send;
use crate::parts::installation::Installation;
use crate::parts::startup_failure::StartupFailure;
use crate::report::Report;

/// How a file is spoilt; what it answers with is the path to name.
type Spoil = fn(&Path) -> Option<PathBuf>;

const WAYS: [(&str, Spoil); 10] = [
    ("absent", |folder| Some(folder.join("absent.pem"))),
    ("empty", |folder| Some(written(folder, "empty", b""))),
    ("truncated", |folder| {
        let whole = fs::read(good(folder)).ok()?;
        Some(written(folder, "truncated", &whole[..whole.len() / 2]))
    }),
    ("0644", |folder| {
        let path = good(folder);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).ok()?;
        Some(path)
    }),
    ("other_owner", |folder| {
        let path = good(folder);
        let owned = |mut by: Command| by.arg(&path).status().is_ok_and(|it| it.success());
        let mut plainly = Command::new("chown");
        plainly.arg("65534");
        let mut by_sudo = Command::new("sudo");
        by_sudo.args(["-n", "chown", "65534"]);
        (owned(plainly) || owned(by_sudo)).then_some(path)
    }),
    ("link_where_all_may_write", |folder| {
        let path = good(folder);
        let link = folder.join("link.pem");
        std::os::unix::fs::symlink(&path, &link).ok()?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).ok()?;
        Some(link)
    }),
    ("ec_key", |folder| {
        made(folder, &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"])
    }),
    ("1024_bit", |folder| {
        made(folder, &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"])
    }),
    ("password", |folder| {
        made(folder, &["genpkey", "-algorithm", "RSA", "-aes256", "-pass", "pass:unknown"])
    }),
    ("a_folder", |folder| {
        let path = folder.join("folder.pem");
        fs::create_dir(&path).ok()?;
        Some(path)
    }),
];

/// `refused=all`, and a file replaced by a bad one while it runs changes nothing.
pub async fn run(_: RunContext) -> Vec<Report> {
    let installation = Installation::new().await;
    let mut report = Report::new();
    let (mut refused, mut untried) = (0, 0);
    for (name, spoil) in WAYS {
        let folder = tempfile::tempdir().expect("a folder");
        let Some(path) = spoil(folder.path()) else {
            report.figure(name, "untried");
            untried += 1;
            continue;
        };
        let path = path.to_str().expect("a readable path");
        let refusal =
            StartupFailure::of(installation.plan("memory:").set("PRIVATE_KEY_PATH", path)).await;
        if refusal.matches(78, path) {
            refused += 1;
        } else {
            report.must(name, false).figure("said", format!("{refusal:?}"));
        }
    }
    report.equals("refused", refused, WAYS.len() - untried);
    replaced_while_running(&installation, &mut report).await;
    vec![report]
}

async fn replaced_while_running(installation: &Installation, report: &mut Report) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = good(folder.path());
    let server = installation
        .plan("memory:")
        .set("PRIVATE_KEY_PATH", path.to_str().expect("a readable path"))
        .start()
        .await;
    let before = send(server.client().get("/jwks.json")).await;
    let shop = installation.client(0);
    let whole = fs::read(&path).expect("the key");
    let (mut kept, mut told) = (0, 0);
    for bad in [&whole[..whole.len() / 2], b"", &[0xff; 100]] {
        fs::write(&path, bad).expect("a written file");
        let said_before = server.log().matches("the signing keys stay as they are").count();
        server.signal(Signal::HUP);
        let since = Instant::now();
        let says = || server.log().matches("the signing keys stay as they are").count();
        while says() == said_before && since.elapsed() < Duration::from_secs(5) {
            sleep(Duration::from_millis(5)).await;
        }
        told += usize::from(says() == said_before + 1);
        let after = send(server.client().get("/jwks.json")).await;
        let works = send(shop.client_credentials_request(server.client())).await.has_status(200);
        kept += usize::from(works && after.has_status(200) && after.body() == before.body());
    }
    report.equals("replaced_kept", kept, 3).equals("replaced_told", told, 3);
}

fn written(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.join(format!("{name}.pem"));
    fs::write(&path, bytes).expect("a written file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
    path
}

fn good(folder: &Path) -> PathBuf {
    let (_, pem) = latchkey::infra::jose::SigningKey::generate().expect("a key");
    written(folder, "good", pem.as_bytes())
}

/// By openssl, since none of these is made by anything of ours.
fn made(folder: &Path, words: &[&str]) -> Option<PathBuf> {
    let output = Command::new("openssl").args(words).output().expect("openssl is installed");
    output.status.success().then(|| written(folder, "made", &output.stdout))
}
