//! Which client may request a token for which API, and what such a token is.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Resource;
use crate::domain::clients::{Client, ClientId, RegistrationSource};
use crate::protocol::claims::ScopeCatalogue;
use crate::protocol::{AccessTokenTyp, ErrorCode, OAuthError, Scope, resource};

/// The declaration of an API.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default)]
pub struct ResourceEntry {
    /// Its name on the consent page.
    pub name: Option<String>,
    /// The scopes that its tokens may have; every granted scope, where empty.
    pub scopes: Scope,
    /// In seconds; that of the client or the server where absent.
    pub access_token_lifetime: Option<u32>,
    /// `typ` of its JWT access tokens; that of the client where absent.
    pub access_token_typ: Option<AccessTokenTyp>,
    /// The clients that may request it; every client where absent.
    pub clients: Option<BTreeSet<ClientId>>,
    /// Whether clients that registered themselves may request it, too; where absent, only if every client may.
    pub registered_clients: Option<bool>,
}

impl ResourceEntry {
    /// Whether the declaration is valid; the error is a sentence.
    pub(super) fn check(&self) -> Result<(), String> {
        let is_name =
            |name: &String| (1..=255).contains(&name.len()) && !name.chars().any(char::is_control);
        if !self.name.as_ref().is_none_or(is_name) {
            return Err("name: must be 1 to 255 bytes without control characters".to_owned());
        }
        if self.access_token_lifetime.is_some_and(|it| !(1..=86_400).contains(&it)) {
            return Err("access_token_lifetime: must be 1 to 86400 seconds".to_owned());
        }
        Ok(())
    }

    /// Whether `clients` has this client.
    fn names(&self, client: &Client) -> bool {
        self.clients.as_ref().is_some_and(|it| it.contains(&client.id))
    }

    fn admits(&self, client: &Client) -> bool {
        let by_kind = match client.source {
            RegistrationSource::Operator => self.clients.is_none(),
            RegistrationSource::Registered => self.admits_registered(),
        };
        by_kind || self.names(client)
    }

    /// Whether clients that registered themselves may request it.
    fn admits_registered(&self) -> bool {
        self.registered_clients.unwrap_or(self.clients.is_none())
    }
}

/// All APIs, by identifier.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ResourceCatalogue(BTreeMap<String, ResourceEntry>);

/// What an access token is for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Target {
    /// `aud`.
    pub audience: Vec<String>,
    /// What it allows at these APIs.
    pub scope: Scope,
    /// In seconds, where an API sets it.
    pub lifetime: Option<u32>,
    /// `typ`, where an API sets it.
    pub typ: Option<AccessTokenTyp>,
}

impl ResourceCatalogue {
    /// Adds an API, in place of one of that identifier.
    pub fn declare(&mut self, it: Resource) {
        self.0.insert(it.resource, it.entry);
    }

    /// Refuses to have the issuer among them; the error is a sentence.
    pub fn check_at(&self, issuer: &str) -> Result<(), String> {
        self.iter().try_for_each(|it| it.check_at(issuer))
    }

    /// The declaration of an API.
    pub fn get(&self, resource: &str) -> Option<&ResourceEntry> {
        self.0.get(resource)
    }

    /// Every API, by identifier.
    pub fn iter(&self) -> impl Iterator<Item = Resource> {
        let resource = |(resource, entry): (&String, &ResourceEntry)| Resource {
            resource: resource.clone(),
            entry: entry.clone(),
        };
        self.0.iter().map(resource)
    }

    /// The widest scope that an end-user can grant this client: what it registered, or else every standard scope and those
    /// of the APIs that it may request.
    pub fn max_scope(&self, client: &Client) -> Scope {
        let ceiling = client.max_scope();
        if client.metadata.scope.is_some() {
            return ceiling;
        }
        let open = self.0.values().filter(|entry| entry.admits(client));
        open.fold(ceiling, |sum, entry| sum.union(&entry.scopes))
    }

    /// Whether some API that this client may ask for knows the scope.
    pub fn knows_scope(&self, client: &Client, scope: &str) -> bool {
        self.0.values().any(|entry| entry.scopes.contains(scope) && entry.admits(client))
    }

    /// Whether some API that is open to clients that register themselves knows the scope.
    pub fn knows_scope_for_registered(&self, scope: &str) -> bool {
        self.0.values().any(|entry| entry.scopes.contains(scope) && entry.admits_registered())
    }

    /// What a request without a scope asks for ([RFC 6749 §3.3]): what the operator says for the client, what it
    /// registered, or what the APIs that it names know; or else who the person is, and no more.
    ///
    /// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
    pub fn default_scope(&self, client: &Client, asked: &[String]) -> Scope {
        if let Some(named) =
            client.settings.default_scope.as_ref().or(client.metadata.scope.as_ref())
        {
            return named.clone();
        }
        let entries = asked.iter().filter_map(|it| self.get(it));
        let known = entries.fold(Scope::default(), |sum, entry| sum.union(&entry.scopes));
        if known.is_empty() { Scope::openid() } else { known }
    }

