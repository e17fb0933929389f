//! `latchkey client add`: metadata from a file, from options, or from a file with options over it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};

use super::failure::Failure;
use crate::bootstrap::{check_declared, check_settings};
use crate::clients::{
    self, Client, ClientId, ClientSecret, DeclaredClient, Settings, Source, recipient,
};
use crate::clock::UnixTime;
use crate::protocol::ClientMetadata;
use crate::protocol::client_metadata::Offer;
use crate::random;
use crate::secret::{Digest, Secret};
use crate::store::{Created, Store};

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
    /// `authorization_code` (the default), `refresh_token`, `client_credentials`; as often as needed
    #[arg(long = "grant-type", value_name = "GRANT")]
    grant_types: Vec<String>,
    /// `client_secret_basic` (the default), `client_secret_post`, `private_key_jwt` or `none`
    #[arg(long, value_name = "METHOD")]
    auth_method: Option<String>,
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
    /// A resource its access tokens are for; as often as needed
    #[arg(long, value_name = "RESOURCE")]
    audience: Vec<String>,
    /// A resource it serves, whose access tokens it may introspect; as often as needed
    #[arg(long, value_name = "RESOURCE")]
    resource_server_for: Vec<String>,
    /// A JSON file of client metadata (RFC 7591); options override its members
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
}

/// Adds it; the answer is the only place where the secret is ever shown.
pub(super) async fn run(
    args: AddClient,
    store: &dyn Store,
    now: UnixTime,
) -> Result<String, Failure> {
    let mut client = args.client(now)?;
    let id = client.id.as_str().to_owned();
    let mut answer = format!("client_id={id}");
    if client.metadata.has_secret() {
        let secret = Secret::random().reveal();
        let digest = Digest::of(secret.as_bytes());
        client.secrets.push(ClientSecret {
            digest,
            sealed: None,
            created_at: now,
            expires_at: None,
        });
        answer.push_str("\nclient_secret=");
        answer.push_str(&secret);
    }
    match clients::add(store, &client).await? {
        Created::New => {
            note_the_sector(&client);
            Ok(answer)
        }
        Created::Taken => Err(Failure::Refused(format!("there is a client {id} already"))),
    }
}

/// What the operator writes down is the operator's word: nothing is fetched for it.
fn note_the_sector(client: &Client) {
    if let Some(uri) = &client.metadata.sector_identifier_uri {
        let _ = writeln!(
            std::io::stderr(),
            "note: {uri} was not asked whether it lists the redirect URIs; see to it that it does"
        );
    }
}

impl AddClient {
    fn client(self, now: UnixTime) -> Result<Client, Failure> {
        let chosen = self.id.clone().unwrap_or_else(|| random::uuid().to_string());
        let id = ClientId::parse(&chosen).ok_or_else(|| {
            let rule = "--id must be 1 to 255 characters of A-Z a-z 0-9 . _ ~ : @ / -";
            Failure::Usage(rule.to_owned())
        })?;
        let metadata = ClientMetadata::parse_within(&self.members()?, &Offer::complete())
            .and_then(|metadata| recipient::check_registered(&metadata).map(|()| metadata))
            .map_err(|error| Failure::Usage(error.description.into_owned()))?;
        let settings = Settings {
            first_party: self.first_party,
            opaque_access_tokens: self.opaque_access_tokens,
            audience: self.audience,
            resource_server_for: self.resource_server_for,
            ..Settings::default()
        };
        check_declared(&metadata).map_err(Failure::Usage)?;
        check_settings(&metadata, &settings).map_err(Failure::Usage)?;
        Ok(Client {
            id,
            metadata,
            settings,
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

    /// The metadata as a registration would send it.
    fn members(&self) -> Result<Map<String, Value>, Failure> {
        let mut members = self.file_members()?;
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                members.insert(name.to_owned(), value);
            }
        };
        let text = |value: &Option<String>| value.clone().map(Value::from);
        let list = |items: &Vec<String>| (!items.is_empty()).then(|| items.clone().into());
        set("client_name", text(&self.name));
        set("token_endpoint_auth_method", text(&self.auth_method));
        set("scope", text(&self.scope));
        set("redirect_uris", list(&self.redirect_uris));
        set("grant_types", list(&self.grant_types));
        set("application_type", self.native.then(|| "native".into()));
        Ok(members)
    }

    fn file_members(&self) -> Result<Map<String, Value>, Failure> {
        let Some(path) = &self.from_file else { return Ok(Map::new()) };
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::Usage(format!("{shown} cannot be read: {error}")))?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::Usage(format!("{shown} must hold a JSON object: {error}")))
    }
}
