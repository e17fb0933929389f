//! Clients that were granted a person's details and never ask for them: most often one that reads the ID token
//! alone, where they are not ([OpenID Connect Core §5.4]). Nothing fails then, and whoever set it up wonders
//! where the name is.
//!
//! [OpenID Connect Core §5.4]: https://openid.net/specs/openid-connect-core-1_0.html#ScopeClaims

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Client, ClientId};
use crate::clock::UnixTime;
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
/// Clients that are watched at once.
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
            return false;
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
