//! The `.env` file: `NAME=value` lines, comments, quotes, an optional `export`.

use std::collections::BTreeMap;

use super::env_vars;

/// Reads the text of a `.env` file. Unlike the environment it is ours alone, so a name in it that is
/// not ours is a mistake, as are a repeated name and a line that says nothing.
pub fn parse(text: &str) -> (BTreeMap<String, String>, Vec<String>) {
    let mut map = BTreeMap::new();
    let mut complaints = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let number = index + 1;
        // The line itself is not shown: it may be a secret that slipped.
        let Some((name, rest)) = split(line) else {
            complaints.push(format!(".env line {number} must be NAME=value or a comment"));
            continue;
        };
        match unquote(rest.trim()) {
            Some(value) => complaints.extend(insert(&mut map, name, value, number)),
            None => complaints.push(format!(
                "{name} in .env line {number} must have its closing quote, and nothing but a comment after it"
            )),
        }
    }
    (map, complaints)
}

fn split(line: &str) -> Option<(&str, &str)> {
    let exported = line.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
    let (name, value) = exported.unwrap_or(line).split_once('=')?;
    let name = name.trim();
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (!name.is_empty() && name.bytes().all(word)).then_some((name, value))
}

fn insert(
    map: &mut BTreeMap<String, String>,
    name: &str,
    value: String,
    number: usize,
) -> Option<String> {
    if !env_vars::is_known(name) {
        let meant = env_vars::suggestion_for(name).map(|meant| format!("; did you mean {meant}?"));
        let meant = meant.unwrap_or_default();
        return Some(format!("{name} in .env line {number} is an unknown key{meant}"));
    }
    let earlier = map.insert(name.to_owned(), value)?;
    drop(earlier);
    Some(format!("{name} must stand in .env once, but line {number} sets it again"))
}

/// The value: as it stands, or between quotes. Single quotes keep everything; in double quotes
/// `\n`, `\r`, `\t` and an escaped character are understood. Nothing is ever expanded.
fn unquote(text: &str) -> Option<String> {
    match text.chars().next() {
        Some('\'') => {
            let (value, rest) = text[1..].split_once('\'')?;
            ends(rest).then(|| value.to_owned())
        }
        Some('"') => double_quoted(&text[1..]),
        Some('#') | None => Some(String::new()),
        Some(_) => {
            // A `#` inside a word belongs to it; a comment has white space before it.
            let comment = text.find(" #").into_iter().chain(text.find("\t#")).min();
            Some(text[..comment.unwrap_or(text.len())].trim_end().to_owned())
        }
    }
}

fn double_quoted(text: &str) -> Option<String> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return ends(chars.as_str()).then_some(value),
            '\\' => value.push(match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            }),
            other => value.push(other),
        }
    }
}

fn ends(rest: &str) -> bool {
    let rest = rest.trim();
    rest.is_empty() || rest.starts_with('#')
}
