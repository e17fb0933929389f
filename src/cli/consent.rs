//! `latchkey consent`: what people agreed to, and taking it back.

use std::collections::BTreeSet;

use clap::Subcommand;
use serde_json::{Value, json};

use super::error::CliError;
use super::operator::Operator;
use super::output;
use crate::operations::consents::{ConsentView, List, Withdraw};

/// What can be done with consents.
#[derive(Debug, Subcommand)]
pub enum ConsentCommand {
    /// List what a user agreed to
    List {
        /// User name or subject
        user: String,
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Take back a user's consent to a client, and end what the client was given
    Withdraw {
        /// User name or subject
        user: String,
        /// The `client_id`
        client: String,
    },
}

pub(super) async fn run(command: ConsentCommand, operator: &Operator) -> Result<String, CliError> {
    match command {
        ConsentCommand::List { user, json } => {
            let consents = operator.run(List { user }).await?;
            Ok(output::render_list(&consents, json, whole, line))
        }
        ConsentCommand::Withdraw { user, client } => {
            let done = operator.run(Withdraw { user, client: client.clone() }).await?;
            let (who, grants) = (&done.username, done.grants);
            Ok(if done.agreed {
                format!("withdrew the consent of {who} to {client}, ended grants: {grants}")
            } else {
                format!("{who} had not agreed to anything with {client}, ended grants: {grants}")
            })
        }
    }
}

fn whole(it: &ConsentView) -> Value {
    json!({
        "client_id": it.client_id,
        "client_name": it.client_name,
        "scope": it.scope,
        "claims": it.claims,
        "resources": it.resources,
        "given_at": output::timestamp(it.given_at),
    })
}

fn line(it: &ConsentView) -> String {
    let name = it.client_name.as_deref().unwrap_or("(gone)");
    let list = |what: &str, items: &BTreeSet<String>| {
        if items.is_empty() {
            return String::new();
        }
        let items: Vec<_> = items.iter().map(String::as_str).collect();
        format!("  {what}: {}", items.join(" "))
    };
    let (claims, apis) = (list("claims", &it.claims), list("APIs", &it.resources));
    format!("{}  {name}  {}{claims}{apis}", it.client_id.as_str(), it.scope)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::config::SecretString;
    use crate::domain::clients::ClientId;
    use crate::domain::consent::{self, Consent};
    use crate::infra::clock::{Clock, UnixTime};
    use crate::infra::secret::Digest;
    use crate::infra::store::{MemoryStore, Store};
    use crate::operations::users::Add;
    use crate::protocol::Subject;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    #[tokio::test]
    async fn a_consent_is_listed_and_taken_back() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Clock::manual(NOW)));
        let operator = Operator::on(Arc::clone(&store), NOW);
        let ada = Add {
            username: "ada".to_owned(),
            sub: Some("a".to_owned()),
            claims: serde_json::Map::new(),
            groups: Vec::new(),
            password: SecretString::new("tea with seven otters"),
        };
        operator.run(ada).await.unwrap();
        let list = async |user: &str, json| {
            run(ConsentCommand::List { user: user.to_owned(), json }, &operator).await
        };
        let withdraw = async || {
            let (user, client) = ("ada".to_owned(), "shop".to_owned());
            run(ConsentCommand::Withdraw { user, client }, &operator).await
        };
        assert_eq!(list("ada", false).await.unwrap(), "");
        let given = Consent {
            sub: Subject::parse("a").unwrap(),
            client: ClientId::parse("shop").unwrap(),
            scope: "openid email".parse().unwrap(),
            claims: ["birthdate".to_owned()].into(),
            apis: [("https://api.example".to_owned(), "email".parse().unwrap())].into(),
            display_digest: Digest::of(b"face"),
            given_at: NOW,
        };
        consent::remember(&*store, &given).await.unwrap();
        let line = "shop  (gone)  email openid  claims: birthdate  APIs: https://api.example";
        assert_eq!(list("ada", false).await.unwrap(), line);
        let json: Value = serde_json::from_str(&list("a", true).await.unwrap()).unwrap();
        assert_eq!(json[0]["scope"], "email openid");
        let done = "withdrew the consent of ada to shop, ended grants: 0";
        assert_eq!(withdraw().await.unwrap(), done);
        assert_eq!(list("ada", false).await.unwrap(), "");
        let again = withdraw().await.unwrap_err();
        assert_eq!(again.to_string(), "there is no client shop");
        let nobody = list("eve", false).await.unwrap_err();
        assert_eq!(nobody.to_string(), "there is no user eve");
    }
}
