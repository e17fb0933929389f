use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::users::User;
use crate::infra::clock::UnixTime;
use crate::protocol::Subject;

/// All that may be shown of a person: no hash among it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct UserView {
    /// Who they are, for ever.
    pub sub: Subject,
    /// What they sign in with.
    pub username: String,
    /// Whether they may do anything.
    pub enabled: bool,
    /// Whether there is a password to sign in with.
    pub has_password: bool,
    /// Their claims.
    pub claims: Map<String, Value>,
    /// Their groups.
    pub groups: Vec<String>,
    /// When the record was made.
    pub created_at: UnixTime,
    /// Since when too many failed at this account, so that only browsers which are known may try.
    pub locked_since: Option<UnixTime>,
}

impl UserView {
    /// What may be shown, and whether it is locked.
    pub fn of(user: User, locked_since: Option<UnixTime>) -> Self {
        Self {
            locked_since,
            has_password: user.password.is_some(),
            sub: user.sub,
            username: user.username,
            enabled: user.enabled,
            claims: user.claims,
            groups: user.groups,
            created_at: user.created_at,
        }
    }
}
