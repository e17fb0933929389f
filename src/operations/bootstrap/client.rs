//! `[[clients]]`: one application, as the file declares it.

use serde_json::{Map, Value};

use super::toml_table::{SourceText, TomlTable, to_json};
use crate::domain::clients::{ClientId, ClientSettings, MIN_SECRET_LEN};
use crate::infra::secret::{self, Digest, is_guessable};
use crate::operations::clients::{
    CLIENT_ID_RULE, ClientDeclaration, check_metadata, check_settings, parse_metadata,
};
use crate::protocol::client_auth::is_changed_by_form_encoding;
use crate::protocol::client_metadata::MEMBERS;
use crate::protocol::{AccessTokenTyp, AuthMethod, ClientMetadata};

/// A declared client.
#[derive(Clone, Debug)]
pub struct ClientEntry {
    pub(super) line: usize,
    pub(super) declaration: ClientDeclaration,
    /// What the operator should know, though it stops nothing.
    pub(super) warnings: Vec<String>,
}

const KEYS: &[&str] = &[
    "client_id",
    "client_secret",
    "client_secrets",
    "client_secret_sha256",
    "enabled",
    "settings",
];

impl ClientEntry {
    /// Reads one table; `None` only after a complaint.
    pub(super) fn read(table: TomlTable<'_>, source: &mut SourceText<'_>) -> Option<Self> {
        // A registration may hold more, which is dropped; in a file of the operator's own, a member that
        // would do nothing is a mistake.
        let hint = |key: &str| {
            is_setting(key).then_some("it is a setting, and belongs under [clients.settings]")
        };
        table.check_keys_or(&[KEYS, MEMBERS], hint, source);
        let id = read_id(table, source);
        let enabled = table.boolean("enabled", source);
        let settings = read_settings(table, source);
        let secrets = read_secrets(table, source);
        let metadata = read_metadata(table, source)?;

        if let Err(sentence) = check_metadata(&metadata) {
            let member = sentence.split(':').next().unwrap_or_default();
            source.add_error(table.position(member), &sentence);
        }
        if let Err(sentence) = check_settings(&metadata, &settings) {
            source.add_error(table.position("settings"), format!("settings: {sentence}"));
        }
        if metadata.has_secret() && secrets.is_empty() {
            let rule = "client_secret: is required, because the client authenticates with one; \
                        a public client says token_endpoint_auth_method = \"none\"";
            source.add_error(table.at, rule);
        }
        if !metadata.has_secret() && !secrets.is_empty() {
            let method = metadata.token_endpoint_auth_method.as_str();
            let rule = format!("token_endpoint_auth_method: {method} goes without a secret");
            source.add_error(table.position("token_endpoint_auth_method"), rule);
        }
        let line = source.line(table.at);
        let (id, warnings) = (id?, warnings(table, &metadata, line));
        let declaration = ClientDeclaration { id, metadata, settings, secrets, enabled };
        Some(Self { line, declaration, warnings })
    }

    /// For a client whose access tokens are for APIs that check them by themselves.
    pub(super) fn note_of_access_tokens(&self) -> Option<String> {
        let ClientDeclaration { id, settings, .. } = &self.declaration;
        if settings.audience.is_empty() || settings.opaque_access_tokens {
            return None;
        }
        let (client, apis) = (id.as_str(), settings.audience.join(", "));
        let told = match settings.access_token_typ.unwrap_or(AccessTokenTyp::AtJwt) {
            AccessTokenTyp::AtJwt => {
                "at+jwt, which Spring Security, Nimbus and Dovecot refuse until they are told, or until \
                 access_token_typ is JWT (docs/clients.md)"
            }
            AccessTokenTyp::Jwt => {
                "JWT, as ID tokens do: the API has to check aud or token_use to tell one from the other"
            }
        };
        Some(format!("client {client}: access tokens for {apis} say typ {told}"))
    }
}

/// Whether there is a setting of that name.
fn is_setting(name: &str) -> bool {
    ClientSettings::names().iter().any(|known| known == name)
}

fn read_id(table: TomlTable<'_>, source: &mut SourceText<'_>) -> Option<ClientId> {
    if !table.has("client_id") {
        source.add_error(table.at, "client_id: is required");
    }
    let id = ClientId::parse(table.string("client_id", source)?);
    if id.is_none() {
        source.add_error(table.position("client_id"), format!("client_id: {CLIENT_ID_RULE}"));
    }
    id
}

