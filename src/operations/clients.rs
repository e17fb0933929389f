//! Operations on applications. A secret is told once, when it is made; the store keeps its digest.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ClientView, Context, Operation, OperationError};
use crate::config::SecretString;
use crate::domain::clients::{
    self, Client, ClientId, ClientSecret, DeclaredClient, Settings, Source, recipient,
};
use crate::domain::events::ClientChange;
use crate::infra::clock::UnixTime;
use crate::infra::random;
use crate::infra::secret::{Digest, Secret};
use crate::infra::store::{CreateOutcome, Store};
use crate::operations::bootstrap::{check_declared, check_settings};
use crate::protocol::client_metadata::{MEMBERS, Offer};
use crate::protocol::{AuthMethod, ClientMetadata};

/// Adds a client.
#[derive(Debug, Deserialize, Serialize)]
pub struct Add {
    /// Its `client_id`; made if not chosen.
    pub id: Option<String>,
    /// Its metadata, as a registration would send it (RFC 7591).
    pub metadata: Map<String, Value>,
    /// What the operator decides about it.
    pub settings: Settings,
}

/// Lists all clients, by id.
#[derive(Debug, Deserialize, Serialize)]
pub struct List {}

/// Shows one client.
#[derive(Debug, Deserialize, Serialize)]
pub struct Show {
    /// Its `client_id`.
    pub id: String,
}

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

/// Lets a client do nothing any more, whatever it holds.
#[derive(Debug, Deserialize, Serialize)]
pub struct Disable {
    /// Its `client_id`.
    pub id: String,
}

/// Lets a disabled client back in.
#[derive(Debug, Deserialize, Serialize)]
pub struct Enable {
    /// Its `client_id`.
    pub id: String,
}

/// Removes a client and everything it was given.
#[derive(Debug, Deserialize, Serialize)]
pub struct Remove {
    /// Its `client_id`.
    pub id: String,
}

/// Makes a new secret.
#[derive(Debug, Deserialize, Serialize)]
pub struct RotateSecret {
    /// Its `client_id`.
    pub id: String,
    /// How long the secret before goes on working.
    pub keep_old_for: Duration,
}

/// A client with what was made for it.
#[derive(Debug, Deserialize, Serialize)]
pub struct Made {
    /// Its `client_id`.
    pub id: ClientId,
    /// Its new secret, where it has one; told here and never again.
    pub secret: Option<SecretString>,
    /// The address whose list of redirect URIs nobody has looked at: what the operator writes down is the
    /// operator's word.
    pub sector_identifier_uri: Option<String>,
    /// What the operator should know besides, though it stops nothing.
    #[serde(default)]
    pub cautions: Vec<String>,
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
    /// As for [`Made`].
    pub sector_identifier_uri: Option<String>,
    /// As for [`Made`].
    #[serde(default)]
    pub cautions: Vec<String>,
}

impl Operation for Add {
    const NAME: &'static str = "client-add";
    type Output = Made;

    async fn run(self, context: &Context<'_>) -> Result<Made, OperationError> {
        let mut client = self.client(context.now)?;
        let secret = client.metadata.has_secret().then(|| Secret::random().reveal());
        if let Some(secret) = &secret {
            let (digest, created_at) = (Digest::of(secret.as_bytes()), context.now);
            let made = ClientSecret { digest, sealed: None, created_at, expires_at: None };
            client.secrets.push(made);
        }
        match clients::add(context.store, &client).await? {
            CreateOutcome::Created => {
                context.client_changed(&client.id, ClientChange::Added);
                Ok(Made {
                    sector_identifier_uri: sector(&client.metadata),
                    cautions: client.metadata.cautions(),
                    id: client.id,
                    secret: secret.map(SecretString::new),
                })
            }
            CreateOutcome::Exists => {
                let id = client.id.as_str();
                Err(OperationError::Refused(format!("there is a client {id} already")))
            }
        }
    }
}

impl Add {
    fn client(self, now: UnixTime) -> Result<Client, OperationError> {
        let chosen = self.id.unwrap_or_else(|| random::uuid().to_string());
        let id = ClientId::parse(&chosen).ok_or_else(|| {
            let rule = "a client id must be 1 to 255 characters of A-Z a-z 0-9 . _ ~ : @ / -";
            OperationError::Invalid(rule.to_owned())
        })?;
        let metadata = metadata(&self.metadata)?;
        check_settings(&metadata, &self.settings).map_err(OperationError::Invalid)?;
        Ok(Client {
            id,
            metadata,
            settings: self.settings,
            secrets: Vec::new(),
            registration_token: None,
            enabled: true,
            source: Source::Operator,
            created_at: now,
            unused_until: None,
            development: false,
            declared: Some(DeclaredClient::default()),
        })
    }
}

impl Operation for List {
    const NAME: &'static str = "client-list";
    type Output = Vec<ClientView>;

    async fn run(self, context: &Context<'_>) -> Result<Vec<ClientView>, OperationError> {
        let mut clients = clients::list(context.store).await?;
        clients.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(clients.into_iter().map(ClientView::from).collect())
    }
}

impl Operation for Show {
    const NAME: &'static str = "client-show";
    type Output = ClientView;

    async fn run(self, context: &Context<'_>) -> Result<ClientView, OperationError> {
        Ok(named(context.store, &self.id).await?.into())
    }
}

impl Operation for Set {
    const NAME: &'static str = "client-set";
    type Output = Changed;

