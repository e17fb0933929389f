use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use clap::Subcommand;

use super::error::CliError;
use super::operator::{self, Operator};
use super::{output, store};
use crate::config::{Config, ConfigErrors};
use crate::domain::keys::{
    KeyEncryptor, KeyFileError, KeyRing, KeySource, Phase, RingError, RotationPolicy, load_files,
    load_secret_key, purposes,
};
use crate::infra::clock::Clock;
use crate::infra::store::MemoryStore;
use crate::operations::keys::{Jwks, KeyView, List, Remove, Rotate};

/// What can be done with the signing keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a signing key in `KEYS_DIR`, unless there is one
    Generate,
    /// Print the public keys as a JWK Set (RFC 7517), making the key if there is none
    Jwks,
    /// Print every key with what it is doing and since when
    List,
    /// Give every algorithm a new key, which signs after everybody had an hour to learn of it
    Rotate {
        /// It signs in 45 seconds, when servers and clients know it; the old one stays in the JWK Set
        #[arg(long)]
        now: bool,
    },
    /// Take a key out of the JWK Set at once: whatever it signed is void
    Remove {
        /// Its name, as `keys list` prints it
        kid: String,
    },
}

pub(super) async fn run(command: &KeysCommand, config: &Config) -> Result<String, CliError> {
    match command {
        KeysCommand::Generate => generate(config),
        KeysCommand::Jwks => operator(config).await?.run(Jwks {}).await,
        KeysCommand::List => Ok(list(&operator(config).await?.run(List {}).await?)),
        KeysCommand::Rotate { now } => {
            let keys = open_durable(config).await?.run(Rotate { now: *now }).await?;
            Ok(format!("{}{}", rotation_text(&keys), list(&keys)))
        }
        KeysCommand::Remove { kid } => {
            Ok(list(&open_durable(config).await?.run(Remove { kid: kid.clone() }).await?))
        }
    }
}

fn generate(config: &Config) -> Result<String, CliError> {
    if let Some(path) = &config.private_key_path {
        let path = path.display();
        return Err(CliError::Refused(format!(
            "PRIVATE_KEY_PATH is set, so the key in {path} is used and none is made"
        )));
    }
    let files = load_files(&KeySource::of(config), &purposes(config), true)?;
    let mut text = files.notices.join("\n");
    if files.notices.is_empty() {
        text = format!("there is a signing key in {} already", config.keys_dir.display());
    }
    if config.store.is_durable() {
        text.push_str(KEYS_ARE_IN_STORE);
    }
    Ok(text)
}

/// Of each algorithm the newest key, and when it is its turn.
fn rotation_text(keys: &[KeyView]) -> String {
    let mut newest: BTreeMap<&str, &KeyView> = BTreeMap::new();
    for key in keys.iter().filter(|key| key.phase == Phase::Published.as_str()) {
        let held = newest.entry(&key.alg).or_insert(key);
        if held.begins_at <= key.begins_at {
            *held = key;
        }
    }
    let line = |(alg, key): (&str, &KeyView)| {
        let (kid, at) = (&key.kid, output::timestamp(key.begins_at));
        format!("made a new {alg} key, {kid}: it is in the JWK Set now, and takes over at {at}\n")
    };
    newest.into_iter().map(line).collect()
}

/// The ring of a running server that has the store to itself, or the one in the store; without one that lasts,
/// what the files make of it.
async fn operator(config: &Config) -> Result<Operator, CliError> {
    if let Some(server) = operator::connect_server(config).await? {
        return Ok(Operator::Server(server));
    }
    let purposes = purposes(config);
    let files = load_files(&KeySource::of(config), &purposes, !config.store.is_durable())?;
    if !config.store.is_durable() {
        let store = Arc::new(MemoryStore::new(Clock::System));
        return Ok(Operator::with_keys(store, Clock::System.now(), KeyRing::fixed(files.keys)));
    }
    let sealer = KeyEncryptor::new(&load_secret_key(config)?);
    let store = store::open_durable(config).await?;
    let at = (Arc::clone(&store), Clock::System);
    let ring = KeyRing::open(at, sealer, purposes, RotationPolicy::of(config), files.keys).await?;
    Ok(Operator::with_keys(store, Clock::System.now(), ring))
}

/// The ring, if a change to it is still there when this process has ended.
async fn open_durable(config: &Config) -> Result<Operator, CliError> {
    if !config.store.is_durable() && config.control_socket().is_none() {
        return Err(CliError::Refused(NO_DURABLE_STORE.to_owned()));
    }
    operator(config).await
}

fn list(keys: &[KeyView]) -> String {
    let mut text = String::from("ALG            PHASE      SIGNS FROM           KID\n");
    for key in keys {
        let (alg, phase) = (&key.alg, &key.phase);
        // Without a store that lasts every start of the server begins with the file.
        let begins = match key.begins_at.as_secs() {
            0 => "the start".to_owned(),
            _ => output::timestamp(key.begins_at),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{alg:<14} {phase:<10} {begins:<20} {}", key.kid);
    }
    text
}

const KEYS_ARE_IN_STORE: &str = "\nthe keys are kept in the store: a server takes this file in at its next \
    start, or when it is sent SIGHUP; as the first key of an empty store, otherwise as the next one, which signs \
    an hour later. latchkey keys rotate needs no file, and latchkey keys list shows what there is.";

const NO_DURABLE_STORE: &str = "neither REDIS_URL nor a STORE_URL of file: is set, so the keys are in the \
    memory of the running server, which this command cannot reach. Send the server SIGUSR1 to give every algorithm a new key that signs in 45 seconds.";

impl From<KeyFileError> for CliError {
    fn from(error: KeyFileError) -> Self {
        Self::Config(ConfigErrors(vec![error.to_string()]))
    }
}

impl From<RingError> for CliError {
    fn from(error: RingError) -> Self {
        match error {
            RingError::Store(error) => error.into(),
            RingError::WrongSecretKey(_) => Self::Config(ConfigErrors(vec![error.to_string()])),
            RingError::Unreadable
            | RingError::Key(_)
            | RingError::TooManyKeys
            | RingError::KeyInUse
            | RingError::UnknownKey
            | RingError::ReadOnly => Self::Refused(error.to_string()),
        }
    }
}
