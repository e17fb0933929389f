use uuid::Uuid;

use super::{Grant, GrantId, Standing, Why};
use crate::domain::clients::ClientId;
use crate::domain::epoch;
use crate::domain::epoch::Owner;
use crate::domain::logout_notifications;
use crate::domain::sessions;
use crate::domain::users;
use crate::infra::clock::UnixTime;
use crate::infra::store::{RawKey, Store, StoreError, Transaction};
use crate::protocol::Subject;

/// A person's grants, by the moment at which each may be forgotten if nothing more comes of it.
fn index(sub: &Subject) -> RawKey {
    RawKey::new(users::partition(sub), "grants.v1", None)
}

/// Lists a new grant under the end it has now: that of its code, if it has one. The index as a whole has to
/// last until everything that can come of the grant is over.
pub(super) async fn list(
    store: &dyn Store,
    (sub, grant): (&Subject, &Grant),
    until: UnixTime,
    now: UnixTime,
) -> Result<(), StoreError> {
    let index = index(sub);
    let end = grant.forgotten_at();
    let of_index = until.plus(Grant::AFTERLIFE).max(end);
    store.index_add_until(&index, &listing(grant.id, end), of_index).await?;
    prune(store, &index, now).await
}

/// Looks after the oldest listings whose time has come, up to four with each new grant: what is forgotten goes,
/// and what lives on, because its code was redeemed, is listed under the end it has by now. So the index is as
/// long as the grants that live, however many codes nobody came for.
async fn prune(store: &dyn Store, index: &RawKey, now: UnixTime) -> Result<(), StoreError> {
    let due = format!("{:016x}", now.as_millis());
    for name in store.scan_index(index, "", 4).await?.into_iter().take_while(|name| **name < *due) {
        let grant = match named(&name) {
            Some(id) => super::find(store, id).await?,
            None => None,
        };
        let mut change =
            Transaction::within(index.partition().clone()).index_remove(index.clone(), name);
        if let Some(grant) = grant.filter(|grant| now < grant.forgotten_at()) {
            let end = grant.forgotten_at();
            change = change.index_add_until(index.clone(), listing(grant.id, end), end);
        }
        // Nothing is expected of what is there, so there is nothing to conflict with.
        let _committed = store.commit(change).await?;
    }
    Ok(())
}

fn listing(id: GrantId, end: UnixTime) -> String {
    format!("{:016x}.{}", end.as_millis(), id.0.simple())
}

fn named(listing: &str) -> Option<GrantId> {
    let (_, id) = listing.split_once('.')?;
    Uuid::try_parse(id).ok().map(GrantId)
}

/// How much of a person's was ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CutOff {
    /// Browsers that were signed in.
    pub sessions: usize,
    /// Grants that still stood, each with its code and tokens.
    pub grants: usize,
}

/// Ends everything a person has open: every session, and every grant whoever it was given to. After a
/// new password nothing goes on that began with the old one ([OWASP ASVS 7.4.3]), and a person who was
/// disabled finds nothing open when let back in.
///
/// The [epoch](crate::domain::epoch) ends it all; call this after the change that is the reason. What is listed is then
/// ended one by one as well, so that it is over at once on every server and can be counted.
///
/// [OWASP ASVS 7.4.3]: https://github.com/OWASP/ASVS/blob/v5.0.0/5.0/en/0x16-V7-Session-Management.md
pub async fn cut_off(
    store: &dyn Store,
    sub: &Subject,
    now: UnixTime,
) -> Result<CutOff, StoreError> {
    epoch::raise(store, &Owner::User(sub.clone()), now).await?;
    let ended = sessions::end_all(store, sub).await?;
    let grants = revoke_all(store, sub, now).await?;
    for session in &ended {
        // The couriers of a running server find what is queued.
        let told = logout_notifications::tell(store, session.sid, now).await?;
        for client in &told.dropped {
            tracing::warn!(client = client.as_str(), "no room to tell a client of a logout");
        }
    }
    Ok(CutOff { sessions: ended.len(), grants })
}

/// Ends every grant of a person to one client that is listed, and says how many still stood. Taking the
/// consent back ([`consents::withdraw`](crate::domain::consent::withdraw)) has raised its epoch before.
pub async fn end_given_to(
    store: &dyn Store,
    sub: &Subject,
    client: &ClientId,
    now: UnixTime,
) -> Result<usize, StoreError> {
    let mut ended = 0;
    for (id, _) in listed(store, sub).await? {
        if super::find(store, id).await?.is_none_or(|grant| grant.client != *client) {
            continue;
        }
        ended +=
            usize::from(super::update(store, id, |grant| cut(grant, now)).await?.unwrap_or(false));
    }
    Ok(ended)
}

/// Ends a grant, and says whether it still stood.
fn cut(grant: &mut Grant, now: UnixTime) -> bool {
    let stood = grant.standing == Standing::Good && now < grant.ends_at;
    grant.revoke(now, Why::CutOff);
    stood
}

/// Revokes what is listed, and takes it off the list: of a person who is removed nothing stays behind.
async fn revoke_all(store: &dyn Store, sub: &Subject, now: UnixTime) -> Result<usize, StoreError> {
    let index = index(sub);
    let mut grants = 0;
    loop {
        let listings = store.scan_index(&index, "", 200).await?;
        if listings.is_empty() {
            return Ok(grants);
        }
        for listing in listings {
            if let Some(id) = named(&listing) {
                let step = |grant: &mut Grant| cut(grant, now);
                grants += usize::from(super::update(store, id, step).await?.unwrap_or(false));
            }
            store.index_remove(&index, &listing).await?;
        }
    }
}

/// The grants of a person, each with the moment it is listed under. The list may have some too many.
pub async fn listed(
    store: &dyn Store,
    sub: &Subject,
) -> Result<Vec<(GrantId, UnixTime)>, StoreError> {
    let (mut grants, mut after) = (Vec::new(), String::new());
    loop {
        let listings = store.scan_index(&index(sub), &after, 200).await?;
        let Some(last) = listings.last().cloned() else { return Ok(grants) };
        grants.extend(listings.iter().filter_map(|listing| {
            let until = u64::from_str_radix(listing.split_once('.')?.0, 16).ok()?;
            Some((named(listing)?, UnixTime::from_millis(until)))
        }));
        after = last;
    }
}
