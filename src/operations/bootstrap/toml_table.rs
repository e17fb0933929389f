//! TOML with byte positions, so that every error can name its line.

use serde_json::{Map, Value};
use toml::de::{DeTable, DeValue};

/// The text being read, and the errors found so far.
pub(super) struct SourceText<'t> {
    text: &'t str,
    errors: Vec<(usize, String)>,
}

impl<'t> SourceText<'t> {
    pub fn new(text: &'t str) -> Self {
        Self { text, errors: Vec::new() }
    }

    /// The line of a byte, counted from one.
    pub fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().iter().take(at);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    /// Adds a sentence about the line of byte `at`.
    pub fn add_error(&mut self, at: usize, sentence: impl AsRef<str>) {
        let line = self.line(at);
        self.errors.push((line, format!("line {line}: {}", sentence.as_ref())));
    }

    /// Every error, in the order of the lines.
    pub fn into_errors(mut self) -> Vec<String> {
        self.errors.sort_by_key(|(line, _)| *line);
        self.errors.into_iter().map(|(_, sentence)| sentence).collect()
    }
}

/// A table and its position.
///
/// A getter that has added an error answers as if the key were absent, so that reading goes on and finds the rest. A
/// text with errors yields no declarations.
#[derive(Clone, Copy)]
pub(super) struct TomlTable<'a> {
    /// The byte its header begins at.
    pub at: usize,
    entries: &'a DeTable<'a>,
}

impl<'a> TomlTable<'a> {
    pub fn new(at: usize, entries: &'a DeTable<'a>) -> Self {
        Self { at, entries }
    }

    /// Every key with its position and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, usize, &'a DeValue<'a>)> {
        self.entries
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), key.span().start, value.get_ref()))
    }

    fn find(&self, name: &str) -> Option<(usize, &'a DeValue<'a>)> {
        let entry = self.iter().find(|(key, _, _)| *key == name)?;
        Some((entry.1, entry.2))
    }

    /// The position of a key, or of the table that lacks it.
    pub fn position(&self, name: &str) -> usize {
        self.find(name).map_or(self.at, |(at, _)| at)
    }

    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Adds an error for every key that is on none of the lists.
    pub fn check_keys(&self, known: &[&[&str]], source: &mut SourceText<'_>) {
        self.check_keys_or(known, |_| None, source);
    }

    /// The same; `hint` may say where an unknown key belongs.
    pub fn check_keys_or(
        &self,
        known: &[&[&str]],
        hint: impl Fn(&str) -> Option<&'static str>,
        source: &mut SourceText<'_>,
    ) {
        for (key, at, _) in self.iter() {
            if !known.iter().any(|list| list.contains(&key)) {
                let place = hint(key).map(|place| format!("; {place}")).unwrap_or_default();
                source.add_error(at, format!("{key}: there is no such key here{place}"));
            }
        }
    }

    /// A key whose value must be of one type, which `read` knows.
    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        source: &mut SourceText<'_>,
        read: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Option<T> {
        let (at, value) = self.find(name)?;
        let read = read(value);
        if read.is_none() {
            source.add_error(at, format!("{name}: must be {expected}"));
        }
        read
    }

    pub fn string(&self, name: &str, source: &mut SourceText<'_>) -> Option<&'a str> {
        self.typed(name, "a string", source, DeValue::as_str)
    }

    pub fn boolean(&self, name: &str, source: &mut SourceText<'_>) -> Option<bool> {
        self.typed(name, "true or false", source, DeValue::as_bool)
    }

    pub fn seconds(&self, name: &str, source: &mut SourceText<'_>) -> Option<u32> {
        let read = |value: &'a DeValue<'a>| {
            let number = value.as_integer()?;
            u32::from_str_radix(number.as_str(), number.radix()).ok()
        };
        self.typed(name, "a number of seconds", source, read)
    }

    pub fn strings(&self, name: &str, source: &mut SourceText<'_>) -> Vec<&'a str> {
        let read = |value: &'a DeValue<'a>| {
            value.as_array()?.iter().map(|item| item.get_ref().as_str()).collect()
        };
        self.typed(name, "an array of strings", source, read).unwrap_or_default()
    }

    pub fn table(&self, name: &str, source: &mut SourceText<'_>) -> Option<TomlTable<'a>> {
        let at = self.position(name);
        let read = |value: &'a DeValue<'a>| Some(TomlTable::new(at, value.as_table()?));
        self.typed(name, "a table", source, read)
    }

    /// An array of tables: `[[name]]`, as often as one likes.
    pub fn tables(&self, name: &str, source: &mut SourceText<'_>) -> Vec<TomlTable<'a>> {
        let read = |value: &'a DeValue<'a>| {
            let items = value.as_array()?.iter();
            items
                .map(|it| Some(TomlTable::new(it.span().start, it.get_ref().as_table()?)))
                .collect()
        };
        let expected = format!("an array of tables, each under [[{name}]]");
        self.typed(name, &expected, source, read).unwrap_or_default()
    }
}

/// A TOML value as JSON. Dates become text, which is what claims write them as.
pub(super) fn to_json(value: &DeValue<'_>) -> Result<Value, &'static str> {
    const NUMBER: &str = "a number must be finite and fit into 64 bits";
    Ok(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| NUMBER)?.into()
        }
        DeValue::Float(number) => {
            let float = number.as_str().parse::<f64>().ok();
            let number = float.and_then(serde_json::Number::from_f64);
            Value::Number(number.ok_or(NUMBER)?)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(moment) => Value::String(moment.to_string()),
        DeValue::Array(items) => Value::Array(
            items.iter().map(|item| to_json(item.get_ref())).collect::<Result<_, _>>()?,
        ),
        DeValue::Table(entries) => {
            let member = |(key, value): (&str, &DeValue<'_>)| Ok((key.to_owned(), to_json(value)?));
            let pairs = entries.iter().map(|(key, value)| (&**key.get_ref(), value.get_ref()));
            Value::Object(pairs.map(member).collect::<Result<Map<_, _>, &'static str>>()?)
        }
    })
}
