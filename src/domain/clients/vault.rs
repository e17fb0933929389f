//! Secrets that have to be kept readable, for `client_secret_jwt` ([OpenID Connect Core §9]): to check a
//! MAC one needs the key it was made with. They are encrypted with a key of their own under `SECRET_KEY`,
//! each bound to its client's id.
//!
//! [OpenID Connect Core §9]: https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication

use super::{Client, ClientId, ClientSecret};
use crate::infra::clock::UnixTime;
use crate::infra::jose::{self, NotVerified, Verified};
use crate::infra::secret::Digest;
use crate::infra::secret_key::{MacKey, Purpose, SecretKey};
use crate::infra::store::{Store, StoreError};
use crate::protocol::AuthMethod;

/// Where they are opened.
#[derive(Debug)]
pub struct Vault(MacKey);

/// An assertion that one of a client's secrets made.
pub struct Believed {
    /// What it says.
    pub verified: Verified,
    /// Which secret has to be sealed anew, and how: it was under the `SECRET_KEY` before.
    renewed: Option<(Digest, String)>,
}

impl Vault {
    /// From `SECRET_KEY`.
    pub fn new(root: &SecretKey) -> Self {
        Self(root.derive(Purpose::ClientSecret))
    }

    /// A secret as it is kept for a client of that method: readable only where it has to be.
    pub fn keep(
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

    /// Whether the secret can be read.
    pub fn opens(&self, id: &ClientId, secret: &ClientSecret) -> bool {
        secret.sealed.as_ref().is_some_and(|sealed| self.0.decrypt(id.as_str(), sealed).is_some())
    }

    /// Verifies an assertion with the client's live secrets.
    pub fn verify(
        &self,
        client: &Client,
        jwt: &str,
        now: UnixTime,
    ) -> Result<Believed, NotVerified> {
        let mut why = NotVerified::UnknownKey;
        for secret in client.secrets.iter().filter(|it| it.is_live(now)) {
            let id = client.id.as_str();
            let opened = secret.sealed.as_ref().and_then(|sealed| self.0.decrypt(id, sealed));
            let Some(opened) = opened else { continue };
            match jose::verify_hs256(&opened.plaintext, jwt) {
                Ok(verified) => {
                    let anew =
                        || self.0.encrypt(id, &opened.plaintext).map(|it| (secret.digest, it));
                    let renewed = if opened.under_current_key { None } else { anew() };
                    return Ok(Believed { verified, renewed });
                }
                Err(not) => why = not,
            }
        }
        Err(why)
    }
}

impl Believed {
    /// Takes a secret along to the current `SECRET_KEY`, so that the one before can be taken away. The
    /// client is who it is, whether or not this works.
    pub async fn renew(self, store: &dyn Store, id: &ClientId) -> Verified {
        if let Some((digest, sealed)) = self.renewed {
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
