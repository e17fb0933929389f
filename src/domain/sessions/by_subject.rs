use super::{Session, SessionId};
use crate::domain::users;
use crate::infra::secret::Digest;
use crate::infra::store::{RawKey, Store, StoreError};
use crate::protocol::Subject;

/// A user's sessions, by their absolute end.
fn index(sub: &Subject) -> RawKey {
    RawKey::new(users::partition(sub), "sessions.v1", None)
}

fn index_entry(session: &Session) -> String {
    format!("{:016x}.{}", session.absolute_end.as_millis(), session.id.0.to_base64url())
}

fn parse_index_entry(listing: &str) -> Option<SessionId> {
    let (_, digest) = listing.split_once('.')?;
    Digest::from_base64url(digest).map(SessionId)
}

/// Adds a session to its user's index, before it is stored, and removes up to four that have ended: the index is
/// as long as the live sessions.
pub(super) async fn index_add(store: &dyn Store, session: &Session) -> Result<(), StoreError> {
    let index = index(&session.sub);
    store.index_add_until(&index, &index_entry(session), session.absolute_end).await?;
    let present = format!("{:016x}", session.authenticated_at.as_millis());
    for over in store.scan_index(&index, "", 4).await? {
        if *over < *present {
            store.index_remove(&index, &over).await?;
        }
    }
    Ok(())
}

pub(super) async fn index_remove(store: &dyn Store, session: &Session) -> Result<(), StoreError> {
    store.index_remove(&index(&session.sub), &index_entry(session)).await
}

/// Ends every session of a user, and returns those there were.
pub async fn end_all_for_subject(
    store: &dyn Store,
    sub: &Subject,
) -> Result<Vec<Session>, StoreError> {
    let index = index(sub);
    let mut ended = Vec::new();
    loop {
        let listings = store.scan_index(&index, "", 200).await?;
        if listings.is_empty() {
            return Ok(ended);
        }
        for listing in listings {
            if let Some(id) = parse_index_entry(&listing) {
                ended.extend(super::end(store, id).await?);
            }
            store.index_remove(&index, &listing).await?;
        }
    }
}

/// The ids of a user's sessions. The index may list too many, never too few.
pub async fn list_ids(store: &dyn Store, sub: &Subject) -> Result<Vec<SessionId>, StoreError> {
    let (mut sessions, mut after) = (Vec::new(), String::new());
    loop {
        let listings = store.scan_index(&index(sub), &after, 200).await?;
        let Some(last) = listings.last().cloned() else { return Ok(sessions) };
        sessions.extend(listings.iter().filter_map(|listing| parse_index_entry(listing)));
        after = last;
    }
}
