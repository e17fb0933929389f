use std::time::Duration;

use zeroize::Zeroizing;

use super::{KeyFileError, KeySource, KeyUse, RotationPolicy, load_or_create_secret};
use crate::config::Config;
use crate::infra::secret_key::SecretKey;
use crate::protocol::algorithms::KeyManagement;

/// A key is published for an hour before it signs, and a minute in which servers notice: longer than our own
/// `max-age`, because some clients cache the set for as long as they like.
const PUBLICATION_LEAD: Duration = Duration::from_secs(3600 + 60);
/// The longest lifetime that can be configured for an access or ID token. Not the configured one: a token issued
/// before a restart had the lifetime configured then.
const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);
/// How far a verifier's clock may be behind.
const MAX_CLOCK_LAG: Duration = Duration::from_secs(300);
/// Three refreshes, so that every server publishes the key, and thirty seconds in which some clients do not fetch the
/// set again even if they meet an unknown `kid`.
const ACTIVATION_DELAY: Duration = Duration::from_secs(15 + 30);

impl RotationPolicy {
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
    pub fn of(config: &Config) -> Self {
        Self {
            private_key_path: config.private_key_path.clone(),
            public_key_path: config.public_key_path.clone(),
            keys_dir: config.keys_dir.clone(),
        }
    }
}

/// The uses the configuration needs keys for; decryption only with `REQUEST_OBJECT_ENCRYPTION`.
pub fn purposes(config: &Config) -> Vec<KeyUse> {
    let signs = config.key_ring.signing_algs.iter().map(|alg| KeyUse::Signing(*alg));
    let decrypts: &[_] = if config.key_ring.request_object_encryption {
        &[KeyManagement::RsaOaep256, KeyManagement::EcdhEs]
    } else {
        &[]
    };
    signs.chain(decrypts.iter().map(|alg| KeyUse::Decryption(*alg))).collect()
}

/// `SECRET_KEY`, or the secret kept in the keys folder, created at the first start.
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
