//! Operators' commands: the same beside a running server as without one, on every store.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use latchkey::infra::secret::Secret;
use rustix::process::Signal;
use serde_json::Value;

use crate::cli::{Program, command, free_port};
use crate::support::http::{self, FormFields};
use crate::support::test_server::{Backend, PASSWORD, TestServer};
use crate::support::topologies::shared_url;

const FILE: FormFields<'_> = &[("STORE_URL", "file:./data"), ("DEV_USER", "eve")];

/// What a command ends with, prints, and complains of; asked for a password, it reads one.
pub fn says(folder: &Path, variables: FormFields<'_>, line: &str) -> (Option<i32>, String, String) {
    let words = line.split(' ').filter(|word| !word.is_empty()).map(|word| word.replace('+', " "));
    let mut child = command(folder, variables)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program");
    // A command that asks for nothing may have ended already.
    let _unread = writeln!(child.stdin.take().expect("its input"), "{PASSWORD}");
    let output = child.wait_with_output().expect("an end");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text").trim().to_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

pub fn does(folder: &Path, variables: FormFields<'_>, line: &str) -> String {
    let (code, printed, complaint) = says(folder, variables, line);
    assert_eq!(code, Some(0), "{line}: {complaint}");
    printed
}

/// Everything an operator can do to people, clients and scopes, with its exit code. `+` is a space.
const SCRIPT: &[(&str, i32)] = &[
    ("user add ada --sub a1 --name Ada+L. --email ada@a.example --claim email_verified=true", 0),
    ("user add ADA", 1),
    ("user add x --claim sub=y", 64),
    ("user set ada --email ada@b.example --group staff --add-group admin --claim locale=en", 0),
    ("user show ada", 0),
    ("user set a1 --remove-claim locale --remove-group staff", 0),
    ("user set a1 --remove-claim locale", 0),
    ("user set ada", 64),
    ("user set ada --claim email_verified=maybe", 64),
    ("user set nobody --name N", 1),
    ("user show ada --json", 0),
    ("user unlock ada", 0),
    ("user sign-out ada", 0),
    ("user set-password ada", 0),
    ("user disable ada", 0),
    ("user list", 0),
    ("user enable ada", 0),
    (
        "client add --id shop --redirect-uri https://shop.example/cb --post-logout-redirect-uri \
         https://shop.example/bye",
        0,
    ),
    ("client add --id shop --redirect-uri https://shop.example/cb", 1),
    (
        "client set shop --name Shop --first-party true --metadata client_uri=https://shop.example",
        0,
    ),
    ("client set shop --name Shop", 0),
    ("client set shop", 64),
    ("client set shop --setting colour=red", 64),
    ("client set shop --metadata colour=red", 64),
    ("client set shop --redirect-uri https://shop.example/#x", 64),
    ("client set shop --setting code_lifetime=99999", 64),
    ("client set nobody --name N", 1),
    ("client show shop", 0),
    ("client set shop --metadata client_uri=null --setting first_party=null", 0),
    ("client show shop --json", 0),
    ("client rotate-secret shop --keep-old-for 1h", 0),
    ("client disable shop", 0),
    ("client list", 0),
    ("client enable shop", 0),
    ("client add --id app --auth-method none --redirect-uri https://app.example/cb", 0),
    ("client set app --auth-method client_secret_basic", 0),
    ("client set app --auth-method client_secret_post --auth-method client_secret_basic", 0),
    ("client show app", 0),
    ("client set app --auth-method client_secret_post", 0),
    ("client show app", 0),
    ("client set app --auth-method none --auth-method client_secret_basic", 64),
    ("client remove app", 0),
    ("scope add badge --description Your+badge --claim badge --claim badge_colour", 0),
    ("scope add badge --claim badge", 0),
    ("scope add badge --claim badge --advertised true", 0),
    ("scope add badge --claim ssn", 1),
    ("scope add openid --claim ssn", 1),
    ("scope add two\u{a0}words", 64),
    ("scope list", 0),
    ("scope list --json", 0),
    ("resource add https://api.example --name Orders --scope orders.read --client shop", 0),
    ("resource add https://api.example --name Orders --scope orders.read --client shop", 0),
    ("resource add https://api.example --access-token-lifetime 5m --access-token-typ JWT", 0),
    ("resource add /api", 64),
    ("resource add https://api.example --client two\u{a0}words", 64),
    ("resource list", 0),
    ("resource list --json", 0),
    ("resource show https://api.example", 0),
    ("resource show https://api.example/", 1),
    ("resource remove https://api.example", 0),
    ("resource remove https://api.example", 1),
    ("logout list", 0),
    ("keys list", 0),
    ("keys rotate", 0),
    ("keys remove nothing", 1),
    ("user remove ada", 0),
    ("client remove shop", 0),
    ("events --since 1h --event user_changed", 0),
    ("events --since 1h --event client_changed --client shop", 0),
    ("events --since 1h --event scope_changed --json", 0),
    ("events --since 1h --event resource_changed", 0),
    ("events --since 1h --user a1 --event user_changed", 0),
    ("events --since tomorrow", 64),
];

/// Without what differs from run to run: moments, secrets, and names that were made.
fn plain(text: &str) -> String {
    let word = |word: &str| {
        // Base64url may begin and end with the two that are neither letter nor digit.
        let bare = word.trim_matches(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c));
        let is_name = matches!(bare.len(), 36 | 43) && !bare.contains(':');
        let is_made = is_name || word.starts_with("client_secret=");
        if is_made { "*".to_owned() } else { without_moments(word) }
    };
    text.lines()
        .map(|line| line.split(' ').map(word).collect::<Vec<_>>().join(" ") + "\n")
        .collect()
}

