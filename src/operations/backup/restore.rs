use std::collections::BTreeMap;
use std::io::{Read, Seek};

use serde::de::DeserializeOwned;

use super::format::FrameReader;
use super::record::{BackupRecord, RestoreAction};
use super::{BackupError, BackupInfo, RecordCounts};
use crate::domain::clients;
use crate::domain::keys::{KeyEncryptor, ring_key};
use crate::domain::users;
use crate::infra::clock::UnixTime;
use crate::infra::secret_key::{MacPurpose, SecretKey};
use crate::infra::store::schema::CURRENT_SCHEMA;
use crate::infra::store::{Store, StoreError};

/// A backup that was read to its end and verified. Only such a value can be restored.
#[derive(Debug)]
pub struct VerifiedBackup<F> {
    file: F,
    about: BackupInfo,
}

/// What restoring did, or would do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RestoreReport {
    /// By the name of the kind.
    pub kinds: BTreeMap<&'static str, RestoreCounts>,
    /// User names that belong to another subject in the store; at most `MAX_CONFLICTS` sentences.
    pub conflicts: Vec<String>,
}

/// How many records of one kind had which action.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RestoreCounts {
    pub new: u64,
    pub replaced: u64,
    pub unchanged: u64,
    /// Not restored, because they have expired.
    pub expired: u64,
}

/// Whether the store holds anything that a backup could replace.
pub async fn is_in_use(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(clients::count(store, 1).await? > 0
        || !users::list_subjects(store, None).await?.is_empty()
        || store.get(ring_key().raw()).await?.is_some())
}

impl<F: Read + Seek> VerifiedBackup<F> {
    /// Reads the whole file and checks that every frame authenticates, that every line is a record, that their
    /// numbers are those of the last line, and that the signing keys decrypt.
    pub fn check(mut file: F, root: &SecretKey) -> Result<Self, BackupError> {
        let mut counts = RecordCounts::new();
        let (about, mut lines) = RecordReader::open(&mut file, root)?;
        while let Some(records) = lines.next()? {
            for record in records {
                *counts.entry(record.name().to_owned()).or_default() += 1;
            }
        }
        if lines.declared_counts != counts {
            return Err(content_error("it does not hold as many records as it says"));
        }
        Ok(Self { file, about })
    }

    pub fn about(&self) -> &BackupInfo {
        &self.about
    }

    /// What restoring would do now; writes nothing.
    pub async fn plan(
        &mut self,
        store: &dyn Store,
        root: &SecretKey,
        now: UnixTime,
    ) -> Result<RestoreReport, BackupError> {
        self.apply(store, root, now, false).await
    }

    /// Restores every record. An interrupted restore can be repeated: each record is written whole.
    pub async fn restore(
        &mut self,
        store: &dyn Store,
        root: &SecretKey,
        now: UnixTime,
    ) -> Result<RestoreReport, BackupError> {
        self.apply(store, root, now, true).await
    }

    async fn apply(
        &mut self,
        store: &dyn Store,
        root: &SecretKey,
        now: UnixTime,
        writes: bool,
    ) -> Result<RestoreReport, BackupError> {
        let mut report = RestoreReport::default();
        let (_, mut lines) = RecordReader::open(&mut self.file, root)?;
        while let Some(records) = lines.next()? {
            for record in records {
                let action = record.restore_action(store, now).await?;
                report.count(&record, action);
                if writes && action != RestoreAction::Expired {
                    record.restore(store, now).await?;
                } else if let BackupRecord::User(user) = &record {
                    let user = &user.record;
                    report.add_name_conflict(user, users::username_owner(store, user).await?);
                }
            }
        }
        Ok(report)
    }
}

impl RestoreReport {
    fn count(&mut self, record: &BackupRecord, action: RestoreAction) {
        let counts = self.kinds.entry(record.name()).or_default();
        match action {
            RestoreAction::New => counts.new += 1,
            RestoreAction::Replaced => counts.replaced += 1,
            RestoreAction::Unchanged => counts.unchanged += 1,
            RestoreAction::Expired => counts.expired += 1,
        }
    }

    fn add_name_conflict(&mut self, user: &users::User, holder: Option<crate::protocol::Subject>) {
        let Some(holder) = holder.filter(|_| self.conflicts.len() < MAX_CONFLICTS) else { return };
        let (name, sub) = (&user.username, user.sub.as_str());
        let holder = holder.as_str();
        self.conflicts.push(format!("{name} is {sub} in the backup and {holder} in the store"));
    }
}

const MAX_CONFLICTS: usize = 5;

/// Reads the records of a file, one frame at a time.
struct RecordReader<'a, F> {
    reader: FrameReader<std::io::BufReader<&'a mut F>>,
    sealer: KeyEncryptor,
    is_at_end: bool,
    /// The numbers in the last line; empty until it has been read.
    declared_counts: RecordCounts,
}

impl<'a, F: Read + Seek> RecordReader<'a, F> {
    fn open(file: &'a mut F, root: &SecretKey) -> Result<(BackupInfo, Self), BackupError> {
        file.rewind()?;
        let key = root.mac_key(MacPurpose::Backup);
        let (reader, first) = FrameReader::open(std::io::BufReader::new(file), &key)?;
        let sealer = KeyEncryptor::new(root);
        let about: BackupInfo = parse_line(&first)?;
        if about.readable_by > CURRENT_SCHEMA.schema {
            let (takes, reads) = (about.readable_by, CURRENT_SCHEMA.schema);
            return Err(BackupError::Content(format!(
                "a newer Latchkey made it: its records take one that reads schema {takes}, and this \
                 one reads no further than {reads}"
            )));
        }
        Ok((about, Self { reader, sealer, is_at_end: false, declared_counts: RecordCounts::new() }))
    }

    /// The records of the next frame. The key ring is encrypted again under the present `SECRET_KEY`.
    fn next(&mut self) -> Result<Option<Vec<BackupRecord>>, BackupError> {
        if self.is_at_end {
            return Ok(None);
        }
        let (text, last) = self.reader.next()?;
        if last {
            self.is_at_end = true;
            self.declared_counts = parse_line(&text)?;
            return Ok(None);
        }
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let records = lines.map(|line| match parse_line(line)? {
            BackupRecord::KeyRing(ring) => {
                Ok(BackupRecord::KeyRing(ring.encrypted_under(&self.sealer)?))
            }
            record => Ok(record),
        });
        records.collect::<Result<Vec<_>, BackupError>>().map(Some)
    }
}

/// Parses a line. The error does not carry serde's message, which may quote the record.
fn parse_line<T: DeserializeOwned>(text: &[u8]) -> Result<T, BackupError> {
    serde_json::from_slice(text)
        .map_err(|_| content_error("it holds a record that this Latchkey does not understand"))
}

fn content_error(why: &str) -> BackupError {
    BackupError::Content(why.to_owned())
}
