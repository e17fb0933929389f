//! The queue: an index of what is still to be sent, by the moment it is due, and one of what was given
//! up. As every index they may list too much: a name is linked before the record says so.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::delivery::{Delivery, KEPT, LEASE, Outcome, State, key};
use crate::domain::clients::ClientId;
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{Partition, RawKey, Store, StoreError};

/// A delivery that is ours to try.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What to send.
    pub delivery: Delivery,
    /// Names the client, for the set of those that are being told.
    pub tag: String,
    listing: String,
}

/// What became of a try.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Settled {
    /// The client knows.
    Done,
    /// There will be another.
    Again,
    /// There will be none.
    GivenUp,
}

/// The most deliveries that wait at once; what comes on top is dropped, and counted.
pub(super) const MOST: usize = 5_000;

/// The most of them for one client: one that does not answer must not take the room of the others.
pub(super) const MOST_FOR_ONE: usize = 500;

fn pending() -> RawKey {
    RawKey::new(Partition::new("logout-deliveries"), "pending.v1", None)
}

fn failed() -> RawKey {
    RawKey::new(Partition::new("logout-deliveries"), "failed.v1", None)
}

/// Enough of the client's id to pass over those that are being told without reading each record.
fn tag(client: &ClientId) -> String {
    Digest::of(client.as_str().as_bytes()).to_hex()[..16].to_owned()
}

fn listing(at: UnixTime, delivery: Uuid, tag: &str) -> String {
    format!("{:016x}.{}.{tag}", at.as_millis(), delivery.simple())
}

fn read_listing(name: &str) -> Option<(Uuid, &str)> {
    let (_, rest) = name.split_once('.')?;
    let (id, tag) = rest.split_once('.')?;
    Some((Uuid::parse_str(id).ok()?, tag))
}

/// The room there is, looked at once for all deliveries of one logout.
pub(super) struct Room {
    waiting: Vec<String>,
}

impl Room {
    pub(super) async fn look(store: &dyn Store) -> Result<Self, StoreError> {
        Ok(Self { waiting: store.scan_index(&pending(), "", MOST).await? })
    }

    /// Adds a delivery; `false` if there is no room for it.
    pub(super) async fn take(
        &mut self,
        store: &dyn Store,
        delivery: Delivery,
    ) -> Result<bool, StoreError> {
        let tag = tag(&delivery.client);
        let same = self.waiting.iter().filter(|name| name.ends_with(&tag)).count();
        if self.waiting.len() >= MOST || same >= MOST_FOR_ONE {
            return Ok(false);
        }
        let name = listing(delivery.queued_at, delivery.id, &tag);
        store.index_add(&pending(), &name).await?;
        store.put(&delivery).await?;
        self.waiting.push(name);
        Ok(true)
    }
}

/// How many wait, or are on their way.
pub async fn count_pending(store: &dyn Store) -> Result<usize, StoreError> {
    Ok(store.scan_index(&pending(), "", MOST).await?.len())
}

/// Takes the next delivery that is due and whose client is not `busy`: one that answers slowly holds up
/// no other.
pub async fn claim_next(
    store: &dyn Store,
    busy: &BTreeSet<String>,
    now: UnixTime,
) -> Result<Option<Claim>, StoreError> {
    const PAGE: usize = 500;
    let later = format!("{:016x}", now.as_millis().saturating_add(1));
    let mut after = String::new();
    loop {
        let names = store.scan_index(&pending(), &after, PAGE).await?;
        for name in names.iter().take_while(|name| **name < later) {
            match read_listing(name) {
                Some((_, tag)) if busy.contains(tag) => {}
                Some((id, tag)) => {
                    if let Some(claim) = claim(store, name, id, tag, now).await? {
                        return Ok(Some(claim));
                    }
                }
                None => store.index_remove(&pending(), name).await?,
            }
        }
        match names.last() {
            Some(last) if names.len() == PAGE && **last < *later => after.clone_from(last),
            Some(_) | None => return Ok(None),
        }
    }
}

async fn claim(
    store: &dyn Store,
    name: &str,
    id: Uuid,
    tag: &str,
    now: UnixTime,
) -> Result<Option<Claim>, StoreError> {
    let leased = listing(now.plus(LEASE), id, tag);
    store.index_add(&pending(), &leased).await?;
    let step = |held: &mut Delivery| (held.claim(now), held.clone());
    let stands = match store.update(&key(id), step).await? {
        Some((true, delivery)) => {
            store.index_remove(&pending(), name).await?;
            return Ok(Some(Claim { delivery, tag: tag.to_owned(), listing: leased }));
        }
        Some((false, delivery)) => {
            if let State::Failed { at, .. } = delivery.state {
                file_failed(store, at, id, tag, now).await?;
            }
            // Another server was faster: the name it gave stays.
            delivery.due_at().map(|at| listing(at, id, tag))
        }
        None => None,
    };
    for stale in [name, &leased] {
        if stands.as_deref() != Some(stale) {
            store.index_remove(&pending(), stale).await?;
        }
    }
    Ok(None)
}

/// Notes how a try went.
pub async fn settle(
    store: &dyn Store,
    claim: &Claim,
    outcome: Outcome,
    now: UnixTime,
) -> Result<Settled, StoreError> {
    let id = claim.delivery.id;
    let refused = match outcome {
        Outcome::Told => {
            store.remove(&key(id)).await?;
            store.index_remove(&pending(), &claim.listing).await?;
            return Ok(Settled::Done);
        }
        Outcome::Refused => true,
        Outcome::NotReached => false,
    };
    // The index first: with what the record will say.
    let mut next = claim.delivery.clone();
    next.put_off(refused, now);
    match next.state {
        State::Waiting { at } | State::Sending { until: at } => {
            store.index_add(&pending(), &listing(at, id, &claim.tag)).await?;
        }
        State::Failed { at, .. } => file_failed(store, at, id, &claim.tag, now).await?,
    }
    let ours = claim.delivery.state;
    let step = |held: &mut Delivery| {
        // Somebody else's try by now, if ours took longer than its lease.
        if held.state == ours {
            held.put_off(refused, now);
        }
    };
    store.update(&key(id), step).await?;
    store.index_remove(&pending(), &claim.listing).await?;
    Ok(if next.due_at().is_some() { Settled::Again } else { Settled::GivenUp })
}

/// Lists a failure, and takes out up to four that are forgotten.
async fn file_failed(
    store: &dyn Store,
    at: UnixTime,
    id: Uuid,
    tag: &str,
    now: UnixTime,
) -> Result<(), StoreError> {
    store.index_add(&failed(), &listing(at, id, tag)).await?;
    let forgotten = format!("{:016x}", now.minus(KEPT).as_millis());
    for name in store.scan_index(&failed(), "", 4).await? {
        if *name < *forgotten {
            store.index_remove(&failed(), &name).await?;
        }
    }
    Ok(())
}

/// What waits and what was given up within a day, the oldest first; for the command line.
pub async fn list(store: &dyn Store) -> Result<Vec<Delivery>, StoreError> {
    let mut found: Vec<Delivery> = Vec::new();
    for index in [failed(), pending()] {
        for name in store.scan_index(&index, "", MOST).await? {
            let Some((id, _)) = read_listing(&name) else { continue };
            match store.load(&key(id)).await? {
                Some(held) if found.iter().all(|it| it.id != id) => found.push(held.record),
                Some(_) => {}
                None => store.index_remove(&index, &name).await?,
            }
        }
    }
    found.sort_by_key(|it| it.queued_at);
    Ok(found)
}
