//! What is in the file, and what a change does to it.

use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use redb::{
    Error, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table,
    TableDefinition, WriteTransaction,
};

use super::super::{CommitOutcome, Precondition, Transaction, Write};
use crate::infra::clock::UnixTime;

/// Grows when an older binary must not touch the file any more.
pub(super) const SCHEMA: u64 = 1;

/// Numbers about the file itself.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// By key: when to forget it, in eight bytes, then what was filed.
const ENTRIES: TableDefinition<&str, &[u8]> = TableDefinition::new("entries");
/// The same deadlines, soonest first, so that forgetting is not a scan.
const DEADLINES: TableDefinition<(u64, &str), ()> = TableDefinition::new("deadlines");
/// Each name of each index.
const NAMES: TableDefinition<(&str, &str), ()> = TableDefinition::new("names");

/// The moment of what is never forgotten.
const NEVER: u64 = u64::MAX;

/// Which schema the file was written by, if it is a store.
pub(super) fn schema(database: &redb::Database) -> Result<Option<u64>, Error> {
    match database.begin_read()?.open_table(META) {
        Ok(meta) => Ok(meta.get("schema")?.map(|schema| schema.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes the tables of a new file.
pub(super) fn make(database: &redb::Database) -> Result<(), Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert("schema", SCHEMA)?;
    drop(Tables::open(&transaction, UnixTime::from_millis(0))?);
    Ok(transaction.commit()?)
}

/// What the key holds at this moment.
pub(super) fn get(
    from: &ReadTransaction,
    key: &str,
    now: UnixTime,
) -> Result<Option<Vec<u8>>, Error> {
    let entries = from.open_table(ENTRIES)?;
    let entry = entries.get(key)?;
    Ok(entry.and_then(|entry| living(entry.value(), now).map(<[u8]>::to_vec)))
}

/// Names of the index after `after`, at most `limit`.
pub(super) fn names(
    from: &ReadTransaction,
    index: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<String>, Error> {
    let table = from.open_table(NAMES)?;
    let mut found = Vec::new();
    for row in table.range::<(&str, &str)>((Excluded((index, after)), Unbounded))? {
        let (row, ()) = row.map(|(row, unit)| (row, unit.value()))?;
        let (of, name) = row.value();
        if of != index || found.len() == limit {
            break;
        }
        found.push(name.to_owned());
    }
    Ok(found)
}

/// How many entries and deadlines there are.
pub(super) fn census(from: &ReadTransaction) -> Result<(u64, u64), Error> {
    Ok((from.open_table(ENTRIES)?.len()?, from.open_table(DEADLINES)?.len()?))
}

/// Whether there is anything to forget.
pub(super) fn anything_due(from: &ReadTransaction, now: UnixTime) -> Result<bool, Error> {
    let deadlines = from.open_table(DEADLINES)?;
    let first = deadlines.first()?;
    Ok(first.is_some_and(|(row, _)| row.value().0 <= now.as_millis()))
}

/// How many bytes a change brings.
pub(super) fn weight(change: &Transaction) -> u64 {
    let sizes = change.writes.iter().map(|write| match write {
        Write::Put { bytes, .. } => bytes.len(),
        Write::Link { name, .. } => name.len(),
        Write::Delete { .. } | Write::Unlink { .. } => 0,
    });
    u64::try_from(sizes.sum::<usize>()).unwrap_or(u64::MAX)
}

/// Writes something that changes nothing.
pub(super) fn touch(tables: &mut Tables<'_>) -> Result<(), Error> {
    tables.changed = true;
    tables.meta.insert("touched", tables.now.as_millis())?;
    Ok(())
}

/// The tables within a transaction.
pub(super) struct Tables<'t> {
    entries: Table<'t, &'static str, &'static [u8]>,
    deadlines: Table<'t, (u64, &'static str), ()>,
    names: Table<'t, (&'static str, &'static str), ()>,
    meta: Table<'t, &'static str, u64>,
    now: UnixTime,
    changed: bool,
}

impl<'t> Tables<'t> {
    pub fn open(transaction: &'t WriteTransaction, now: UnixTime) -> Result<Self, Error> {
        Ok(Self {
            entries: transaction.open_table(ENTRIES)?,
            deadlines: transaction.open_table(DEADLINES)?,
            names: transaction.open_table(NAMES)?,
            meta: transaction.open_table(META)?,
            now,
            changed: false,
        })
    }

    /// Whether anything was written.
    pub fn changed(&self) -> bool {
        self.changed
    }

    pub fn take(&mut self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let held = self.get(key)?;
        self.remove(key)?;
        Ok(held)
    }

    pub fn commit(&mut self, change: &Transaction) -> Result<CommitOutcome, Error> {
        for (key, expect) in &change.expected {
            if !self.holds(key.as_str(), expect)? {
                return Ok(CommitOutcome::Conflict);
            }
        }
        for write in &change.writes {
            self.write(write)?;
        }
        Ok(CommitOutcome::Committed)
    }

    pub fn tally(&mut self, counter: &str, window: Duration) -> Result<u64, Error> {
        let entry = self.entries.get(counter)?.and_then(|entry| {
            let count = parse_count(living(entry.value(), self.now)?);
            Some((count.saturating_add(1), forget_at(entry.value())))
        });
        let (count, until) = entry.unwrap_or((1, self.now.plus(window).as_millis()));
        self.put(counter, count.to_string().as_bytes(), until)?;
        Ok(count)
    }

    /// Forgets what is due, at most so much of it; answers how much.
    pub fn forget(&mut self, at_most: usize) -> Result<usize, Error> {
        let mut due = Vec::new();
        for row in self.deadlines.iter()?.take(at_most) {
            let (row, _) = row?;
            let (at, key) = row.value();
            if at > self.now.as_millis() {
                break;
            }
            due.push(key.to_owned());
        }
        for key in &due {
            self.remove(key)?;
            if let Some(index) = key.strip_suffix(OF_AN_INDEX) {
                self.empty(index)?;
            }
        }
        Ok(due.len())
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let entry = self.entries.get(key)?;
        Ok(entry.and_then(|entry| living(entry.value(), self.now).map(<[u8]>::to_vec)))
    }

    fn holds(&self, key: &str, expect: &Precondition) -> Result<bool, Error> {
        Ok(match (self.get(key)?, expect) {
            (None, Precondition::Absent) => true,
            (Some(held), Precondition::Unchanged(bytes)) => held == *bytes,
            (None, Precondition::Unchanged(_)) | (Some(_), Precondition::Absent) => false,
        })
    }

    fn write(&mut self, write: &Write) -> Result<(), Error> {
        match write {
            Write::Put { key, bytes, forget_at } => {
                self.put(key.as_str(), bytes, forget_at.map_or(NEVER, UnixTime::as_millis))
            }
            Write::Delete { key } => {
                self.remove(key.as_str())?;
                self.empty(key.as_str())
            }
            Write::Link { index, name, until } => {
                if let Some(until) = until {
                    self.keep_index(index.as_str(), *until)?;
                }
                self.changed |= self.names.insert((index.as_str(), name.as_str()), ())?.is_none();
                Ok(())
            }
            Write::Unlink { index, name } => {
                self.changed |= self.names.remove((index.as_str(), name.as_str()))?.is_some();
                Ok(())
            }
        }
    }

    fn put(&mut self, key: &str, bytes: &[u8], until: u64) -> Result<(), Error> {
        if until <= self.now.as_millis() {
            return self.remove(key);
        }
        let mut entry = Vec::with_capacity(8 + bytes.len());
        entry.extend(until.to_be_bytes());
        entry.extend(bytes);
        let before = self.entries.insert(key, entry.as_slice())?.map(|old| forget_at(old.value()));
        self.changed = true;
        if before == Some(until) {
            return Ok(());
        }
        if let Some(before) = before {
            self.deadlines.remove((before, key))?;
        }
        if until != NEVER {
            self.deadlines.insert((until, key), ())?;
        }
        Ok(())
    }

    fn remove(&mut self, key: &str) -> Result<(), Error> {
        let before = self.entries.remove(key)?.map(|old| forget_at(old.value()));
        if let Some(before) = before {
            self.deadlines.remove((before, key))?;
            self.changed = true;
        }
        Ok(())
    }

    /// Notes that an index may be forgotten then, unless it was to be kept for longer. Names that an older
    /// release listed have an end too, which is not known here: none is later than [`LATEST`].
    fn keep_index(&mut self, index: &str, until: UnixTime) -> Result<(), Error> {
        let marker = format!("{index}{OF_AN_INDEX}");
        let held = self.entries.get(marker.as_str())?.map(|entry| forget_at(entry.value()));
        let least = match held {
            Some(held) => held,
            None if self.has_names(index)? => self.now.plus(LATEST).as_millis(),
            None => 0,
        };
        self.put(&marker, b"", until.as_millis().max(least))
    }

    fn has_names(&self, index: &str) -> Result<bool, Error> {
        let first = self.names.range::<(&str, &str)>((index, "")..)?.next().transpose()?;
        Ok(first.is_some_and(|(row, _)| row.value().0 == index))
    }

    /// Takes every name off an index.
    fn empty(&mut self, index: &str) -> Result<(), Error> {
        // Nothing sorts between a text and the same with a zero byte behind it.
        let next = format!("{index}\0");
        let all = (index, "")..(next.as_str(), "");
        let mut gone = false;
        self.names.retain_in(all, |_, ()| {
            gone = true;
            false
        })?;
        self.changed |= gone;
        Ok(())
    }
}

/// Behind the key of an index: the key of an entry without bytes, which is forgotten when the index may be.
const OF_AN_INDEX: char = '\0';

/// Longer than anything lives that is listed with an end.
const LATEST: Duration = Duration::from_secs(420 * 86_400);

/// What was filed, unless it is due. Fewer than eight bytes are none of ours.
fn living(entry: &[u8], now: UnixTime) -> Option<&[u8]> {
    let due = forget_at(entry) <= now.as_millis();
    entry.get(8..).filter(|_| !due)
}

fn forget_at(entry: &[u8]) -> u64 {
    entry.first_chunk().map_or(0, |millis| u64::from_be_bytes(*millis))
}

fn parse_count(bytes: &[u8]) -> u64 {
    str::from_utf8(bytes).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
