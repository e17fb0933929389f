use uuid::Uuid;

use super::{Grant, GrantId, GrantStatus, RevocationReason};
use crate::domain::clients::ClientId;
use crate::domain::epoch;
use crate::domain::epoch::EpochOwner;
use crate::domain::logout_notifications;
use crate::domain::sessions;
use crate::domain::users;
use crate::infra::clock::UnixTime;
use crate::infra::store::{RawKey, Store, StoreError, Transaction};
use crate::protocol::Subject;

/// The index of a user's grants, by the moment at which each may be deleted.
fn index(sub: &Subject) -> RawKey {
    RawKey::new(users::partition(sub), "grants.v1", None)
}

/// Adds a new grant under the end it has now: that of its code, if it has one. The index as a whole has to last until
/// everything that can be issued for the grant has ended.
pub(super) async fn index_add(
    store: &dyn Store,
    (sub, grant): (&Subject, &Grant),
    until: UnixTime,
    now: UnixTime,
) -> Result<(), StoreError> {
    let index = index(sub);
    let end = grant.retention_end();
    let of_index = until.plus(Grant::REPLAY_RETENTION).max(end);
    store.index_add_until(&index, &index_entry(grant.id, end), of_index).await?;
    prune_index(store, &index, now).await
}

/// Prunes up to four of the oldest entries that are due, with each new grant: a deleted grant is removed, and one
/// that lives on because its code was redeemed is listed under its new end. So the index is as long as there are live
/// grants, however many codes were never redeemed.
async fn prune_index(store: &dyn Store, index: &RawKey, now: UnixTime) -> Result<(), StoreError> {
    let due = format!("{:016x}", now.as_millis());
    for name in store.scan_index(index, "", 4).await?.into_iter().take_while(|name| **name < *due) {
        let grant = match parse_index_entry(&name) {
            Some(id) => super::find(store, id).await?,
            None => None,
        };
        let mut change =
            Transaction::within(index.partition().clone()).index_remove(index.clone(), name);
        if let Some(grant) = grant.filter(|grant| now < grant.retention_end()) {
            let end = grant.retention_end();
            change = change.index_add_until(index.clone(), index_entry(grant.id, end), end);
        }
        // It has no precondition, so it cannot conflict.
        let _committed = store.commit(change).await?;
    }
    Ok(())
}

fn index_entry(id: GrantId, end: UnixTime) -> String {
    format!("{:016x}.{}", end.as_millis(), id.0.simple())
}

fn parse_index_entry(listing: &str) -> Option<GrantId> {
    let (_, id) = listing.split_once('.')?;
    Uuid::try_parse(id).ok().map(GrantId)
}

/// What was ended of a user.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RevokedCounts {
    /// Sessions.
    pub sessions: usize,
    /// Grants that were active, each with its code and tokens.
    pub grants: usize,
}

/// Ends every session and every grant of a user. After a new password nothing goes on that began with the old one
/// ([OWASP ASVS 7.4.3]), and a user who is enabled again finds nothing open.
///
/// The [epoch](crate::domain::epoch) ends it all; call this after the change that is the reason. What is listed is then
/// ended one by one as well, so that it is over at once on every server and can be counted.
///
/// [OWASP ASVS 7.4.3]: https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md
pub async fn revoke_all_for_subject(
    store: &dyn Store,
    sub: &Subject,
    now: UnixTime,
) -> Result<RevokedCounts, StoreError> {
    epoch::raise(store, &EpochOwner::User(sub.clone()), now).await?;
    let ended = sessions::end_all_for_subject(store, sub).await?;
    let grants = revoke_all(store, sub, now).await?;
    for session in &ended {
        // The logout workers of a running server find what is queued.
        let notifications = logout_notifications::notify(store, session.sid, now).await?;
        for client in &notifications.dropped {
            tracing::warn!(client = client.as_str(), "no room to tell a client of a logout");
        }
    }
    Ok(RevokedCounts { sessions: ended.len(), grants })
}

/// Revokes every indexed grant of a user to one client, and returns how many were active. Taking the
/// consent back ([`consents::withdraw`](crate::domain::consent::withdraw)) has raised its epoch before.
pub async fn revoke_for_client(
    store: &dyn Store,
    sub: &Subject,
    client: &ClientId,
    now: UnixTime,
) -> Result<usize, StoreError> {
    let mut ended = 0;
    for (id, _) in list_for_subject(store, sub).await? {
        if super::find(store, id).await?.is_none_or(|grant| grant.client != *client) {
            continue;
        }
        ended += usize::from(
            super::update(store, id, |grant| revoke_if_active(grant, now)).await?.unwrap_or(false),
        );
    }
    Ok(ended)
}

/// Revokes a grant, and answers whether it was active.
fn revoke_if_active(grant: &mut Grant, now: UnixTime) -> bool {
    let stood = grant.status == GrantStatus::Active && now < grant.ends_at;
    grant.revoke(now, RevocationReason::CutOff);
    stood
}

/// Revokes every grant in the index, and removes it from the index: nothing stays behind of a removed user.
async fn revoke_all(store: &dyn Store, sub: &Subject, now: UnixTime) -> Result<usize, StoreError> {
    let index = index(sub);
    let mut grants = 0;
    loop {
        let listings = store.scan_index(&index, "", 200).await?;
        if listings.is_empty() {
            return Ok(grants);
        }
        for listing in listings {
            if let Some(id) = parse_index_entry(&listing) {
                let step = |grant: &mut Grant| revoke_if_active(grant, now);
                grants += usize::from(super::update(store, id, step).await?.unwrap_or(false));
            }
            store.index_remove(&index, &listing).await?;
        }
    }
}

/// The grants of a user, each with the moment it is listed under. Some of them may be deleted already.
pub async fn list_for_subject(
    store: &dyn Store,
    sub: &Subject,
) -> Result<Vec<(GrantId, UnixTime)>, StoreError> {
    let (mut grants, mut after) = (Vec::new(), String::new());
    loop {
        let listings = store.scan_index(&index(sub), &after, 200).await?;
        let Some(last) = listings.last().cloned() else { return Ok(grants) };
        grants.extend(listings.iter().filter_map(|listing| {
            let until = u64::from_str_radix(listing.split_once('.')?.0, 16).ok()?;
            Some((parse_index_entry(listing)?, UnixTime::from_millis(until)))
        }));
        after = last;
    }
}
