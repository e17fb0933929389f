//! `latchkey client add`: metadata from a file, from options, or from a file with options over it.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use super::error::CliError;
use super::user::parse_name_value;
use crate::domain::clients::ClientSettings;
use crate::operations::clients::Add;

/// A client to add.
#[derive(Args, Debug)]
pub struct AddClient {
    /// Its `client_id`; made if not chosen
    #[arg(long)]
    id: Option<String>,
    /// What pages call it
    #[arg(long)]
    name: Option<String>,
    /// Where it may be sent back to; as often as needed
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Where people may be sent after signing out; as often as needed
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    post_logout_redirect_uris: Vec<String>,
    /// `authorization_code` (the default), `refresh_token`, `client_credentials`; as often as needed
    #[arg(long = "grant-type", value_name = "GRANT")]
    grant_types: Vec<String>,
    /// `client_secret_basic` or `client_secret_post` (both, if none is named), `private_key_jwt` or `none`; as often
    /// as it has ways
    #[arg(long = "auth-method", value_name = "METHOD")]
    auth_methods: Vec<String>,
    /// The most it may ask for, as words with spaces between; every standard scope if not given
    #[arg(long)]
    scope: Option<String>,
    /// It runs on people's own devices, so any port of a loopback redirect URI is the same
    #[arg(long)]
    native: bool,
    /// It is the operator's own: nobody is asked for consent
    #[arg(long)]
    first_party: bool,
    /// Its access tokens are handles to be introspected, not JWTs
    #[arg(long)]
    opaque_access_tokens: bool,
    /// An API its access tokens are for where a request names none; as often as needed
    #[arg(long, value_name = "RESOURCE")]
    audience: Vec<String>,
    /// An API it serves, whose access tokens it may introspect; as often as needed
    #[arg(long, value_name = "RESOURCE")]
    resource_server_for: Vec<String>,
    #[arg(long = "setting", value_name = "NAME=VALUE", help = settings_help())]
    settings: Vec<String>,
    /// A JSON file of client metadata (RFC 7591); options override its members
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

/// What `--setting` takes, for `--help`.
pub(super) fn settings_help() -> String {
    let names = ClientSettings::names().join(", ");
    format!(
        "A setting as name=value, where the value is JSON, or else text; as often as needed: {names}"
    )
}

fn settings(texts: &[String]) -> Result<ClientSettings, CliError> {
    let mut members = Map::new();
    for text in texts {
        let (name, value) = parse_name_value("--setting", text)?;
        if !ClientSettings::names().iter().any(|known| known == name) {
            let names = ClientSettings::names().join(", ");
            return Err(CliError::Usage(format!("{name}: there is no such setting, only {names}")));
        }
        if members.insert(name.to_owned(), value).is_some() {
            return Err(CliError::Usage(format!("{name} is given twice")));
        }
    }
    serde_json::from_value(Value::Object(members))
        .map_err(|error| CliError::Usage(format!("--setting: {error}")))
}

impl AddClient {
    pub(super) fn operation(self) -> Result<Add, CliError> {
        let metadata = self.members()?;
        let given = settings(&self.settings)?;
        let settings = ClientSettings {
            first_party: given.first_party || self.first_party,
            opaque_access_tokens: given.opaque_access_tokens || self.opaque_access_tokens,
            audience: [given.audience, self.audience].concat(),
            resource_server_for: [given.resource_server_for, self.resource_server_for].concat(),
            ..given
        };
        Ok(Add { id: self.id, metadata, settings })
    }

    /// The metadata as a registration would send it.
    fn members(&self) -> Result<Map<String, Value>, CliError> {
        let mut members = self.file_members()?;
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        };
        let text = |value: &Option<String>| value.clone().map(Value::from);
        let list = |items: &Vec<String>| (!items.is_empty()).then(|| items.clone().into());
        set("client_name", text(&self.name));
        set("scope", text(&self.scope));
        set("redirect_uris", list(&self.redirect_uris));
        set("post_logout_redirect_uris", list(&self.post_logout_redirect_uris));
        set("grant_types", list(&self.grant_types));
        set("application_type", self.native.then(|| "native".into()));
        if let Some((name, value)) = auth_methods(&self.auth_methods) {
            members.remove("token_endpoint_auth_method");
            members.remove("token_endpoint_auth_methods");
            members.insert(name, value);
        }
        Ok(members)
    }

    fn file_members(&self) -> Result<Map<String, Value>, CliError> {
        let Some(path) = &self.from_file else { return Ok(Map::new()) };
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| CliError::Usage(format!("{shown} cannot be read: {error}")))?;
        serde_json::from_str(&text)
            .map_err(|error| CliError::Usage(format!("{shown} must hold a JSON object: {error}")))
    }
}

/// The member that says how a client authenticates: RFC 7591's, or the one for several ways.
pub(super) fn auth_methods(named: &[String]) -> Option<(String, Value)> {
    match named {
        [] => None,
        [one] => Some(("token_endpoint_auth_method".to_owned(), one.as_str().into())),
        several => Some(("token_endpoint_auth_methods".to_owned(), several.into())),
    }
}
