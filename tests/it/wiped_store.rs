//! A store that was emptied while servers run.

use latchkey::domain::clients::{self, ClientId};
use latchkey::infra::store::schema::SchemaRecord;
use latchkey::infra::store::{CommitOutcome, Partition, RawKey, Transaction};
use latchkey::operations::bootstrap::Bootstrap;
use latchkey::server::maintenance;

use crate::support::http::{self, Answer};
use crate::support::test_server::{House, on_every_store};

on_every_store![
    a_server_is_not_ready_while_its_keys_are_gone_from_the_store,
    an_emptied_store_gets_back_whom_the_operator_declared,
];

const DECLARED: &str = "[[clients]]\nclient_id = \"shop\"\ntoken_endpoint_auth_method = \"none\"\n\
    redirect_uris = [\"https://shop.example/cb\"]\n";

async fn readiness(house: &House) -> Answer {
    http::send(house.http().get(house.url("/ready"))).await
}

async fn loses_its_keys(house: &House) {
    let key = RawKey::new(Partition::new("keyring"), "keyring.v1", None);
    assert!(house.store().get(&key).await.expect("a store").is_some());
    let change = Transaction::within(key.partition().clone()).delete(key.clone());
    assert_eq!(house.store().commit(change).await.expect("a store"), CommitOutcome::Committed);
}

async fn a_server_is_not_ready_while_its_keys_are_gone_from_the_store(house: House) {
    assert_eq!(readiness(&house).await.status, 200);
    loses_its_keys(&house).await;
    let answer = readiness(&house).await;
    assert_eq!(answer.status, 503);
    let checks = &answer.json()["checks"];
    assert_eq!((&checks["store"], &checks["keys"]), (&"ok".into(), &"failing".into()));
    assert_eq!(maintenance::run_once(house.app(), None).await, Ok(false));
    assert_eq!(readiness(&house).await.status, 200);
}

async fn an_emptied_store_gets_back_whom_the_operator_declared(house: House) {
    let declared = Bootstrap::parse(DECLARED).expect("a good file");
    let shop = ClientId::parse("shop").expect("an id");
    let there = async || clients::find(house.store(), &shop).await.expect("a store").is_some();
    assert_eq!(maintenance::run_once(house.app(), Some(&declared)).await, Ok(true));
    assert!(!there().await, "nothing was lost, so nothing is put back");
    loses_its_keys(&house).await;
    assert_eq!(maintenance::run_once(house.app(), Some(&declared)).await, Ok(false));
    assert!(there().await);
    let schema = house.store().load(&SchemaRecord::store_key()).await.expect("a store");
    assert!(schema.is_some(), "an older release has to find it again");
    assert_eq!(maintenance::run_once(house.app(), Some(&declared)).await, Ok(true));
}
