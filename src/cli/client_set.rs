//! `latchkey client set`: changes what is named, and leaves the rest.

use clap::Args;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::user::named_value;
use crate::operations::clients::Set;

/// What to change about a client.
#[derive(Args, Debug)]
pub struct SetClient {
    /// Its `client_id`
    id: String,
    /// What pages call it
    #[arg(long)]
    name: Option<String>,
    /// Where it may be sent back to, in place of all there are; as often as needed
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Where people may be sent after signing out, in place of all there are; as often as needed
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    post_logout_redirect_uris: Vec<String>,
    /// In place of all there are; as often as needed
    #[arg(long = "grant-type", value_name = "GRANT")]
    grant_types: Vec<String>,
    /// `client_secret_basic`, `client_secret_post`, `private_key_jwt` or `none`
    #[arg(long, value_name = "METHOD")]
    auth_method: Option<String>,
    /// The most it may ask for, as words with spaces between
    #[arg(long)]
    scope: Option<String>,
    /// Whether it is the operator's own, so that nobody is asked for consent
    #[arg(long, value_name = "true|false")]
    first_party: Option<bool>,
    /// Whether its access tokens are handles to be introspected, not JWTs
    #[arg(long, value_name = "true|false")]
    opaque_access_tokens: Option<bool>,
    /// A resource its access tokens are for, in place of all there are; as often as needed
    #[arg(long, value_name = "RESOURCE")]
    audience: Vec<String>,
    /// A resource it serves, in place of all there are; as often as needed
    #[arg(long, value_name = "RESOURCE")]
    resource_server_for: Vec<String>,
    /// Any other member of its metadata (RFC 7591) as name=value; the value is JSON, or else text, and `null`
    /// takes it away; as often as needed
    #[arg(long = "metadata", value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    /// Any setting as name=value; `null` puts it back to its default; as often as needed
    #[arg(long = "setting", value_name = "NAME=VALUE")]
    settings: Vec<String>,
}

impl SetClient {
    pub(super) fn operation(self) -> Result<Set, Failure> {
        let list = |items: Vec<String>| (!items.is_empty()).then(|| Value::from(items));
        let mut metadata = Map::new();
        for (name, value) in [
            ("client_name", self.name.map(Value::from)),
            ("redirect_uris", list(self.redirect_uris)),
            ("post_logout_redirect_uris", list(self.post_logout_redirect_uris)),
            ("grant_types", list(self.grant_types)),
            ("token_endpoint_auth_method", self.auth_method.map(Value::from)),
            ("scope", self.scope.map(Value::from)),
        ] {
            metadata.extend(value.map(|value| (name.to_owned(), value)));
        }
        let mut settings = Map::new();
        for (name, value) in [
            ("first_party", self.first_party.map(Value::from)),
            ("opaque_access_tokens", self.opaque_access_tokens.map(Value::from)),
            ("audience", list(self.audience)),
            ("resource_server_for", list(self.resource_server_for)),
        ] {
            settings.extend(value.map(|value| (name.to_owned(), value)));
        }
        for (texts, members, option) in [
            (&self.metadata, &mut metadata, "--metadata"),
            (&self.settings, &mut settings, "--setting"),
        ] {
            for text in texts {
                let (name, value) = named_value(option, text)?;
                if members.insert(name.to_owned(), value).is_some() {
                    return Err(Failure::Usage(format!("{name} is given twice")));
                }
            }
        }
        if metadata.is_empty() && settings.is_empty() {
            return Err(Failure::Usage("nothing to set: name at least one option".to_owned()));
        }
        Ok(Set { id: self.id, metadata, settings })
    }
}
