//! Finds clients that were granted `profile` or `email` and never call userinfo: most often they read the ID token alone,
//! which does not have these claims ([OpenID Connect Core §5.4]). Nothing fails then, so the operator gets a hint in the
//! log.
//!
//! [OpenID Connect Core §5.4]: https://openid.net/specs/openid-connect-core-1_0.html#ScopeClaims

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Client, ClientId};
use crate::infra::clock::UnixTime;
use crate::protocol::Scope;

/// Counts the sign-ins of such clients in this process.
#[derive(Debug, Default)]
pub struct UnusedUserinfo(Mutex<HashMap<ClientId, ClientActivity>>);

/// What a client did since its last userinfo request.
#[derive(Clone, Copy, Debug)]
struct ClientActivity {
    since: UnixTime,
    sign_ins: u32,
    warned_at: Option<UnixTime>,
}

/// After so many sign-ins a client that uses userinfo would have called it.
const MIN_SIGN_INS: u32 = 3;
/// A client calls userinfo at once after a sign-in; several users may sign in at the same moment.
const USERINFO_WAIT: Duration = Duration::from_secs(30);
/// The hint is not logged more often.
const WARNING_INTERVAL: Duration = Duration::from_hours(24);
/// A further client takes the place of the oldest.
const MAX_CLIENTS: usize = 1024;

impl UnusedUserinfo {
    /// Records that a code of this client was redeemed for that scope. Answers whether to log the hint.
    pub fn record_sign_in(&self, client: &Client, scope: &Scope, now: UnixTime) -> bool {
        let settings = &client.settings;
        let is_told = settings.claims_in_id_token || !settings.id_token_claims.is_empty();
        if is_told || !["profile", "email"].iter().any(|it| scope.contains(it)) {
            return false;
        }
        let mut watched = self.lock();
        if watched.len() >= MAX_CLIENTS && !watched.contains_key(&client.id) {
            let oldest = watched.iter().min_by_key(|(_, it)| it.since).map(|(id, _)| id.clone());
            if let Some(oldest) = oldest {
                watched.remove(&oldest);
            }
        }
        let new = ClientActivity { since: now, sign_ins: 0, warned_at: None };
        let it = watched.entry(client.id.clone()).or_insert(new);
        it.sign_ins = it.sign_ins.saturating_add(1);
        let is_due = it.warned_at.is_none_or(|told| told.plus(WARNING_INTERVAL) <= now);
        if !is_due || it.sign_ins < MIN_SIGN_INS || now < it.since.plus(USERINFO_WAIT) {
            return false;
        }
        it.warned_at = Some(now);
        true
    }

    /// Records a userinfo request.
    pub fn record_userinfo(&self, client: &ClientId) {
        self.lock().remove(client);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ClientId, ClientActivity>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::clients::{ClientSettings, RegistrationSource};
    use crate::protocol::ClientMetadata;

    fn client(number: usize) -> Client {
        let members = json!({"redirect_uris": ["https://shop.example/cb"]});
        Client {
            id: ClientId::parse(&format!("shop-{number}")).unwrap(),
            metadata: ClientMetadata::parse(members.as_object().unwrap()).unwrap(),
            settings: ClientSettings::default(),
            secrets: Vec::new(),
            registration_token: None,
            enabled: true,
            source: RegistrationSource::Operator,
            created_at: UnixTime::from_secs(1_700_000_000),
            unused_until: None,
            development: false,
            declared: None,
        }
    }

    #[test]
    fn a_client_that_comes_after_a_thousand_others_is_watched_too() {
        let (unused, scope) = (UnusedUserinfo::default(), Scope::standard());
        let start = UnixTime::from_secs(1_700_000_000);
        for number in 0..MAX_CLIENTS {
            assert!(!unused.record_sign_in(&client(number), &scope, start));
        }
        let later = start.plus(Duration::from_secs(1));
        let told = |number, now| unused.record_sign_in(&client(number), &scope, now);
        assert!(!told(MAX_CLIENTS, later) && !told(MAX_CLIENTS, later));
        assert!(told(MAX_CLIENTS, later.plus(USERINFO_WAIT)));
        assert_eq!(unused.lock().len(), MAX_CLIENTS);
    }
}
