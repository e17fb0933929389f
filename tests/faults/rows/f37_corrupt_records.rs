//! F37: something unreadable stands under our keys: random bytes, a record of another shape, another type
//! of redis altogether.
//!
//! It counts as absent and is an `error` line in the log. Nothing panics, and nothing is a 500.

use std::process::Command;
use std::sync::Arc;

use crate::client::{Browser, ConfidentialClient, Tokens, userinfo};
use crate::context::RunContext;
use crate::parts::http::{HttpClient, HttpOutcome, send};
use crate::parts::installation::{Installation, PASSWORD, username};
use crate::parts::redis::RedisServer;
use crate::parts::server::Server;
use crate::report::Report;
use crate::workload::{Family, new_families};

#[derive(Clone, Copy, Debug)]
enum Poison {
    Bytes,
    Shape,
    Type,
}

/// `panics=0 500=0`, and there is a line in the log.
pub async fn run(context: RunContext) -> Vec<Report> {
    let redis = RedisServer::start();
    let installation = Installation::new().await;
    let servers = installation.start_servers(2, &redis.url()).await;
    let (mut poisoned, mut trouble, mut sick) = (0, Vec::new(), 0);
    let mut unavailable = Vec::new();
    let scene = Scene { installation: &installation, servers: &servers };
    let mut kinds = scene.kinds(&redis).await;
    if !context.long {
        kinds.retain(|kind| {
            ["grant", "session", "keyring", "user"].iter().any(|it| kind.starts_with(it))
        });
    }
    for kind in &kinds {
        for poison in [Poison::Bytes, Poison::Shape, Poison::Type] {
            let family = new_families(&installation, &servers, 1).await.remove(0);
            let browser = scene.browser().await;
            let (page, _) = scene.begins(&browser).await;
            poisoned += spoil(&redis, kind, poison);
            for reply in scene.tries(&family, &browser, &page).await {
                let place = || format!("{kind}/{poison:?}");
                match reply.status() {
                    Some(503) => unavailable.push(place()),
                    Some(status) if status < 500 => {}
                    other => trouble.push(format!("{}:{other:?}", place())),
                }
            }
            restore(&redis);
            sick += usize::from(scene.signs_in().await.is_none());
        }
    }
    let log: String = servers.iter().map(|server| server.log()).collect();
    let mut report = Report::new();
    report
        .figure("kinds", kinds.len())
        .figure("poisoned", poisoned)
        .never("500", trouble.len())
        .never("panics", servers.iter().map(|server| server.panics()).sum())
        .never("not_well_after", sick)
        .must("alerts", log.contains("an unreadable record counts as absent"));
    if !trouble.is_empty() {
        report.figure("where", trouble.join(","));
    }
    // Of the ring of keys it is `/ready` that says so.
    unavailable.dedup();
    let places = if unavailable.is_empty() { "none".to_owned() } else { unavailable.join(",") };
    report.figure("503_at", places);
    vec![report]
}

struct Scene<'a> {
    installation: &'a Installation,
    servers: &'a [Arc<Server>],
}

