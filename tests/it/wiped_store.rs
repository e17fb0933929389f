//! A store that is wiped while servers run.

use latchkey::domain::clients::{self, ClientId};
use latchkey::infra::store::schema::SchemaRecord;
use latchkey::infra::store::{CommitOutcome, Partition, RawKey, Transaction};
use latchkey::operations::bootstrap::Bootstrap;
use latchkey::server::maintenance;

use crate::support::http::{self, HttpResponse};
use crate::support::test_server::{TestServer, on_every_store};

on_every_store![
    a_server_is_not_ready_while_its_keys_are_gone_from_the_store,
    an_emptied_store_gets_back_whom_the_operator_declared,
];

const DECLARED: &str = "[[clients]]\nclient_id = \"shop\"\ntoken_endpoint_auth_method = \"none\"\n\
    redirect_uris = [\"https://shop.example/cb\"]\n";

async fn readiness(server: &TestServer) -> HttpResponse {
    http::send(server.http().get(server.url("/ready"))).await
}

async fn loses_its_keys(server: &TestServer) {
    let key = RawKey::new(Partition::new("keyring"), "keyring.v1", None);
    assert!(server.store().get(&key).await.expect("a store").is_some());
    let change = Transaction::within(key.partition().clone()).delete(key.clone());
    assert_eq!(server.store().commit(change).await.expect("a store"), CommitOutcome::Committed);
}

async fn a_server_is_not_ready_while_its_keys_are_gone_from_the_store(server: TestServer) {
    assert_eq!(readiness(&server).await.status, 200);
    loses_its_keys(&server).await;
    let answer = readiness(&server).await;
    assert_eq!(answer.status, 503);
    let checks = &answer.json()["checks"];
    assert_eq!((&checks["store"], &checks["keys"]), (&"ok".into(), &"failing".into()));
    assert_eq!(maintenance::run_once(server.app(), None).await, Ok(false));
    assert_eq!(readiness(&server).await.status, 200);
}

async fn an_emptied_store_gets_back_whom_the_operator_declared(server: TestServer) {
    let declared = Bootstrap::parse(DECLARED).expect("a good file");
    let shop = ClientId::parse("shop").expect("an id");
    let there = async || clients::find(server.store(), &shop).await.expect("a store").is_some();
    assert_eq!(maintenance::run_once(server.app(), Some(&declared)).await, Ok(true));
    assert!(!there().await, "nothing was lost, so nothing is put back");
    loses_its_keys(&server).await;
    assert_eq!(maintenance::run_once(server.app(), Some(&declared)).await, Ok(false));
    assert!(there().await);
    let schema = server.store().load(&SchemaRecord::store_key()).await.expect("a store");
    assert!(schema.is_some(), "an older release has to find it again");
    assert_eq!(maintenance::run_once(server.app(), Some(&declared)).await, Ok(true));
}
