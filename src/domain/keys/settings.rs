use std::time::Duration;

use zeroize::Zeroizing;

use super::{KeyFileError, KeySource, KeyUse, RotationPolicy, load_or_create_secret};
use crate::config::Config;
use crate::infra::secret_key::SecretKey;
use crate::protocol::algorithms::KeyManagement;

/// A key is published for an hour before it signs, and for as long as servers may take to notice: longer
/// than our own `max-age`, for there are clients that keep the set as long as they like.
const PUBLICATION_LEAD: Duration = Duration::from_secs(3600 + 60);
/// The longest lifetime that can be configured for an access or ID token. Not the one that is: a token of
/// yesterday was issued under yesterday's configuration.
const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);
/// How far the clocks of those who verify may be behind.
const MAX_CLOCK_LAG: Duration = Duration::from_secs(300);
/// How long an urgent key waits: three looks at the store, until every server publishes it, and thirty
/// seconds more, for there are clients that do not read the set again sooner, whatever key they meet.
const ACTIVATION_DELAY: Duration = Duration::from_secs(15 + 30);

impl RotationPolicy {
    /// As configured.
    pub fn of(config: &Config) -> Self {
        // An ID token comes back as a hint for as long as its session may last.
        let used = config.lifetimes.session_absolute.max(MAX_TOKEN_LIFETIME);
        Self {
            interval: config.key_ring.rotation_interval,
            publication_lead: PUBLICATION_LEAD,
            retention: used + MAX_CLOCK_LAG,
            activation_delay: ACTIVATION_DELAY,
        }
    }
}

impl KeySource {
    /// As configured.
    pub fn of(config: &Config) -> Self {
        Self {
            private_key_path: config.private_key_path.clone(),
            public_key_path: config.public_key_path.clone(),
            keys_dir: config.keys_dir.clone(),
        }
    }
}

/// What the installation needs keys for. Nobody encrypts for us unless that was asked for.
pub fn purposes(config: &Config) -> Vec<KeyUse> {
    let signs = config.key_ring.signing_algs.iter().map(|alg| KeyUse::Signing(*alg));
    let decrypts: &[_] = if config.key_ring.request_object_encryption {
        &[KeyManagement::RsaOaep256, KeyManagement::EcdhEs]
    } else {
        &[]
    };
    signs.chain(decrypts.iter().map(|alg| KeyUse::Decryption(*alg))).collect()
}

/// The root of all secrets: `SECRET_KEY`, or the one that is kept beside the signing key.
pub fn load_secret_key(config: &Config) -> Result<SecretKey, KeyFileError> {
    let text = match &config.secret_key {
        Some(given) => Zeroizing::new(given.reveal().to_owned()),
        None => load_or_create_secret(&config.keys_dir)?,
    };
    let root = SecretKey::from_text(&text)
        .map_err(|_| KeyFileError::new("SECRET_KEY has fewer than 32 characters"))?;
    match &config.secret_key_previous {
        Some(previous) => root
            .with_previous(previous.reveal())
            .map_err(|_| KeyFileError::new("SECRET_KEY_PREVIOUS has fewer than 32 characters")),
        None => Ok(root),
    }
}
