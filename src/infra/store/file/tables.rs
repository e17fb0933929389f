//! The tables of the file, and what a transaction does to them.

use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use redb::{
    Error, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, Table,
    TableDefinition, WriteTransaction,
};

use super::super::{CommitOutcome, Precondition, Transaction, Write};
use crate::infra::clock::UnixTime;

/// Raised when an older release must not open the file.
pub(super) const SCHEMA: u64 = 1;

/// Numbers about the file itself.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
/// By key: the deadline in eight bytes, big-endian, then the value.
const ENTRIES: TableDefinition<&str, &[u8]> = TableDefinition::new("entries");
/// The same deadlines, soonest first, so that expiry needs no scan.
const DEADLINES: TableDefinition<(u64, &str), ()> = TableDefinition::new("deadlines");
/// The names of every index.
const NAMES: TableDefinition<(&str, &str), ()> = TableDefinition::new("names");

/// The deadline of a record that never expires.
const NEVER: u64 = u64::MAX;

/// The schema of the file; `None` if it is not a store.
pub(super) fn schema(database: &redb::Database) -> Result<Option<u64>, Error> {
    match database.begin_read()?.open_table(META) {
        Ok(meta) => Ok(meta.get("schema")?.map(|schema| schema.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Creates the tables of a new file.
pub(super) fn create(database: &redb::Database) -> Result<(), Error> {
    let transaction = database.begin_write()?;
    transaction.open_table(META)?.insert("schema", SCHEMA)?;
    drop(Tables::open(&transaction, UnixTime::from_millis(0))?);
    Ok(transaction.commit()?)
}

/// The value of the key at `now`.
pub(super) fn get(
    transaction: &ReadTransaction,
    key: &str,
    now: UnixTime,
) -> Result<Option<Vec<u8>>, Error> {
    let entries = transaction.open_table(ENTRIES)?;
    let entry = entries.get(key)?;
    Ok(entry.and_then(|entry| live_value(entry.value(), now).map(<[u8]>::to_vec)))
}

/// Names of the index after `after`, at most `limit`.
pub(super) fn scan_index(
    transaction: &ReadTransaction,
    index: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<String>, Error> {
    let table = transaction.open_table(NAMES)?;
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

/// The number of entries and of deadlines.
pub(super) fn count_entries(transaction: &ReadTransaction) -> Result<(u64, u64), Error> {
    Ok((transaction.open_table(ENTRIES)?.len()?, transaction.open_table(DEADLINES)?.len()?))
}

/// Whether any record has expired.
pub(super) fn has_expired(transaction: &ReadTransaction, now: UnixTime) -> Result<bool, Error> {
    let deadlines = transaction.open_table(DEADLINES)?;
    let first = deadlines.first()?;
    Ok(first.is_some_and(|(row, _)| row.value().0 <= now.as_millis()))
}

/// The bytes that a transaction adds.
pub(super) fn payload_bytes(transaction: &Transaction) -> u64 {
    let sizes = transaction.writes.iter().map(|write| match write {
        Write::Put { bytes, .. } => bytes.len(),
        Write::IndexAdd { name, .. } => name.len(),
        Write::Delete { .. } | Write::IndexRemove { .. } => 0,
    });
    u64::try_from(sizes.sum::<usize>()).unwrap_or(u64::MAX)
}

/// Writes without changing a record, for `ping`.
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
        let value = self.get(key)?;
        self.remove(key)?;
        Ok(value)
    }

    pub fn commit(&mut self, transaction: &Transaction) -> Result<CommitOutcome, Error> {
        for (key, precondition) in &transaction.preconditions {
            if !self.holds(key.as_str(), precondition)? {
                return Ok(CommitOutcome::Conflict);
            }
        }
        for write in &transaction.writes {
            self.write(write)?;
        }
        Ok(CommitOutcome::Committed)
    }

    pub fn tally(&mut self, counter: &str, window: Duration) -> Result<u64, Error> {
        let entry = self.entries.get(counter)?.and_then(|entry| {
            let count = parse_count(live_value(entry.value(), self.now)?);
            Some((count.saturating_add(1), deadline(entry.value())))
        });
        let (count, until) = entry.unwrap_or((1, self.now.plus(window).as_millis()));
        self.put(counter, count.to_string().as_bytes(), until)?;
        Ok(count)
    }

    /// Deletes expired records, at most `limit`. Answers how many.
    pub fn remove_expired(&mut self, limit: usize) -> Result<usize, Error> {
        let mut expired = Vec::new();
        for row in self.deadlines.iter()?.take(limit) {
            let (row, _) = row?;
            let (at, key) = row.value();
            if at > self.now.as_millis() {
                break;
            }
            expired.push(key.to_owned());
        }
        for key in &expired {
            self.remove(key)?;
            if let Some(index) = key.strip_suffix(INDEX_SUFFIX) {
                self.clear_index(index)?;
            }
        }
        Ok(expired.len())
    }

    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let entry = self.entries.get(key)?;
        Ok(entry.and_then(|entry| live_value(entry.value(), self.now).map(<[u8]>::to_vec)))
    }

    fn holds(&self, key: &str, precondition: &Precondition) -> Result<bool, Error> {
        Ok(match (self.get(key)?, precondition) {
            (None, Precondition::Absent) => true,
            (Some(value), Precondition::Unchanged(bytes)) => value == *bytes,
            (None, Precondition::Unchanged(_)) | (Some(_), Precondition::Absent) => false,
        })
    }

    fn write(&mut self, write: &Write) -> Result<(), Error> {
        match write {
            Write::Put { key, bytes, delete_after } => {
                self.put(key.as_str(), bytes, delete_after.map_or(NEVER, UnixTime::as_millis))
            }
            Write::Delete { key } => {
                self.remove(key.as_str())?;
                self.clear_index(key.as_str())
            }
            Write::IndexAdd { index, name, until } => {
                if let Some(until) = until {
                    self.extend_index(index.as_str(), *until)?;
                }
                self.changed |= self.names.insert((index.as_str(), name.as_str()), ())?.is_none();
                Ok(())
            }
            Write::IndexRemove { index, name } => {
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
        let before = self.entries.insert(key, entry.as_slice())?.map(|old| deadline(old.value()));
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
        let before = self.entries.remove(key)?.map(|old| deadline(old.value()));
        if let Some(before) = before {
            self.deadlines.remove((before, key))?;
            self.changed = true;
        }
        Ok(())
    }

    /// Moves the deadline of an index to `until`, if that is later. Names that an older release added expire, too,
    /// at a time that is not known here: within [`MAX_INDEX_LIFETIME`].
    fn extend_index(&mut self, index: &str, until: UnixTime) -> Result<(), Error> {
        let marker = format!("{index}{INDEX_SUFFIX}");
        let current = self.entries.get(marker.as_str())?.map(|entry| deadline(entry.value()));
        let least = match current {
            Some(current) => current,
            None if self.has_names(index)? => self.now.plus(MAX_INDEX_LIFETIME).as_millis(),
            None => 0,
        };
        self.put(&marker, b"", until.as_millis().max(least))
    }

    fn has_names(&self, index: &str) -> Result<bool, Error> {
        let first = self.names.range::<(&str, &str)>((index, "")..)?.next().transpose()?;
        Ok(first.is_some_and(|(row, _)| row.value().0 == index))
    }

    /// Removes every name from an index.
    fn clear_index(&mut self, index: &str) -> Result<(), Error> {
        // No string sorts between a string and the same with a zero byte appended.
        let next = format!("{index}\0");
        let all = (index, "")..(next.as_str(), "");
        let mut removed = false;
        self.names.retain_in(all, |_, ()| {
            removed = true;
            false
        })?;
        self.changed |= removed;
        Ok(())
    }
}

/// Appended to the key of an index: the key of an empty entry whose deadline is that of the index.
const INDEX_SUFFIX: char = '\0';

/// Longer than any record lives whose name expires.
const MAX_INDEX_LIFETIME: Duration = Duration::from_secs(420 * 86_400);

/// The value of an entry, unless it has expired or is shorter than a deadline.
fn live_value(entry: &[u8], now: UnixTime) -> Option<&[u8]> {
    let has_expired = deadline(entry) <= now.as_millis();
    entry.get(8..).filter(|_| !has_expired)
}

fn deadline(entry: &[u8]) -> u64 {
    entry.first_chunk().map_or(0, |millis| u64::from_be_bytes(*millis))
}

fn parse_count(bytes: &[u8]) -> u64 {
    str::from_utf8(bytes).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}