fn read_metadata(table: TomlTable<'_>, source: &mut SourceText<'_>) -> Option<ClientMetadata> {
    let mut members = Map::new();
    for (key, at, value) in table.iter().filter(|(key, _, _)| MEMBERS.contains(key)) {
        match to_json(value) {
            Ok(value) => drop(members.insert(key.to_owned(), value)),
            Err(why) => source.add_error(at, format!("{key}: {why}")),
        }
    }
    parse_metadata(&members)
        .inspect_err(|error| {
            // Its sentences begin with the member they are about.
            let member = error.description.split([':', ' ']).next().unwrap_or_default();
            source.add_error(table.position(member), &error.description);
        })
        .ok()
}

/// One key at a time, so that a mistake has a line. In the store a setting of a newer release is ignored; in
/// the file one that is not known is a mistake.
fn read_settings(table: TomlTable<'_>, source: &mut SourceText<'_>) -> ClientSettings {
    let mut members = Map::new();
    if let Some(declared) = table.table("settings", source) {
        for (key, at, value) in declared.iter() {
            let checked = to_json(value).map_err(str::to_owned).and_then(|value| {
                if !is_setting(key) {
                    let names = ClientSettings::names().join(", ");
                    return Err(format!("unknown field, it is one of {names}"));
                }
                let alone = Map::from_iter([(key.to_owned(), value.clone())]);
                let read = serde_json::from_value::<ClientSettings>(Value::Object(alone));
                read.map(|_| value).map_err(|error| error.to_string())
            });
            match checked {
                Ok(value) => drop(members.insert(key.to_owned(), value)),
                Err(why) => source.add_error(at, format!("settings: {key}: {why}")),
            }
        }
    }
    serde_json::from_value(Value::Object(members)).unwrap_or_default()
}

fn read_secrets(table: TomlTable<'_>, source: &mut SourceText<'_>) -> Vec<Digest> {
    let one = table.string("client_secret", source).map(|text| ("client_secret", text));
    let more = table.strings("client_secrets", source);
    let mut digests = Vec::new();
    for (key, text) in one.into_iter().chain(more.into_iter().map(|it| ("client_secrets", it))) {
        // %x20-7E (RFC 6749 appendix A.2, https://www.rfc-editor.org/rfc/rfc6749#appendix-A.2).
        let wordable = text.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
        if !(MIN_SECRET_LEN..=512).contains(&text.len()) || !wordable {
            let rule = format!("{key}: must be {MIN_SECRET_LEN} to 512 printable ASCII characters");
            source.add_error(table.position(key), rule);
        }
        digests.push(Digest::of(text.as_bytes()));
    }
    if let Some(text) = table.string("client_secret_sha256", source) {
        match read_digest(text) {
            Some(digest) => digests.push(digest),
            None => source.add_error(
                table.position("client_secret_sha256"),
                "client_secret_sha256: must be 64 hexadecimal digits or 43 characters of base64url",
            ),
        }
    }
    if digests.len() > 2 {
        source.add_error(table.at, "client_secrets: a client has at most two secrets at a time");
    }
    digests
}

/// Warnings about what is accepted, but may surprise the operator.
fn warnings(table: TomlTable<'_>, metadata: &ClientMetadata, line: usize) -> Vec<String> {
    // What has the wrong type was complained of when it was read.
    let discarded = &mut SourceText::new("");
    let mut secrets = table.strings("client_secrets", discarded);
    secrets.extend(table.string("client_secret", discarded));
    let by_header = metadata.allows_auth_method(AuthMethod::ClientSecretBasic);
    let cautions = metadata.operator_warnings().into_iter();
    let mut found: Vec<_> = cautions.map(|caution| format!("line {line}: {caution}")).collect();
    if by_header && secrets.iter().any(|it| is_changed_by_form_encoding(it)) {
        found.push(format!(
            "line {line}: client_secret: has + or %, and a client that does not form-encode it in the \
             Authorization header (RFC 6749 §2.3.1), as many do not, is refused; choose one without"
        ));
    }
    if secrets.iter().any(|it| is_guessable(it)) {
        found.push(format!(
            "line {line}: client_secret: repeats itself, and whoever guesses it is this client; make one \
             with `openssl rand -hex 32`"
        ));
    }
    found
}

fn read_digest(text: &str) -> Option<Digest> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Digest::from_base64url(text);
    }
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).ok();
    let bytes: Vec<u8> = (0..64).step_by(2).map(byte).collect::<Option<_>>()?;
    Digest::from_base64url(&secret::base64url(&bytes))
}
