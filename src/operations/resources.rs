//! Operations on APIs. Those of the bootstrap file are there anyway; what is declared here is kept in the store,
//! and every running server takes it in within seconds.

use serde::{Deserialize, Serialize};

use super::{Context, Operation, OperationError};
use crate::domain::clients::{self, ClientId};
use crate::domain::events::{Event, ResourceChange};
use crate::domain::resources::{self, DeclareOutcome, Resource};

/// Lists every API there is, by identifier.
#[derive(Debug, Deserialize, Serialize)]
pub struct List {}

/// Shows one API.
#[derive(Debug, Deserialize, Serialize)]
pub struct Show {
    /// Its identifier.
    pub resource: String,
}

/// Declares an API, in place of what was declared under the same identifier.
#[derive(Debug, Deserialize, Serialize)]
pub struct Add(pub Resource);

/// Removes an API. Clients that have it as `audience` get tokens for it all the same, and these allow all that
/// was granted, since no declaration says any more which of it the API understands; they are the output.
#[derive(Debug, Deserialize, Serialize)]
pub struct Remove {
    /// Its identifier.
    pub resource: String,
}

impl Operation for List {
    const NAME: &'static str = "resource-list";
    type Output = Vec<Resource>;

    async fn run(self, context: &Context<'_>) -> Result<Vec<Resource>, OperationError> {
        let declared = &context.declared.resources;
        Ok(resources::merge_stored(context.store, declared).await?.iter().collect())
    }
}

impl Operation for Show {
    const NAME: &'static str = "resource-show";
    type Output = Resource;

    async fn run(self, context: &Context<'_>) -> Result<Resource, OperationError> {
        let all = resources::merge_stored(context.store, &context.declared.resources).await?;
        let entry =
            all.get(&self.resource).cloned().ok_or_else(|| resource_not_found(&self.resource))?;
        Ok(Resource { resource: self.resource, entry })
    }
}

impl Operation for Add {
    const NAME: &'static str = "resource-add";
    type Output = DeclareOutcome;

    async fn run(self, context: &Context<'_>) -> Result<DeclareOutcome, OperationError> {
        let Self(new) = self;
        new.check_at(context.issuer).map_err(OperationError::Invalid)?;
        refuse_declared(context, &new.resource)?;
        let became = resources::declare(context.store, &new).await?;
        match became {
            DeclareOutcome::Added => context.resource_changed(&new.resource, ResourceChange::Added),
            DeclareOutcome::Changed => {
                context.resource_changed(&new.resource, ResourceChange::Updated);
            }
            DeclareOutcome::Unchanged => {}
        }
        Ok(became)
    }
}

impl Operation for Remove {
    const NAME: &'static str = "resource-remove";
    type Output = Vec<ClientId>;

    async fn run(self, context: &Context<'_>) -> Result<Vec<ClientId>, OperationError> {
        refuse_declared(context, &self.resource)?;
        if !resources::remove(context.store, &self.resource).await? {
            return Err(resource_not_found(&self.resource));
        }
        context.resource_changed(&self.resource, ResourceChange::Removed);
        let clients = clients::list(context.store).await?.into_iter();
        let left = clients.filter(|client| client.settings.audience.contains(&self.resource));
        Ok(left.map(|client| client.id).collect())
    }
}

impl Context<'_> {
    /// Tells that an API was changed.
    fn resource_changed(&self, resource: &str, change: ResourceChange) {
        let by = self.by;
        self.events.record(None, &Event::ResourceChanged { resource, change, by });
    }
}

fn refuse_declared(context: &Context<'_>, resource: &str) -> Result<(), OperationError> {
    match context.declared.resources.get(resource) {
        Some(_) => {
            let why = format!("the bootstrap file declares {resource}, so it is changed there");
            Err(OperationError::Refused(why))
        }
        None => Ok(()),
    }
}

fn resource_not_found(resource: &str) -> OperationError {
    OperationError::Refused(format!("there is no API {resource}"))
}
