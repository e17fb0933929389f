//! Where state is kept: in the memory of the process, in a folder, or in a Redis.
//!
//! `STORE_URL` holds no secret and is shown, `REDIS_URL` may hold a password and is not: that is why
//! there are two of them, and why a `redis://` in the first is refused rather than understood.

mod redis;

use std::path::PathBuf;

use super::issuer::Issuer;
use super::parser::ConfigParser;
use crate::infra::store::StoreSettings;

/// The store in memory, which is lost with the process.
const MEMORY_URL: &str = "memory:";

/// The backend that the variables name.
pub(super) fn read(parser: &mut ConfigParser<'_>, issuer: &Issuer) -> StoreSettings {
    let folder = folder(parser, issuer);
    let redis = self::redis::read(parser);
    match (folder, redis) {
        (Some(folder), _) => StoreSettings::File(folder),
        (None, Some(options)) => StoreSettings::Redis(options),
        (None, None) => StoreSettings::Memory,
    }
}

/// What a variable of the store came to, as it would be written.
pub(super) fn effective(settings: &StoreSettings, name: &str) -> Option<String> {
    match (settings, name) {
        (StoreSettings::Memory, "STORE_URL") => Some(MEMORY_URL.to_owned()),
        (StoreSettings::File(folder), "STORE_URL") => Some(format!("file:{}", folder.display())),
        (StoreSettings::Redis(options), name) => self::redis::effective(options, name),
        (StoreSettings::Memory | StoreSettings::File(_), _) => None,
    }
}

/// The folder, if `STORE_URL` names one.
fn folder(parser: &mut ConfigParser<'_>, issuer: &Issuer) -> Option<PathBuf> {
    let Some(text) = parser.get("STORE_URL") else {
        if parser.get("REDIS_URL").is_none() && !issuer.is_loopback() {
            add_error(parser, STORE_URL_REQUIRED);
        }
        return None;
    };
    if parser.get("REDIS_URL").is_some() {
        add_error(parser, "must not be set beside REDIS_URL: state is in the one or in the other");
        return None;
    }
    if text == MEMORY_URL {
        return None;
    }
    match text.strip_prefix("file:").map(path) {
        Some(Some(path)) => return Some(path),
        None if text.starts_with("redis") => {
            add_error(parser, "must not be a Redis: that goes into REDIS_URL");
        }
        Some(None) | None => add_error(parser, STORE_URL_FORMAT),
    }
    None
}

/// Without what was found: it may be the URL of something else, with a password in it.
fn add_error(parser: &mut ConfigParser<'_>, problem: &str) {
    parser.errors.push(format!("STORE_URL {problem}"));
}

/// A store in memory is the default in development only.
const STORE_URL_REQUIRED: &str = "must be set, or REDIS_URL, because ISSUER_URL is not a loopback one: file: and a folder \
     for a server that is alone, or memory: for one that may forget everybody whenever it ends";

const STORE_URL_FORMAT: &str =
    "must be file: and a folder, for example file:./data or file:///var/lib/latchkey, or memory:";

/// `./data`, `/var/lib/latchkey`, or the latter behind `//` and no host (RFC 8089 §2).
fn path(text: &str) -> Option<PathBuf> {
    let plain = match text.strip_prefix("//") {
        Some(rest) => rest.starts_with('/').then_some(rest)?,
        None => text,
    };
    (!plain.is_empty() && !plain.contains(['?', '#', '\0'])).then(|| PathBuf::from(plain))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::{Config, ConfigErrors};

    fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        Config::from_map(&pairs.iter().map(own).collect())
    }

    #[test]
    fn a_folder_has_several_spellings_and_lasts_and_memory_does_not() {
        for (url, folder) in [
            ("file:data", "data"),
            ("file:./data", "./data"),
            ("file:/var/lib/latchkey", "/var/lib/latchkey"),
            ("file:///var/lib/latchkey", "/var/lib/latchkey"),
        ] {
            let config = read(&[("STORE_URL", url)]).unwrap();
            assert_eq!(config.store.data_dir(), Some(Path::new(folder)));
            assert!(config.store.is_durable() && config.dev_account.is_none(), "{url}");
            let shown = super::super::describe(&config);
            assert!(shown.contains(&format!("STORE_URL=file:{folder}\n")), "{shown}");
        }
        let config = read(&[("STORE_URL", "memory:")]).unwrap();
        assert!(!config.store.is_durable() && config.dev_account.is_some());
        assert!(read(&[("REDIS_URL", "redis://cache")]).unwrap().store.is_durable());
    }

    #[test]
    fn what_is_no_store_is_complained_about_once_and_never_with_a_password() {
        for url in [
            "file:",
            "file://host/data",
            "file:a?b",
            "memory",
            "data",
            "redis://:hunter2@cache",
            "sqlite:a.db",
        ] {
            let ConfigErrors(found) = read(&[("STORE_URL", url)]).unwrap_err();
            assert!(found.len() == 1 && found[0].starts_with("STORE_URL must"), "{found:?}");
            assert!(!found[0].contains("hunter2"), "{found:?}");
        }
    }

    #[test]
    fn a_public_issuer_forgets_only_where_that_was_said() {
        let public = [("ISSUER_URL", "https://id.example"), ("SECRET_KEY", KEY)];
        let with = |more: &[(&'static str, &'static str)]| read(&[&public[..], more].concat());
        let ConfigErrors(found) = with(&[]).unwrap_err();
        assert!(found.len() == 1 && found[0].starts_with("STORE_URL must be set"), "{found:?}");
        for told in
            [("STORE_URL", "memory:"), ("STORE_URL", "file:data"), ("REDIS_URL", "redis://r")]
        {
            assert!(with(&[told]).is_ok(), "{told:?}");
        }
        assert!(read(&[]).is_ok_and(|config| !config.store.is_durable()), "in development");
    }

    const KEY: &str = "not a secret of anybody's: 7Zq4mBv1xYpT0kLr";

    #[test]
    fn a_store_is_named_once() {
        for url in ["file:data", "memory:"] {
            let both = [("STORE_URL", url), ("REDIS_URL", "redis://cache")];
            let ConfigErrors(found) = read(&both).unwrap_err();
            assert!(found.len() == 1 && found[0].contains("REDIS_URL"), "{found:?}");
        }
    }
}
