//! Operations on the consents of users.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::users::find;
use super::{Context, Operation, OperationError};
use crate::domain::clients::{self, ClientId};
use crate::domain::consent::{self, WithdrawOutcome};
use crate::domain::events::Event;
use crate::infra::clock::UnixTime;
use crate::protocol::Scope;

/// Lists the consents of a user.
#[derive(Debug, Deserialize, Serialize)]
pub struct List {
    /// User name or subject.
    pub user: String,
}

/// Withdraws a user's consent to a client, and ends the client's grants of that user.
#[derive(Debug, Deserialize, Serialize)]
pub struct Withdraw {
    /// User name or subject.
    pub user: String,
    /// The `client_id`; the client may be gone by now.
    pub client: String,
}

/// The consent of a user to one client.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ConsentView {
    /// Its `client_id`.
    pub client_id: ClientId,
    /// The name that pages show; absent if the client was removed.
    pub client_name: Option<String>,
    /// The scope.
    pub scope: Scope,
    /// Single claims beside it.
    pub claims: BTreeSet<String>,
    /// The APIs it is for.
    #[serde(default)]
    pub resources: BTreeSet<String>,
    /// When the user agreed.
    pub given_at: UnixTime,
}

/// The result of [`Withdraw`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct WithdrawnConsent {
    /// Whose consent it was, by user name.
    pub username: String,
    /// Whether there was one.
    pub agreed: bool,
    /// Grants that still stood, each with its tokens.
    pub grants: usize,
}

impl Operation for List {
    const NAME: &'static str = "consent-list";
    type Output = Vec<ConsentView>;

    async fn run(self, context: &Context<'_>) -> Result<Vec<ConsentView>, OperationError> {
        let user = find(context.store, &self.user).await?;
        let mut all = Vec::new();
        for id in consent::list_clients(context.store, &user.sub).await? {
            let Some(held) = consent::find(context.store, &user.sub, &id).await? else { continue };
            let client = clients::find(context.store, &id).await?;
            all.push(ConsentView {
                client_id: id,
                client_name: client.map(|client| client.display_name().to_owned()),
                scope: held.scope,
                claims: held.claims,
                resources: held.apis.into_keys().collect(),
                given_at: held.given_at,
            });
        }
        Ok(all)
    }
}

impl Operation for Withdraw {
    const NAME: &'static str = "consent-withdraw";
    type Output = WithdrawnConsent;

    async fn run(self, context: &Context<'_>) -> Result<WithdrawnConsent, OperationError> {
        let user = find(context.store, &self.user).await?;
        let client = ClientId::parse(&self.client)
            .ok_or_else(|| OperationError::Invalid("that is no client_id".to_owned()))?;
        let done = consent::withdraw(context.store, &user.sub, &client, context.now).await?;
        let WithdrawOutcome { existed: agreed, grants } = done;
        if !agreed && grants == 0 && clients::find(context.store, &client).await?.is_none() {
            let why = format!("there is no client {}", client.as_str());
            return Err(OperationError::Refused(why));
        }
        let (sub, client) = (user.sub.as_str(), client.as_str());
        let by = context.by;
        context.events.record(None, &Event::ConsentWithdrawn { sub, client, by });
        Ok(WithdrawnConsent { username: user.username, agreed, grants })
    }
}
