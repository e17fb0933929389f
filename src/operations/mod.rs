//! What an operator does with people and applications, apart from how it was asked for: each operation is
//! a value with a typed result. The command line asks and prints; the control socket of a running server
//! takes the same values over a connection ([`dispatch`]).
//!
//! An operation tells who did it by its audit event, so no caller has to remember to.

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
    /// What comes of it.
    type Output: Serialize + DeserializeOwned + Send;

    /// Does it.
    fn run(
        self,
        context: &Context<'_>,
    ) -> impl Future<Output = Result<Self::Output, OperationError>> + Send;
}

/// What operations work with.
pub struct Context<'a> {
    /// Who we are.
    pub issuer: &'a str,
    /// Where everything is kept.
    pub store: &'a dyn Store,
    /// The present.
    pub now: UnixTime,
    /// Who hashes new passwords.
    pub passwords: &'a PasswordHasher,
    /// Who is told what was done.
    pub events: &'a Events,
    /// The signing keys, where they are open.
    pub keys: Option<&'a KeyRing>,
    /// The scopes and APIs there are without those that were added.
    pub declared: &'a Declared,
    /// Who asks for it.
    pub by: Actor,
}

impl Context<'_> {
    /// Tells that an account was changed.
    fn user_changed(&self, sub: &str, change: UserChange) {
        self.events.record(None, &Event::UserChanged { sub, change, by: self.by });
    }

    /// Tells that a client was changed.
    fn client_changed(&self, client: &ClientId, change: ClientChange) {
        let (client, by) = (client.as_str(), self.by);
        self.events.record(None, &Event::ClientChanged { client, change, by });
    }
}

/// Why an operation did not happen: a sentence for the operator.
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
