//! Makes the store hold what the file declares, and nothing more than that.

use std::fmt;

use super::Bootstrap;
use crate::domain::clients::ClientId;
use crate::domain::events::{Actor, ClientChange, Event, Events, UserChange};
use crate::infra::clock::UnixTime;
use crate::infra::password::PasswordHasher;
use crate::infra::store::{Store, StoreError};
use crate::protocol::Subject;

/// What applying came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// The users.
    pub users: Tally,
    /// The clients.
    pub clients: Tally,
}

/// How many records became what.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Were not there.
    pub created: usize,
    /// Were there, and different.
    pub changed: usize,
    /// Were as declared.
    pub unchanged: usize,
}

/// Why it could not be applied whole. What was applied before stays, and is found unchanged next time.
#[derive(Debug)]
pub enum ApplyError {
    /// The store.
    Store(StoreError),
    /// No password could be hashed.
    Busy,
    /// What the store holds contradicts the file; a sentence for the operator, with the line.
    Conflict(String),
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Busy => f.write_str("no password could be hashed: the machine is too busy"),
            Self::Conflict(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for ApplyError {}

impl From<StoreError> for ApplyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, changed, unchanged } = self;
        write!(f, "{created} created, {changed} changed, {unchanged} unchanged")
    }
}

impl Bootstrap {
    /// Creates what is missing and changes what differs, and tells of each change.
    pub async fn apply(
        &self,
        store: &dyn Store,
        passwords: &PasswordHasher,
        events: &Events,
        now: UnixTime,
    ) -> Result<Applied, ApplyError> {
        let desk = Desk { store, passwords, now, events };
        let mut applied = Applied::default();
        for user in &self.users {
            applied.users.count(user.apply(&desk).await?);
        }
        for client in &self.clients {
            applied.clients.count(client.apply(&desk).await?);
        }
        Ok(applied)
    }
}

/// What an entry is applied with.
pub(super) struct Desk<'a> {
    pub store: &'a dyn Store,
    pub passwords: &'a PasswordHasher,
    pub now: UnixTime,
    events: &'a Events,
}

impl Desk<'_> {
    /// Tells what became of a user, as the command line does.
    pub fn user_changed(&self, sub: &Subject, changes: &[UserChange]) {
        for change in changes.iter().copied() {
            let event = Event::UserChanged { sub: sub.as_str(), change, by: Actor::BootstrapFile };
            self.events.tell(None, &event);
        }
    }

    /// Tells what became of a client.
    pub fn client_changed(&self, client: &ClientId, changes: &[ClientChange]) {
        for change in changes.iter().copied() {
            let event =
                Event::ClientChanged { client: client.as_str(), change, by: Actor::BootstrapFile };
            self.events.tell(None, &event);
        }
    }
}

#[derive(Clone, Copy)]
pub(super) enum Became {
    Created,
    Changed,
    Unchanged,
}

impl Became {
    pub(super) fn by<C>(changes: &[C]) -> Self {
        if changes.is_empty() { Self::Unchanged } else { Self::Changed }
    }
}

impl Tally {
    fn count(&mut self, became: Became) {
        match became {
            Became::Created => self.created += 1,
            Became::Changed => self.changed += 1,
            Became::Unchanged => self.unchanged += 1,
        }
    }
}
