use uuid::Uuid;

use super::{Grant, GrantId, Standing, Why};
use crate::clock::UnixTime;
use crate::epoch::Owner;
use crate::protocol::Subject;
use crate::store::{RawKey, Store, StoreError};
use crate::{epoch, logouts, sessions, users};

/// A person's grants, by the moment at which anything that can come of them is over.
fn index(sub: &Subject) -> RawKey {
    RawKey::new(users::partition(sub), "grants.v1", None)
}

pub(super) async fn list(
    store: &dyn Store,
    (sub, id): (&Subject, GrantId),
    until: UnixTime,
    now: UnixTime,
) -> Result<(), StoreError> {
    let index = index(sub);
    let listing = format!("{:016x}.{}", until.as_millis(), id.0.simple());
    store.link_until(&index, &listing, until.plus(Grant::AFTERLIFE)).await?;
    prune(store, &index, now).await
}

/// Takes the oldest listings out, if what they name is forgotten: each new grant clears up to four, so
/// the index is as long as the grants that live.
async fn prune(store: &dyn Store, index: &RawKey, now: UnixTime) -> Result<(), StoreError> {
    let forgotten = format!("{:016x}", now.minus(Grant::AFTERLIFE).as_millis());
    for listing in store.names(index, "", 4).await? {
        if *listing < *forgotten {
            store.unlink(index, &listing).await?;
        }
    }
    Ok(())
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
/// The [epoch](crate::epoch) ends it all; call this after the change that is the reason. What is listed is then
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
        let told = logouts::tell(store, session.sid, now).await?;
        for client in &told.dropped {
            tracing::warn!(client = client.as_str(), "no room to tell a client of a logout");
        }
    }
    Ok(CutOff { sessions: ended.len(), grants })
}

/// Revokes what is listed, and takes it off the list: of a person who is removed nothing stays behind.
async fn revoke_all(store: &dyn Store, sub: &Subject, now: UnixTime) -> Result<usize, StoreError> {
    let index = index(sub);
    let mut grants = 0;
    loop {
        let listings = store.names(&index, "", 200).await?;
        if listings.is_empty() {
            return Ok(grants);
        }
        for listing in listings {
            if let Some(id) = named(&listing) {
                let step = |grant: &mut Grant| {
                    let stood = grant.standing == Standing::Good && now < grant.ends_at;
                    grant.revoke(now, Why::CutOff);
                    stood
                };
                grants += usize::from(super::update(store, id, step).await?.unwrap_or(false));
            }
            store.unlink(&index, &listing).await?;
        }
    }
}

/// The grants of a person, each with the latest moment at which anything that can come of it is over. The
/// list may have some too many.
pub async fn listed(
    store: &dyn Store,
    sub: &Subject,
) -> Result<Vec<(GrantId, UnixTime)>, StoreError> {
    let (mut grants, mut after) = (Vec::new(), String::new());
    loop {
        let listings = store.names(&index(sub), &after, 200).await?;
        let Some(last) = listings.last().cloned() else { return Ok(grants) };
        grants.extend(listings.iter().filter_map(|listing| {
            let until = u64::from_str_radix(listing.split_once('.')?.0, 16).ok()?;
            Some((named(listing)?, UnixTime::from_millis(until)))
        }));
        after = last;
    }
}
