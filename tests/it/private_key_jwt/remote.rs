//! Keys that a client keeps behind a `jwks_uri`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use latchkey::server::serve::{Limits, listen, serve};
use latchkey::server::tls::TlsKeeper;
use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::support::house::Backing;

/// The client's own server, with a certificate of its own.
struct Elsewhere {
    uri: String,
    ca: String,
    keys: Arc<Mutex<Option<Value>>>,
    visits: Arc<AtomicUsize>,
    _stop: watch::Sender<bool>,
    _folder: TempDir,
}

impl Elsewhere {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let made = rcgen::generate_simple_self_signed(["localhost".into()]).expect("one");
        std::fs::write(&cert, made.cert.pem()).expect("written");
        std::fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        let tls = TlsKeeper::load(&cert, &key).expect("a good pair");
        let (keys, visits) = (Arc::new(Mutex::new(None)), Arc::new(AtomicUsize::new(0)));
        let (told, counted) = (Arc::clone(&keys), Arc::clone(&visits));
        let answer = async move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let set: Option<Value> = told.lock().expect("the keys").clone();
            set.map(Json).ok_or(StatusCode::INTERNAL_SERVER_ERROR)
        };
        let router = Router::new().route("/jwks.json", get(answer));
        let listeners = listen("127.0.0.1:0").await.expect("a port");
        let port = listeners[0].local_addr().expect("its address").port();
        let (stop, stopped) = watch::channel(false);
        let drain = Duration::from_secs(1);
        tokio::spawn(serve(listeners, Some(tls), router, Limits::default(), stopped, drain));
        let uri = format!("https://localhost:{port}/jwks.json");
        let ca = cert.to_str().expect("a readable path").to_owned();
        Self { uri, ca, keys, visits, _stop: stop, _folder: folder }
    }

    fn says(&self, keys: Option<Value>) {
        *self.keys.lock().expect("the keys") = keys;
    }

    fn visits(&self) -> usize {
        self.visits.load(Ordering::SeqCst)
    }
}

async fn robot_of(house: &House, elsewhere: &Elsewhere) -> RelyingParty {
    let keyed = json!({
        "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": elsewhere.uri,
    });
    house.relying_party_with("robot", &keyed, Settings::default()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_set_is_fetched_once_and_again_when_the_client_has_changed_its_keys() {
    let elsewhere = Elsewhere::start().await;
    let outgoing = [("OUTGOING_CA_FILE", &*elsewhere.ca), ("OUTGOING_ALLOW_PRIVATE", "localhost")];
    let house = House::start_with(Backing::Memory, &outgoing).await;
    let robot = robot_of(&house, &elsewhere).await;
    let (rsa, ec) = (keys().jwks()["keys"][0].clone(), keys().jwks()["keys"][1].clone());

    elsewhere.says(Some(json!({"keys": [rsa]})));
    for _ in 0..3 {
        assert_eq!(asks(&robot, &keys().rs256(&claims(&house))).await.status, 200);
    }
    assert_eq!(elsewhere.visits(), 1, "remembered");

    elsewhere.says(Some(json!({"keys": [ec]})));
    // A stranger with an unknown key cannot make us call again and again.
    for _ in 0..3 {
        assert_eq!(asks(&robot, &keys().es256(&claims(&house))).await.status, 401);
    }
    assert_eq!(elsewhere.visits(), 1);
    house.later(Duration::from_secs(60));
    assert_eq!(asks(&robot, &keys().es256(&claims(&house))).await.status, 200);
    assert_eq!(elsewhere.visits(), 2);
    assert_eq!(asks(&robot, &keys().rs256(&claims(&house))).await.status, 401, "the old key");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_cannot_be_had_let_nobody_in_and_those_at_hand_stay_in_use() {
    let elsewhere = Elsewhere::start().await;
    let outgoing = [("OUTGOING_CA_FILE", &*elsewhere.ca), ("OUTGOING_ALLOW_PRIVATE", "localhost")];
    let house = House::start_with(Backing::Memory, &outgoing).await;
    let robot = robot_of(&house, &elsewhere).await;
    for _ in 0..2 {
        let refused = asks(&robot, &keys().rs256(&claims(&house))).await;
        assert_eq!(refused.error(), invalid_client());
    }
    assert_eq!(elsewhere.visits(), 1, "the failure is remembered too");
    house.later(Duration::from_secs(60));
    elsewhere.says(Some(keys().jwks()));
    assert_eq!(asks(&robot, &keys().rs256(&claims(&house))).await.status, 200);
    elsewhere.says(None);
    house.later(Duration::from_secs(2 * 3600));
    assert_eq!(asks(&robot, &keys().rs256(&claims(&house))).await.status, 200, "the old set");
    assert_eq!(elsewhere.visits(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_our_own_network_is_not_asked_for_keys() {
    let elsewhere = Elsewhere::start().await;
    elsewhere.says(Some(keys().jwks()));
    let trusted = [("OUTGOING_CA_FILE", &*elsewhere.ca)];
    let house = House::start_with(Backing::Memory, &trusted).await;
    let robot = robot_of(&house, &elsewhere).await;
    let refused = asks(&robot, &keys().rs256(&claims(&house))).await;
    assert_eq!(refused.error(), invalid_client());
    assert_eq!(elsewhere.visits(), 0);
}
