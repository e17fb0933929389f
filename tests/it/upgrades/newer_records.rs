//! Every record as the next release might leave it: with members that nobody here knows, at every depth.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey::domain::clients::ClientSettings;
use latchkey::domain::grants;
use latchkey::infra::clock::Clock;
use latchkey::infra::store::{
    CommitOutcome, MemoryStore, PingInfo, Precondition, RawKey, Store, StoreError, StoreFuture,
    Transaction,
};
use serde_json::{Value, json};

use crate::logout::rp_initiated::logout;
use crate::logs::logged;
use crate::store_retention::everything;
use crate::support::logout_receiver::TestCa;
use crate::support::test_server::TestServer;

/// What every object gets.
const NEW: &str = "of_tomorrow";

/// Maps, in which a name is no member: of clients, and of claims that were asked for.
const MAPS: [&str; 3] = ["clients", "id_token", "userinfo"];

/// A store in which a record changes like that before anybody reads it.
struct Tomorrow {
    inner: MemoryStore,
    kinds: Mutex<BTreeSet<String>>,
}

impl Tomorrow {
    async fn comes_for(&self, key: &RawKey) -> Result<(), StoreError> {
        while let Some(bytes) = self.inner.get(key).await? {
            let Ok(mut record @ Value::Object(_)) = serde_json::from_slice(&bytes) else { break };
            self.kinds.lock().expect("the kinds").insert(key.kind().to_owned());
            if record.get(NEW).is_some() {
                break;
            }
            add_to(&mut record, "");
            let change = Transaction::within(key.partition().clone())
                .require(key.clone(), Precondition::Unchanged(bytes))
                .put(key.clone(), record.to_string().into_bytes(), None);
            match self.inner.commit(change).await? {
                CommitOutcome::Committed => break,
                CommitOutcome::Conflict => {}
            }
        }
        Ok(())
    }
}

fn add_to(value: &mut Value, name: &str) {
    match value {
        Value::Object(members) => {
            let variant = members.len() == 1
                && members.keys().all(|name| name.starts_with(|it: char| it.is_ascii_uppercase()));
            // The standard library's, which is as it is for ever.
            let duration = members.contains_key("secs") && members.contains_key("nanos");
            for (name, inner) in members.iter_mut() {
                add_to(inner, name);
            }
            if !variant && !duration && !MAPS.contains(&name) {
                members.insert(NEW.to_owned(), json!({"anything": ["at", "all"]}));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|it| add_to(it, name)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

impl Store for Tomorrow {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            self.comes_for(key).await?;
            self.inner.get(key).await
        })
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            self.comes_for(key).await?;
            self.inner.get_and_remove(key).await
        })
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        self.inner.commit(change)
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        self.inner.scan_index(index, after, limit)
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        self.inner.increment(counter, window)
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        self.inner.ping()
    }
}

/// All kinds of records that are ever read; a used assertion is only ever there.
const KINDS: [&str; 17] = [
    "attempts.v1",
    "client.v1",
    "consent.v1",
    "epoch.v1",
    "events.v1",
    "grant.v1",
    "interaction.v1",
    "keyring.v1",
    "logout-delivery.v1",
    "logout-participants.v1",
    "revoked.v1",
    "schema.v1",
    "scope.v1",
    "session.v1",
    "sid.v1",
    "user.v1",
    "username.v1",
];

/// Everything that can be asked of a server, and a logout of which an application hears.
async fn lives_in_tomorrow() -> BTreeSet<String> {
    let clock = Clock::manual(Clock::System.now());
    let inner = MemoryStore::new(clock.clone());
    let tomorrow = Arc::new(Tomorrow { inner, kinds: Mutex::default() });
    let town = TestCa::new();
    let mut variables = town.env_vars().to_vec();
    variables.push(("RATE_LIMITING_ENABLED", "true"));
    let store: Arc<dyn Store> = tomorrow.clone();
    let server = TestServer::start_on((store, clock), None, &variables).await;
    let sub = server.user("ada").await.sub;
    grants::revoke_all_for_subject(server.store(), &sub, server.app().now())
        .await
        .expect("a store");
    everything(&server).await;
    server.app().keys.refresh().await.expect("a store");

    let ear = town.start_receiver().await;
    let more = json!({ "backchannel_logout_uri": ear.url() });
    let listener = server.relying_party_with("listener", &more, ClientSettings::default()).await;
    let ada = server.browser("ada");
    let claims = r#"{"userinfo":{"email":{"essential":true}},"id_token":{"name":null}}"#;
    ada.open(&listener.authorization_request("openid").with("claims", claims).url()).await;
    let tokens = listener.sign_in(&ada, "openid").await;
    let answer = ada.get(&logout(&server, &[("id_token_hint", tokens.id())])).await;
    assert_eq!(answer.text_of("h1").as_deref(), Some("Signed out"));
    ear.next_request().await;
    let alone =
        listener.post("/token", &[("grant_type", "client_credentials")]).await.success_json();
    let token = alone["access_token"].as_str().expect("a token");
    listener.revoke(token).await;
    assert_eq!(listener.introspect(token).await["active"], false);
    server.start_another(&variables).await;
    tomorrow.kinds.lock().expect("the kinds").clone()
}

#[test]
fn members_that_a_newer_release_added_are_ignored_in_every_record() {
    let (kinds, log) = logged(lives_in_tomorrow());
    assert_eq!(kinds, KINDS.map(str::to_owned).into());
    let unreadable: Vec<_> = log.lines().filter(|it| it.contains("an unreadable record")).collect();
    assert!(unreadable.is_empty(), "{unreadable:#?}");
}
