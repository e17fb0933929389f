//! Who does what the command line asks for.

use std::sync::Arc;

use super::failure::Failure;
use crate::clock::UnixTime;
use crate::events::Events;
use crate::operations::{Actor, Context, Operation};
use crate::password::Passwords;
use crate::store::Store;

/// Does operations in this process, on the store of the configuration.
pub(super) struct Operator {
    store: Arc<dyn Store>,
    now: UnixTime,
    passwords: Passwords,
    events: Events,
}

impl Operator {
    /// On that store, at that moment.
    pub fn on(store: Arc<dyn Store>, now: UnixTime) -> Self {
        Self { store, now, passwords: Passwords::new(1, 1), events: Events::new() }
    }

    /// Does it.
    pub async fn run<O: Operation>(&self, operation: O) -> Result<O::Output, Failure> {
        let context = Context {
            store: &*self.store,
            now: self.now,
            passwords: &self.passwords,
            events: &self.events,
            by: Actor::CommandLine,
        };
        Ok(operation.run(&context).await?)
    }
}
