use serde::{Deserialize, Serialize};

use crate::domain::clients::{Client, ClientId, ClientSecret, ClientSettings, RegistrationSource};
use crate::infra::clock::UnixTime;
use crate::protocol::ClientMetadata;

/// A client as operators see it, without the digests of its secrets.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ClientView {
    /// Its `client_id`.
    pub id: ClientId,
    /// Whether its credentials and tokens are accepted.
    pub enabled: bool,
    /// Who registered it.
    pub source: RegistrationSource,
    /// Its registered metadata (RFC 7591).
    pub metadata: ClientMetadata,
    /// What the operator decided about it.
    pub settings: ClientSettings,
    /// Warnings for the operator.
    #[serde(default)]
    pub cautions: Vec<String>,
    /// The lifetimes of its secrets.
    pub secrets: Vec<SecretView>,
    /// When the record was made.
    pub created_at: UnixTime,
    /// When it is removed if it has not been used.
    pub unused_until: Option<UnixTime>,
}

/// When a secret was made, and until when it is accepted.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SecretView {
    /// When it was made.
    pub created_at: UnixTime,
    /// Absent if it does not expire.
    pub expires_at: Option<UnixTime>,
}

impl ClientView {
    /// The name that pages show.
    pub fn display_name(&self) -> &str {
        self.metadata.client_name.as_deref().unwrap_or(self.id.as_str())
    }
}

impl From<Client> for ClientView {
    fn from(client: Client) -> Self {
        let shown =
            |it: &ClientSecret| SecretView { created_at: it.created_at, expires_at: it.expires_at };
        Self {
            cautions: client.metadata.operator_warnings(),
            secrets: client.secrets.iter().map(shown).collect(),
            id: client.id,
            enabled: client.enabled,
            source: client.source,
            metadata: client.metadata,
            settings: client.settings,
            created_at: client.created_at,
            unused_until: client.unused_until,
        }
    }
}
