//! APIs as the operator declares, removes, saves and restores them.

use latchkey::domain::clients::{ClientId, ClientSettings};
use latchkey::domain::resources::Resource;
use latchkey::infra::secret_key::SecretKey;
use latchkey::infra::store::schema::CURRENT_SCHEMA;
use latchkey::infra::store::{CommitOutcome, Transaction};
use latchkey::operations::OperationError;
use latchkey::operations::backup::{BackupInfo, VerifiedBackup, save};
use latchkey::operations::resources::{self, Add, Remove};
use latchkey::server::maintenance;
use serde_json::json;

use super::{FILES, MAIL, access, api, claims, naming, refreshes, signs_in, with_apis};
use crate::support::test_server::{Backend, TestServer, on_every_store};

on_every_store![
    the_issuer_is_no_api_to_be_declared,
    whoever_removes_an_api_is_told_whose_audience_it_still_is,
    of_an_api_that_is_removed_nothing_comes_any_more,
    what_was_declared_survives_a_backup_and_the_file_says_who_reads_it,
];

async fn the_issuer_is_no_api_to_be_declared(server: TestServer) {
    let issuer = server.issuer().to_owned();
    for resource in [format!("{issuer}/"), issuer] {
        let add = Add(Resource { resource, entry: api("read") });
        let refused = server.try_operation(add).await.expect_err("it is the issuer");
        assert!(matches!(refused, OperationError::Invalid(_)), "{refused}");
    }
}

async fn whoever_removes_an_api_is_told_whose_audience_it_still_is(server: TestServer) {
    with_apis(&server).await;
    let settings = ClientSettings { audience: vec![MAIL.to_owned()], ..ClientSettings::default() };
    server.relying_party_with("shop", &json!({}), settings).await;
    server.relying_party("robot").await;
    let left = server.run_operation(Remove { resource: MAIL.to_owned() }).await;
    assert_eq!(left, [ClientId::parse("shop").expect("an id")]);
    assert_eq!(server.run_operation(Remove { resource: FILES.to_owned() }).await, []);
}

async fn of_an_api_that_is_removed_nothing_comes_any_more(server: TestServer) {
    with_apis(&server).await;
    let shop = server.relying_party("shop").await;
    let tokens = signs_in(&server, &shop, "openid mail.read files.read", &[MAIL, FILES]).await;
    let ada = server.browser("ada");
    let request =
        naming(shop.authorization_request("openid mail.read"), &[MAIL]).with("prompt", "consent");
    let login = ada.open(&request.url()).await;
    server.run_operation(Remove { resource: MAIL.to_owned() }).await;
    maintenance::refresh_catalogues(server.app()).await.expect("a store");
    assert_eq!(ada.sign_in(&login).await.status, 400, "nobody is asked about it");
    let refused = refreshes(&shop, tokens.refresh(), &[MAIL]).await.error();
    assert_eq!(refused, (400, "invalid_target".to_owned()));
    let rest = refreshes(&shop, tokens.refresh(), &[]).await.success_json();
    assert_eq!(claims(access(&rest))["aud"], json!([server.issuer(), FILES]));
    server.run_operation(Remove { resource: FILES.to_owned() }).await;
    maintenance::refresh_catalogues(server.app()).await.expect("a store");
    let refresh = rest["refresh_token"].as_str().expect("a refresh token");
    let refused = refreshes(&shop, refresh, &[]).await.error();
    assert_eq!(refused, (400, "invalid_target".to_owned()), "it does not become a token for us");
    assert_eq!(server.run_operation(resources::List {}).await, []);
}

async fn what_was_declared_survives_a_backup_and_the_file_says_who_reads_it(server: TestServer) {
    let root = SecretKey::from_text(crate::support::test_server::SECRET_KEY).expect("a long key");
    let about = || BackupInfo {
        latchkey: "0".to_owned(),
        issuer: server.issuer().to_owned(),
        created_at: server.app().now(),
        with_sessions: false,
        readable_by: 1,
    };
    let read =
        |file: Vec<u8>| VerifiedBackup::check(std::io::Cursor::new(file), &root).expect("a backup");
    let (none, _) = save(server.store(), &root, &about(), Vec::new()).await.expect("a backup");
    assert_eq!(read(none).about().readable_by, 1, "there is nothing new in it");
    with_apis(&server).await;
    let (file, saved) = save(server.store(), &root, &about(), Vec::new()).await.expect("a backup");
    assert_eq!(saved.counts["APIs"], 2);
    let before = server.run_operation(resources::List {}).await;
    let held = latchkey::domain::resources::key(FILES);
    let bytes = server.store().get(held.raw()).await.expect("a store").expect("an API");
    let put = async |bytes: &[u8]| {
        let change = Transaction::within(held.raw().partition().clone());
        let change = change.put(held.raw().clone(), bytes.to_vec(), None);
        assert_eq!(server.store().commit(change).await.expect("a store"), CommitOutcome::Committed);
    };
    put(b"{}").await;
    let (_, partly) = save(server.store(), &root, &about(), Vec::new()).await.expect("a backup");
    assert_eq!((partly.counts["APIs"], partly.unreadable), (1, 1), "it is missed");
    put(&bytes).await;
    let mut backup = read(file);
    assert_eq!(
        backup.about().readable_by,
        CURRENT_SCHEMA.schema,
        "an older release would not read it"
    );
    let other = TestServer::start(Backend::Memory).await;
    let report = backup.restore(other.store(), &root, server.app().now()).await.expect("a store");
    assert_eq!(report.kinds["APIs"].new, 2);
    assert_eq!(other.run_operation(resources::List {}).await, before);
}
