//! Reads one variable after the other, and keeps every complaint instead of stopping at the first.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::duration;
use super::secret_text::SecretText;
use super::vars::{self, Fallback};

/// The map being read, and what was found wrong with it so far.
///
/// A method that has complained returns some value of its type, so that reading can go on; it is
/// never used, because a reader with complaints yields no configuration.
pub(super) struct Reader<'a> {
    map: &'a BTreeMap<String, String>,
    pub complaints: Vec<String>,
    pub warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub fn new(map: &'a BTreeMap<String, String>) -> Self {
        Self { map, complaints: Vec::new(), warnings: Vec::new() }
    }

    /// What was set. Empty counts as absent: that is how compose files and shells say "not set".
    pub fn given(&self, name: &str) -> Option<&'a str> {
        debug_assert!(vars::find(name).is_some(), "{name} is missing from the table");
        self.map.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// What was set, or the default of the table.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let default = || match vars::find(name)?.fallback {
            Fallback::Value(value) => Some(value),
            Fallback::Rule(_) | Fallback::Unset => None,
        };
        self.given(name).or_else(default)
    }

    /// "NAME must be …", with what was found instead unless that is a secret.
    pub fn complain(&mut self, name: &str, problem: &str) {
        let found = match self.given(name) {
            Some(value) if vars::find(name).is_some_and(|var| !var.secret) => {
                format!(" (found {:?})", value.chars().take(80).collect::<String>())
            }
            Some(_) | None => String::new(),
        };
        self.complaints.push(format!("{name} {problem}{found}"));
    }

    /// Something the operator should know, though it stops nothing.
    pub fn warn(&mut self, sentence: impl Into<String>) {
        self.warnings.push(sentence.into());
    }

    /// One value, judged by `parse`.
    pub fn parse<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(self.text(name)?);
        if parsed.is_none() {
            self.complain(name, &format!("must be {expected}"));
        }
        parsed
    }

    /// A comma-separated list, each entry judged by `parse`.
    pub fn list<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let entries = |text: &str| text.split(',').map(|entry| parse(entry.trim())).collect();
        self.parse(name, &format!("a comma-separated list of {expected}"), entries)
            .unwrap_or_default()
    }

    pub fn flag(&mut self, name: &str) -> bool {
        self.parse(name, "true or false", |text| match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => None,
        })
        .unwrap_or_default()
    }

    pub fn number<T>(&mut self, name: &str, range: RangeInclusive<T>) -> Option<T>
    where
        T: Copy + FromStr + PartialOrd + std::fmt::Display,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        self.parse(name, &expected, |text| {
            text.parse().ok().filter(|number| digits(text) && range.contains(number))
        })
    }

    /// A duration whose bounds are given in seconds.
    pub fn duration(&mut self, name: &str, seconds: RangeInclusive<u64>) -> Duration {
        let (least, most) = (duration::show(*seconds.start()), duration::show(*seconds.end()));
        let expected = format!("{least} to {most}, as seconds or like 90s, 10m, 1h, 7d");
        self.parse(name, &expected, |text| {
            duration::parse(text).filter(|duration| seconds.contains(&duration.as_secs()))
        })
        .unwrap_or_default()
    }

    /// A password as it was set: spaces around it are part of it, since they are where it is typed.
    pub fn password(&mut self, name: &str) -> Option<SecretText> {
        self.given(name).and_then(|_| self.map.get(name)).map(SecretText::new)
    }

    /// A secret of at least `least` characters.
    pub fn secret(&mut self, name: &str, least: usize) -> Option<SecretText> {
        self.parse(name, &format!("at least {least} characters"), |text| {
            (text.chars().count() >= least).then(|| SecretText::new(text))
        })
    }
}
