//! Storing the grant of an authorization response, which may be made once or several times.

use super::{CodeState, Grant, GrantStatus, by_subject, stored};
use crate::infra::clock::UnixTime;
use crate::infra::store::{CreateOutcome, Store, StoreError};

/// What storing a grant once came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum InsertOutcome {
    /// It is stored; or it was before, and its code can still be redeemed.
    Inserted,
    /// It was stored before, and its code was redeemed or has expired.
    Spent,
}

/// Stores the grant of an authorization response. The id of one that answers an interaction is derived from the
/// interaction, so it may have been stored before: then it stays as it is, and gets the access tokens of this
/// response. `until` as for [`insert`](super::insert()).
pub async fn insert_once(
    store: &dyn Store,
    grant: &Grant,
    until: UnixTime,
    now: UnixTime,
) -> Result<InsertOutcome, StoreError> {
    if let Some(person) = &grant.authentication {
        by_subject::index_add(store, (&person.sub, grant), until, now).await?;
    }
    if stored::create(store, grant).await? == CreateOutcome::Created {
        return Ok(InsertOutcome::Inserted);
    }
    let step = |held: &mut Grant| held.reissue(grant, now);
    Ok(stored::update(store, grant.id, step).await?.unwrap_or(InsertOutcome::Spent))
}

impl Grant {
    /// Adds the access tokens of `again`, which is this grant made once more for the same interaction.
    fn reissue(&mut self, again: &Self, now: UnixTime) -> InsertOutcome {
        let same = match (&self.code, &again.code) {
            (
                Some(CodeState::Issued { secret, expires_at, .. }),
                Some(CodeState::Issued { secret: shown, .. }),
            ) => secret == shown && now < *expires_at,
            (
                None | Some(CodeState::Issued { .. } | CodeState::Redeemed { .. }),
                None | Some(CodeState::Issued { .. } | CodeState::Redeemed { .. }),
            ) => false,
        };
        let stands = same && self.status == GrantStatus::Active && self.client == again.client;
        let mut tokens = again.opaque_tokens.iter();
        if stands && tokens.all(|token| self.add_opaque_token(token.clone(), now).is_ok()) {
            self.ends_at = self.ends_at.max(again.ends_at);
            return InsertOutcome::Inserted;
        }
        InsertOutcome::Spent
    }
}
