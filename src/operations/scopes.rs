//! Operations on scopes. The standard ones and those of the bootstrap file are there anyway; what is added
//! here is kept in the store, and every running server takes it in within seconds.

use serde::{Deserialize, Serialize};

use super::{Context, Operation, OperationError};
use crate::domain::events::{Event, ScopeChange};
use crate::domain::scopes::{self, StoredScope};
use crate::protocol::claims::ScopeEntry;

/// Lists every scope there is, by name.
#[derive(Debug, Deserialize, Serialize)]
pub struct List {}

/// Adds a scope, or adds to one that is there.
#[derive(Debug, Deserialize, Serialize)]
pub struct Add {
    /// Its name.
    pub scope: String,
    /// What the consent page says.
    pub description: Option<String>,
    /// The claims it exposes.
    pub claims: Vec<String>,
    /// Whether discovery names it.
    #[serde(default)]
    pub advertised: Option<bool>,
}

/// A scope and what it is.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ScopeView {
    /// Its name.
    pub scope: String,
    /// What the consent page says; it has words of its own for the standard ones.
    pub description: Option<String>,
    /// The claims it exposes.
    pub claims: Vec<String>,
    /// Whether discovery names it.
    #[serde(default)]
    pub advertised: bool,
}

impl Operation for List {
    const NAME: &'static str = "scope-list";
    type Output = Vec<ScopeView>;

    async fn run(self, context: &Context<'_>) -> Result<Vec<ScopeView>, OperationError> {
        let catalogue = scopes::merge_stored(context.store, &context.declared.scopes).await?;
        let advertised = catalogue.advertised();
        let view = |scope: &str| {
            let entry = catalogue.get(scope).cloned().unwrap_or_default();
            ScopeView {
                scope: scope.to_owned(),
                description: entry.description,
                claims: entry.claims.into_iter().collect(),
                advertised: advertised.contains(scope),
            }
        };
        Ok(catalogue.scopes().map(view).collect())
    }
}

impl Operation for Add {
    const NAME: &'static str = "scope-add";
    /// Whether anything is different now.
    type Output = bool;

    async fn run(self, context: &Context<'_>) -> Result<bool, OperationError> {
        let invalid = |why: String| Err(OperationError::Invalid(why));
        if let Err(rule) = scopes::check_name(&self.scope) {
            return invalid(format!("a scope {rule}"));
        }
        if let Some(claim) = self.claims.iter().find(|claim| !is_claim_name(claim)) {
            return invalid(format!("{claim:?} is no name of a claim"));
        }
        if self.description.as_deref().is_some_and(|text| text.chars().any(char::is_control)) {
            return invalid("a description has no control characters".to_owned());
        }
        if let Some(declared) = context.declared.scopes.get(&self.scope) {
            let has_all = self.claims.iter().all(|claim| declared.claims.contains(claim));
            if has_all && self.description.is_none() && self.advertised.is_none() {
                return Ok(false);
            }
            let why = "is there already: it is a standard one, or the bootstrap file declares it";
            return Err(OperationError::Refused(format!("the scope {} {why}", self.scope)));
        }
        let entry = ScopeEntry {
            description: self.description,
            claims: self.claims.into_iter().collect(),
            advertised: self.advertised,
        };
        let new = StoredScope { scope: self.scope, entry };
        // People agreed to what it is: it does not grow under them.
        let held = scopes::find(context.store, &new.scope).await?;
        if held.is_some_and(|held| !new.entry.claims.is_subset(&held.entry.claims)) {
            let why = "is there already, with fewer claims, and people may have agreed to it: \
                       add one of another name";
            return Err(OperationError::Refused(format!("the scope {} {why}", new.scope)));
        }
        let changed = scopes::add(context.store, &new).await?;
        if changed {
            let (scope, by) = (&*new.scope, context.by);
            context
                .events
                .record(None, &Event::ScopeChanged { scope, change: ScopeChange::Added, by });
        }
        Ok(changed)
    }
}

fn is_claim_name(text: &str) -> bool {
    (1..=255).contains(&text.len()) && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}
