use std::io::Write;

use super::format::FrameWriter;
use super::record::{BackupRecord, GrantRecord, RecordWithEpoch};
use super::{BackupError, BackupInfo, RecordCounts};
use crate::domain::clients;
use crate::domain::consent;
use crate::domain::epoch::{self, EpochOwner};
use crate::domain::grants;
use crate::domain::grants::GrantV2;
use crate::domain::keys::{KeyEncryptor, ring_key};
use crate::domain::logout_notifications;
use crate::domain::resources;
use crate::domain::scopes;
use crate::domain::sessions;
use crate::domain::users;
use crate::infra::secret_key::{MacPurpose, SecretKey};
use crate::infra::store::schema::CURRENT_SCHEMA;
use crate::infra::store::{Consistency, Key, Record, Store, StoreError};
use crate::protocol::Subject;

/// What a backup came to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct BackupSummary {
    /// What is in it.
    pub counts: RecordCounts,
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
    about: &BackupInfo,
    out: W,
) -> Result<(W, BackupSummary), BackupError> {
    let mut file = FrameWriter::begin(out, &root.mac_key(MacPurpose::Backup))?;
    let resources = resources::list_names(store).await?;
    // A release older than this schema refuses the file; the one before it, which has the schema too, stops at the line of an API.
    let readable_by = if resources.is_empty() { 0 } else { CURRENT_SCHEMA.schema };
    let about = &BackupInfo { readable_by: about.readable_by.max(readable_by), ..about.clone() };
    file.frame(&to_line(about)?)?;
    let (batch, summary) = (Vec::new(), BackupSummary::default());
    let mut writer = BackupWriter { store, file, batch, summary };
    if let Some(ring) = writer.read(&ring_key()).await? {
        writer.add(&BackupRecord::KeyRing(ring.encrypted_under(&KeyEncryptor::new(root))?))?;
    }
    writer.scopes().await?;
    for resource in resources {
        if let Some(resource) = writer.read(&resources::key(&resource)).await? {
            writer.add(&BackupRecord::Resource(resource))?;
        }
    }
    writer.clients().await?;
    writer.users(about.with_sessions).await?;
    writer.finish()
}

/// Lines are collected to frames of about this size.
const BATCH_BYTES: usize = 64 << 10;

struct BackupWriter<'a, W> {
    store: &'a dyn Store,
    file: FrameWriter<W>,
    batch: Vec<u8>,
    summary: BackupSummary,
}

impl<W: Write> BackupWriter<'_, W> {
    async fn scopes(&mut self) -> Result<(), BackupError> {
        for scope in scopes::list(self.store).await? {
            self.add(&BackupRecord::Scope(scope))?;
        }
        Ok(())
    }

    async fn clients(&mut self) -> Result<(), BackupError> {
        let mut after = None;
        loop {
            let page = clients::list_ids(self.store, after.as_ref()).await?;
            for id in &page {
                if let Some(client) = self.read(&id.key()).await? {
                    let owner = EpochOwner::Client(id.clone());
                    let epoch = epoch::current(self.store, &owner, Consistency::Strong).await?;
                    self.add(&BackupRecord::Client(Box::new(RecordWithEpoch {
                        record: client,
                        epoch,
                    })))?;
                }
            }
            let Some(last) = page.last().cloned() else { return Ok(()) };
            after = Some(last);
        }
    }

    async fn users(&mut self, with_sessions: bool) -> Result<(), BackupError> {
        let mut after = None;
        loop {
            let page = users::list_subjects(self.store, after.as_ref()).await?;
            for sub in &page {
                let Some(user) = self.read(&users::user_key(sub)).await? else { continue };
                let owner = EpochOwner::User(sub.clone());
                let epoch = epoch::current(self.store, &owner, Consistency::Strong).await?;
                self.add(&BackupRecord::User(Box::new(RecordWithEpoch { record: user, epoch })))?;
                for client in consent::list_clients(self.store, sub).await? {
                    if let Some(consent) = self.read(&consent::key(sub, &client)).await? {
                        self.add(&BackupRecord::Consent(consent))?;
                    }
                }
                if with_sessions {
                    self.sessions_and_grants(sub).await?;
                }
            }
            let Some(last) = page.last().cloned() else { return Ok(()) };
            after = Some(last);
        }
    }

    async fn sessions_and_grants(&mut self, sub: &Subject) -> Result<(), BackupError> {
        for id in sessions::list_ids(self.store, sub).await? {
            let Some(session) = self.read(&id.key()).await? else { continue };
            let noted = self.read(&logout_notifications::session_clients_key(session.sid)).await?;
            self.add(&BackupRecord::Session(session))?;
            if let Some(noted) = noted {
                self.add(&BackupRecord::SessionClients(noted))?;
            }
        }
        for (id, until) in grants::list_for_subject(self.store, sub).await? {
            // The epoch of a consent is no part of a backup, so neither is what it has ended.
            if let Some(grant) = self.read(&id.key()).await? {
                if grants::has_consent(self.store, &grant, Consistency::Strong).await? {
                    let until = until.max(grant.ends_at);
                    self.add(&BackupRecord::Grant(Box::new(GrantRecord { until, grant })))?;
                }
            } else if let Some(GrantV2(grant)) = self.read(&id.key_v2()).await?
                && grants::has_consent(self.store, &grant, Consistency::Strong).await?
            {
                let until = until.max(grant.ends_at);
                self.add(&BackupRecord::GrantV2(Box::new(GrantRecord { until, grant })))?;
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
        self.summary.unreadable += u64::from(is_there);
        Ok(None)
    }

    fn add(&mut self, record: &BackupRecord) -> Result<(), BackupError> {
        *self.summary.counts.entry(record.name().to_owned()).or_default() += 1;
        self.batch.extend(to_line(record)?);
        self.batch.push(b'\n');
        if self.batch.len() >= BATCH_BYTES {
            self.file.frame(&self.batch)?;
            self.batch.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<(W, BackupSummary), BackupError> {
        if !self.batch.is_empty() {
            self.file.frame(&self.batch)?;
        }
        let out = self.file.finish(&to_line(&self.summary.counts)?)?;
        Ok((out, self.summary))
    }
}

fn to_line(record: &impl serde::Serialize) -> Result<Vec<u8>, BackupError> {
    serde_json::to_vec(record)
        .map_err(|_| BackupError::Content("a record cannot be written".to_owned()))
}
