//! The keys that tokens are encrypted for a client with: its own, registered or behind its `jwks_uri`.

use crate::infra::clock::UnixTime;
use crate::infra::jose::RecipientKey;
use crate::protocol::algorithms::KeyManagement;
use crate::protocol::{ClientMetadata, ErrorCode, OAuthError};

use super::key_cache::KeyCache;

/// Whether a registered set has a key for each encryption that was registered with it. What is behind a
/// `jwks_uri` is only known when it is needed.
pub fn check_registered(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let Some(set) = &metadata.jwks else { return Ok(()) };
    for (name, alg) in [
        ("id_token_encrypted_response_alg", metadata.id_token_encrypted_response_alg),
        ("userinfo_encrypted_response_alg", metadata.userinfo_encrypted_response_alg),
    ] {
        if let Some(alg) = alg
            && RecipientKey::choose(set, alg).is_none()
        {
            let text = format!("{name}: jwks has no key for {}", alg.as_str());
            return Err(OAuthError::described(ErrorCode::InvalidClientMetadata, &text));
        }
    }
    Ok(())
}

impl KeyCache {
    /// A key of the client to encrypt for it with; a set that has none may have one by now.
    pub async fn recipient(
        &self,
        client: &ClientMetadata,
        alg: KeyManagement,
        now: UnixTime,
    ) -> Option<RecipientKey> {
        let set = self.keys_of(client, false, now).await?;
        let key = RecipientKey::choose(&set, alg);
        if key.is_some() || client.jwks_uri.is_none() {
            return key;
        }
        RecipientKey::choose(&*self.keys_of(client, true, now).await?, alg)
    }
}
