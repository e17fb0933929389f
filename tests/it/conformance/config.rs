//! `oidcc-config-certification-test-plan`, and the files in `conformance/` that the suite is run with.

use std::collections::BTreeMap;
use std::process::Command;

use latchkey::config::Config;
use latchkey::operations::bootstrap::Bootstrap;

use super::checks;
use super::suite::{PEOPLE, SETTINGS, Suite, Variant, settings};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oidcc_discovery_endpoint_verification() {
    let suite = Suite::begin(Variant::of("code").static_client()).await;
    checks::metadata::verify(&suite.metadata, suite.provider.issuer(), false);
    suite.ends().await;
}

#[test]
fn the_settings_are_good_and_say_what_they_seem_to() {
    let map: BTreeMap<String, String> =
        settings().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let config = Config::from_map(&map).expect("a good configuration");
    assert!(config.issuer.is_https() && config.tls.is_some() && !config.rate_limit.enabled);
    assert_eq!(config.offer.response_types.len(), 7);
    assert_eq!(Bootstrap::parse(PEOPLE).expect("a good file").clients(), 6);
}

/// The files are ones that the program itself can read, where README.md says that they are.
#[test]
fn the_files_are_read_by_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("conformance")).expect("a folder");
    std::fs::write(folder.path().join(".env"), SETTINGS).expect("written");
    std::fs::write(folder.path().join("conformance/bootstrap.toml"), PEOPLE).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    let checked = command.arg("check-config").current_dir(folder.path()).output().expect("an end");
    let said = String::from_utf8_lossy(&checked.stdout);
    let complained = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{complained}");
    assert!(said.contains("https://op.localtest:9443"), "{said}");
    assert!(said.contains("declares users: 1, clients: 6"), "{said}");
}