fn without_moments(word: &str) -> String {
    let mut parts = word.split('T');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match (text.len().checked_sub(10), part.split_once('Z')) {
            (Some(date), Some((time, rest)))
                if time.len() == 8 && text[date..].starts_with("20") =>
            {
                text.truncate(date);
                text.push('*');
                text.push_str(rest);
            }
            _ => {
                text.push('T');
                text.push_str(part);
            }
        }
    }
    text
}

fn runs(folder: &Path, variables: FormFields<'_>) -> Vec<String> {
    let run = |(line, code): &(&str, i32)| {
        let (ended, printed, complaint) = says(folder, variables, line);
        assert_eq!(ended, Some(*code), "{line}: {printed}{complaint}");
        format!("$ {line}\n{}{}", plain(&printed), plain(&complaint))
    };
    SCRIPT.iter().map(run).collect()
}

fn compare(found: &[String], expected: &[String]) {
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_named_of_an_api_stays_and_only_a_word_opens_it_to_every_client() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start_in(folder.path(), free_port(), FILE).await;
    let api = "https://payroll.example";
    let add = |words: &str| does(folder.path(), FILE, &format!("resource add {api} {words}"));
    let shown = || {
        let shown = does(folder.path(), FILE, &format!("resource show {api} --json"));
        serde_json::from_str::<Value>(&shown).expect("JSON")
    };
    add("--client hr --scope pay.read --access-token-lifetime 5m --registered-clients false");
    add("--name Payroll");
    let mut expected = serde_json::json!({"resource": api, "name": "Payroll", "scopes": ["pay.read"],
        "access_token_lifetime": 300, "access_token_typ": null, "clients": ["hr"],
        "registered_clients": false});
    assert_eq!(shown(), expected);
    let both = format!("resource add {api} --every-client --client hr");
    assert_eq!(says(folder.path(), FILE, &both).0, Some(64));
    add("--every-client");
    expected["clients"] = Value::Null;
    assert_eq!(shown(), expected);
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_prints_the_same_beside_a_running_server_as_without_one() {
    let alone = tempfile::tempdir().expect("a folder");
    // The server has a demo account; so have both.
    let port = free_port();
    let program = Program::start_in(alone.path(), port, FILE).await;
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    assert!(!alone.path().join("data/control.sock").exists(), "the socket goes with the server");
    let expected = runs(alone.path(), FILE);

    let beside = tempfile::tempdir().expect("a folder");
    let program = Program::start_in(beside.path(), port, FILE).await;
    compare(&runs(beside.path(), FILE), &expected);
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));

    let prefix = format!("{}:", Secret::random().reveal());
    let url = shared_url();
    let redis = [
        ("REDIS_URL", &*url),
        ("REDIS_PREFIX", &prefix),
        ("ALLOW_VOLATILE_STORE", "true"),
        ("DEV_USER", "eve"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start_in(folder.path(), port, &redis).await;
    compare(&runs(folder.path(), &redis), &expected);
    drop(program);
}

/// A stolen account is disabled, looked into and backed up without stopping sign-in for everybody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_running_server_a_change_holds_at_once_and_a_backup_can_be_made() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = Program::start_in(folder.path(), free_port(), FILE).await;
    let socket = folder.path().join("data/control.sock");
    let mode = fs::metadata(&socket).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let added = does(folder.path(), FILE, "client add --id robot --grant-type client_credentials");
    let secret = added.split_once("client_secret=").expect("a secret").1.to_owned();
    let token = async || {
        let form = http::form(
            &http::client(program.at),
            &format!("{}/token", program.issuer),
            &[("grant_type", "client_credentials")],
        );
        http::send(form.basic_auth("robot", Some(&secret))).await.status
    };
    assert_eq!(token().await, 200);
    does(folder.path(), FILE, "client disable robot");
    assert_eq!(token().await, 401);

    does(folder.path(), FILE, "scope add badge --claim badge --advertised true");
    let url = format!("{}/.well-known/openid-configuration", program.issuer);
    let metadata = http::send(http::client(program.at).get(url)).await.success_json();
    let is_there = |list: &str, name: &str| {
        metadata[list].as_array().expect("a list").contains(&Value::from(name))
    };
    assert!(is_there("scopes_supported", "badge") && is_there("claims_supported", "badge"));

    let kept = does(folder.path(), FILE, "events --event client_changed --json");
    let kept: Value = serde_json::from_str(&kept).expect("JSON");
    let changes: Vec<_> = kept.as_array().expect("a list").iter().map(|it| &it["change"]).collect();
    assert!(changes.ends_with(&[&Value::from("added"), &Value::from("disabled")]), "{kept}");

    let said = does(folder.path(), FILE, "backup --out whole.bak");
    assert!(said.contains("users: 1") && said.contains("scopes: 1"), "{said}");
    program.signal(Signal::TERM);
    assert_eq!(program.exit_code(), Some(0));
    let elsewhere = [("STORE_URL", "file:./other")];
    let said = does(folder.path(), &elsewhere, "restore --in whole.bak");
    assert!(said.contains("scopes: 1 new"), "{said}");
    assert!(does(folder.path(), &elsewhere, "client list").contains("robot"));
    assert!(does(folder.path(), &elsewhere, "scope list").contains("badge"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_memory_is_reached_by_a_socket_of_the_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let memory = [("CONTROL_SOCKET", "./here.sock")];
    let (code, _, complaint) = says(folder.path(), &memory, "user list");
    assert_eq!(code, Some(69), "{complaint}");
    assert!(complaint.contains("CONTROL_SOCKET") && complaint.contains("here.sock"), "{complaint}");
    // One that a server left behind which was killed.
    drop(UnixListener::bind(folder.path().join("here.sock")).expect("a socket"));
    let program = Program::start_in(folder.path(), free_port(), &memory).await;
    assert_eq!(does(folder.path(), &memory, "user add ada --sub a1"), "added ada, sub a1");
    assert!(does(folder.path(), &memory, "user list").contains("a1  ada  enabled"));
    assert!(does(folder.path(), &memory, "keys list").contains("signing"));
    let (code, _, complaint) = says(folder.path(), &memory, "backup --out x");
    assert!(code == Some(1) && complaint.contains("BOOTSTRAP_FILE"), "{complaint}");

    // The place of a socket that is in use, or of something else, is not taken.
    let (code, _, complaint) = says(folder.path(), &memory, "serve");
    assert_eq!(code, Some(78), "{complaint}");
    assert!(complaint.contains("CONTROL_SOCKET: ./here.sock: another process"), "{complaint}");
    assert!(does(folder.path(), &memory, "user list").contains("ada"));
    drop(program);
    fs::remove_file(folder.path().join("here.sock")).expect("left by a kill");
    fs::write(folder.path().join("here.sock"), "mine").expect("a file");
    let (code, _, complaint) = says(folder.path(), &memory, "serve");
    assert!(code == Some(78) && complaint.contains("it is no socket"), "{complaint}");
    assert_eq!(fs::read(folder.path().join("here.sock")).expect("the file"), b"mine");
}

/// A server of another release answers, and does not know what it is asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_of_another_release_or_one_that_hangs_up_is_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = UnixListener::bind(folder.path().join("here.sock")).expect("a socket");
    let memory = [("CONTROL_SOCKET", "./here.sock")];
    for (answer, expected) in [
        ("HTTP/1.0 404 Not Found\r\ncontent-length: 0\r\n\r\n", "another release"),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}", "another release"),
        ("HTTP/1.0 200 OK\r\ncontent-length: 200\r\n\r\n[", "did not answer"),
        ("", "did not answer"),
    ] {
        let server = listener.try_clone().expect("the same one");
        let answering = std::thread::spawn(move || {
            // The first connection only looks whether somebody is there.
            drop(server.accept().expect("a connection"));
            let (mut stream, _) = server.accept().expect("another");
            let mut asked = [0; 1024];
            let _read = std::io::Read::read(&mut stream, &mut asked).expect("a request");
            stream.write_all(answer.as_bytes()).expect("an answer");
        });
        let (code, _, complaint) = says(folder.path(), &memory, "user list");
        answering.join().expect("an end");
        assert_eq!(code, Some(69), "{complaint}");
        assert!(complaint.contains(expected), "{answer}: {complaint}");
    }
}

/// Servers on Redis learn of what a tool wrote there, within seconds and without being asked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scope_that_was_added_in_redis_is_there_on_every_server() {
    let provider = TestServer::start(Backend::Redis).await;
    let [url, prefix] = provider.redis_settings();
    let redis = [(url.0, &*url.1), (prefix.0, &*prefix.1), ("ALLOW_VOLATILE_STORE", "true")];
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(
        does(folder.path(), &redis, "scope add badge --claim badge --advertised true"),
        "added badge"
    );
    assert!(provider.app().catalogue().get("badge").is_none());
    latchkey::server::maintenance::run_once(provider.app(), None).await.expect("a look");
    assert!(provider.app().catalogue().get("badge").expect("it is there").claims.contains("badge"));
}
