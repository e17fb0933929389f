//! Creates a client, or makes it what is declared.

use crate::domain::clients::{
    self, Client, ClientId, ClientSecret, ClientSettings, DeclaredClient, RegistrationSource,
};
use crate::domain::events::ClientChange;
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::CreateOutcome;
use crate::operations::Context;
use crate::operations::declaration::{
    DeclareError, DeclareOutcome, DeclaredValue, OnRemark, PreviousValue, Remark,
};
use crate::protocol::ClientMetadata;

/// A client as it is to be.
#[derive(Clone, Debug)]
pub struct ClientDeclaration {
    pub id: ClientId,
    pub metadata: ClientMetadata,
    pub settings: ClientSettings,
    pub secrets: Vec<Digest>,
    /// `None`: the stored value stays.
    pub enabled: Option<bool>,
}

impl ClientDeclaration {
    /// Creates the client or changes what differs, and reports each change as an event.
    pub async fn declare(
        &self,
        context: &Context<'_>,
        on_remark: &mut OnRemark<'_>,
    ) -> Result<DeclareOutcome, DeclareError> {
        let (store, now) = (context.store, context.now);
        if clients::find(store, &self.id).await?.is_none() {
            let client = Client {
                id: self.id.clone(),
                metadata: self.metadata.clone(),
                settings: self.settings.clone(),
                secrets: self.secrets.iter().map(|digest| new_secret(*digest, now)).collect(),
                registration_token: None,
                enabled: self.enabled.unwrap_or(true),
                source: RegistrationSource::Operator,
                created_at: now,
                unused_until: None,
                development: false,
                declared: Some(self.remembered()),
            };
            match clients::add(store, &client).await? {
                CreateOutcome::Created => {
                    context.client_changed(&self.id, ClientChange::Added);
                    return Ok(DeclareOutcome::Created);
                }
                // Another server starts beside this one and declares the same.
                CreateOutcome::Exists => {}
            }
        }

        let mut remarks = Vec::new();
        let step = |client: &mut Client| {
            let before = client.clone();
            remarks = self.apply(client, now);
            changes(&before, client)
        };
        let updated = clients::update_metadata(store, &self.id, &self.metadata, step).await?;
        let changes = updated.ok_or(DeclareError::Conflict(
            "its place in the store is taken by something unreadable",
        ))?;
        remarks.into_iter().for_each(on_remark);
        for change in &changes {
            context.client_changed(&self.id, *change);
        }
        if changes.contains(&ClientChange::Disabled) {
            clients::revoke_all(store, &self.id, now).await?;
        }
        Ok(DeclareOutcome::of_update(&changes))
    }

    /// What the record remembers of the declaration.
    fn remembered(&self) -> DeclaredClient {
        DeclaredClient { secrets: self.secrets.clone(), enabled: self.enabled }
    }

    /// Makes the record what is declared. A client that registered itself becomes the operator's, and its
    /// registration access token is void.
    fn apply(&self, client: &mut Client, now: UnixTime) -> Vec<Remark> {
        let before = match client.source {
            RegistrationSource::Operator => client.declared.take(),
            // What it registered was never declared.
            RegistrationSource::Registered => Some(DeclaredClient::default()),
        };
        client.metadata.clone_from(&self.metadata);
        client.settings.clone_from(&self.settings);
        client.source = RegistrationSource::Operator;
        client.registration_token = None;
        client.unused_until = None;

        let previous = PreviousValue::of(before.as_ref(), |it| it.enabled.as_ref());
        let enabled = DeclaredValue::of(self.enabled.as_ref(), previous);
        let (enabled, enabled_remark) = enabled.enabled(client.enabled);
        client.enabled = enabled;

        let differs = !self.has_the_secrets_of(client);
        let previous = PreviousValue::of(before.as_ref(), |it| Some(&it.secrets));
        let stays = match DeclaredValue::of(Some(&self.secrets), previous) {
            DeclaredValue::Absent | DeclaredValue::New(_) => false,
            DeclaredValue::Same(_) | DeclaredValue::Unknown(_) => true,
        };
        let kept_secrets =
            differs && stays && self.metadata.has_secret() && !client.secrets.is_empty();
        if differs && !kept_secrets {
            self.replace_secrets(client, now);
        }
        let mut remembered = self.remembered();
        remembered.enabled = remembered.enabled.or(before.and_then(|it| it.enabled));
        client.declared = Some(remembered);
        enabled_remark.into_iter().chain(kept_secrets.then_some(Remark::KeptSecrets)).collect()
    }

    fn has_the_secrets_of(&self, client: &Client) -> bool {
        let stored = client.secrets.iter().map(|secret| &secret.digest);
        stored.eq(&self.secrets) && client.secrets.iter().all(|secret| secret.expires_at.is_none())
    }

    /// A secret that the client has already keeps its date.
    fn replace_secrets(&self, client: &mut Client, now: UnixTime) {
        let before = std::mem::take(&mut client.secrets);
        let secret = |digest: &Digest| {
            let known = before.iter().find(|secret| secret.digest == *digest);
            let created_at = known.map_or(now, |secret| secret.created_at);
            ClientSecret { created_at, ..new_secret(*digest, now) }
        };
        client.secrets = self.secrets.iter().map(secret).collect();
    }
}

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

fn new_secret(digest: Digest, now: UnixTime) -> ClientSecret {
    ClientSecret { digest, sealed: None, created_at: now, expires_at: None }
}
