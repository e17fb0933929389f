use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::domain::users::User;
use crate::infra::clock::UnixTime;
use crate::protocol::Subject;

/// A user as operators see them, without the password hash.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct UserView {
    /// Never changed.
    pub sub: Subject,
    /// The user name.
    pub username: String,
    /// Whether they may sign in and use what they granted.
    pub enabled: bool,
    /// Whether there is a password to sign in with.
    pub has_password: bool,
    /// Their claims.
    pub claims: Map<String, Value>,
    /// Their groups.
    pub groups: Vec<String>,
    /// When the record was made.
    pub created_at: UnixTime,
    /// Since when the account is locked by failed sign-ins: only browsers that signed in before may try.
    pub locked_since: Option<UnixTime>,
}

impl UserView {
    /// Leaves out the password hash.
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
