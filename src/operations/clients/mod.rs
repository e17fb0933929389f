//! Operations on clients. A client secret is in the result of the operation that made it and nowhere else: the store
//! has its digest.

mod check;
mod declare;
mod set;
mod view;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::check::{CLIENT_ID_RULE, check_metadata, check_settings, parse_metadata};
pub use self::declare::ClientDeclaration;
pub use self::set::{Changed, Set};
pub use self::view::{ClientView, SecretView};
use super::{Context, Operation, OperationError};
use crate::config::SecretString;
use crate::domain::clients::{
    self, Client, ClientId, ClientSecret, ClientSettings, DeclaredClient, RegistrationSource,
};
use crate::domain::events::ClientChange;
use crate::infra::clock::UnixTime;
use crate::infra::random;
use crate::infra::secret::{Digest, Secret};
use crate::infra::store::{CreateOutcome, Store};
use crate::protocol::{AuthMethod, ClientMetadata};

/// Adds a client.
#[derive(Debug, Deserialize, Serialize)]
pub struct Add {
    /// Its `client_id`; random if absent.
    pub id: Option<String>,
    /// Its metadata, as a registration would send it (RFC 7591).
    pub metadata: Map<String, Value>,
    /// What the operator decides about it.
    pub settings: ClientSettings,
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

/// Disables a client: none of its credentials and tokens is accepted.
#[derive(Debug, Deserialize, Serialize)]
pub struct Disable {
    /// Its `client_id`.
    pub id: String,
}

/// Enables a disabled client.
#[derive(Debug, Deserialize, Serialize)]
pub struct Enable {
    /// Its `client_id`.
    pub id: String,
}

/// Removes a client; its grants end with it.
#[derive(Debug, Deserialize, Serialize)]
pub struct Remove {
    /// Its `client_id`.
    pub id: String,
}

/// Gives a client a new secret.
#[derive(Debug, Deserialize, Serialize)]
pub struct RotateSecret {
    /// Its `client_id`.
    pub id: String,
    /// How long the former secret is still accepted.
    pub keep_old_for: Duration,
}

/// A client with what was made for it.
#[derive(Debug, Deserialize, Serialize)]
pub struct ClientInformation {
    /// Its `client_id`.
    pub id: ClientId,
    /// Its new secret, if it has one. It is never shown again.
    pub secret: Option<SecretString>,
    /// The address whose list of redirect URIs nobody has looked at: what the operator writes down is the
    /// operator's word.
    pub sector_identifier_uri: Option<String>,
    /// Warnings for the operator.
    #[serde(default)]
    pub cautions: Vec<String>,
}

impl Operation for Add {
    const NAME: &'static str = "client-add";
    type Output = ClientInformation;

    async fn run(self, context: &Context<'_>) -> Result<ClientInformation, OperationError> {
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
                Ok(ClientInformation {
                    sector_identifier_uri: sector(&client.metadata),
                    cautions: client.metadata.operator_warnings(),
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
        let id = ClientId::parse(&chosen)
            .ok_or_else(|| OperationError::Invalid(format!("a client id {CLIENT_ID_RULE}")))?;
        let metadata = metadata(&self.metadata)?;
        check_settings(&metadata, &self.settings).map_err(OperationError::Invalid)?;
        Ok(Client {
            id,
            metadata,
            settings: self.settings,
            secrets: Vec::new(),
            registration_token: None,
            enabled: true,
            source: RegistrationSource::Operator,
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
        Ok(find(context.store, &self.id).await?.into())
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
        let client = find(context.store, &self.id).await?;
        clients::remove(context.store, &client.id).await?;
        // Another client of that id has nothing of what this one held.
        clients::revoke_all(context.store, &client.id, context.now).await?;
        context.client_changed(&client.id, ClientChange::Removed);
        Ok(client.id)
    }
}

impl Operation for RotateSecret {
    const NAME: &'static str = "client-rotate-secret";
    type Output = ClientInformation;

    async fn run(self, context: &Context<'_>) -> Result<ClientInformation, OperationError> {
        let client = find(context.store, &self.id).await?;
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
        rotated.ok_or_else(|| client_not_found(&self.id))?;
        context.client_changed(&client.id, ClientChange::SecretRotated);
        let secret = Some(SecretString::new(secret));
        Ok(ClientInformation {
            id: client.id,
            secret,
            sector_identifier_uri: None,
            cautions: Vec::new(),
        })
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
    let client = find(context.store, id).await?;
    let step = |client: &mut Client| client.enabled = enabled;
    let changed = clients::update(context.store, &client.id, step).await?;
    changed.ok_or_else(|| client_not_found(id))?;
    if !enabled {
        clients::revoke_all(context.store, &client.id, context.now).await?;
    }
    context.client_changed(
        &client.id,
        if enabled { ClientChange::Enabled } else { ClientChange::Disabled },
    );
    Ok(client.id)
}

fn sector(metadata: &ClientMetadata) -> Option<String> {
    metadata.sector_identifier_uri.as_ref().map(ToString::to_string)
}

pub(super) async fn find(store: &dyn Store, id: &str) -> Result<Client, OperationError> {
    let Some(id) = ClientId::parse(id) else { return Err(client_not_found(id)) };
    clients::find(store, &id).await?.ok_or_else(|| client_not_found(id.as_str()))
}

fn client_not_found(id: &str) -> OperationError {
    OperationError::Refused(format!("there is no client {id}"))
}

/// The members as metadata that an operator may give a client.
fn metadata(members: &Map<String, Value>) -> Result<ClientMetadata, OperationError> {
    let metadata = parse_metadata(members)
        .map_err(|error| OperationError::Invalid(error.description.into_owned()))?;
    check_metadata(&metadata).map_err(OperationError::Invalid)?;
    Ok(metadata)
}
