//! Clients that were granted a person's details and never ask for them: most often one that reads the ID token
//! alone, where they are not ([OpenID Connect Core §5.4]). Nothing fails then, and whoever set it up wonders
//! where the name is.
//!
//! [OpenID Connect Core §5.4]: https://openid.net/specs/openid-connect-core-1_0.html#ScopeClaims

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Client, ClientId};
use crate::infra::clock::UnixTime;
use crate::protocol::Scope;

/// Who is watched, in this process.
#[derive(Debug, Default)]
pub struct Unasked(Mutex<HashMap<ClientId, Watched>>);

/// A client since it asked last.
#[derive(Clone, Copy, Debug)]
struct Watched {
    since: UnixTime,
    sign_ins: u32,
    told_at: Option<UnixTime>,
}

/// Sign-ins of which one at least would have been followed by a question.
const ENOUGH: u32 = 3;
/// Who asks does so at once; so many may sign in at the same moment.
const A_WHILE: Duration = Duration::from_secs(30);
/// It is not said more often.
const AGAIN: Duration = Duration::from_hours(24);
/// Clients that are watched at once: a further one takes the place of the oldest.
const MOST: usize = 1024;

impl Unasked {
    /// Notes that a code of this client was redeemed for that scope; answers whether the operator should be
    /// told that it never asks.
    pub fn signed_in(&self, client: &Client, scope: &Scope, now: UnixTime) -> bool {
        let settings = &client.settings;
        let is_told = settings.claims_in_id_token || !settings.id_token_claims.is_empty();
        if is_told || !["profile", "email"].iter().any(|it| scope.contains(it)) {
            return false;
        }
        let mut watched = self.lock();
        if watched.len() >= MOST && !watched.contains_key(&client.id) {
            let oldest = watched.iter().min_by_key(|(_, it)| it.since).map(|(id, _)| id.clone());
            if let Some(oldest) = oldest {
                watched.remove(&oldest);
            }
        }
        let new = Watched { since: now, sign_ins: 0, told_at: None };
        let it = watched.entry(client.id.clone()).or_insert(new);
        it.sign_ins = it.sign_ins.saturating_add(1);
        let is_due = it.told_at.is_none_or(|told| told.plus(AGAIN) <= now);
        if !is_due || it.sign_ins < ENOUGH || now < it.since.plus(A_WHILE) {
            return false;
        }
        it.told_at = Some(now);
        true
    }

    /// Notes that it asked.
    pub fn asked(&self, client: &ClientId) {
        self.lock().remove(client);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClientId, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::clients::{Settings, Source};
    use crate::protocol::ClientMetadata;

    fn client(number: usize) -> Client {
        let members = json!({"redirect_uris": ["https://shop.example/cb"]});
        Client {
            id: ClientId::parse(&format!("shop-{number}")).unwrap(),
            metadata: ClientMetadata::parse(members.as_object().unwrap()).unwrap(),
            settings: Settings::default(),
            secrets: Vec::new(),
            registration_token: None,
            enabled: true,
            source: Source::Operator,
            created_at: UnixTime::from_secs(1_700_000_000),
            unused_until: None,
            development: false,
            declared: None,
        }
    }

    #[test]
    fn a_client_that_comes_after_a_thousand_others_is_watched_too() {
        let (unasked, scope) = (Unasked::default(), Scope::standard());
        let start = UnixTime::from_secs(1_700_000_000);
        for number in 0..MOST {
            assert!(!unasked.signed_in(&client(number), &scope, start));
        }
        let later = start.plus(Duration::from_secs(1));
        let told = |number, now| unasked.signed_in(&client(number), &scope, now);
        assert!(!told(MOST, later) && !told(MOST, later));
        assert!(told(MOST, later.plus(A_WHILE)));
        assert_eq!(unasked.lock().len(), MOST);
    }
}
