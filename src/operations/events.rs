//! What happened, looked up.

use serde::{Deserialize, Serialize};

use super::{Context, Operation, OperationError};
use crate::clock::UnixTime;
use crate::events::{KeptEvent, kept_since};
use crate::protocol::Subject;
use crate::users;

/// Lists what happened, the oldest first.
#[derive(Debug, Deserialize, Serialize)]
pub struct List {
    /// Since when.
    pub since: UnixTime,
    /// Only what is about this person: user name or subject, also of somebody who was removed.
    pub user: Option<String>,
    /// Only what is about this client.
    pub client: Option<String>,
    /// Only what has this word.
    pub event: Option<String>,
}

/// What was found.
#[derive(Debug, Deserialize, Serialize)]
pub struct Found {
    /// The events.
    pub events: Vec<KeptEvent>,
    /// How many, of whatever kind, were told in that time and found no room: they are in the log only.
    pub left_out: u64,
}

impl Operation for List {
    const NAME: &'static str = "event-list";
    type Output = Found;

    async fn run(self, context: &Context<'_>) -> Result<Found, OperationError> {
        let sub = match &self.user {
            Some(user) => Some(self::sub(context, user).await?),
            None => None,
        };
        context.events.keep_waiting(context.store).await?;
        let (mut events, left_out) = kept_since(context.store, self.since, context.now).await?;
        let is = |event: &KeptEvent, name: &str, wanted: &Option<String>| {
            wanted.is_none() || event.fields.get(name) == wanted.as_ref()
        };
        events.retain(|event| {
            is(event, "sub", &sub)
                && is(event, "client", &self.client)
                && self.event.as_ref().is_none_or(|word| *word == event.event)
        });
        Ok(Found { events, left_out })
    }
}

async fn sub(context: &Context<'_>, user: &str) -> Result<String, OperationError> {
    if let Some(found) = users::find_by_username(context.store, user).await? {
        return Ok(found.sub.as_str().to_owned());
    }
    let by_sub = Subject::parse(user).map(|sub| sub.as_str().to_owned());
    by_sub.ok_or_else(|| OperationError::Refused(format!("there is no user {user}")))
}
