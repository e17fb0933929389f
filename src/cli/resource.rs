//! `latchkey resource`.

use std::time::Duration;

use clap::Subcommand;
use serde_json::{Value, json};

use super::error::CliError;
use super::operator::Operator;
use super::output;
use crate::domain::clients::ClientId;
use crate::domain::resources::{DeclareOutcome, Resource, ResourceEntry};
use crate::operations::resources::{Add, List, Remove, Show};
use crate::protocol::{AccessTokenTyp, Scope};

/// What can be done with APIs.
#[derive(Debug, Subcommand)]
pub enum ResourceCommand {
    /// List every API there is
    List {
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show all that is known of an API
    Show {
        /// Its identifier
        resource: String,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Declare an API (RFC 8707), or change one: what is not named stays
    Add(AddResource),
    /// Remove an API; clients that have it as `audience` are named, since their tokens go on being for it and allow
    /// all that was granted then
    Remove {
        /// Its identifier
        resource: String,
    },
}

/// The API to be declared.
#[derive(Debug, clap::Args)]
pub struct AddResource {
    /// Its identifier, an absolute URI without a fragment; clients have to write it letter by letter the same
    resource: String,
    /// What the consent page calls it
    #[arg(long)]
    name: Option<String>,
    /// The scopes that mean something to it, as words with spaces between; whatever was granted if there are none
    #[arg(long)]
    scope: Option<String>,
    /// How long access tokens for it are good, such as 5m
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    access_token_lifetime: Option<Duration>,
    /// What the header of JWT access tokens for it says: `at+jwt` or `JWT`
    #[arg(long, value_name = "TYP")]
    access_token_typ: Option<String>,
    /// Who may ask for it, by `client_id`, in place of who might before; as often as needed; every client of a new
    /// API if not given
    #[arg(long = "client", value_name = "CLIENT_ID")]
    clients: Vec<String>,
    /// Let every client ask for it
    #[arg(long, conflicts_with = "clients")]
    every_client: bool,
    /// Whether clients that registered themselves may ask for it, too; if not given, they may where every client
    /// may
    #[arg(long, value_name = "true|false")]
    registered_clients: Option<bool>,
}

pub(super) async fn run(command: ResourceCommand, operator: &Operator) -> Result<String, CliError> {
    match command {
        ResourceCommand::List { json } => {
            let resources = operator.run(List {}).await?;
            Ok(output::render_list(&resources, json, object, line))
        }
        ResourceCommand::Show { resource, json } => {
            let shown = operator.run(Show { resource }).await?;
            Ok(output::render_one(&object(&shown), json))
        }
        ResourceCommand::Add(args) => {
            let mut all = operator.run(List {}).await?.into_iter();
            let stored = all.find(|it| it.resource == args.resource).map(|it| it.entry);
            let resource = args.resource(stored.unwrap_or_default())?;
            let name = resource.resource.clone();
            let outcome = match operator.run(Add(resource)).await? {
                DeclareOutcome::Added => "added",
                DeclareOutcome::Changed => "changed",
                DeclareOutcome::Unchanged => "nothing to change about",
            };
            Ok(format!("{outcome} {name}"))
        }
        ResourceCommand::Remove { resource } => {
            let left = operator.run(Remove { resource: resource.clone() }).await?;
            let left: Vec<_> = left.iter().map(ClientId::as_str).collect();
            Ok(match &*left {
                [] => format!("removed {resource}"),
                left => format!(
                    "removed {resource}; it is still the audience of {}, whose tokens for it allow all that was \
                     granted now",
                    left.join(", ")
                ),
            })
        }
    }
}

impl AddResource {
    /// What it is from now on, and was `held` before.
    fn resource(self, stored: ResourceEntry) -> Result<Resource, CliError> {
        let usage = |why: &str| CliError::Usage(why.to_owned());
        let scopes = self.scope.map_or(Ok(stored.scopes), |text| {
            text.parse::<Scope>().map_err(|_| {
                usage("--scope: must be words of printable ASCII without quotes and backslashes")
            })
        })?;
        let typ = self.access_token_typ.map(|typ| {
            AccessTokenTyp::parse(&typ)
                .ok_or_else(|| usage("--access-token-typ: must be at+jwt or JWT"))
        });
        let client =
            |id: &String| ClientId::parse(id).ok_or_else(|| usage("--client: must be a client_id"));
        let named = self.clients.iter().map(client).collect::<Result<_, _>>()?;
        let kept = stored.clients.filter(|_| !self.every_client);
        let seconds = |it: Duration| u32::try_from(it.as_secs()).unwrap_or(u32::MAX);
        let lifetime = self.access_token_lifetime.map(seconds);
        let entry = ResourceEntry {
            name: self.name.or(stored.name),
            scopes,
            access_token_lifetime: lifetime.or(stored.access_token_lifetime),
            access_token_typ: typ.transpose()?.or(stored.access_token_typ),
            clients: if self.clients.is_empty() { kept } else { Some(named) },
            registered_clients: self.registered_clients.or(stored.registered_clients),
        };
        Ok(Resource { resource: self.resource, entry })
    }
}

fn object(it: &Resource) -> Value {
    let entry = &it.entry;
    json!({
        "resource": it.resource,
        "name": entry.name,
        "scopes": entry.scopes.iter().collect::<Vec<_>>(),
        "access_token_lifetime": entry.access_token_lifetime,
        "access_token_typ": entry.access_token_typ,
        "clients": entry.clients,
        "registered_clients": entry.registered_clients,
    })
}

fn line(it: &Resource) -> String {
    let name = it.entry.name.as_deref().map(|name| format!("  {name}")).unwrap_or_default();
    let scopes = it.entry.scopes.to_string();
    let scopes = if scopes.is_empty() { scopes } else { format!("  [{scopes}]") };
    output::printable(&format!("{}{scopes}{name}", it.resource))
}
