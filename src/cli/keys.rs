use std::fmt::Write as _;

use clap::Subcommand;

use super::failure::Failure;
use super::{shown, store};
use crate::clock::Clock;
use crate::config::{Complaints, Config};
use crate::keys::{
    Begin, KeyComplaint, KeyInfo, KeyRing, KeySource, Policy, RingError, Sealer, load_files,
    load_root, purposes,
};

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
        /// It signs as soon as every server has it; the old one stays in the JWK Set
        #[arg(long)]
        now: bool,
    },
    /// Take a key out of the JWK Set at once: whatever it signed is void
    Remove {
        /// Its name, as `keys list` prints it
        kid: String,
    },
}

pub(super) async fn run(command: &KeysCommand, config: &Config) -> Result<String, Failure> {
    match command {
        KeysCommand::Generate => generate(config),
        KeysCommand::Jwks => Ok(ring(config).await?.jwks()),
        KeysCommand::List => Ok(list(&ring(config).await?.keys())),
        KeysCommand::Rotate { now } => {
            let ring = lasting(config).await?;
            ring.rotate(if *now { Begin::Now } else { Begin::Announced }).await?;
            Ok(list(&ring.keys()))
        }
        KeysCommand::Remove { kid } => {
            let ring = lasting(config).await?;
            ring.remove(kid).await?;
            Ok(list(&ring.keys()))
        }
    }
}

fn generate(config: &Config) -> Result<String, Failure> {
    if let Some(path) = &config.private_key_path {
        let path = path.display();
        return Err(Failure::Refused(format!(
            "PRIVATE_KEY_PATH is set, so the key in {path} is used and none is made"
        )));
    }
    let files = load_files(&KeySource::of(config), &purposes(config), true)?;
    if files.notices.is_empty() {
        return Ok(format!("there is a signing key in {} already", config.keys_dir.display()));
    }
    Ok(files.notices.join("\n"))
}

/// The ring in the store; without one that lasts, what the files make of it.
async fn ring(config: &Config) -> Result<KeyRing, Failure> {
    let purposes = purposes(config);
    let files = load_files(&KeySource::of(config), &purposes, !config.store_lasts())?;
    if !config.store_lasts() {
        return Ok(KeyRing::of(files.keys));
    }
    let sealer = Sealer::new(&load_root(config)?);
    let store = store::lasting(config).await?;
    let at = (store, Clock::System);
    Ok(KeyRing::open(at, sealer, purposes, Policy::of(config), files.keys).await?)
}

/// The ring, if a change to it is still there when this process has ended.
async fn lasting(config: &Config) -> Result<KeyRing, Failure> {
    if !config.store_lasts() {
        return Err(Failure::Refused(INSTEAD.to_owned()));
    }
    ring(config).await
}

fn list(keys: &[KeyInfo]) -> String {
    let mut text = String::from("ALG            PHASE      SIGNS FROM           KID\n");
    for key in keys {
        let (alg, phase) = (key.purpose.as_str(), key.phase.as_str());
        // Without a store that lasts every start of the server begins with the file.
        let begins = match key.begins_at.as_secs() {
            0 => "the start".to_owned(),
            _ => shown::moment(key.begins_at),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{alg:<14} {phase:<10} {begins:<20} {}", key.kid);
    }
    text
}

const INSTEAD: &str = "neither REDIS_URL nor a STORE_URL of file: is set, so the keys are in the \
    memory of the running server, which this command cannot reach. Send the server SIGUSR1 to give every algorithm a new key at once.";

impl From<KeyComplaint> for Failure {
    fn from(complaint: KeyComplaint) -> Self {
        Self::Config(Complaints(vec![complaint.to_string()]))
    }
}

impl From<RingError> for Failure {
    fn from(error: RingError) -> Self {
        match error {
            RingError::Store(error) => error.into(),
            RingError::Sealed(_) => Self::Config(Complaints(vec![error.to_string()])),
            RingError::Unreadable
            | RingError::Key(_)
            | RingError::Crowded
            | RingError::Signs
            | RingError::Unknown
            | RingError::Fixed => Self::Refused(error.to_string()),
        }
    }
}
