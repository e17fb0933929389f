//! Warnings of the command line about input that has no effect, or a wider one than it seems to.

use std::fs;
use std::path::Path;

use crate::operations::{does, says};
use crate::support::http::FormFields;

const FILE: FormFields<'_> = &[("STORE_URL", "file:./data")];

/// What it said beside its answer, having done what was asked.
fn notes(folder: &Path, line: &str) -> String {
    let (code, _, notes) = says(folder, FILE, line);
    assert_eq!(code, Some(0), "{line}: {notes}");
    notes
}

#[test]
fn a_scope_or_a_claim_that_nobody_will_see_is_said_and_groups_are_there_from_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let client = "client add --redirect-uri https://shop.example/cb";
    assert_eq!(notes(folder, &format!("{client} --id a --scope openid+email+groups")), "");
    let unknown = notes(folder, &format!("{client} --id b --scope openid+grups"));
    assert!(unknown.starts_with("note: no scope grups is known here"), "{unknown}");
    assert!(notes(folder, "client set a --scope openid+read:x").contains("no scope read:x"));
    for line in
        [&*format!("{client} --id c --scope openid,email"), "client set a --scope openid,email"]
    {
        let (code, _, why) = says(folder, FILE, line);
        assert_eq!((code, why.contains("a comma")), (Some(64), true), "{line}: {why}");
    }

    assert_eq!(notes(folder, "user add ada --email ada@a.example --group staff"), "");
    let unseen = notes(folder, "user set ada --claim desk=7");
    assert!(unseen.starts_with("note: no scope gives the claim desk"), "{unseen}");
    does(folder, FILE, "scope add places --claim desk");
    assert_eq!(notes(folder, "user set ada --claim desk=8"), "");
    assert_eq!(
        does(folder, FILE, "scope add groups --claim groups"),
        "nothing to change about groups"
    );
}

#[test]
fn a_redirect_uri_that_only_an_operator_may_declare_is_taken_with_a_word() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let line = "client add --id shelf --auth-method none --native --redirect-uri";
    let said = notes(folder, &format!("{line} audiobookshelf://oauth"));
    assert!(said.starts_with("note: redirect_uris: audiobookshelf://oauth has a scheme"), "{said}");
    let said = notes(folder, "client set shelf --redirect-uri http://192.168.0.7/cb");
    assert!(
        said.contains("http://192.168.0.7/cb goes over a private network unencrypted"),
        "{said}"
    );
    let shown = does(folder, FILE, "client show shelf");
    assert!(shown.contains("cautions: [\"redirect_uris: http://192.168.0.7/cb"), "{shown}");
    assert_eq!(notes(folder, "client set shelf --redirect-uri https://shelf.example/cb"), "");
    assert!(!does(folder, FILE, "client show shelf").contains("cautions"));
    let (code, _, _) = says(folder, FILE, &format!("{line} http://shelf.example/cb"));
    assert_eq!(code, Some(64), "public http is refused whoever declares it");
}

#[test]
fn settings_are_listed_where_they_are_asked_for_and_taken_when_a_client_is_added() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    for line in ["client add --help", "client set x --help"] {
        let help = does(folder, FILE, line).replace('\n', " ");
        for name in ["first_party", "require_pkce", "require_nonce", "audience", "code_lifetime"] {
            assert!(help.contains(name), "{line}: {name}");
        }
    }
    let add = "client add --id shop --redirect-uri https://shop.example/cb";
    let settings = "--setting code_lifetime=30 --setting audience=[\"a\"] --audience b";
    does(folder, FILE, &format!("{add} {settings}"));
    let shown = does(folder, FILE, "client show shop");
    assert!(shown.contains("code_lifetime: 30"), "{shown}");
    assert!(shown.contains(r#"audience: ["a","b"]"#), "{shown}");
    let (code, _, why) = says(folder, FILE, &format!("{add} --setting colour=red"));
    assert_eq!((code, why.contains("code_lifetime")), (Some(64), true), "{why}");
}

#[test]
fn events_of_a_kind_a_person_or_a_client_that_is_unknown_are_not_passed_over_in_silence() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    does(folder, FILE, "user add ada --sub a1");
    for (line, word) in [
        ("events --event signed_up", "signed_in, "),
        ("events --event tokens_issued", "in the log of the servers only"),
    ] {
        let (code, _, why) = says(folder, FILE, line);
        assert_eq!((code, why.contains(word)), (Some(64), true), "{line}: {why}");
    }
    let (code, _, why) = says(folder, FILE, "events --user no+body");
    assert_eq!((code, &*why), (Some(1), "there is no user no body"));
    assert!(notes(folder, "events --user nobody").starts_with("note: there is no user nobody"));
    assert_eq!(notes(folder, "events --client shop"), "note: there is no client shop");
    assert!(
        notes(folder, "events --user ada --event signed_in").starts_with("note: nothing since")
    );
    assert_eq!(notes(folder, "events --user ada"), "");
    assert!(does(folder, FILE, "events --help").contains("account_locked"));
}

#[test]
fn keys_say_what_happened_and_when_it_counts_and_a_backup_where_its_key_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let made = does(folder, FILE, "keys generate");
    assert!(made.contains("keys/signing.pem") && made.contains("SIGHUP"), "{made}");
    let made = does(folder, &[], "keys generate");
    assert!(made.contains("already") && !made.contains("SIGHUP"), "{made}");
    does(folder, FILE, "keys list");
    let rotated = does(folder, FILE, "keys rotate");
    let (first, list) = rotated.split_once('\n').expect("two parts");
    let kid = first.strip_prefix("made a new RS256 key, ").and_then(|it| it.split_once(": "));
    let (kid, rest) = kid.unwrap_or_else(|| panic!("{rotated}"));
    let at = rest.rsplit_once("takes over at ").expect("a moment").1;
    let line = list.lines().find(|line| line.contains(kid)).expect("the key");
    assert!(line.contains("published") && line.contains(at), "{rotated}");

    let saved = does(folder, FILE, "backup --out all.bak");
    assert!(
        saved.contains("SECRET_KEY of now only, which was made and is in keys/secret"),
        "{saved}"
    );
    fs::remove_file(folder.join("keys/secret")).expect("removed");
    let (code, _, why) = says(folder, &[("STORE_URL", "file:./other")], "restore --in all.bak");
    assert_eq!(code, Some(1), "{why}");
    assert!(why.contains("No SECRET_KEY is set here, so keys/secret"), "{why}");
}