impl Scene<'_> {
    fn shop(&self) -> &Arc<ConfidentialClient> {
        self.installation.client(0)
    }

    fn http(&self, number: usize) -> &HttpClient {
        self.servers[number % 2].client()
    }

    /// Everything that a whole life of a sign-in leaves in the store, by kind.
    async fn kinds(&self, redis: &RedisServer) -> Vec<String> {
        let family = new_families(self.installation, self.servers, 1).await.remove(0);
        let browser = self.browser().await;
        let (page, _) = self.begins(&browser).await;
        let _ = self.tries(&family, &browser, &page).await;
        let mut kinds: Vec<_> = keys(redis).iter().map(|key| kind(key).to_owned()).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }

    async fn browser(&self) -> Browser {
        let signed_in = Browser::sign_in(self.http(0), self.shop(), &username(1)).await;
        signed_in.unwrap_or_else(|reply| panic!("cannot sign in: {reply:?}"))
    }

    /// A login page somebody sits in front of.
    async fn begins(&self, browser: &Browser) -> (HttpOutcome, String) {
        let (url, verifier) = self.shop().authorization_url("openid", &[("prompt", "login")]);
        (browser.open(self.http(0), &url).await, verifier)
    }

    async fn signs_in(&self) -> Option<Browser> {
        Browser::sign_in(self.http(1), self.shop(), &username(2)).await.ok()
    }

    /// One request of each kind.
    async fn tries(
        &self,
        family: &Family,
        browser: &Browser,
        page: &HttpOutcome,
    ) -> Vec<HttpOutcome> {
        let (shop, held) = (&family.client, &family.newest);
        let mut replies = vec![
            browser.submit_login(self.http(1), page, "wrong horse battery").await,
            browser.submit_login(self.http(0), page, PASSWORD).await,
        ];
        let (code, reply) = browser.try_code(self.http(1), shop, "openid").await;
        replies.push(reply);
        if let Some(code) = code {
            replies.push(send(shop.redeem_request(self.http(0), &code)).await);
            replies.push(send(shop.redeem_request(self.http(1), &code)).await);
        } else if let Some(code) = &family.code {
            replies.push(send(shop.redeem_request(self.http(1), code)).await);
        }
        let refreshed = send(shop.refresh_request(self.http(0), &held.refresh)).await;
        let hint = Tokens::of(&refreshed).and_then(|it| it.id).or(held.id.clone());
        replies.push(refreshed);
        let out = format!("/logout?id_token_hint={}", hint.unwrap_or_default());
        for request in [
            shop.introspect_request(self.http(1), &held.access),
            userinfo(self.http(0), &held.access),
            shop.client_credentials_request(self.http(1)),
            shop.revoke_request(self.http(0), &held.refresh),
            self.http(0).get("/jwks.json"),
            self.http(1).get("/ready"),
        ] {
            replies.push(send(request).await);
        }
        replies.push(browser.open(self.http(0), &out).await);
        replies.push(browser.open(self.http(1), "/logout").await);
        replies
    }
}

/// `latchkey:{partition}kind/name`
fn kind(key: &str) -> &str {
    let after = key.split_once('}').map_or(key, |(_, after)| after);
    after.split('/').next().unwrap_or_default()
}

fn keys(redis: &RedisServer) -> Vec<String> {
    let port = redis.port().to_string();
    let said =
        Command::new("redis-cli").args(["-p", &port, "--raw", "KEYS", "latchkey:*"]).output();
    let text = String::from_utf8_lossy(&said.expect("redis-cli").stdout).into_owned();
    text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Spoils every key of this kind, and keeps a copy; how many there were.
fn spoil(redis: &RedisServer, wanted: &str, poison: Poison) -> usize {
    let mut spoilt = 0;
    for key in keys(redis).iter().filter(|key| kind(key) == wanted) {
        let (name, copy) = (key.as_bytes(), format!("kept:{key}"));
        redis.command(&[b"COPY", name, copy.as_bytes(), b"REPLACE"]);
        redis.command(&[b"DEL", name]);
        match poison {
            Poison::Bytes => redis.command(&[b"SET", name, b"\xff\x00\x80 no record of anybody"]),
            Poison::Shape => redis.command(&[b"SET", name, br#"{"id":7,"v":"0","keys":"none"}"#]),
            Poison::Type => redis.command(&[b"RPUSH", name, b"a", b"list"]),
        };
        spoilt += 1;
    }
    spoilt
}

fn restore(redis: &RedisServer) {
    let port = redis.port().to_string();
    let said = Command::new("redis-cli").args(["-p", &port, "--raw", "KEYS", "kept:*"]).output();
    let text = String::from_utf8_lossy(&said.expect("redis-cli").stdout).into_owned();
    for copy in text.lines().filter(|line| !line.is_empty()) {
        let name = copy.trim_start_matches("kept:");
        redis.command(&[b"DEL", name.as_bytes()]);
        redis.command(&[b"RENAME", copy.as_bytes(), name.as_bytes()]);
    }
}
