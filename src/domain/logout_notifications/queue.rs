//! The queue: an index of the deliveries to send, by the moment each is due, and one of those that were given up. Like
//! every index they may list too many: an entry is added before the record is written.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::delivery::{
    CLAIM_LEASE, Delivery, DeliveryOutcome, DeliveryState, FAILED_RETENTION, key,
};
use crate::domain::clients::ClientId;
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{Partition, RawKey, Store, StoreError};

/// A delivery that this server has claimed.
#[derive(Clone, Debug)]
pub struct ClaimedDelivery {
    pub delivery: Delivery,
    /// Identifies the client among those that a delivery is being sent to.
    pub tag: String,
    index_entry: String,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DeliveryResult {
    /// It was delivered.
    Done,
    /// Another attempt will follow.
    WillRetry,
    /// No other will follow.
    GivenUp,
}

/// Deliveries in the queue; further ones are dropped, and counted.
pub(super) const MAX_QUEUED: usize = 5_000;

/// Of those, the ones for one client: one that does not respond must not fill the queue.
pub(super) const MAX_QUEUED_PER_CLIENT: usize = 500;

fn pending_index() -> RawKey {
    RawKey::new(Partition::new("logout-deliveries"), "pending.v1", None)
}

fn failed_index() -> RawKey {
    RawKey::new(Partition::new("logout-deliveries"), "failed.v1", None)
}

/// A digest of the client's id in each entry, so that busy clients are skipped without reading each record.
fn tag(client: &ClientId) -> String {
    Digest::of(client.as_str().as_bytes()).to_hex()[..16].to_owned()
}

fn index_entry(at: UnixTime, delivery: Uuid, tag: &str) -> String {
    format!("{:016x}.{}.{tag}", at.as_millis(), delivery.simple())
}

fn parse_index_entry(name: &str) -> Option<(Uuid, &str)> {
    let (_, rest) = name.split_once('.')?;
    let (id, tag) = rest.split_once('.')?;
    Some((Uuid::parse_str(id).ok()?, tag))
}

/// How full the queue is, read once for all deliveries of one logout.
pub(super) struct QueueCapacity {
    waiting: Vec<String>,
}

impl QueueCapacity {
    pub(super) async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        Ok(Self { waiting: store.scan_index(&pending_index(), "", MAX_QUEUED).await? })
    }

    /// Adds a delivery; `false` if the queue is full.
    pub(super) async fn enqueue(
        &mut self,
        store: &dyn Store,
        delivery: Delivery,
    ) -> Result<bool, StoreError> {
        let tag = tag(&delivery.client);
        let same = self.waiting.iter().filter(|name| name.ends_with(&tag)).count();
        if self.waiting.len() >= MAX_QUEUED || same >= MAX_QUEUED_PER_CLIENT {
            return Ok(false);
        }
        let name = index_entry(delivery.queued_at, delivery.id, &tag);
        store.index_add(&pending_index(), &name).await?;
        store.put(&delivery).await?;
        self.waiting.push(name);
        Ok(true)
    }
}

/// How many are waiting or being sent.
pub async fn count_pending(store: &dyn Store) -> Result<usize, StoreError> {
    Ok(store.scan_index(&pending_index(), "", MAX_QUEUED).await?.len())
}

/// Claims the next delivery that is due and whose client is not `busy`: a client that responds slowly delays no other.
pub async fn claim_next(
    store: &dyn Store,
    busy: &BTreeSet<String>,
    now: UnixTime,
) -> Result<Option<ClaimedDelivery>, StoreError> {
    const PAGE: usize = 500;
    let later = format!("{:016x}", now.as_millis().saturating_add(1));
    let mut after = String::new();
    loop {
        let names = store.scan_index(&pending_index(), &after, PAGE).await?;
        for name in names.iter().take_while(|name| **name < later) {
            match parse_index_entry(name) {
                Some((_, tag)) if busy.contains(tag) => {}
                Some((id, tag)) => {
                    if let Some(claim) = claim(store, name, id, tag, now).await? {
                        return Ok(Some(claim));
                    }
                }
                None => store.index_remove(&pending_index(), name).await?,
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
) -> Result<Option<ClaimedDelivery>, StoreError> {
    let leased = index_entry(now.plus(CLAIM_LEASE), id, tag);
    store.index_add(&pending_index(), &leased).await?;
    let step = |held: &mut Delivery| (held.claim(now), held.clone());
    let stands = match store.update(&key(id), step).await? {
        Some((true, delivery)) => {
            store.index_remove(&pending_index(), name).await?;
            return Ok(Some(ClaimedDelivery {
                delivery,
                tag: tag.to_owned(),
                index_entry: leased,
            }));
        }
        Some((false, delivery)) => {
            if let DeliveryState::Failed { at, .. } = delivery.state {
                index_failed(store, at, id, tag, now).await?;
            }
            // Another server was faster: its entry stays.
            delivery.due_at().map(|at| index_entry(at, id, tag))
        }
        None => None,
    };
    for stale in [name, &leased] {
        if stands.as_deref() != Some(stale) {
            store.index_remove(&pending_index(), stale).await?;
        }
    }
    Ok(None)
}

/// Stores the outcome of an attempt.
pub async fn complete(
    store: &dyn Store,
    claim: &ClaimedDelivery,
    outcome: DeliveryOutcome,
    now: UnixTime,
) -> Result<DeliveryResult, StoreError> {
    let id = claim.delivery.id;
    let refused = match outcome {
        DeliveryOutcome::Delivered => {
            store.remove(&key(id)).await?;
            store.index_remove(&pending_index(), &claim.index_entry).await?;
            return Ok(DeliveryResult::Done);
        }
        DeliveryOutcome::Refused => true,
        DeliveryOutcome::Unreachable => false,
    };
    // The index first: with what the record will say.
    let mut next = claim.delivery.clone();
    next.reschedule(refused, now);
    match next.state {
        DeliveryState::Waiting { at } | DeliveryState::Sending { until: at } => {
            store.index_add(&pending_index(), &index_entry(at, id, &claim.tag)).await?;
        }
        DeliveryState::Failed { at, .. } => index_failed(store, at, id, &claim.tag, now).await?,
    }
    let ours = claim.delivery.state;
    let step = |held: &mut Delivery| {
        // If this attempt took longer than its lease, another server may have claimed it by now.
        if held.state == ours {
            held.reschedule(refused, now);
        }
    };
    store.update(&key(id), step).await?;
    store.index_remove(&pending_index(), &claim.index_entry).await?;
    Ok(if next.due_at().is_some() { DeliveryResult::WillRetry } else { DeliveryResult::GivenUp })
}

/// Adds a failure to the index, and removes up to four that have expired.
async fn index_failed(
    store: &dyn Store,
    at: UnixTime,
    id: Uuid,
    tag: &str,
    now: UnixTime,
) -> Result<(), StoreError> {
    store.index_add(&failed_index(), &index_entry(at, id, tag)).await?;
    let forgotten = format!("{:016x}", now.minus(FAILED_RETENTION).as_millis());
    for name in store.scan_index(&failed_index(), "", 4).await? {
        if *name < *forgotten {
            store.index_remove(&failed_index(), &name).await?;
        }
    }
    Ok(())
}

/// The deliveries that are waiting or were given up within a day, the oldest first; for the command line.
pub async fn list(store: &dyn Store) -> Result<Vec<Delivery>, StoreError> {
    let mut found: Vec<Delivery> = Vec::new();
    for index in [failed_index(), pending_index()] {
        for name in store.scan_index(&index, "", MAX_QUEUED).await? {
            let Some((id, _)) = parse_index_entry(&name) else { continue };
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
