//! What an operator does with users, clients, scopes, APIs and keys. Each operation is a value with a typed result,
//! whoever calls it: the command line prints the result, the control socket of a running server sends it as JSON
//! ([`dispatch`]).
//!
//! An operation records its audit event itself, so that no caller can forget it.

pub mod backup;
pub mod bootstrap;
pub mod clients;
pub mod consents;
pub mod declaration;
pub mod development;
mod dispatch;
pub mod events;
pub mod keys;
pub mod logouts;
pub mod records;
pub mod resources;
pub mod scopes;
pub mod users;

use std::future::Future;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::clients::{ClientView, SecretView};
pub use self::dispatch::{DispatchError, dispatch};
pub use self::users::UserView;
use crate::domain::clients::ClientId;
pub use crate::domain::events::Actor;
use crate::domain::events::{ClientChange, Event, Events, UserChange};
use crate::domain::keys::KeyRing;
use crate::domain::resources::Declared;
use crate::infra::clock::UnixTime;
use crate::infra::password::PasswordHasher;
use crate::infra::store::{Store, StoreError};

/// Something an operator can ask for.
pub trait Operation: Serialize + DeserializeOwned + Send {
    /// Its name, as the control socket has it in a path.
    const NAME: &'static str;
    /// Its result.
    type Output: Serialize + DeserializeOwned + Send;

    /// Runs it.
    fn run(
        self,
        context: &Context<'_>,
    ) -> impl Future<Output = Result<Self::Output, OperationError>> + Send;
}

/// The dependencies of operations.
pub struct Context<'a> {
    /// The issuer identifier.
    pub issuer: &'a str,
    /// The store.
    pub store: &'a dyn Store,
    /// The current time.
    pub now: UnixTime,
    /// Hashes new passwords.
    pub passwords: &'a PasswordHasher,
    /// The audit log and the metrics.
    pub events: &'a Events,
    /// The signing keys; absent in a process that has not opened them.
    pub keys: Option<&'a KeyRing>,
    /// The scopes and APIs that are configured or always there, without those in the store.
    pub declared: &'a Declared,
    /// Who asked for the operation: `by` in the audit log.
    pub by: Actor,
}

impl Context<'_> {
    /// Records that a user was changed.
    fn user_changed(&self, sub: &str, change: UserChange) {
        self.events.record(None, &Event::UserChanged { sub, change, by: self.by });
    }

    /// Records that a client was changed.
    fn client_changed(&self, client: &ClientId, change: ClientChange) {
        let (client, by) = (client.as_str(), self.by);
        self.events.record(None, &Event::ClientChanged { client, change, by });
    }
}

/// Why an operation failed, as a sentence for the operator.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize, thiserror::Error)]
#[serde(tag = "kind", content = "why", rename_all = "snake_case")]
pub enum OperationError {
    /// The state of the store does not allow it.
    #[error("{0}")]
    Refused(String),
    /// The input makes no sense, whatever the store holds.
    #[error("{0}")]
    Invalid(String),
    /// The store or the server does not answer; a change may or may not have happened.
    #[error("{0}")]
    Unavailable(String),
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(format!("{error}; whether a change happened is not known"))
    }
}
