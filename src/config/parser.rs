//! Parses variables one by one, and collects the errors instead of stopping at the first.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::duration;
use super::env_vars::{self, DefaultValue};
use super::secret_string::SecretString;

/// The variables, and the errors found so far.
///
/// A method that has added an error returns some value of its type, so that parsing can go on; it is
/// never used, because a parser with complaints yields no configuration.
pub(super) struct ConfigParser<'a> {
    map: &'a BTreeMap<String, String>,
    pub errors: Vec<String>,
    pub warnings: Vec<String>,
}

impl<'a> ConfigParser<'a> {
    pub fn new(map: &'a BTreeMap<String, String>) -> Self {
        Self { map, errors: Vec::new(), warnings: Vec::new() }
    }

    /// The value that was set. Empty counts as absent: compose files and shells write "not set" like that.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        debug_assert!(env_vars::find(name).is_some(), "{name} is missing from the table");
        self.map.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The value that was set, or the default of the table.
    pub fn get_or_default(&self, name: &str) -> Option<&'a str> {
        let default = || match env_vars::find(name)?.default {
            DefaultValue::Value(value) => Some(value),
            DefaultValue::Rule(_) | DefaultValue::Unset => None,
        };
        self.get(name).or_else(default)
    }

    /// Adds "NAME must be …", with the value that was found unless it is a secret.
    pub fn add_error(&mut self, name: &str, problem: &str) {
        let found = match self.get(name) {
            Some(value) if env_vars::find(name).is_some_and(|var| !var.secret) => {
                format!(" (found {:?})", value.chars().take(80).collect::<String>())
            }
            Some(_) | None => String::new(),
        };
        self.errors.push(format!("{name} {problem}{found}"));
    }

    /// Adds a warning.
    pub fn warn(&mut self, sentence: impl Into<String>) {
        self.warnings.push(sentence.into());
    }

    /// One value, parsed by `parse`.
    pub fn parse<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let parsed = parse(self.get_or_default(name)?);
        if parsed.is_none() {
            self.add_error(name, &format!("must be {expected}"));
        }
        parsed
    }

    /// A comma-separated list, each entry parsed by `parse`.
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
    pub fn password(&mut self, name: &str) -> Option<SecretString> {
        self.get(name).and_then(|_| self.map.get(name)).map(SecretString::new)
    }

    /// A secret of at least `least` characters.
    pub fn secret(&mut self, name: &str, least: usize) -> Option<SecretString> {
        self.parse(name, &format!("at least {least} characters"), |text| {
            (text.chars().count() >= least).then(|| SecretString::new(text))
        })
    }
}
