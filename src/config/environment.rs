//! The only file here that reads anything: the process environment, `.env`, and the files that
//! `NAME_FILE` variables name.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::env_vars::{self, ENV_VARS};
use super::{Config, ConfigErrors, dotenv};

/// The process environment over `.env` in the working directory, with `NAME_FILE` resolved for
/// secrets: `SECRET_KEY_FILE=/run/secrets/key` sets `SECRET_KEY` to what that file holds.
pub fn environment() -> Result<BTreeMap<String, String>, ConfigErrors> {
    let (map, complaints) = collect();
    if complaints.is_empty() { Ok(map) } else { Err(ConfigErrors(complaints)) }
}

impl Config {
    /// Reads and parses the environment; errors of files and of values are reported together.
    pub fn load() -> Result<Self, ConfigErrors> {
        let (map, mut complaints) = collect();
        match Self::from_map(&map) {
            Ok(config) if complaints.is_empty() => Ok(config),
            Ok(_) => Err(ConfigErrors(complaints)),
            Err(ConfigErrors(more)) => {
                complaints.extend(more);
                Err(ConfigErrors(complaints))
            }
        }
    }
}

fn collect() -> (BTreeMap<String, String>, Vec<String>) {
    let (process, mut complaints) = process_variables();
    let (map, more) = overlay(process, read(Path::new(".env")));
    complaints.extend(more);
    (map, complaints)
}

/// The variables of the process. A value that is not UTF-8 is an error if the name is a variable of ours.
fn process_variables() -> (BTreeMap<String, String>, Vec<String>) {
    let mut map = BTreeMap::new();
    let mut complaints = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Ok(name) = name.into_string() else { continue };
        match value.into_string() {
            Ok(value) => drop(map.insert(name, value)),
            Err(_) if env_vars::is_known(&name) => complaints.push(format!("{name} must be UTF-8")),
            Err(_) => {}
        }
    }
    (map, complaints)
}

/// Lays the process environment over the file, then reads the files that secrets are kept in.
pub(super) fn overlay(
    process: BTreeMap<String, String>,
    file: io::Result<String>,
) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut map, mut complaints) = match file {
        Ok(text) => dotenv::parse(&text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Default::default(),
        Err(error) => (BTreeMap::new(), vec![format!(".env must be readable: {error}")]),
    };
    for var in ENV_VARS.iter().filter(|var| var.secret) {
        // Setting one form in the process overrides either form in the file.
        let forms = [var.name.to_owned(), format!("{}_FILE", var.name)];
        if forms.iter().any(|form| process.contains_key(form)) {
            map.retain(|name, _| !forms.contains(name));
        }
    }
    map.extend(process);
    for var in ENV_VARS.iter().filter(|var| var.secret) {
        complaints.extend(read_secret_file(&mut map, var.name));
    }
    (map, complaints)
}

fn read_secret_file(map: &mut BTreeMap<String, String>, name: &str) -> Option<String> {
    let form = format!("{name}_FILE");
    let path = map.remove(&form).filter(|path| !path.trim().is_empty())?;
    if map.get(name).is_some_and(|value| !value.trim().is_empty()) {
        return Some(format!("{name} must be set directly or by {form}, not both"));
    }
    match read(Path::new(path.trim())) {
        Ok(text) => {
            let value = text.strip_suffix('\n').unwrap_or(&text);
            let value = value.strip_suffix('\r').unwrap_or(value);
            let empty = value.trim().is_empty();
            map.insert(name.to_owned(), value.to_owned());
            empty.then(|| format!("{form} must name a file with something in it, {path} is empty"))
        }
        Err(error) => Some(format!("{form} must name a readable file, but {path}: {error}")),
    }
}

fn read(path: &Path) -> io::Result<String> {
    std::fs::read_to_string(path)
}
