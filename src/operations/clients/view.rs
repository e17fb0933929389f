use serde::{Deserialize, Serialize};

use crate::domain::clients::{Client, ClientId, ClientSecret, ClientSettings, RegistrationSource};
use crate::infra::clock::UnixTime;
use crate::protocol::ClientMetadata;

/// All that may be shown of a client: no digest among it.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct ClientView {
    /// Its name in the protocol.
    pub id: ClientId,
    /// Whether it may do anything.
    pub enabled: bool,
    /// Who put it here.
    pub source: RegistrationSource,
    /// What it registered.
    pub metadata: ClientMetadata,
    /// What the operator decided about it.
    pub settings: ClientSettings,
    /// What the operator should know, though it stops nothing.
    #[serde(default)]
    pub cautions: Vec<String>,
    /// Its secrets, without what they are.
    pub secrets: Vec<SecretView>,
    /// When it was put here.
    pub created_at: UnixTime,
    /// Forgotten then, unless it is used before.
    pub unused_until: Option<UnixTime>,
}

/// When a secret was made, and until when it opens anything.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct SecretView {
    /// When it was made.
    pub created_at: UnixTime,
    /// When it stops; absent: never.
    pub expires_at: Option<UnixTime>,
}

impl ClientView {
    /// What pages call it.
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
