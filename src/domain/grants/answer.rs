//! A grant that answers an authorization request, once or several times.

use super::{Code, Grant, Standing, person, stored};
use crate::infra::clock::UnixTime;
use crate::infra::store::{CreateOutcome, Store, StoreError};

/// What became of a grant that was to be filed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Filed {
    /// It is filed; or it was before, and its code can still be redeemed.
    Good,
    /// It was filed before, and its code has been redeemed, or is over.
    Spent,
}

/// Files the grant of an authorization. One that answers an interaction follows from it, and may have been
/// filed before: then it stays as it is, but for the access tokens that go with this answer. `until` as for
/// [`file`](super::file).
pub async fn file_answer(
    store: &dyn Store,
    grant: &Grant,
    until: UnixTime,
    now: UnixTime,
) -> Result<Filed, StoreError> {
    if let Some(person) = &grant.person {
        person::list(store, (&person.sub, grant), until, now).await?;
    }
    if stored::create(store, grant).await? == CreateOutcome::Created {
        return Ok(Filed::Good);
    }
    let step = |held: &mut Grant| held.take_in(grant, now);
    Ok(stored::update(store, grant.id, step).await?.unwrap_or(Filed::Spent))
}

impl Grant {
    /// The same grant once more, with the access tokens that go with this answer.
    fn take_in(&mut self, again: &Self, now: UnixTime) -> Filed {
        let same = match (&self.code, &again.code) {
            (
                Some(Code::Issued { secret, expires_at, .. }),
                Some(Code::Issued { secret: shown, .. }),
            ) => secret == shown && now < *expires_at,
            (
                None | Some(Code::Issued { .. } | Code::Redeemed { .. }),
                None | Some(Code::Issued { .. } | Code::Redeemed { .. }),
            ) => false,
        };
        let stands = same && self.standing == Standing::Good && self.client == again.client;
        let mut tokens = again.opaque.iter();
        if stands && tokens.all(|token| self.remember(token.clone(), now).is_ok()) {
            self.ends_at = self.ends_at.max(again.ends_at);
            return Filed::Good;
        }
        Filed::Spent
    }
}
