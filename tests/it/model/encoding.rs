//! What is written can be read, and nothing that is written gives a secret away.

use std::fmt::Debug;

use latchkey::domain::authorization_request::StoredRequest;
use latchkey::domain::clients::{Client, ClientId};
use latchkey::domain::consent::Consent;
use latchkey::domain::epoch::EpochRecord;
use latchkey::domain::grants::{
    AccessTokenId, Grant, GrantId, OpaqueToken, RefreshToken, TokenKind,
};
use latchkey::domain::interactions::Interaction;
use latchkey::domain::sessions::Session;
use latchkey::domain::token_claims::RevokedToken;
use latchkey::domain::users::User;
use latchkey::infra::secret::{Digest, Secret, base64url};
use latchkey::infra::secret_key::{MacPurpose, SecretKey};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::runner::Runner;
use crate::support::test_server::{PASSWORD, SECRET_KEY};

/// **13, encoding.** `parse∘print = id` for all record types; what is stored never contains a secret, and
/// neither does what a programmer sees of it.
pub fn records_read_back(player: &Runner) -> Result<(), String> {
    let mut secrets: Vec<&str> = player.secrets.iter().map(String::as_str).collect();
    secrets.push(PASSWORD);
    secrets.extend(player.harness.applications.iter().map(|it| &*it.secret));
    for (key, bytes) in player.harness.recorder.records() {
        judge(&key, &bytes, &secrets)?;
    }
    Ok(())
}

/// One record as it stands in the store under that key.
pub fn judge(key: &str, bytes: &[u8], secrets: &[&str]) -> Result<(), String> {
    let name = key.split_once('}').map_or(key, |(_, name)| name);
    let shown = match name.split('/').next().unwrap_or_default() {
        "grant.v1" => reads_back::<Grant>(bytes),
        "epoch.v1" => reads_back::<EpochRecord>(bytes),
        "user.v1" => reads_back::<User>(bytes),
        "session.v1" => reads_back::<Session>(bytes),
        "consent.v1" => reads_back::<Consent>(bytes),
        "client.v1" => reads_back::<Client>(bytes),
        "interaction.v1" => reads_back::<Interaction>(bytes),
        "kept-request.v1" => reads_back::<StoredRequest>(bytes),
        "revoked.v1" => reads_back::<RevokedToken>(bytes),
        // Known only to those that write them.
        _ => reads_back::<Value>(bytes),
    };
    let shown = shown.map_err(|why| format!("invariant 13 is broken: {key} {why}"))?;
    let stored = String::from_utf8_lossy(bytes);
    match secrets.iter().find(|secret| shown.contains(**secret) || stored.contains(**secret)) {
        Some(secret) => Err(format!("invariant 13 is broken: {key} shows {secret}")),
        None => Ok(()),
    }
}

/// As a programmer sees it, if it is written as it was read.
fn reads_back<R: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) -> Result<String, String> {
    let record: R =
        serde_json::from_slice(bytes).map_err(|why| format!("does not parse: {why}"))?;
    let again = serde_json::to_vec(&record).map_err(|why| why.to_string())?;
    let same = |one: &[u8], other: &[u8]| {
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
        read(one) == read(other)
    };
    if same(&again, bytes) { Ok(format!("{record:?}")) } else { Err("is written otherwise".into()) }
}

/// Whether a programmer who looks at it does not see the text.
fn hides(it: &impl Debug, text: &str) -> bool {
    !format!("{it:?}").contains(text)
}

fn ids() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn secrets() -> impl Strategy<Value = Secret> {
    any::<[u8; 32]>().prop_map(|bytes| Secret::parse(&base64url(&bytes)).expect("32 bytes"))
}

/// The text with one character changed into another that may stand there.
fn changed(text: &str, at: usize, by: char) -> Option<String> {
    let at = at % text.len();
    let other = format!("{}{by}{}", &text[..at], &text[at + 1..]);
    (other != text).then_some(other)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn codes_and_opaque_tokens_read_back_and_only_as_what_they_are(
        grant in ids(), secret in secrets(), at in 0..200_usize, by in "[A-Za-z0-9_.-]",
    ) {
        let handle = OpaqueToken { grant: GrantId(grant), secret };
        for (used, other) in [(TokenKind::Code, TokenKind::Access), (TokenKind::Access, TokenKind::Code)] {
            let text = handle.render(used);
            let read = OpaqueToken::parse(used, &text).expect("our own");
            prop_assert_eq!(read.render(used), &*text);
            prop_assert!(OpaqueToken::parse(other, &text).is_none());
            prop_assert!(hides(&handle, &handle.secret.reveal()));
            if let Some(changed) = changed(&text, at, by.chars().next().expect("one")) {
                // Two spellings of one thing would be two keys to one door.
                let read = OpaqueToken::parse(used, &changed).map(|read| read.render(used));
                prop_assert!(read.is_none_or(|read| read == changed && read != text));
            }
        }
    }

    #[test]
    fn refresh_tokens_read_back_for_their_client_and_no_change_survives(
        grant in ids(), generation: u64, at in 0..200_usize, by in "[A-Za-z0-9_.-]",
    ) {
        let key = SecretKey::from_text(SECRET_KEY).expect("long").mac_key(MacPurpose::RefreshToken);
        let client = |id: &str| ClientId::parse(id).expect("an id");
        let token = RefreshToken { grant: GrantId(grant), generation };
        let text = token.render(&client("shop"), &key);
        prop_assert_eq!(RefreshToken::parse(&text, &client("shop"), &key), Some(token));
        prop_assert_eq!(RefreshToken::parse(&text, &client("forum"), &key), None);
        if let Some(changed) = changed(&text, at, by.chars().next().expect("one")) {
            prop_assert_eq!(RefreshToken::parse(&changed, &client("shop"), &key), None);
        }
        prop_assert!(hides(&key, SECRET_KEY));
    }

    #[test]
    fn access_ids_cookies_and_digests_read_back(grant in ids(), token in ids(), secret in secrets()) {
        for grant in [None, Some(GrantId(grant))] {
            let id = AccessTokenId { grant, token };
            prop_assert_eq!(AccessTokenId::parse(&id.to_string()), Some(id));
        }
        let cookie = secret.reveal();
        prop_assert_eq!(Secret::parse(&cookie).expect("ours").reveal(), &*cookie);
        prop_assert!(hides(&secret, &cookie));
        let digest = secret.digest();
        prop_assert_eq!(Digest::from_base64url(&digest.to_base64url()), Some(digest));
        let full = digest.to_base64url();
        prop_assert!(hides(&digest, &full));
    }
}
