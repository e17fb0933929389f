//! Looks up the stored events of the last week.

use serde::{Deserialize, Serialize};

use super::{Context, Operation, OperationError};
use crate::domain::clients::{self, ClientId};
use crate::domain::events::{LOGGED_KINDS, STORED_KINDS, StoredEvent, events_since};
use crate::domain::users;
use crate::infra::clock::UnixTime;
use crate::protocol::Subject;

/// Lists stored events, the oldest first.
#[derive(Debug, Deserialize, Serialize)]
pub struct List {
    /// Only events from this time on.
    pub since: UnixTime,
    /// Only events about this user, by user name or subject; the user may have been removed.
    pub user: Option<String>,
    /// Only events about this client.
    pub client: Option<String>,
    /// Only events with this `event` word.
    pub event: Option<String>,
}

/// The result of [`List`].
#[derive(Debug, Deserialize, Serialize)]
pub struct EventList {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// How many events of that time, of any kind, were not stored because of their number: they are in the log only.
    pub left_out: u64,
    /// The users and clients in the request that do not exist, which may be why nothing was found.
    #[serde(default)]
    pub unknown: Vec<String>,
}

impl Operation for List {
    const NAME: &'static str = "event-list";
    type Output = EventList;

    async fn run(self, context: &Context<'_>) -> Result<EventList, OperationError> {
        if let Some(event) = &self.event {
            check_kind(event)?;
        }
        let mut unknown = Vec::new();
        let sub = match &self.user {
            Some(user) => Some(self::sub(context, user, &mut unknown).await?),
            None => None,
        };
        if let Some(client) = &self.client
            && !is_client(context, client).await?
        {
            unknown.push(format!("there is no client {client}"));
        }
        context.events.flush(context.store).await?;
        let (mut events, left_out) = events_since(context.store, self.since, context.now).await?;
        let is = |event: &StoredEvent, name: &str, wanted: &Option<String>| {
            wanted.is_none() || event.fields.get(name) == wanted.as_ref()
        };
        events.retain(|event| {
            is(event, "sub", &sub)
                && is(event, "client", &self.client)
                && self.event.as_ref().is_none_or(|word| *word == event.event)
        });
        Ok(EventList { events, left_out, unknown })
    }
}

/// Refuses a kind that does not exist: the search would find nothing.
fn check_kind(event: &str) -> Result<(), OperationError> {
    if STORED_KINDS.contains(&event) {
        return Ok(());
    }
    let kinds = STORED_KINDS.join(", ");
    let why = if LOGGED_KINDS.contains(&event) {
        format!("{event} is in the log of the servers only; what can be looked up is {kinds}")
    } else {
        format!("there is no event {event}, only {kinds}")
    };
    Err(OperationError::Invalid(why))
}

/// Who was removed has events still, under their subject.
async fn sub(
    context: &Context<'_>,
    user: &str,
    unknown: &mut Vec<String>,
) -> Result<String, OperationError> {
    if let Some(found) = users::find_by_username(context.store, user).await? {
        return Ok(found.sub.as_str().to_owned());
    }
    let none = format!("there is no user {user}");
    let Some(sub) = Subject::parse(user) else { return Err(OperationError::Refused(none)) };
    if users::find(context.store, &sub).await?.is_none() {
        unknown.push(format!("{none}; of one who was removed there are events by subject"));
    }
    Ok(sub.as_str().to_owned())
}

/// A failed authentication is recorded under the id it claimed, so there need not be such a client.
async fn is_client(context: &Context<'_>, id: &str) -> Result<bool, OperationError> {
    let Some(id) = ClientId::parse(id) else { return Ok(false) };
    Ok(clients::find(context.store, &id).await?.is_some())
}
