//! The signing keys from outside: what is published, and what a rotation does to whoever is signed in.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use latchkey::domain::keys::{
    Activation, KeyEncryptor, KeyRing, KeyUse, RingError, RotationPolicy,
};
use latchkey::infra::clock::Clock;
use latchkey::infra::jose::{Algorithm, parse_unverified};
use latchkey::infra::secret::Secret;
use latchkey::infra::secret_key::SecretKey;
use latchkey::infra::store::{RedisOptions, RedisStore, Store};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::http::{self, HttpResponse};
use crate::support::test_server::{Backend, SECRET_KEY, TestServer, on_every_store};
use crate::support::topologies::shared_url;

on_every_store![
    a_plain_house_publishes_one_rsa_key,
    a_rotation_disturbs_nobody_who_is_signed_in,
    a_key_rotates_by_itself_after_its_time,
    a_changed_secret_key_keeps_the_signing_keys,
];

async fn key_set(provider: &TestServer) -> HttpResponse {
    let answer = http::send(provider.http().get(provider.url("/jwks.json"))).await;
    assert_eq!(answer.status, 200);
    answer
}

/// Each key by its name.
fn by_name(answer: &HttpResponse) -> BTreeMap<String, Value> {
    let set = answer.json();
    let keys = set["keys"].as_array().expect("keys").iter();
    keys.map(|key| (key["kid"].as_str().expect("a kid").to_owned(), key.clone())).collect()
}

fn signed_by(token: &str) -> String {
    parse_unverified(token).expect("a token").header["kid"].as_str().expect("a kid").to_owned()
}

async fn a_plain_house_publishes_one_rsa_key(provider: TestServer) {
    let keys = by_name(&key_set(&provider).await);
    let [key] = &keys.into_values().collect::<Vec<_>>()[..] else { panic!("one key") };
    assert_eq!(
        (&key["kty"], &key["use"], &key["alg"]),
        (&"RSA".into(), &"sig".into(), &"RS256".into())
    );
    let metadata = provider.url("/.well-known/openid-configuration");
    let metadata = http::send(provider.http().get(metadata)).await.json();
    assert_eq!(metadata["id_token_signing_alg_values_supported"], serde_json::json!(["RS256"]));
}

async fn a_rotation_disturbs_nobody_who_is_signed_in(provider: TestServer) {
    let shop = provider.relying_party("shop").await;
    let before = shop.sign_in(&provider.browser("ada"), "openid").await;
    let (old, tag) = (key_set(&provider).await, key_set(&provider).await);
    assert_eq!(old.header("etag"), tag.header("etag"));

    provider.app().keys.rotate(Activation::Now).await.expect("a rotation");
    let new = key_set(&provider).await;
    assert_ne!(old.header("etag"), new.header("etag"));
    let (old, new) = (by_name(&old), by_name(&new));
    assert_eq!((old.len(), new.len()), (1, 2));
    assert!(new.contains_key(&signed_by(before.id())), "the old one stays");

    // The new one waits until every server has read of it, and until clients that have just read the set
    // ask for it again: those are the ones that would refuse what it signs.
    provider.advance_time(Duration::from_secs(44));
    let robot = shop.post("/token", &[("grant_type", "client_credentials")]).await.success_json();
    assert!(old.contains_key(&signed_by(robot["access_token"].as_str().expect("a token"))));
    provider.advance_time(Duration::from_secs(1));
    let after = shop.sign_in(&provider.browser("bob"), "openid").await;
    let signer = signed_by(after.id());
    assert!(!old.contains_key(&signer) && new.contains_key(&signer));
    for tokens in [&before, &after] {
        assert_eq!(provider.userinfo(tokens.access()).await.status, 200);
        assert_eq!(shop.introspect(tokens.access()).await["active"], true);
    }
}