    async fn run(self, context: &Context<'_>) -> Result<Changed, OperationError> {
        let client = named(context.store, &self.id).await?;
        let next_metadata = self.next_metadata(&client)?;
        check_names(&self.settings)?;
        let is_set = |name: &&str| self.settings.contains_key(*name);
        if client.source == Source::Registered
            && let Some(name) = ["require_pkce", "require_nonce"].into_iter().find(is_set)
        {
            let why = format!("{name}: {} registered itself, and follows REQUIRE_PKCE", self.id);
            return Err(OperationError::Invalid(why));
        }
        let next_settings = overlaid(&client.settings, &self.settings, "settings")?;
        let next_settings: Settings = serde_json::from_value(Value::Object(next_settings))
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
        let needs_secret = set.ok_or_else(|| unknown(id.as_str()))?.ok_or_else(|| {
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
        let cautions = next_metadata.cautions();
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
        // Whoever names one way to authenticate means no other, and whoever names several means the first.
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

impl Operation for Disable {
    const NAME: &'static str = "client-disable";
    type Output = ClientId;

    async fn run(self, context: &Context<'_>) -> Result<ClientId, OperationError> {
        set_enabled(context, &self.id, false).await
    }
}

impl Operation for Enable {
    const NAME: &'static str = "client-enable";
    type Output = ClientId;

    async fn run(self, context: &Context<'_>) -> Result<ClientId, OperationError> {
        set_enabled(context, &self.id, true).await
    }
}

impl Operation for Remove {
    const NAME: &'static str = "client-remove";
    type Output = ClientId;

    async fn run(self, context: &Context<'_>) -> Result<ClientId, OperationError> {
        let client = named(context.store, &self.id).await?;
        clients::remove(context.store, &client.id).await?;
        // Another client of that id has nothing of what this one held.
        clients::cut_off(context.store, &client.id, context.now).await?;
        context.client_changed(&client.id, ClientChange::Removed);
        Ok(client.id)
    }
}

impl Operation for RotateSecret {
    const NAME: &'static str = "client-rotate-secret";
    type Output = Made;

    async fn run(self, context: &Context<'_>) -> Result<Made, OperationError> {
        let client = named(context.store, &self.id).await?;
        check_rotates(&client)?;
        let secret = Secret::random().reveal();
        let digest = Digest::of(secret.as_bytes());
        let now = context.now;
        let step = |client: &mut Client| {
            // A try whose answer was lost made this secret already.
            if !client.secrets.iter().any(|it| it.digest == digest) {
                client.rotate_secret(digest, now, now.plus(self.keep_old_for));
            }
        };
        let rotated = clients::update(context.store, &client.id, step).await?;
        rotated.ok_or_else(|| unknown(&self.id))?;
        context.client_changed(&client.id, ClientChange::SecretRotated);
        let secret = Some(SecretString::new(secret));
        Ok(Made { id: client.id, secret, sector_identifier_uri: None, cautions: Vec::new() })
    }
}

fn check_rotates(client: &Client) -> Result<(), OperationError> {
    let (id, method) = (client.id.as_str(), client.metadata.token_endpoint_auth_method);
    if !client.metadata.has_secret() {
        let why = format!("{id} has no secret: it authenticates by {}", method.as_str());
        return Err(OperationError::Refused(why));
    }
    if method == AuthMethod::ClientSecretJwt {
        let why = format!(
            "{id} authenticates by client_secret_jwt: the server keeps its secret readable, and a new one \
             comes with a new registration"
        );
        return Err(OperationError::Refused(why));
    }
    Ok(())
}

async fn set_enabled(
    context: &Context<'_>,
    id: &str,
    enabled: bool,
) -> Result<ClientId, OperationError> {
    let client = named(context.store, id).await?;
    let step = |client: &mut Client| client.enabled = enabled;
    let changed = clients::update(context.store, &client.id, step).await?;
    changed.ok_or_else(|| unknown(id))?;
    if !enabled {
        clients::cut_off(context.store, &client.id, context.now).await?;
    }
    context.client_changed(
        &client.id,
        if enabled { ClientChange::Enabled } else { ClientChange::Disabled },
    );
    Ok(client.id)
}

/// The members as metadata that an operator may give a client.
fn metadata(members: &Map<String, Value>) -> Result<ClientMetadata, OperationError> {
    let metadata = ClientMetadata::parse_within(members, &Offer::complete())
        .and_then(|metadata| recipient::check_registered(&metadata).map(|()| metadata))
        .map_err(|error| OperationError::Invalid(error.description.into_owned()))?;
    check_declared(&metadata).map_err(OperationError::Invalid)?;
    Ok(metadata)
}

/// In the store a setting of a newer release is ignored; here one that is not known is a mistake.
fn check_names(settings: &Map<String, Value>) -> Result<(), OperationError> {
    let known = Settings::names();
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

fn sector(metadata: &ClientMetadata) -> Option<String> {
    metadata.sector_identifier_uri.as_ref().map(ToString::to_string)
}

pub(super) async fn named(store: &dyn Store, id: &str) -> Result<Client, OperationError> {
    let Some(id) = ClientId::parse(id) else { return Err(unknown(id)) };
    clients::find(store, &id).await?.ok_or_else(|| unknown(id.as_str()))
}

fn unknown(id: &str) -> OperationError {
    OperationError::Refused(format!("there is no client {id}"))
}
