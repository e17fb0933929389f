//! Users, clients, scopes and APIs declared in a TOML file (`BOOTSTRAP_FILE`), read whole and refused whole, each
//! error with its line. `apply.rs` declares them by [`users`](super::users) and [`clients`](super::clients).
//!
//! Applying is idempotent, so every server does it at every start. The file wins for what it declares:
//!
//! * a client's metadata and settings, and a user's claims and groups, become what the file says, every
//!   time;
//! * passwords, client secrets and `enabled` become what it says when something is created, and when the
//!   file's own word changes: what was changed elsewhere since is not undone ([`declaration`](super::declaration));
//! * `enabled`, `sub` and a password are left as they are stored where the file does not mention them;
//! * a plaintext `password` is compared with what the file said before, so a restart costs one comparison
//!   each and changes nothing;
//! * what is not in the file is left alone: removing is for the command line.

mod apply;
mod client;
mod resource;
#[cfg(test)]
mod tests;
mod toml_table;
mod user;

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeTable;

use self::toml_table::{SourceText, TomlTable};
use crate::config::ConfigErrors;
use crate::domain::resources::{Declared, Resource};
use crate::domain::users;
use crate::protocol::Scope;
use crate::protocol::claims::{ScopeCatalogue, ScopeEntry};

pub use self::apply::{ApplyCounts, ApplyError, ApplyReport};
pub use self::client::ClientEntry;
pub use self::user::UserEntry;

/// What a file declares.
#[derive(Clone, Debug, Default)]
pub struct Bootstrap {
    scopes: Vec<(String, ScopeEntry)>,
    resources: Vec<Resource>,
    users: Vec<UserEntry>,
    clients: Vec<ClientEntry>,
}

impl Bootstrap {
    /// Reads a file; each complaint begins with its path.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigErrors(vec![format!(
                "BOOTSTRAP_FILE must name a readable file, but {shown}: {error}"
            )])
        })?;
        Self::parse(&text).map_err(|ConfigErrors(lines)| {
            ConfigErrors(lines.into_iter().map(|line| format!("{shown} {line}")).collect())
        })
    }

    /// Reads the text of a file; each complaint begins with its line.
    pub fn parse(text: &str) -> Result<Self, ConfigErrors> {
        let mut source = SourceText::new(text);
        let root = match DeTable::parse(text) {
            Ok(root) => root,
            Err(error) => {
                // The message alone: the whole error quotes the line, which may hold a secret.
                source.add_error(error.span().map_or(0, |span| span.start), error.message());
                return Err(ConfigErrors(source.into_errors()));
            }
        };
        let root = TomlTable::new(0, root.get_ref());
        root.check_keys(&[&["scopes", "resources", "users", "clients"]], &mut source);
        let read = Self {
            scopes: each(root, "scopes", &mut source, read_scope),
            resources: each(root, "resources", &mut source, resource::read),
            users: each(root, "users", &mut source, UserEntry::read),
            clients: each(root, "clients", &mut source, ClientEntry::read),
        };
        check_duplicates(root, &mut source);
        let errors = source.into_errors();
        if errors.is_empty() { Ok(read) } else { Err(ConfigErrors(errors)) }
    }

    /// Adds the declared scopes to those there are.
    pub fn catalogue(&self, catalogue: &mut ScopeCatalogue) {
        for (name, entry) in &self.scopes {
            catalogue.add(name, entry.clone());
        }
    }

    /// The scopes and APIs there are, with those that it declares.
    pub fn catalogues(&self) -> Declared {
        let mut declared = Declared::default();
        self.catalogue(&mut declared.scopes);
        for it in &self.resources {
            declared.resources.declare(it.clone());
        }
        declared
    }

    /// What the operator should know, though it stops nothing.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        let said = self.clients.iter().flat_map(|client| &client.warnings);
        said.map(|warning| format!("BOOTSTRAP_FILE {warning}"))
    }

    /// The `typ` of access tokens for APIs, for libraries that refuse `at+jwt`.
    pub fn notes(&self) -> impl Iterator<Item = String> + '_ {
        self.clients.iter().filter_map(ClientEntry::note_of_access_tokens)
    }

    /// How many users it declares.
    pub fn users(&self) -> usize {
        self.users.len()
    }

    /// How many clients it declares.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }
}

fn each<'a, T>(
    root: TomlTable<'a>,
    name: &str,
    source: &mut SourceText<'_>,
    read: fn(TomlTable<'a>, &mut SourceText<'_>) -> Option<T>,
) -> Vec<T> {
    let tables = root.tables(name, source);
    tables.into_iter().filter_map(|table| read(table, source)).collect()
}

/// Two entries for one thing would undo each other at every start.
fn check_duplicates(root: TomlTable<'_>, source: &mut SourceText<'_>) {
    let verbatim = str::to_owned;
    for (list, key, spelling) in [
        ("users", "username", users::canonical as fn(&str) -> String),
        ("users", "sub", verbatim),
        ("clients", "client_id", verbatim),
        ("scopes", "name", verbatim),
        ("resources", "resource", verbatim),
    ] {
        // What has the wrong type was complained of when it was read.
        let discarded = &mut SourceText::new("");
        let mut seen = BTreeMap::new();
        for table in root.tables(list, discarded) {
            let Some(text) = table.string(key, discarded) else { continue };
            let at = table.position(key);
            let line = source.line(at);
            if let Some(first) = seen.insert(spelling(text), line) {
                source.add_error(
                    at,
                    format!("{key}: {} is declared in line {first} already", text.trim()),
                );
            }
        }
    }
}

fn read_scope(table: TomlTable<'_>, source: &mut SourceText<'_>) -> Option<(String, ScopeEntry)> {
    table.check_keys(&[&["name", "description", "claims", "advertised"]], source);
    if !table.has("name") {
        source.add_error(table.at, "name: is required");
    }
    let name = table.string("name", source);
    let is_one_word = |text: &str| text.parse::<Scope>().is_ok_and(|scope| scope.contains(text));
    if name.is_some_and(|text| !is_one_word(text)) {
        let rule = "name: must be one word of printable ASCII without quotes and backslashes";
        source.add_error(table.position("name"), rule);
    }
    let entry = ScopeEntry {
        description: table.string("description", source).map(str::to_owned),
        claims: table.strings("claims", source).into_iter().map(str::to_owned).collect(),
        advertised: table.boolean("advertised", source),
    };
    if name == Some("openid") && entry.advertised == Some(false) {
        let rule = "advertised: openid is always advertised (OpenID Connect Discovery 1.0 §3)";
        source.add_error(table.position("advertised"), rule);
    }
    Some((name?.to_owned(), entry))
}
