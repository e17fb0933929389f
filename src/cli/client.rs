//! `latchkey client`. A secret is printed once, when it is made; the store keeps its digest.

use std::time::Duration;

use clap::Subcommand;

use super::client_add::{self, AddClient};
use super::failure::Failure;
use super::shown;
use crate::clients::{self, Client, ClientId};
use crate::clock::UnixTime;
use crate::protocol::AuthMethod;
use crate::secret::{Digest, Secret};
use crate::store::Store;

/// What can be done with clients.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Add a client, and print its id and its secret
    Add(Box<AddClient>),
    /// List all clients
    List {
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one client
    Show {
        /// Its `client_id`
        id: String,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Let a client do nothing any more, whatever it holds
    Disable {
        /// Its `client_id`
        id: String,
    },
    /// Let a disabled client back in
    Enable {
        /// Its `client_id`
        id: String,
    },
    /// Remove a client and everything it was given
    Remove {
        /// Its `client_id`
        id: String,
    },
    /// Make a new secret and print it
    RotateSecret {
        /// Its `client_id`
        id: String,
        /// How long the secret before goes on working, for example 24h
        #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = humantime::parse_duration)]
        keep_old_for: Duration,
    },
}

impl ClientCommand {
    pub(super) fn writes(&self) -> bool {
        match self {
            Self::List { .. } | Self::Show { .. } => false,
            Self::Add(_)
            | Self::Disable { .. }
            | Self::Enable { .. }
            | Self::Remove { .. }
            | Self::RotateSecret { .. } => true,
        }
    }
}

pub(super) async fn run(
    command: ClientCommand,
    store: &dyn Store,
    now: UnixTime,
) -> Result<String, Failure> {
    match command {
        ClientCommand::Add(args) => client_add::run(*args, store, now).await,
        ClientCommand::List { json } => {
            let mut clients = clients::list(store).await?;
            clients.sort_by(|one, other| one.id.cmp(&other.id));
            Ok(shown::list(&clients, json, shown::client, shown::client_line))
        }
        ClientCommand::Show { id, json } => {
            Ok(shown::one(&shown::client(&named(store, &id).await?), json))
        }
        ClientCommand::Disable { id } => set_enabled(store, &id, false, now).await,
        ClientCommand::Enable { id } => set_enabled(store, &id, true, now).await,
        ClientCommand::Remove { id } => {
            let client = named(store, &id).await?;
            clients::remove(store, &client.id).await?;
            Ok(format!("removed {id}"))
        }
        ClientCommand::RotateSecret { id, keep_old_for } => {
            rotate_secret(store, &id, keep_old_for, now).await
        }
    }
}

async fn set_enabled(
    store: &dyn Store,
    id: &str,
    enabled: bool,
    now: UnixTime,
) -> Result<String, Failure> {
    let client = named(store, id).await?;
    let step = |client: &mut Client| client.enabled = enabled;
    clients::update(store, &client.id, step).await?.ok_or_else(|| unknown(id))?;
    if !enabled {
        clients::cut_off(store, &client.id, now).await?;
    }
    Ok(format!("{} {id}", shown::became(enabled)))
}

async fn rotate_secret(
    store: &dyn Store,
    id: &str,
    keep_old_for: Duration,
    now: UnixTime,
) -> Result<String, Failure> {
    let client = named(store, id).await?;
    if !client.metadata.has_secret() {
        let method = client.metadata.token_endpoint_auth_method.as_str();
        let why = format!("{id} has no secret: it authenticates by {method}");
        return Err(Failure::Refused(why));
    }
    if client.metadata.token_endpoint_auth_method == AuthMethod::ClientSecretJwt {
        let why = format!(
            "{id} authenticates by client_secret_jwt: the server keeps its secret readable, and a new one \
             comes with a new registration"
        );
        return Err(Failure::Refused(why));
    }
    let secret = Secret::random().reveal();
    let digest = Digest::of(secret.as_bytes());
    let step = |client: &mut Client| {
        // A try whose answer was lost made this secret already.
        if !client.secrets.iter().any(|it| it.digest == digest) {
            client.rotate_secret(digest, now, now.plus(keep_old_for));
        }
    };
    clients::update(store, &client.id, step).await?.ok_or_else(|| unknown(id))?;
    Ok(format!("client_id={id}\nclient_secret={secret}"))
}

async fn named(store: &dyn Store, id: &str) -> Result<Client, Failure> {
    let Some(id) = ClientId::parse(id) else { return Err(unknown(id)) };
    clients::find(store, &id).await?.ok_or_else(|| unknown(id.as_str()))
}

fn unknown(id: &str) -> Failure {
    Failure::Refused(format!("there is no client {id}"))
}