    /// Whether the client may ask for a token for it: our own userinfo endpoint, an audience that the operator
    /// gave the client, or an API that is open to it.
    pub fn is_open(&self, issuer: &str, client: &Client, resource: &str) -> bool {
        resource == issuer
            || client.settings.audience.iter().any(|it| it == resource)
            || self.get(resource).is_some_and(|entry| entry.admits(client))
    }

    /// Refuses what the client may not ask for ([RFC 8707 §2], `invalid_target`).
    ///
    /// [RFC 8707 §2]: https://www.rfc-editor.org/rfc/rfc8707#section-2
    pub fn check(&self, issuer: &str, client: &Client, asked: &[String]) -> Result<(), OAuthError> {
        let Some(refused) = asked.iter().find(|it| !self.is_open(issuer, client, it)) else {
            return Ok(());
        };
        let id = client.id.as_str();
        let near = resource::with_toggled_slash(refused);
        if self.is_open(issuer, client, &near) {
            tracing::info!(
                client = id,
                declared = near,
                "a token was asked for an API that is declared but for the slash at the end: identifiers are \
                 compared letter by letter, so declare it as clients write it"
            );
            return Err(invalid(
                "resource differs from an API that is declared here by the slash at its end",
            ));
        }
        if self.get(refused).is_some() {
            tracing::info!(
                client = id,
                resource = refused,
                "a token was asked for an API that is not open to the client"
            );
        } else {
            let resource: String = refused.chars().take(200).collect();
            tracing::info!(
                client = id,
                resource,
                "a token was asked for an API that is not declared (`latchkey resource add`)"
            );
        }
        Err(invalid("resource is no API that is declared here and open to this client"))
    }

    /// Refuses what a client may not request for itself (`client_credentials`). No end-user consents here, so a client that
    /// registered itself has to be named by the operator.
    pub fn check_for_client_itself(
        &self,
        issuer: &str,
        client: &Client,
        asked: &[String],
    ) -> Result<(), OAuthError> {
        self.check(issuer, client, asked)?;
        let vouched = |resource: &String| {
            client.source == RegistrationSource::Operator
                || resource == issuer
                || client.settings.audience.contains(resource)
                || self.get(resource).is_some_and(|entry| entry.names(client))
        };
        if asked.iter().all(vouched) {
            return Ok(());
        }
        Err(invalid("resource is no API that this client may use for itself"))
    }

    /// What a token for that audience is. "All the individual scope strings in the scope claim MUST have meaning
    /// for the resources indicated in the aud claim" ([RFC 9068 §3]).
    ///
    /// Everything that was granted has meaning for an API that names no scopes or is not declared, and in a token
    /// for ourselves alone. Beside APIs we know `own`, the scopes there are without theirs.
    ///
    /// [RFC 9068 §3]: https://www.rfc-editor.org/rfc/rfc9068#section-3
    pub fn target(
        &self,
        (issuer, own): (&str, &ScopeCatalogue),
        audience: Vec<String>,
        granted: &Scope,
    ) -> Target {
        let alone = audience.len() == 1;
        let entries: Vec<_> =
            audience.iter().filter(|it| *it != issuer).map(|it| self.get(it)).collect();
        let ours = || own.scopes().collect::<Scope>();
        let has_issuer = entries.len() < audience.len();
        let first = if has_issuer && !alone { ours() } else { Scope::default() };
        let known = entries.iter().copied().try_fold(first, |sum, entry| {
            let scopes = &entry.filter(|entry| !entry.scopes.is_empty())?.scopes;
            Some(sum.union(scopes))
        });
        let known = known.filter(|_| !entries.is_empty());
        let said = || entries.iter().copied().flatten();
        Target {
            scope: known.map_or_else(|| granted.clone(), |known| granted.intersection(&known)),
            lifetime: said().filter_map(|entry| entry.access_token_lifetime).min(),
            typ: said().find_map(|entry| entry.access_token_typ),
            audience,
        }
    }

    /// The longest lifetime that an API has of its own, in seconds.
    pub fn max_access_token_lifetime(&self) -> Option<u32> {
        self.0.values().filter_map(|entry| entry.access_token_lifetime).max()
    }
}

