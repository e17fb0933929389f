//! `latchkey client`. A secret is printed once, when it is made; the store keeps its digest.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use clap::Subcommand;
use serde_json::Value;

use super::client_add::AddClient;
use super::client_set::SetClient;
use super::error::CliError;
use super::operator::Operator;
use super::output;
use super::scope::warn_unknown_scopes;
use crate::operations::clients::{
    Changed, ClientInformation, Disable, Enable, List, Remove, RotateSecret, Show,
};

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
    /// Change a client; what is not named stays
    Set(Box<SetClient>),
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
            | Self::Set(_)
            | Self::Disable { .. }
            | Self::Enable { .. }
            | Self::Remove { .. }
            | Self::RotateSecret { .. } => true,
        }
    }
}

pub(super) async fn run(command: ClientCommand, operator: &Operator) -> Result<String, CliError> {
    match command {
        ClientCommand::Add(args) => {
            let add = args.operation()?;
            let scope = add.metadata.get("scope").and_then(Value::as_str).map(str::to_owned);
            let made = operator.run(add).await?;
            warn_unknown_scopes(operator, scope.as_deref()).await?;
            warn_unchecked_sector(made.sector_identifier_uri.as_deref());
            print_notes(&made.cautions);
            Ok(result_text(&made))
        }
        ClientCommand::List { json } => {
            let clients = operator.run(List {}).await?;
            Ok(output::render_list(&clients, json, output::client_json, output::client_line))
        }
        ClientCommand::Show { id, json } => {
            Ok(output::render_one(&output::client_json(&operator.run(Show { id }).await?), json))
        }
        ClientCommand::Set(args) => {
            let set = args.operation()?;
            let scope = set.metadata.get("scope").and_then(Value::as_str).map(str::to_owned);
            let Changed { id, changed, needs_secret, sector_identifier_uri, cautions } =
                operator.run(set).await?;
            warn_unknown_scopes(operator, scope.as_deref()).await?;
            let id = id.as_str();
            warn_unchecked_sector(sector_identifier_uri.as_deref());
            print_notes(&cautions);
            let outcome = if changed { "changed" } else { "nothing to change about" };
            let mut text = format!("{outcome} {id}");
            if needs_secret {
                // Writing to a string cannot fail.
                let _ = write!(text, "\nit has no secret yet: latchkey client rotate-secret {id}");
            }
            Ok(text)
        }
        ClientCommand::Disable { id } => {
            let id = operator.run(Disable { id }).await?;
            Ok(format!("{} {}", output::enabled_word(false), id.as_str()))
        }
        ClientCommand::Enable { id } => {
            let id = operator.run(Enable { id }).await?;
            Ok(format!("{} {}", output::enabled_word(true), id.as_str()))
        }
        ClientCommand::Remove { id } => {
            Ok(format!("removed {}", operator.run(Remove { id }).await?.as_str()))
        }
        ClientCommand::RotateSecret { id, keep_old_for } => {
            Ok(result_text(&operator.run(RotateSecret { id, keep_old_for }).await?))
        }
    }
}

/// The only place where the secret is ever shown.
fn result_text(ClientInformation { id, secret, .. }: &ClientInformation) -> String {
    let mut text = format!("client_id={}", id.as_str());
    if let Some(secret) = secret {
        text.push_str("\nclient_secret=");
        text.push_str(secret.reveal());
    }
    text
}

fn print_notes(cautions: &[String]) {
    for caution in cautions {
        let _ = writeln!(std::io::stderr(), "note: {caution}");
    }
}

/// What the operator writes down is the operator's word: nothing is fetched for it.
fn warn_unchecked_sector(uri: Option<&str>) {
    if let Some(uri) = uri {
        let _ = writeln!(
            std::io::stderr(),
            "note: {uri} was not asked whether it lists the redirect URIs; see to it that it does"
        );
    }
}
