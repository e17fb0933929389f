//! The discovery document of the server under test.

use std::ops::Deref;

use serde_json::{Map, Value};
use url::Url;

use super::report::{CheckFailure, fail, printable, skip};

/// The members as they were read; nothing about them is checked yet.
#[derive(Default)]
pub(super) struct ServerMetadata(pub Map<String, Value>);

impl Deref for ServerMetadata {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl ServerMetadata {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// The words of a list in the metadata.
    pub fn list(&self, name: &str) -> Vec<&str> {
        let words = self.0.get(name).and_then(Value::as_array);
        words.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    pub fn lists(&self, name: &str, word: &str) -> bool {
        self.list(name).contains(&word)
    }

    pub fn says(&self, name: &str) -> Option<bool> {
        self.0.get(name).and_then(Value::as_bool)
    }

    /// Where that is; a skip where the server does not say.
    pub fn endpoint(&self, name: &str) -> Result<Url, CheckFailure> {
        let text = self.text(name).ok_or_else(|| skip(format!("no {name} in the metadata")))?;
        text.parse().map_err(|_| fail(format!("{name} is not a URL: {}", printable(text))))
    }

    pub fn list_of(&self, endpoint: &str, name: &str) -> Vec<&str> {
        let whole = format!("{endpoint}_endpoint_{name}");
        let words = self.0.get(&whole).and_then(Value::as_array);
        words.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}
