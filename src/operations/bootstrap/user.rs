//! `[[users]]`: one person, as the file declares them.

use serde_json::{Map, Value};

use super::toml_table::{SourceText, TomlTable, to_json};
use crate::infra::password::{self, Password};
use crate::operations::users::{DeclaredPassword, SUBJECT_RULE, UserDeclaration, check_username};
use crate::protocol::{Subject, claims};

/// A declared user.
#[derive(Clone, Debug)]
pub struct UserEntry {
    pub(super) line: usize,
    pub(super) declaration: UserDeclaration,
}

const KEYS: &[&str] =
    &["username", "sub", "password", "password_hash", "enabled", "groups", "claims"];

impl UserEntry {
    /// Reads one table; `None` only after a complaint.
    pub(super) fn read(table: TomlTable<'_>, source: &mut SourceText<'_>) -> Option<Self> {
        let hint = |key: &str| {
            claims::is_standard(key).then_some("it is a claim, and belongs under [users.claims]")
        };
        table.check_keys_or(&[KEYS], hint, source);
        let username = read_username(table, source);
        let sub = table.string("sub", source).and_then(|text| {
            let sub = Subject::parse(text);
            if sub.is_none() {
                source.add_error(table.position("sub"), format!("sub: {SUBJECT_RULE}"));
            }
            sub
        });
        let declaration = UserDeclaration {
            sub,
            password: read_password(table, source),
            enabled: table.boolean("enabled", source),
            claims: read_claims(table, source),
            groups: table.strings("groups", source).into_iter().map(str::to_owned).collect(),
            username: username?,
        };
        Some(Self { line: source.line(table.at), declaration })
    }
}

fn read_username(table: TomlTable<'_>, source: &mut SourceText<'_>) -> Option<String> {
    if !table.has("username") {
        source.add_error(table.at, "username: is required");
    }
    let text = table.string("username", source)?;
    if let Err(rule) = check_username(text) {
        source.add_error(table.position("username"), format!("username: {rule}"));
    }
    Some(text.trim().to_owned())
}

fn read_password(table: TomlTable<'_>, source: &mut SourceText<'_>) -> Option<DeclaredPassword> {
    let plain = table.string("password", source);
    let hash = table.string("password_hash", source);
    match (plain, hash) {
        (Some(_), Some(_)) => {
            source.add_error(table.position("password_hash"), "password_hash: not beside password");
            None
        }
        (Some(text), None) => {
            let password = Password::parse(text);
            if password.is_none() {
                source.add_error(table.position("password"), "password: must be 1 to 512 bytes");
            }
            password.map(DeclaredPassword::Plain)
        }
        (None, Some(hash)) if password::is_phc(hash) => {
            Some(DeclaredPassword::Hash(hash.to_owned()))
        }
        (None, Some(_)) => {
            let rule = "password_hash: must be Argon2id in PHC form, $argon2id$v=19$…";
            source.add_error(table.position("password_hash"), rule);
            None
        }
        (None, None) => None,
    }
}

fn read_claims(table: TomlTable<'_>, source: &mut SourceText<'_>) -> Map<String, Value> {
    let mut read = Map::new();
    let Some(declared) = table.table("claims", source) else { return read };
    for (name, at, value) in declared.iter() {
        let checked = to_json(value).map_err(|why| format!("{name}: {why}")).and_then(|value| {
            claims::check(name, &value)?;
            Ok(value)
        });
        match checked {
            Ok(value) => drop(read.insert(name.to_owned(), value)),
            Err(sentence) => source.add_error(at, format!("claims: {sentence}")),
        }
    }
    read
}
