//! `latchkey client set`: changes what is named, and leaves the rest.

use clap::Args;
use serde_json::{Map, Value};

use super::client_add::{auth_methods, settings_help};
use super::error::CliError;
use super::user::parse_name_value;
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
    /// `client_secret_basic`, `client_secret_post`, `private_key_jwt` or `none`, in place of all there are; as often
    /// as it has ways
    #[arg(long = "auth-method", value_name = "METHOD")]
    auth_methods: Vec<String>,
    /// The most it may ask for, as words with spaces between
    #[arg(long)]
    scope: Option<String>,
    /// Whether it is the operator's own, so that nobody is asked for consent
    #[arg(long, value_name = "true|false")]
    first_party: Option<bool>,
    /// Whether its access tokens are handles to be introspected, not JWTs
    #[arg(long, value_name = "true|false")]
    opaque_access_tokens: Option<bool>,
    /// An API its access tokens are for where a request names none, in place of all there are; as often as needed
    #[arg(long, value_name = "RESOURCE")]
    audience: Vec<String>,
    /// An API it serves, in place of all there are; as often as needed
    #[arg(long, value_name = "RESOURCE")]
    resource_server_for: Vec<String>,
    /// Any other member of its metadata (RFC 7591) as name=value; the value is JSON, or else text, and `null`
    /// takes it away; as often as needed
    #[arg(long = "metadata", value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    #[arg(long = "setting", value_name = "NAME=VALUE", help = format!("{} (null: its default)", settings_help()))]
    settings: Vec<String>,
}

impl SetClient {
    pub(super) fn operation(self) -> Result<Set, CliError> {
        let list = |items: Vec<String>| (!items.is_empty()).then(|| Value::from(items));
        let mut metadata = Map::new();
        for (name, value) in [
            ("client_name", self.name.map(Value::from)),
            ("redirect_uris", list(self.redirect_uris)),
            ("post_logout_redirect_uris", list(self.post_logout_redirect_uris)),
            ("grant_types", list(self.grant_types)),
            ("scope", self.scope.map(Value::from)),
        ] {
            metadata.extend(value.map(|value| (name.to_owned(), value)));
        }
        metadata.extend(auth_methods(&self.auth_methods));
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
                let (name, value) = parse_name_value(option, text)?;
                if members.insert(name.to_owned(), value).is_some() {
                    return Err(CliError::Usage(format!("{name} is given twice")));
                }
            }
        }
        if metadata.is_empty() && settings.is_empty() {
            return Err(CliError::Usage("nothing to set: name at least one option".to_owned()));
        }
        Ok(Set { id: self.id, metadata, settings })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use crate::cli::tests::{run, store};

    #[tokio::test]
    async fn who_names_one_way_to_authenticate_means_no_other_and_who_names_several_means_the_first()
     {
        let store = store();
        let (basic, post) = ("client_secret_basic", "client_secret_post");
        let add = "client add --id shop --redirect-uri https://shop.example/cb".to_owned();
        let set = |more: &str| format!("client set shop {more}");
        for (line, one, several) in [
            (add, basic, vec![basic, post]),
            (set("--name Shop"), basic, vec![basic, post]),
            (set("--auth-method client_secret_post"), post, vec![]),
            (set("--name shop"), post, vec![]),
            (
                set("--auth-method client_secret_post --auth-method client_secret_basic"),
                post,
                vec![post, basic],
            ),
            (set("--metadata token_endpoint_auth_methods=null"), post, vec![]),
            (set("--metadata token_endpoint_auth_method=null"), basic, vec![basic, post]),
        ] {
            run(&format!("latchkey {line}"), &store).await.unwrap();
            let shown = run("latchkey client show shop --json", &store).await.unwrap();
            let shown: Value = serde_json::from_str(&shown).unwrap();
            let metadata = &shown["metadata"];
            assert_eq!(metadata["token_endpoint_auth_method"], one, "{line}");
            let named = metadata.get("token_endpoint_auth_methods").cloned();
            let expected = (!several.is_empty()).then(|| several.into());
            assert_eq!(named, expected, "{line}");
        }
    }
}
