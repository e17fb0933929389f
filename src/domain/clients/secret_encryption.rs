//! Encrypts the client secrets of `client_secret_jwt` ([OpenID Connect Core §9]): a MAC can only be verified with the
//! secret itself. The key is derived from `SECRET_KEY` for this purpose alone, and each ciphertext is bound to its client's
//! id.
//!
//! [OpenID Connect Core §9]: https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication

use super::{Client, ClientId, ClientSecret};
use crate::infra::clock::UnixTime;
use crate::infra::jose::{self, VerificationError, VerifiedJwt};
use crate::infra::secret::Digest;
use crate::infra::secret_key::{EncryptionKey, EncryptionPurpose, SecretKey};
use crate::infra::store::{Store, StoreError};
use crate::protocol::AuthMethod;

/// Encrypts and decrypts client secrets.
#[derive(Debug)]
pub struct SecretCipher(EncryptionKey);

/// An assertion whose MAC was verified with one of the client's secrets.
pub struct VerifiedAssertion {
    /// Its claims.
    pub verified: VerifiedJwt,
    /// The digest of that secret and its new ciphertext, where it was encrypted under the previous `SECRET_KEY`.
    reencrypted: Option<(Digest, String)>,
}

impl SecretCipher {
    /// Derives the key from `SECRET_KEY`.
    pub fn new(root: &SecretKey) -> Self {
        Self(root.encryption_key(EncryptionPurpose::ClientSecret))
    }

    /// A secret as it is stored for a client of that method: encrypted where it has to be readable, else as a digest alone.
    pub fn stored_secret(
        &self,
        (id, method): (&ClientId, AuthMethod),
        secret: &str,
        now: UnixTime,
    ) -> ClientSecret {
        let readable = method == AuthMethod::ClientSecretJwt;
        let sealed = readable.then(|| self.0.encrypt(id.as_str(), secret.as_bytes())).flatten();
        let digest = Digest::of(secret.as_bytes());
        ClientSecret { digest, sealed, created_at: now, expires_at: None }
    }

    /// Whether the secret is stored readable.
    pub fn can_decrypt(&self, id: &ClientId, secret: &ClientSecret) -> bool {
        secret.sealed.as_ref().is_some_and(|sealed| self.0.decrypt(id.as_str(), sealed).is_some())
    }

    /// Verifies an assertion with the client's live secrets.
    pub fn verify(
        &self,
        client: &Client,
        jwt: &str,
        now: UnixTime,
    ) -> Result<VerifiedAssertion, VerificationError> {
        let mut why = VerificationError::UnknownKey;
        for secret in client.secrets.iter().filter(|it| it.is_live(now)) {
            let id = client.id.as_str();
            let opened = secret.sealed.as_ref().and_then(|sealed| self.0.decrypt(id, sealed));
            let Some(opened) = opened else { continue };
            match jose::verify_hs256(&opened.plaintext, jwt) {
                Ok(verified) => {
                    let anew =
                        || self.0.encrypt(id, &opened.plaintext).map(|it| (secret.digest, it));
                    let reencrypted = if opened.under_current_key { None } else { anew() };
                    return Ok(VerifiedAssertion { verified, reencrypted });
                }
                Err(not) => why = not,
            }
        }
        Err(why)
    }
}

impl VerifiedAssertion {
    /// Stores the secret under the current `SECRET_KEY`, so that the previous one can be removed. A failure is logged: the
    /// client is authenticated all the same.
    pub async fn store_reencrypted(self, store: &dyn Store, id: &ClientId) -> VerifiedJwt {
        if let Some((digest, sealed)) = self.reencrypted {
            let step = |client: &mut Client| {
                for held in client.secrets.iter_mut().filter(|it| it.digest == digest) {
                    held.sealed = Some(sealed.clone());
                }
            };
            let done: Result<_, StoreError> = super::update(store, id, step).await;
            if let Err(cause) = done {
                tracing::warn!(%cause, client = id.as_str(), "a secret was not sealed anew");
            }
        }
        self.verified
    }
}
