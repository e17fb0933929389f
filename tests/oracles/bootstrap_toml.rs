use latchkey::config::ConfigErrors;
use latchkey::operations::bootstrap::Bootstrap;
use latchkey::protocol::claims::ScopeCatalogue;
use serde_json::Value;

use super::text;

/// A file that is accepted declares as many people and clients as TOML has tables for them, and one that is
/// refused says in each complaint which line it is about; no complaint repeats a password or a secret.
pub fn bootstrap_toml(data: &[u8]) {
    holds(data, Bootstrap::parse);
}

pub fn holds(data: &[u8], parse: impl Fn(&str) -> Result<Bootstrap, ConfigErrors>) {
    // Every complaint counts the lines before it: the file is the operator's own, and small.
    let file = text(&data[..data.len().min(4096)]);
    let plain = file.parse::<toml::Table>();
    match parse(&file) {
        Ok(read) => {
            let plain = plain.expect("it was accepted, so it is TOML");
            let count =
                |name: &str| plain.get(name).and_then(toml::Value::as_array).map_or(0, Vec::len);
            assert_eq!((read.users(), read.clients()), (count("users"), count("clients")));
            let mut catalogue = ScopeCatalogue::default();
            read.catalogue(&mut catalogue);
            for scope in plain.get("scopes").and_then(toml::Value::as_array).into_iter().flatten() {
                let name = scope["name"].as_str().expect("a name");
                assert!(catalogue.get(name).is_some(), "{name}");
            }
        }
        Err(ConfigErrors(all)) => {
            assert!(!all.is_empty());
            let lines = file.bytes().filter(|byte| *byte == b'\n').count() + 1;
            let secrets = plain.map(|plain| secrets(&plain)).unwrap_or_default();
            for complaint in &all {
                let number = complaint.strip_prefix("line ").and_then(|it| it.split(':').next());
                let number: usize = number.and_then(|it| it.parse().ok()).expect("a line");
                assert!((1..=lines).contains(&number), "{complaint}");
                for secret in &secrets {
                    let elsewhere = file.matches(&**secret).count() > 1;
                    assert!(elsewhere || !complaint.contains(&**secret), "{complaint}");
                }
            }
        }
    }
}

/// What nobody may read in a log, where it is long enough not to stand there by chance.
fn secrets(file: &toml::Table) -> Vec<String> {
    let json = serde_json::to_value(file).unwrap_or_default();
    let tables =
        ["users", "clients"].map(|name| json[name].as_array().cloned().unwrap_or_default());
    let names = ["password", "password_hash", "client_secret", "client_secret_sha256"];
    let found = tables.iter().flatten().flat_map(|table| names.map(|name| table[name].clone()));
    let several = tables
        .iter()
        .flatten()
        .flat_map(|it| it["client_secrets"].as_array().cloned().unwrap_or_default());
    let long = |it: Value| it.as_str().filter(|it| it.len() >= 12).map(str::to_owned);
    found.chain(several).filter_map(long).collect()
}
