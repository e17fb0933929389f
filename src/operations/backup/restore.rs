use std::collections::BTreeMap;
use std::io::{Read, Seek};

use serde::de::DeserializeOwned;

use super::item::{Fate, Item};
use super::sealed::Reader;
use super::{About, Counts, Failed};
use crate::domain::clients;
use crate::domain::keys::{KeyEncryptor, ring_key};
use crate::domain::users;
use crate::infra::clock::UnixTime;
use crate::infra::secret_key::{Purpose, SecretKey};
use crate::infra::store::schema::CURRENT_SCHEMA;
use crate::infra::store::{Store, StoreError};

/// A backup that was read to its end and found whole; nothing else can be restored.
#[derive(Debug)]
pub struct Backup<F> {
    file: F,
    about: About,
}

/// What restoring does, or would do.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// By the name of the kind.
    pub kinds: BTreeMap<&'static str, Tally>,
    /// Why it cannot be, a sentence for each; only the first few.
    pub conflicts: Vec<String>,
}

/// How many records of a kind became what.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Were not there.
    pub new: u64,
    /// Were there, and different.
    pub replaced: u64,
    /// Were there already.
    pub unchanged: u64,
    /// Are left out, their time being over.
    pub over: u64,
}

/// Whether the store holds anything that a backup could replace.
pub async fn is_in_use(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(clients::count(store, 1).await? > 0
        || !users::listed(store, None).await?.is_empty()
        || store.get(ring_key().raw()).await?.is_some())
}

impl<F: Read + Seek> Backup<F> {
    /// Reads the whole file: that every byte is what was written, that every record is one, that they are
    /// as many as there should be, and that the signing keys open.
    pub fn check(mut file: F, root: &SecretKey) -> Result<Self, Failed> {
        let mut counts = Counts::new();
        let (about, mut lines) = Lines::open(&mut file, root)?;
        while let Some(items) = lines.next()? {
            for item in items {
                *counts.entry(item.name().to_owned()).or_default() += 1;
            }
        }
        if lines.counted != counts {
            return Err(damaged("it does not hold as many records as it says"));
        }
        Ok(Self { file, about })
    }

    /// What it says of itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// What restoring it now would do.
    pub async fn look(
        &mut self,
        store: &dyn Store,
        root: &SecretKey,
        now: UnixTime,
    ) -> Result<Report, Failed> {
        self.pass(store, root, now, false).await
    }

    /// Makes the store hold what it holds. A restore that was interrupted can be repeated: each record is
    /// written whole, and comes to the same.
    pub async fn restore(
        &mut self,
        store: &dyn Store,
        root: &SecretKey,
        now: UnixTime,
    ) -> Result<Report, Failed> {
        self.pass(store, root, now, true).await
    }

    async fn pass(
        &mut self,
        store: &dyn Store,
        root: &SecretKey,
        now: UnixTime,
        writes: bool,
    ) -> Result<Report, Failed> {
        let mut report = Report::default();
        let (_, mut lines) = Lines::open(&mut self.file, root)?;
        while let Some(items) = lines.next()? {
            for item in items {
                let fate = item.fate(store, now).await?;
                report.note(&item, fate);
                if writes && fate != Fate::Over {
                    item.restore(store, now).await?;
                } else if let Item::User(user) = &item {
                    let user = &user.record;
                    report.note_name(user, users::name_holder(store, user).await?);
                }
            }
        }
        Ok(report)
    }
}

impl Report {
    fn note(&mut self, item: &Item, fate: Fate) {
        let tally = self.kinds.entry(item.name()).or_default();
        match fate {
            Fate::New => tally.new += 1,
            Fate::Replaced => tally.replaced += 1,
            Fate::Unchanged => tally.unchanged += 1,
            Fate::Over => tally.over += 1,
        }
    }

    fn note_name(&mut self, user: &users::User, holder: Option<crate::protocol::Subject>) {
        let Some(holder) = holder.filter(|_| self.conflicts.len() < MOST_CONFLICTS) else { return };
        let (name, sub) = (&user.username, user.sub.as_str());
        let holder = holder.as_str();
        self.conflicts.push(format!("{name} is {sub} in the backup and {holder} in the store"));
    }
}

const MOST_CONFLICTS: usize = 5;

/// The records of a file, a frame's at a time.
struct Lines<'a, F> {
    reader: Reader<std::io::BufReader<&'a mut F>>,
    sealer: KeyEncryptor,
    over: bool,
    /// What the file says of its number of records, once it has been read to its end.
    counted: Counts,
}

impl<'a, F: Read + Seek> Lines<'a, F> {
    fn open(file: &'a mut F, root: &SecretKey) -> Result<(About, Self), Failed> {
        file.rewind()?;
        let key = root.derive(Purpose::Backup);
        let (reader, first) = Reader::open(std::io::BufReader::new(file), &key)?;
        let sealer = KeyEncryptor::new(root);
        let about: About = parsed(&first)?;
        if about.readable_by > CURRENT_SCHEMA.schema {
            let (takes, reads) = (about.readable_by, CURRENT_SCHEMA.schema);
            return Err(Failed::Content(format!(
                "a newer Latchkey made it: its records take one that reads schema {takes}, and this \
                 one reads no further than {reads}"
            )));
        }
        Ok((about, Self { reader, sealer, over: false, counted: Counts::new() }))
    }

    /// The signing keys come under the present `SECRET_KEY`.
    fn next(&mut self) -> Result<Option<Vec<Item>>, Failed> {
        if self.over {
            return Ok(None);
        }
        let (text, last) = self.reader.next()?;
        if last {
            self.over = true;
            self.counted = parsed(&text)?;
            return Ok(None);
        }
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let items = lines.map(|line| match parsed(line)? {
            Item::KeyRing(ring) => Ok(Item::KeyRing(ring.encrypted_under(&self.sealer)?)),
            item => Ok(item),
        });
        items.collect::<Result<Vec<_>, Failed>>().map(Some)
    }
}

/// Says what sort of error it was and no more: serde's own message may quote the record.
fn parsed<T: DeserializeOwned>(text: &[u8]) -> Result<T, Failed> {
    serde_json::from_slice(text)
        .map_err(|_| damaged("it holds a record that this Latchkey does not understand"))
}

fn damaged(why: &str) -> Failed {
    Failed::Content(why.to_owned())
}