const fn invalid(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidTarget, description)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::clients::ClientSettings;
    use crate::infra::clock::UnixTime;
    use crate::protocol::ClientMetadata;

    const ISSUER: &str = "https://id.example";

    fn client(id: &str, source: RegistrationSource) -> Client {
        let members = json!({"redirect_uris": ["https://shop.example/cb"]});
        Client {
            id: ClientId::parse(id).unwrap(),
            metadata: ClientMetadata::parse(members.as_object().unwrap()).unwrap(),
            settings: ClientSettings::default(),
            secrets: Vec::new(),
            registration_token: None,
            enabled: true,
            source,
            created_at: UnixTime::from_secs(1_700_000_000),
            unused_until: None,
            development: false,
            declared: None,
        }
    }

    fn catalogue(resources: &[(&str, ResourceEntry)]) -> ResourceCatalogue {
        let mut catalogue = ResourceCatalogue::default();
        for (resource, entry) in resources {
            let (resource, entry) = ((*resource).to_owned(), entry.clone());
            catalogue.declare(Resource { resource, entry });
        }
        catalogue
    }

    #[test]
    fn an_api_is_open_to_all_or_to_those_it_names_and_to_strangers_where_it_says_so() {
        let (shop, robot, stranger) = (
            client("shop", RegistrationSource::Operator),
            client("robot", RegistrationSource::Operator),
            client("stranger", RegistrationSource::Registered),
        );
        let named =
            |ids: &[&str]| Some(ids.iter().map(|id| ClientId::parse(id).unwrap()).collect());
        #[rustfmt::skip]
        let table = [
            // clients,                    registered, shop,  robot, stranger, and alone
            (None,                         None,        true,  true,  true,  false),
            (None,                         Some(false), true,  true,  false, false),
            (named(&["shop"]),             None,        true,  false, false, false),
            (named(&["shop"]),             Some(true),  true,  false, true,  false),
            (named(&["shop", "stranger"]), None,        true,  false, true,  true),
            (named(&[]),                   None,        false, false, false, false),
        ];
        for (clients, registered_clients, first, second, third, alone) in table {
            let entry = ResourceEntry { clients, registered_clients, ..ResourceEntry::default() };
            let catalogue = catalogue(&[("a:1", entry.clone())]);
            for (client, expected) in [(&shop, first), (&robot, second), (&stranger, third)] {
                assert_eq!(
                    catalogue.is_open(ISSUER, client, "a:1"),
                    expected,
                    "{client:?} {entry:?}"
                );
            }
            let asked = ["a:1".to_owned()];
            assert_eq!(
                catalogue.check_for_client_itself(ISSUER, &stranger, &asked).is_ok(),
                alone,
                "{entry:?}"
            );
            assert_eq!(
                catalogue.check_for_client_itself(ISSUER, &shop, &asked).is_ok(),
                first,
                "{entry:?}"
            );
        }
    }

    #[test]
    fn a_token_allows_what_its_apis_know_and_lives_as_short_as_the_shortest_says() {
        let entry = |scopes: &str, access_token_lifetime| ResourceEntry {
            scopes: scopes.parse().unwrap(),
            access_token_lifetime,
            ..ResourceEntry::default()
        };
        let catalogue = catalogue(&[
            ("a:1", entry("read", Some(60))),
            ("b:1", entry("read write", Some(600))),
            ("c:1", entry("", None)),
        ]);
        let granted = "openid read write".parse().unwrap();
        for (audience, scope, lifetime) in [
            (&["a:1"] as &[&str], "read", Some(60)),
            (&["b:1"], "read write", Some(600)),
            (&["a:1", "b:1"], "read write", Some(60)),
            (&["c:1"], "openid read write", None),
            (&["a:1", "c:1"], "openid read write", Some(60)),
            (&[ISSUER], "openid read write", None),
            (&[ISSUER, "a:1"], "openid read", Some(60)),
            (&["a:1", ISSUER], "openid read", Some(60)),
        ] {
            let audience = audience.iter().map(|it| (*it).to_owned()).collect();
            let own = (ISSUER, &ScopeCatalogue::default());
            let target = catalogue.target(own, audience, &granted);
            assert_eq!((target.scope.to_string().as_str(), target.lifetime), (scope, lifetime));
        }
    }

    #[test]
    fn only_who_registered_no_scope_may_have_those_of_open_apis() {
        let entry = ResourceEntry { scopes: "read".parse().unwrap(), ..ResourceEntry::default() };
        let catalogue = catalogue(&[("a:1", entry)]);
        let mut shop = client("shop", RegistrationSource::Registered);
        assert!(catalogue.max_scope(&shop).contains("read"));
        assert_eq!(catalogue.default_scope(&shop, &["a:1".to_owned()]).to_string(), "read");
        assert_eq!(catalogue.default_scope(&shop, &[]).to_string(), "openid");
        shop.metadata.scope = Some("openid email".parse().unwrap());
        assert_eq!(catalogue.max_scope(&shop).to_string(), "email openid");
        assert_eq!(catalogue.default_scope(&shop, &["a:1".to_owned()]).to_string(), "email openid");
    }
}
