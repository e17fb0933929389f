//! Makes a client what the file says.

use super::apply::{ApplyError, Became, Desk};
use super::client::ClientEntry;
use super::declared::{self, Before, Word};
use crate::domain::clients::{self, Client, ClientId, ClientSecret, DeclaredClient, Source};
use crate::domain::events::ClientChange;
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::CreateOutcome;

impl ClientEntry {
    pub(super) async fn apply(&self, desk: &Desk<'_>) -> Result<Became, ApplyError> {
        let Desk { store, now, .. } = *desk;
        if clients::find(store, &self.id).await?.is_none() {
            let client = Client {
                id: self.id.clone(),
                metadata: self.metadata.clone(),
                settings: self.settings.clone(),
                secrets: self.secrets.iter().map(|digest| fresh(*digest, now)).collect(),
                registration_token: None,
                enabled: self.enabled.unwrap_or(true),
                source: Source::Operator,
                created_at: now,
                unused_until: None,
                development: false,
                declared: Some(self.declared()),
            };
            match clients::add(store, &client).await? {
                CreateOutcome::Created => {
                    desk.client_changed(&self.id, &[ClientChange::Added]);
                    return Ok(Became::Created);
                }
                // Another server starts beside us and applies the same file.
                CreateOutcome::Exists => {}
            }
        }

        let mut kept = Kept::default();
        let step = |client: &mut Client| {
            let before = client.clone();
            kept = self.declare(client, now);
            changes(&before, client)
        };
        match clients::update_metadata(store, &self.id, &self.metadata, step).await? {
            Some(changes) => {
                kept.tell(&self.id);
                desk.client_changed(&self.id, &changes);
                if changes.contains(&ClientChange::Disabled) {
                    clients::cut_off(store, &self.id, now).await?;
                }
                Ok(Became::by(&changes))
            }
            None => Err(ApplyError::Conflict(format!(
                "line {}: client {}: its place in the store is taken by something unreadable",
                self.line,
                self.id.as_str()
            ))),
        }
    }

    /// What there is to remember of the file.
    fn declared(&self) -> DeclaredClient {
        DeclaredClient { secrets: self.secrets.clone(), enabled: self.enabled }
    }

    /// The operator's word replaces a registration's, whose token opens it no more. Secrets and `enabled`
    /// that were changed since the file said the same stay so ([`declared`](super::declared)).
    fn declare(&self, client: &mut Client, now: UnixTime) -> Kept {
        let before = match client.source {
            Source::Operator => client.declared.take(),
            // Whatever it registered was never the file's.
            Source::Registered => Some(DeclaredClient::default()),
        };
        client.metadata.clone_from(&self.metadata);
        client.settings.clone_from(&self.settings);
        client.source = Source::Operator;
        client.registration_token = None;
        client.unused_until = None;

        let said = Before::of(before.as_ref(), |it| it.enabled.as_ref());
        let word = Word::of(self.enabled.as_ref(), said);
        let (enabled, kept_enabled) = word.enabled(client.enabled);
        client.enabled = enabled;

        let differs = !self.has_the_secrets_of(client);
        let said = Before::of(before.as_ref(), |it| Some(&it.secrets));
        let stays = match Word::of(Some(&self.secrets), said) {
            Word::Silent | Word::New(_) => false,
            Word::Same(_) | Word::Unknown(_) => true,
        };
        let kept_secrets =
            differs && stays && self.metadata.has_secret() && !client.secrets.is_empty();
        if differs && !kept_secrets {
            self.put_secrets(client, now);
        }
        let mut declared = self.declared();
        declared.enabled = declared.enabled.or(before.and_then(|it| it.enabled));
        client.declared = Some(declared);
        Kept { enabled: kept_enabled, secrets: kept_secrets }
    }

    fn has_the_secrets_of(&self, client: &Client) -> bool {
        let held = client.secrets.iter().map(|secret| &secret.digest);
        held.eq(&self.secrets) && client.secrets.iter().all(|secret| secret.expires_at.is_none())
    }

    fn put_secrets(&self, client: &mut Client, now: UnixTime) {
        let held = std::mem::take(&mut client.secrets);
        let keep = |digest: &Digest| {
            let known = held.iter().find(|secret| secret.digest == *digest);
            let created_at = known.map_or(now, |secret| secret.created_at);
            ClientSecret { created_at, ..fresh(*digest, now) }
        };
        client.secrets = self.secrets.iter().map(keep).collect();
    }
}

/// What is different now, as the command line reports it.
fn changes(before: &Client, after: &Client) -> Vec<ClientChange> {
    let rest = Client {
        secrets: after.secrets.clone(),
        enabled: after.enabled,
        declared: after.declared.clone(),
        ..before.clone()
    };
    let updated = (rest != *after).then_some(ClientChange::Updated);
    let rotated = (before.secrets != after.secrets).then_some(ClientChange::SecretRotated);
    let switch = if after.enabled { ClientChange::Enabled } else { ClientChange::Disabled };
    let switched = (before.enabled != after.enabled).then_some(switch);
    [updated, rotated, switched].into_iter().flatten().collect()
}

/// What stays otherwise than the file has it.
#[derive(Clone, Copy, Default)]
struct Kept {
    enabled: Option<declared::Kept>,
    secrets: bool,
}

impl Kept {
    fn tell(self, id: &ClientId) {
        let client = id.as_str();
        if let Some(kept) = self.enabled {
            tracing::info!(client, "{}", kept.as_str());
        }
        if self.secrets {
            tracing::info!(
                client,
                "its secrets are others than the bootstrap file has, and stay so; the file's count when they change"
            );
        }
    }
}

fn fresh(digest: Digest, now: UnixTime) -> ClientSecret {
    ClientSecret { digest, sealed: None, created_at: now, expires_at: None }
}
