//! A store that was emptied while servers run, and records that another version wrote.

use latchkey::bootstrap::Bootstrap;
use latchkey::clients::{self, ClientId};
use latchkey::server::rotation;
use latchkey::store::{Change, Outcome, Partition, RawKey, Record};
use serde_json::{Value, json};

use crate::support::house::{House, on_both_stores};
use crate::support::wire::{self, Answer};

on_both_stores![
    a_server_is_not_ready_while_its_keys_are_gone_from_the_store,
    an_emptied_store_gets_back_whom_the_operator_declared,
    a_client_that_the_next_version_wrote_is_still_one,
];

const DECLARED: &str = "[[clients]]\nclient_id = \"shop\"\ntoken_endpoint_auth_method = \"none\"\n\
    redirect_uris = [\"https://shop.example/cb\"]\n";

async fn readiness(house: &House) -> Answer {
    wire::send(house.http().get(house.url("/ready"))).await
}

async fn loses_its_keys(house: &House) {
    let key = RawKey::new(Partition::new("keyring"), "keyring.v1", None);
    assert!(house.store().get(&key).await.expect("a store").is_some());
    let change = Change::within(key.partition().clone()).delete(key.clone());
    assert_eq!(house.store().commit(change).await.expect("a store"), Outcome::Committed);
}

async fn a_server_is_not_ready_while_its_keys_are_gone_from_the_store(house: House) {
    assert_eq!(readiness(&house).await.status, 200);
    loses_its_keys(&house).await;
    let answer = readiness(&house).await;
    assert_eq!(answer.status, 503);
    assert_eq!(answer.json()["checks"], json!({"store": "ok", "keys": "failing"}));
    assert_eq!(rotation::look(house.app(), None).await, Ok(false));
    assert_eq!(readiness(&house).await.status, 200);
}

async fn an_emptied_store_gets_back_whom_the_operator_declared(house: House) {
    let declared = Bootstrap::parse(DECLARED).expect("a good file");
    let shop = ClientId::parse("shop").expect("an id");
    let there = async || clients::find(house.store(), &shop).await.expect("a store").is_some();
    assert_eq!(rotation::look(house.app(), Some(&declared)).await, Ok(true));
    assert!(!there().await, "nothing was lost, so nothing is put back");
    loses_its_keys(&house).await;
    assert_eq!(rotation::look(house.app(), Some(&declared)).await, Ok(false));
    assert!(there().await);
    assert_eq!(rotation::look(house.app(), Some(&declared)).await, Ok(true));
}

async fn a_client_that_the_next_version_wrote_is_still_one(house: House) {
    let shop = house.relying_party("shop").await;
    let id = ClientId::parse("shop").expect("an id");
    let client = clients::find(house.store(), &id).await.expect("a store").expect("the shop");
    let mut record: Value = serde_json::to_value(&client).expect("JSON");
    for place in ["", "/settings", "/metadata"] {
        record.pointer_mut(place).expect("an object")["of_the_next_version"] = json!({"a": [1]});
    }
    let key = client.key().raw().clone();
    let bytes = record.to_string().into_bytes();
    let change = Change::within(key.partition().clone()).put(key, bytes, None);
    assert_eq!(house.store().commit(change).await.expect("a store"), Outcome::Committed);
    let tokens = shop.signs_in(&house.browser("ada"), "openid").await;
    assert_eq!(shop.introspects(tokens.access()).await["active"], true);
}
