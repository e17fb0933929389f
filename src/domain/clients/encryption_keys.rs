//! The keys of a client that tokens are encrypted with: from its `jwks` or its `jwks_uri`.

use crate::infra::clock::UnixTime;
use crate::infra::jose::RecipientKey;
use crate::protocol::algorithms::KeyManagement;
use crate::protocol::{ClientMetadata, ErrorCode, OAuthError};

use super::jwks_cache::JwksCache;

/// Checks that a registered `jwks` has a key for each registered encryption. What is behind a `jwks_uri` is only known
/// when it is needed.
pub fn check_registered_keys(metadata: &ClientMetadata) -> Result<(), OAuthError> {
    let Some(set) = &metadata.jwks else { return Ok(()) };
    for (name, alg) in [
        ("id_token_encrypted_response_alg", metadata.id_token_encrypted_response_alg),
        ("userinfo_encrypted_response_alg", metadata.userinfo_encrypted_response_alg),
    ] {
        if let Some(alg) = alg
            && RecipientKey::select(set, alg).is_none()
        {
            let text = format!("{name}: jwks has no key for {}", alg.as_str());
            return Err(OAuthError::described(ErrorCode::InvalidClientMetadata, &text));
        }
    }
    Ok(())
}

impl JwksCache {
    /// A key of the client to encrypt with. A cached set without one is fetched again.
    pub async fn encryption_key(
        &self,
        client: &ClientMetadata,
        alg: KeyManagement,
        now: UnixTime,
    ) -> Option<RecipientKey> {
        let set = self.keys_of(client, false, now).await?;
        let key = RecipientKey::select(&set, alg);
        if key.is_some() || client.jwks_uri.is_none() {
            return key;
        }
        RecipientKey::select(&*self.keys_of(client, true, now).await?, alg)
    }
}
