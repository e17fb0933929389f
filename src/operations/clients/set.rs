//! Changes single members of a client's metadata and settings.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{check_settings, client_not_found, find, metadata, sector};
use crate::domain::clients::{self, Client, ClientId, ClientSettings, RegistrationSource};
use crate::domain::events::ClientChange;
use crate::operations::{Context, Operation, OperationError};
use crate::protocol::ClientMetadata;
use crate::protocol::client_metadata::MEMBERS;

/// Changes members of a client's metadata and settings; the others stay.
#[derive(Debug, Deserialize, Serialize)]
pub struct Set {
    /// Its `client_id`.
    pub id: String,
    /// Members of its metadata (RFC 7591); `null` takes one away.
    pub metadata: Map<String, Value>,
    /// What the operator decides about it; `null` puts one back to its default.
    pub settings: Map<String, Value>,
}

/// What changing a client came to.
#[derive(Debug, Deserialize, Serialize)]
pub struct Changed {
    /// Its `client_id`.
    pub id: ClientId,
    /// Whether anything is different now.
    pub changed: bool,
    /// Whether it authenticates by a secret now and has none yet.
    pub needs_secret: bool,
    /// As for [`ClientInformation`].
    pub sector_identifier_uri: Option<String>,
    /// As for [`ClientInformation`].
    #[serde(default)]
    pub cautions: Vec<String>,
}

impl Operation for Set {
    const NAME: &'static str = "client-set";
    type Output = Changed;

    async fn run(self, context: &Context<'_>) -> Result<Changed, OperationError> {
        let client = find(context.store, &self.id).await?;
        let next_metadata = self.next_metadata(&client)?;
        check_names(&self.settings)?;
        let is_set = |name: &&str| self.settings.contains_key(*name);
        if client.source == RegistrationSource::Registered
            && let Some(name) = ["require_pkce", "require_nonce"].into_iter().find(is_set)
        {
            let why = format!("{name}: {} registered itself, and follows REQUIRE_PKCE", self.id);
            return Err(OperationError::Invalid(why));
        }
        let next_settings = overlaid(&client.settings, &self.settings, "settings")?;
        let next_settings: ClientSettings = serde_json::from_value(Value::Object(next_settings))
            .map_err(|error| OperationError::Invalid(format!("settings: {error}")))?;
        check_settings(&next_metadata, &next_settings).map_err(OperationError::Invalid)?;
        let step = |held: &mut Client| {
            if (&held.metadata, &held.settings) != (&client.metadata, &client.settings) {
                return None;
            }
            held.metadata.clone_from(&next_metadata);
            held.settings.clone_from(&next_settings);
            Some(
                held.metadata.has_secret()
                    && !held.secrets.iter().any(|it| it.is_live(context.now)),
            )
        };
        let (store, id) = (context.store, &client.id);
        let set = clients::update_metadata(store, id, &next_metadata, step).await?;
        let needs_secret = set.ok_or_else(|| client_not_found(id.as_str()))?.ok_or_else(|| {
            let why =
                format!("{} was changed at the same moment: look at it, and try again", self.id);
            OperationError::Refused(why)
        })?;
        let before = (&client.metadata, &client.settings);
        let changed = before != (&next_metadata, &next_settings);
        if changed {
            context.client_changed(id, ClientChange::Updated);
        }
        let sector_identifier_uri = sector(&next_metadata);
        let cautions = next_metadata.operator_warnings();
        Ok(Changed { id: client.id, changed, needs_secret, sector_identifier_uri, cautions })
    }
}

impl Set {
    /// The metadata as it will be; what is not changed is not judged again.
    fn next_metadata(&self, client: &Client) -> Result<ClientMetadata, OperationError> {
        if self.metadata.is_empty() {
            return Ok(client.metadata.clone());
        }
        if let Some(name) = self.metadata.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
            return Err(OperationError::Invalid(format!("{name}: there is no such metadata")));
        }
        let mut next = overlaid(&client.metadata, &self.metadata, "metadata")?;
        // One authentication method replaces the list; of several, the first is the registered one.
        let (one, several) = ("token_endpoint_auth_method", "token_endpoint_auth_methods");
        let names = |name| self.metadata.get(name).is_some_and(|it: &Value| !it.is_null());
        match (self.metadata.contains_key(one), names(several)) {
            (true, false) => drop(next.remove(several)),
            (false, true) => drop(next.remove(one)),
            (true, true) | (false, false) => {}
        }
        metadata(&next)
    }
}

/// In the store a setting of a newer release is ignored; here one that is not known is a mistake.
fn check_names(settings: &Map<String, Value>) -> Result<(), OperationError> {
    let known = ClientSettings::names();
    match settings.keys().find(|name| !known.contains(name)) {
        Some(name) => {
            let known = known.join(", ");
            Err(OperationError::Invalid(format!("{name}: there is no such setting, only {known}")))
        }
        None => Ok(()),
    }
}

/// The members of a value, with others laid over them; `null` takes one away.
fn overlaid(
    value: &impl Serialize,
    over: &Map<String, Value>,
    what: &str,
) -> Result<Map<String, Value>, OperationError> {
    let Ok(Value::Object(mut members)) = serde_json::to_value(value) else {
        return Err(OperationError::Unavailable(format!("the {what} cannot be written")));
    };
    for (name, value) in over {
        members.insert(name.clone(), value.clone());
    }
    members.retain(|_, value| !value.is_null());
    Ok(members)
}