async fn a_key_rotates_by_itself_after_its_time(provider: TestServer) {
    let first = by_name(&key_set(&provider).await);
    let keys = &provider.app().keys;
    let day = Duration::from_secs(86_400);
    provider.advance_time(89 * day);
    keys.refresh().await.expect("a store");
    assert_eq!(by_name(&key_set(&provider).await), first, "a day too early");

    provider.advance_time(Duration::from_secs(23 * 3600));
    keys.refresh().await.expect("a store");
    let both = by_name(&key_set(&provider).await);
    assert_eq!(both.len(), 2, "published an hour before");
    let shop = provider.relying_party("shop").await;
    let tokens = shop.sign_in(&provider.browser("ada"), "openid").await;
    assert!(first.contains_key(&signed_by(tokens.id())), "but not used yet");

    provider.advance_time(Duration::from_secs(2 * 3600));
    let tokens = shop.sign_in(&provider.browser("ada"), "openid").await;
    assert!(!first.contains_key(&signed_by(tokens.id())));
    provider.advance_time(2 * day);
    let last = by_name(&key_set(&provider).await);
    assert_eq!(last.into_keys().collect::<Vec<_>>(), [signed_by(tokens.id())]);
}

async fn a_changed_secret_key_keeps_the_signing_keys(provider: TestServer) {
    const NEW: &str = "newer-for-tests-newer-for-tests-newer-for-te";
    provider.app().keys.rotate(Activation::Announced).await.expect("a rotation");
    let before = by_name(&key_set(&provider).await);
    assert_eq!(before.len(), 2);
    // The first server with both encrypts the ring anew, so that the next needs the new one only.
    let both = [("SECRET_KEY", NEW), ("SECRET_KEY_PREVIOUS", SECRET_KEY)];
    assert_eq!(by_name(&key_set(&provider.start_another(&both).await).await), before);
    assert_eq!(
        by_name(&key_set(&provider.start_another(&[("SECRET_KEY", NEW)]).await).await),
        before
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_configured_algorithm_has_a_key_and_metrics_say_how_old_it_is() {
    let variables =
        [("SIGNING_ALGS", "RS256,ES256,PS256,EdDSA"), ("REQUEST_OBJECT_ENCRYPTION", "true")];
    let provider = TestServer::start_with(Backend::Memory, &variables).await;
    let keys = by_name(&key_set(&provider).await);
    let words: Vec<_> = keys
        .values()
        .map(|key| {
            ["use", "kty", "alg"].map(|name| key[name].as_str().unwrap().to_owned()).join(" ")
        })
        .collect();
    for word in [
        "sig RSA RS256",
        "sig RSA PS256",
        "sig EC ES256",
        "sig OKP EdDSA",
        "enc RSA RSA-OAEP-256",
        "enc EC ECDH-ES",
    ] {
        assert_eq!(words.iter().filter(|it| *it == word).count(), 1, "{word}: {words:?}");
    }
    for key in keys.values() {
        assert!(["d", "p", "q", "dp", "dq", "qi"].iter().all(|part| key.get(part).is_none()));
    }
    provider.advance_time(Duration::from_secs(60));
    let metrics = http::send(provider.http().get(provider.url("/metrics"))).await.body;
    for &alg in Algorithm::ALL {
        let kid = provider.app().keys.signing(alg).expect("a key").kid().to_owned();
        let alg = alg.as_str();
        let line = format!(
            r#"oidc_signing_key_age_seconds{{alg="{alg}",kid="{kid}",phase="signing"}} 60"#
        );
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}

/// A server's ring on the shared redis.
async fn ring_on(prefix: &str, secret: &str) -> Result<KeyRing, RingError> {
    let options = RedisOptions {
        prefix: prefix.to_owned(),
        timeout: Duration::from_secs(10),
        ..RedisOptions::new(shared_url())
    };
    let store: Arc<dyn Store> = Arc::new(RedisStore::connect(&options).await.expect("redis"));
    let root = SecretKey::from_text(&secret.repeat(32)).expect("long enough");
    let purposes = vec![KeyUse::Signing(Algorithm::Es256), KeyUse::Signing(Algorithm::EdDsa)];
    let policy = RotationPolicy {
        interval: None,
        publication_lead: Duration::from_secs(3600),
        retention: Duration::from_secs(3600),
        activation_delay: Duration::ZERO,
    };
    KeyRing::open((store, Clock::System), KeyEncryptor::new(&root), purposes, policy, vec![]).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_have_one_ring_in_redis_however_they_begin() {
    let prefix = format!("{}:", Secret::random().reveal());
    let starting: Vec<_> = (0..4)
        .map(|_| {
            let prefix = prefix.clone();
            tokio::spawn(async move { ring_on(&prefix, "s").await.expect("a ring") })
        })
        .collect();
    let mut servers = Vec::new();
    for server in starting {
        servers.push(server.await.expect("a server"));
    }
    assert_eq!(servers[0].keys().len(), 2, "one for each algorithm");
    servers[3].rotate(Activation::Now).await.expect("a rotation");
    for server in &servers {
        server.refresh().await.expect("redis");
        assert_eq!(server.jwks(), servers[3].jwks());
        assert_eq!(server.keys().len(), 4);
    }
    let signed = servers[3].sign_with(Algorithm::EdDsa, "JWT", serde_json::json!({})).await;
    assert!(servers[0].verify(&signed.expect("a token"), "JWT").is_ok());
    let stranger = ring_on(&prefix, "t").await;
    assert!(matches!(stranger.err(), Some(RingError::WrongSecretKey(_))));
}

/// The real program, in a folder of its own.
struct Program {
    child: Child,
    issuer: String,
    folder: tempfile::TempDir,
}

impl Program {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let issuer = format!("http://localhost:{port}");
        let folder = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_latchkey"))
            .current_dir(folder.path())
            .envs([("ISSUER_URL", &*issuer), ("SIGNING_ALGS", "RS256,ES256")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { child, issuer, folder }
    }

    /// The names of the keys, as soon as there are so many.
    async fn keys(&self, count: usize) -> Vec<String> {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < Duration::from_secs(30), "there are never {count} keys");
            let set = fetched(&format!("{}/jwks.json", self.issuer)).unwrap_or_default();
            let keys = set["keys"].as_array().cloned().unwrap_or_default();
            if keys.len() == count {
                return keys.iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect();
            }
            tokio::task::yield_now().await;
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).unwrap();
        kill_process(pid, signal).unwrap();
    }
}

fn fetched(url: &str) -> Option<Value> {
    let output = Command::new("curl").args(["-sf", url]).output().ok()?;
    output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
}

impl Drop for Program {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[tokio::test]
async fn a_running_server_rotates_on_sigusr1_and_reads_a_replaced_file_on_sighup() {
    let program = Program::start();
    let before = program.keys(2).await;
    program.signal(Signal::USR1);
    let after = program.keys(4).await;
    assert!(before.iter().all(|kid| after.contains(kid)), "the old ones stay");

    let other = latchkey::infra::jose::SigningKey::generate().unwrap();
    let path = program.folder.path().join("keys/signing.pem");
    std::fs::write(&path, &*other.1).unwrap();
    program.signal(Signal::HUP);
    assert!(program.keys(5).await.contains(&other.0.kid().to_owned()));
}

fn run(words: &[&str], settings: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    command.args(words).current_dir(folder.path()).envs(settings.iter().copied());
    command.output().unwrap()
}

#[test]
fn the_command_line_rotates_what_is_in_redis_and_says_what_to_do_without() {
    let without = run(&["keys", "rotate", "--now"], &[]);
    assert_eq!(without.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&without.stderr).contains("SIGUSR1"));

    let url = shared_url();
    let prefix = format!("{}:", Secret::random().reveal());
    let settings = |secret| {
        [
            ("REDIS_URL", &*url),
            ("REDIS_PREFIX", &*prefix),
            ("SECRET_KEY", secret),
            ("LATCHKEY_UNUSED", ""),
        ]
    };
    let ours = settings("one-for-tests-one-for-tests-one-for-tests");
    let said = |words: &[&str]| {
        let output = run(words, &ours);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let listed = said(&["keys", "list"]);
    assert_eq!(listed.matches("signing").count(), 1, "{listed}");
    let announced = said(&["keys", "rotate"]);
    assert_eq!(announced.matches("published").count(), 1, "{announced}");
    let kid = listed.lines().nth(1).unwrap().split_whitespace().last().unwrap();
    assert!(said(&["keys", "rotate", "--now"]).contains(kid));
    assert_eq!(said(&["keys", "jwks"]).matches("\"kid\"").count(), 3);
    let next = announced.lines().find(|line| line.contains("published")).unwrap();
    let next = next.split_whitespace().last().unwrap();
    assert!(!said(&["keys", "remove", next]).contains(next));
    assert_eq!(run(&["keys", "remove", next], &ours).status.code(), Some(1), "it is gone");

    let stranger = run(&["keys", "list"], &settings("two-for-tests-two-for-tests-two-for-tests"));
    assert_eq!(stranger.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&stranger.stderr).contains("SECRET_KEY"));
}
