use std::io::Write;

use super::item::{Granted, Item, WithEpoch};
use super::sealed::Writer;
use super::{About, Counts, Failed};
use crate::domain::clients;
use crate::domain::consent;
use crate::domain::epoch::{self, Owner};
use crate::domain::grants;
use crate::domain::grants::GrantV2;
use crate::domain::keys::{KeyEncryptor, ring_key};
use crate::domain::logout_notifications;
use crate::domain::resources;
use crate::domain::scopes;
use crate::domain::sessions;
use crate::domain::users;
use crate::infra::secret_key::{Purpose, SecretKey};
use crate::infra::store::schema::CURRENT_SCHEMA;
use crate::infra::store::{Consistency, Key, Record, Store, StoreError};
use crate::protocol::Subject;

/// What a backup came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Saved {
    /// What is in it.
    pub counts: Counts,
    /// Records that are there and cannot be read, so they are not in it.
    pub unreadable: u64,
}

/// Writes everything that lasts. Each record is read once: in a store that is in use the file is no
/// picture of one moment, but every record in it is whole.
///
/// The signing keys are opened on the way, so that a backup under a `SECRET_KEY` that is not the store's
/// is never made.
pub async fn save<W: Write>(
    store: &dyn Store,
    root: &SecretKey,
    about: &About,
    out: W,
) -> Result<(W, Saved), Failed> {
    let mut file = Writer::begin(out, &root.derive(Purpose::Backup))?;
    let resources = resources::names(store).await?;
    // Whoever is older than this schema is told so; the release before has it too, and stops at the line of an API.
    let readable_by = if resources.is_empty() { 0 } else { CURRENT_SCHEMA.schema };
    let about = &About { readable_by: about.readable_by.max(readable_by), ..about.clone() };
    file.frame(&line(about)?)?;
    let (batch, saved) = (Vec::new(), Saved::default());
    let mut saving = Saving { store, file, batch, saved };
    if let Some(ring) = saving.read(&ring_key()).await? {
        saving.add(&Item::KeyRing(ring.encrypted_under(&KeyEncryptor::new(root))?))?;
    }
    saving.scopes().await?;
    for resource in resources {
        if let Some(resource) = saving.read(&resources::key(&resource)).await? {
            saving.add(&Item::Resource(resource))?;
        }
    }
    saving.clients().await?;
    saving.users(about.with_sessions).await?;
    saving.finish()
}

/// Lines are collected to frames of about this size.
const BATCH: usize = 64 << 10;

struct Saving<'a, W> {
    store: &'a dyn Store,
    file: Writer<W>,
    batch: Vec<u8>,
    saved: Saved,
}

impl<W: Write> Saving<'_, W> {
    async fn scopes(&mut self) -> Result<(), Failed> {
        for scope in scopes::list(self.store).await? {
            self.add(&Item::Scope(scope))?;
        }
        Ok(())
    }

    async fn clients(&mut self) -> Result<(), Failed> {
        let mut after = None;
        loop {
            let page = clients::listed(self.store, after.as_ref()).await?;
            for id in &page {
                if let Some(client) = self.read(&id.key()).await? {
                    let owner = Owner::Client(id.clone());
                    let epoch = epoch::current(self.store, &owner, Consistency::Strong).await?;
                    self.add(&Item::Client(Box::new(WithEpoch { record: client, epoch })))?;
                }
            }
            let Some(last) = page.last().cloned() else { return Ok(()) };
            after = Some(last);
        }
    }

    async fn users(&mut self, with_sessions: bool) -> Result<(), Failed> {
        let mut after = None;
        loop {
            let page = users::listed(self.store, after.as_ref()).await?;
            for sub in &page {
                let Some(user) = self.read(&users::user_key(sub)).await? else { continue };
                let owner = Owner::User(sub.clone());
                let epoch = epoch::current(self.store, &owner, Consistency::Strong).await?;
                self.add(&Item::User(Box::new(WithEpoch { record: user, epoch })))?;
                for client in consent::listed(self.store, sub).await? {
                    if let Some(consent) = self.read(&consent::key(sub, &client)).await? {
                        self.add(&Item::Consent(consent))?;
                    }
                }
                if with_sessions {
                    self.what_is_open(sub).await?;
                }
            }
            let Some(last) = page.last().cloned() else { return Ok(()) };
            after = Some(last);
        }
    }

    async fn what_is_open(&mut self, sub: &Subject) -> Result<(), Failed> {
        for id in sessions::listed(self.store, sub).await? {
            let Some(session) = self.read(&id.key()).await? else { continue };
            let noted = self.read(&logout_notifications::participants_key(session.sid)).await?;
            self.add(&Item::Session(session))?;
            if let Some(noted) = noted {
                self.add(&Item::Participants(noted))?;
            }
        }
        for (id, until) in grants::listed(self.store, sub).await? {
            // The epoch of a consent is no part of a backup, so neither is what it has ended.
            if let Some(grant) = self.read(&id.key()).await? {
                if grants::has_consent(self.store, &grant, Consistency::Strong).await? {
                    let until = until.max(grant.ends_at);
                    self.add(&Item::Grant(Box::new(Granted { until, grant })))?;
                }
            } else if let Some(GrantV2(grant)) = self.read(&id.key_v2()).await?
                && grants::has_consent(self.store, &grant, Consistency::Strong).await?
            {
                let until = until.max(grant.ends_at);
                self.add(&Item::GrantV2(Box::new(Granted { until, grant })))?;
            }
        }
        Ok(())
    }

    /// The record, and a note of it if it is there and cannot be read.
    async fn read<R: Record>(&mut self, key: &Key<R>) -> Result<Option<R>, StoreError> {
        if let Some(loaded) = self.store.load(key).await? {
            return Ok(Some(loaded.record));
        }
        let is_there = match self.store.get(key.raw()).await {
            Ok(bytes) => bytes.is_some(),
            Err(StoreError::Corrupt { .. }) => true,
            Err(error @ (StoreError::Unavailable(_) | StoreError::Contended { .. })) => {
                return Err(error);
            }
        };
        self.saved.unreadable += u64::from(is_there);
        Ok(None)
    }

    fn add(&mut self, item: &Item) -> Result<(), Failed> {
        *self.saved.counts.entry(item.name().to_owned()).or_default() += 1;
        self.batch.extend(line(item)?);
        self.batch.push(b'\n');
        if self.batch.len() >= BATCH {
            self.file.frame(&self.batch)?;
            self.batch.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(W, Saved), Failed> {
        if !self.batch.is_empty() {
            self.file.frame(&self.batch)?;
        }
        let out = self.file.finish(&line(&self.saved.counts)?)?;
        Ok((out, self.saved))
    }
}

fn line(it: &impl serde::Serialize) -> Result<Vec<u8>, Failed> {
    serde_json::to_vec(it).map_err(|_| Failed::Content("a record cannot be written".to_owned()))
}
