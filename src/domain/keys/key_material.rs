use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::infra::jose::{Algorithm, DecryptionKey, KeyError, PublicJwk, SigningKey};
use crate::protocol::algorithms::KeyManagement;

/// What a key is used for, and with which algorithm. Each use has its own succession of keys.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeyUse {
    /// Signing tokens (`use: sig`).
    Signing(Algorithm),
    /// Decrypting what clients encrypt for us (`use: enc`).
    Decryption(KeyManagement),
}

impl KeyUse {
    /// The algorithm's JOSE name, which is also how it is stored. No name is both a signature and a key management algorithm.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signing(alg) => alg.as_str(),
            Self::Decryption(alg) => alg.as_str(),
        }
    }
}

impl TryFrom<String> for KeyUse {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        let decrypts = || KeyManagement::parse(&word).map(Self::Decryption);
        Algorithm::parse(&word)
            .map(Self::Signing)
            .or_else(decrypts)
            .ok_or("not an algorithm of ours")
    }
}

impl From<KeyUse> for String {
    fn from(purpose: KeyUse) -> Self {
        purpose.as_str().to_owned()
    }
}

/// A private key, parsed.
#[derive(Clone, Debug)]
pub(super) enum KeyMaterial {
    Signing(Arc<SigningKey>),
    Decryption(Arc<DecryptionKey>),
}

impl KeyMaterial {
    /// Generates a key on a blocking thread: RSA takes about a tenth of a second.
    pub async fn generate(purpose: KeyUse) -> Result<Self, KeyError> {
        let make = move || match purpose {
            KeyUse::Signing(alg) => SigningKey::generate_for(alg).map(Self::signing),
            KeyUse::Decryption(alg) => DecryptionKey::generate_for(alg).map(Self::decryption),
        };
        tokio::task::spawn_blocking(make).await.map_err(|_| KeyError::Malformed)?
    }

    pub fn from_pkcs8(purpose: KeyUse, der: &[u8]) -> Result<Self, KeyError> {
        match purpose {
            KeyUse::Signing(alg) => SigningKey::from_pkcs8(alg, der).map(Self::signing),
            KeyUse::Decryption(alg) => DecryptionKey::from_pkcs8(alg, der).map(Self::decryption),
        }
    }

    fn signing(key: SigningKey) -> Self {
        Self::Signing(Arc::new(key))
    }

    fn decryption(key: DecryptionKey) -> Self {
        Self::Decryption(Arc::new(key))
    }

    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match self {
            Self::Signing(key) => key.to_pkcs8(),
            Self::Decryption(key) => key.to_pkcs8(),
        }
    }

    pub fn purpose(&self) -> KeyUse {
        match self {
            Self::Signing(key) => KeyUse::Signing(key.alg()),
            Self::Decryption(key) => KeyUse::Decryption(key.alg()),
        }
    }

    pub fn jwk(&self) -> &PublicJwk {
        match self {
            Self::Signing(key) => key.jwk(),
            Self::Decryption(key) => key.jwk(),
        }
    }

    pub fn kid(&self) -> &str {
        &self.jwk().kid
    }
}
