use clap::Subcommand;

use super::failure::Failure;
use crate::config::{Complaints, Config};
use crate::keys::{KeyComplaint, KeyRing, KeySource};

/// What can be done with the signing keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a signing key in `KEYS_DIR`, unless there is one
    Generate,
    /// Print the public keys as a JWK Set (RFC 7517), making the key if there is none
    Jwks,
}

pub(super) fn run(command: &KeysCommand, config: &Config) -> Result<String, Failure> {
    let given = config.private_key_path.as_ref();
    if let (KeysCommand::Generate, Some(path)) = (command, given) {
        let path = path.display();
        return Err(Failure::Refused(format!(
            "PRIVATE_KEY_PATH is set, so the key in {path} is used and none is made"
        )));
    }
    let source = KeySource {
        private_key_path: config.private_key_path.clone(),
        public_key_path: config.public_key_path.clone(),
        keys_dir: config.keys_dir.clone(),
    };
    let (ring, notice) = KeyRing::load(&source)?;
    Ok(match command {
        KeysCommand::Generate => notice.unwrap_or_else(|| {
            format!("there is a signing key in {} already", config.keys_dir.display())
        }),
        KeysCommand::Jwks => ring.jwks().to_owned(),
    })
}

impl From<KeyComplaint> for Failure {
    fn from(complaint: KeyComplaint) -> Self {
        Self::Config(Complaints(vec![complaint.to_string()]))
    }
}
