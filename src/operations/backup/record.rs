use serde::{Deserialize, Serialize};

use crate::domain::clients::{self, Client};
use crate::domain::consent::{self, Consent};
use crate::domain::development;
use crate::domain::epoch::{self, Epoch, EpochOwner};
use crate::domain::grants::{self, Grant, GrantV2};
use crate::domain::keys::RingRecord;
use crate::domain::logout_notifications::SessionClients;
use crate::domain::resources::{self, Resource};
use crate::domain::scopes::{self, StoredScope};
use crate::domain::sessions::{self, Session};
use crate::domain::users::{self, User};
use crate::infra::clock::UnixTime;
use crate::infra::store::{Record, Store, StoreError};

/// One line of a backup. The tag is the kind the record has in the store: whoever changes a record's shape
/// changes its kind, and then has to say here how the old one is read.
#[derive(Debug, Deserialize, Serialize)]
#[serde(tag = "kind", content = "record")]
pub(super) enum BackupRecord {
    #[serde(rename = "keyring.v1")]
    KeyRing(RingRecord),
    #[serde(rename = "client.v1")]
    Client(Box<RecordWithEpoch<Client>>),
    #[serde(rename = "user.v1")]
    User(Box<RecordWithEpoch<User>>),
    #[serde(rename = "consent.v1")]
    Consent(Consent),
    #[serde(rename = "scope.v1")]
    Scope(StoredScope),
    /// The release before does not read such a line, though the head of the file says so only to older ones.
    #[serde(rename = "resource.v1")]
    Resource(Resource),
    #[serde(rename = "session.v1")]
    Session(Session),
    #[serde(rename = "logout-participants.v1")]
    SessionClients(SessionClients),
    #[serde(rename = "grant.v1")]
    Grant(Box<GrantRecord>),
    /// From a store that a newer release has written to.
    #[serde(rename = "grant.v2")]
    GrantV2(Box<GrantRecord>),
}

/// A client or user, and the epoch they are in: without it a grant that is restored beside them could come to
/// life again. It is no line of its own, for an older release reads every line.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct RecordWithEpoch<R> {
    #[serde(flatten)]
    pub record: R,
    #[serde(default)]
    pub epoch: Epoch,
}

/// A grant, and until when its person's list has it.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct GrantRecord {
    pub until: UnixTime,
    pub grant: Grant,
}

/// What restoring a record does to the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RestoreAction {
    /// There was none.
    New,
    /// There was another.
    Replaced,
    /// There was this one.
    Unchanged,
    /// Its time is over, so it is left out.
    Expired,
}

impl BackupRecord {
    /// The plural that reports use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::KeyRing(_) => "key ring",
            Self::Client(_) => "clients",
            Self::User(_) => "users",
            Self::Consent(_) => "consents",
            Self::Scope(_) => "scopes",
            Self::Resource(_) => "APIs",
            Self::Session(_) => "sessions",
            Self::SessionClients(_) => "sessions to tell of",
            Self::Grant(_) | Self::GrantV2(_) => "grants",
        }
    }

    /// What restoring it would do now.
    pub async fn restore_action(
        &self,
        store: &dyn Store,
        now: UnixTime,
    ) -> Result<RestoreAction, StoreError> {
        match self {
            Self::KeyRing(ring) => match store.load(&ring.key()).await? {
                None => Ok(RestoreAction::New),
                Some(held)
                    if ring.clone().merged_with(&held.record).has_same_keys(&held.record) =>
                {
                    Ok(RestoreAction::Unchanged)
                }
                Some(_) => Ok(RestoreAction::Replaced),
            },
            Self::Client(it) => restore_action(store, &it.record, now).await,
            Self::User(it) => restore_action(store, &it.record, now).await,
            Self::Consent(consent) => restore_action(store, consent, now).await,
            Self::Scope(scope) => restore_action(store, scope, now).await,
            Self::Resource(resource) => restore_action(store, resource, now).await,
            Self::Session(session) => restore_action(store, session, now).await,
            Self::SessionClients(noted) => restore_action(store, noted, now).await,
            Self::Grant(granted) => restore_action(store, &granted.grant, now).await,
            Self::GrantV2(it) => restore_action(store, &GrantV2(it.grant.clone()), now).await,
        }
    }

    /// Makes the store hold it.
    pub async fn restore(&self, store: &dyn Store, now: UnixTime) -> Result<(), StoreError> {
        match self {
            Self::KeyRing(ring) => ring.restore(store).await,
            Self::Client(it) => {
                clients::restore(store, &it.record).await?;
                epoch::raise_to(store, &EpochOwner::Client(it.record.id.clone()), it.epoch).await
            }
            Self::User(it) => {
                if it.record.development {
                    development::mark_user(store, &it.record.sub).await?;
                }
                users::restore(store, &it.record).await?;
                epoch::raise_to(store, &EpochOwner::User(it.record.sub.clone()), it.epoch).await
            }
            Self::Consent(consent) => consent::restore(store, consent).await,
            Self::Scope(scope) => scopes::restore(store, scope).await,
            Self::Resource(resource) => resources::restore(store, resource).await,
            Self::Session(session) => sessions::restore(store, session).await,
            Self::SessionClients(noted) => store.put(noted).await,
            Self::Grant(it) | Self::GrantV2(it) => {
                grants::insert(store, &it.grant, it.until, now).await
            }
        }
    }
}

async fn restore_action<R: Record>(
    store: &dyn Store,
    record: &R,
    now: UnixTime,
) -> Result<RestoreAction, StoreError> {
    if record.delete_after().is_some_and(|at| at <= now) {
        return Ok(RestoreAction::Expired);
    }
    let Some(held) = store.load(&record.key()).await? else { return Ok(RestoreAction::New) };
    let is_same = match (serde_json::to_value(record), serde_json::to_value(&held.record)) {
        (Ok(record), Ok(held)) => record == held,
        (Err(_), _) | (_, Err(_)) => false,
    };
    Ok(if is_same { RestoreAction::Unchanged } else { RestoreAction::Replaced })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_a_line_is_the_kind_of_its_record() {
        let expected = [
            RingRecord::KIND,
            Client::KIND,
            User::KIND,
            Consent::KIND,
            StoredScope::KIND,
            Resource::KIND,
            Session::KIND,
            SessionClients::KIND,
            Grant::KIND,
            GrantV2::KIND,
        ];
        let unknown =
            serde_json::from_str::<BackupRecord>(r#"{"kind":"x","record":{}}"#).unwrap_err();
        let known = expected.map(|kind| format!("`{kind}`")).join(", ");
        assert!(unknown.to_string().contains(&known), "{unknown}");
    }
}
