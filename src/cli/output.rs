//! Users and clients as text or as JSON, without secrets, hashes and digests.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::domain::clients::RegistrationSource;
use crate::infra::clock::UnixTime;
use crate::operations::{ClientView, SecretView, UserView};

/// All of them: a JSON array, or a line for each.
pub(super) fn render_list<T>(
    items: &[T],
    json: bool,
    whole: fn(&T) -> Value,
    line: fn(&T) -> String,
) -> String {
    if json {
        return format!("{:#}", Value::Array(items.iter().map(whole).collect()));
    }
    items.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// One of them: a JSON object, or `name: value` lines.
pub(super) fn render_one(shown: &Value, json: bool) -> String {
    if json { format!("{shown:#}") } else { lines(shown) }
}

/// One line of a list.
pub(super) fn user_line(user: &UserView) -> String {
    let locked = user.locked_since.map(|at| format!("  locked since {}", timestamp(at)));
    let locked = locked.unwrap_or_default();
    format!("{}  {}  {}{locked}", user.sub.as_str(), user.username, enabled_word(user.enabled))
}

/// One line of a list.
pub(super) fn client_line(client: &ClientView) -> String {
    let (id, name) = (client.id.as_str(), client.display_name());
    format!("{id}  {name}  {}", enabled_word(client.enabled))
}

/// All that may be shown of a user.
pub(super) fn user_json(user: &UserView) -> Value {
    json!({
        "sub": user.sub,
        "username": user.username,
        "enabled": user.enabled,
        "has_password": user.has_password,
        "claims": user.claims,
        "groups": user.groups,
        "created_at": timestamp(user.created_at),
        "locked_since": user.locked_since.map(timestamp),
    })
}

/// All that may be shown of a client.
pub(super) fn client_json(client: &ClientView) -> Value {
    let secret = |it: &SecretView| json!({ "created_at": timestamp(it.created_at), "expires_at": it.expires_at.map(timestamp) });
    json!({
        "client_id": client.id,
        "enabled": client.enabled,
        "source": match client.source {
            RegistrationSource::Operator => "operator",
            RegistrationSource::Registered => "registered",
        },
        "metadata": client.metadata,
        "settings": client.settings,
        "cautions": client.cautions,
        "secrets": client.secrets.iter().map(secret).collect::<Vec<_>>(),
        "created_at": timestamp(client.created_at),
        "unused_until": client.unused_until.map(timestamp),
    })
}

/// An object as `name: value` lines; whatever is empty is left out, tables are indented.
fn lines(value: &Value) -> String {
    let mut text = String::new();
    write(value, 0, &mut text);
    text
}

fn write(value: &Value, depth: usize, text: &mut String) {
    let members = value.as_object().into_iter().flatten();
    for (name, value) in members.filter(|(_, value)| !is_empty(value)) {
        text.push_str(&"  ".repeat(depth));
        text.push_str(&printable(name));
        text.push(':');
        match value {
            Value::Object(_) => {
                text.push('\n');
                write(value, depth + 1, text);
                continue;
            }
            Value::String(word) => {
                text.push(' ');
                text.push_str(&printable(word));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => {
                text.push(' ');
                text.push_str(&printable(&value.to_string()));
            }
        }
        text.push('\n');
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Without control characters: a registered name must not move the cursor of the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// What somebody is, or has just become.
pub(super) fn enabled_word(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

pub(super) fn timestamp(at: UnixTime) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(at.as_millis());
    humantime::format_rfc3339_seconds(at).to_string()
}
