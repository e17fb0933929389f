use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::infra::jose::{Algorithm, BadKey, DecryptionKey, PublicJwk, SigningKey};
use crate::protocol::algorithms::KeyManagement;

/// What a key is for: each has a ring of its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Purpose {
    /// It signs.
    Signs(Algorithm),
    /// Others encrypt for it.
    Decrypts(KeyManagement),
}

impl Purpose {
    /// The algorithm's word; no word means both.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Signs(alg) => alg.as_str(),
            Self::Decrypts(alg) => alg.as_str(),
        }
    }
}

impl TryFrom<String> for Purpose {
    type Error = &'static str;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        let decrypts = || KeyManagement::parse(&word).map(Self::Decrypts);
        Algorithm::parse(&word).map(Self::Signs).or_else(decrypts).ok_or("not an algorithm of ours")
    }
}

impl From<Purpose> for String {
    fn from(purpose: Purpose) -> Self {
        purpose.as_str().to_owned()
    }
}

/// A private key, parsed.
#[derive(Clone, Debug)]
pub(super) enum Material {
    Signing(Arc<SigningKey>),
    Decryption(Arc<DecryptionKey>),
}

impl Material {
    /// Makes a new one, away from the reactor: RSA takes its time.
    pub async fn generate(purpose: Purpose) -> Result<Self, BadKey> {
        let make = move || match purpose {
            Purpose::Signs(alg) => SigningKey::generate_for(alg).map(Self::signing),
            Purpose::Decrypts(alg) => DecryptionKey::generate_for(alg).map(Self::decryption),
        };
        tokio::task::spawn_blocking(make).await.map_err(|_| BadKey::Garbage)?
    }

    pub fn from_pkcs8(purpose: Purpose, der: &[u8]) -> Result<Self, BadKey> {
        match purpose {
            Purpose::Signs(alg) => SigningKey::from_pkcs8(alg, der).map(Self::signing),
            Purpose::Decrypts(alg) => DecryptionKey::from_pkcs8(alg, der).map(Self::decryption),
        }
    }

    fn signing(key: SigningKey) -> Self {
        Self::Signing(Arc::new(key))
    }

    fn decryption(key: DecryptionKey) -> Self {
        Self::Decryption(Arc::new(key))
    }

    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, BadKey> {
        match self {
            Self::Signing(key) => key.to_pkcs8(),
            Self::Decryption(key) => key.to_pkcs8(),
        }
    }

    pub fn purpose(&self) -> Purpose {
        match self {
            Self::Signing(key) => Purpose::Signs(key.alg()),
            Self::Decryption(key) => Purpose::Decrypts(key.alg()),
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
