use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrap};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::content_encryption::{self, ContentKey};
use crate::protocol::algorithms::{ContentEncryption, KeyManagement};

/// What producer and recipient put into the key derivation, from the header ([RFC 7518 §4.6.1]).
///
/// [RFC 7518 §4.6.1]: https://www.rfc-editor.org/rfc/rfc7518#section-4.6.1
#[derive(Default)]
pub(super) struct PartyInfo {
    /// `apu`
    pub producer: Vec<u8>,
    /// `apv`
    pub recipient: Vec<u8>,
}

/// Derives the content encryption key, or the key that wraps it, from two P-256 keys ([RFC 7518 §4.6]). `None` if
/// `other` is not a point of the curve.
///
/// [RFC 7518 §4.6]: https://www.rfc-editor.org/rfc/rfc7518#section-4.6
pub(super) fn derive_key(
    own: &PrivateKey,
    other: &[u8],
    (alg, enc): (KeyManagement, ContentEncryption),
    parties: &PartyInfo,
) -> Option<ContentKey> {
    let (id, length) = match alg {
        KeyManagement::RsaOaep256 => return None,
        KeyManagement::EcdhEs => (enc.as_str(), content_encryption::key_length(enc)),
        KeyManagement::EcdhEsA128Kw => (alg.as_str(), 16),
        KeyManagement::EcdhEsA256Kw => (alg.as_str(), 32),
    };
    // Uncompressed points only: what a JWK's two coordinates make.
    if other.len() != 65 || other[0] != 4 {
        return None;
    }
    let other = UnparsedPublicKey::new(&ECDH_P256, other);
    agree(own, other, (), |shared| Ok(concat_kdf(shared, id, parties, length))).ok()
}

/// One round of the Concat KDF with SHA-256, which is all that keys of up to 256 bits need
/// ([RFC 7518 §4.6.2]).
///
/// [RFC 7518 §4.6.2]: https://www.rfc-editor.org/rfc/rfc7518#section-4.6.2
fn concat_kdf(shared: &[u8], id: &str, parties: &PartyInfo, length: usize) -> ContentKey {
    let mut hash = Sha256::new();
    hash.update(1_u32.to_be_bytes());
    hash.update(shared);
    for part in [id.as_bytes(), &parties.producer, &parties.recipient] {
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.update(u32::try_from(length * 8).unwrap_or(u32::MAX).to_be_bytes());
    let whole = Zeroizing::new(<[u8; 32]>::from(hash.finalize()));
    Zeroizing::new(whole[..length].to_vec())
}

/// Wraps the content encryption key with the derived one ([RFC 7518 §4.4](https://www.rfc-editor.org/rfc/rfc7518#section-4.4)).
pub(super) fn wrap_key(agreed: &[u8], key: &[u8]) -> Option<Vec<u8>> {
    let mut wrapped = vec![0; key.len() + 8];
    wrapping_key(agreed)?.wrap(key, &mut wrapped).ok()?;
    Some(wrapped)
}

/// Unwraps the content encryption key; `None` if the derived key does not fit.
pub(super) fn unwrap_key(agreed: &[u8], wrapped: &[u8]) -> Option<ContentKey> {
    let mut key = Zeroizing::new(vec![0; wrapped.len().checked_sub(8)?]);
    wrapping_key(agreed)?.unwrap(wrapped, &mut key).ok()?;
    Some(key)
}

fn wrapping_key(agreed: &[u8]) -> Option<AesKek> {
    let cipher = if agreed.len() == 16 { &AES_128 } else { &AES_256 };
    AesKek::new(cipher, agreed).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::secret::{base64url, from_base64url};

    #[test]
    fn both_sides_derive_the_key_that_the_rfc_prints() {
        // RFC 7518 appendix C.
        let private =
            |d| PrivateKey::from_private_key(&ECDH_P256, &from_base64url(d).unwrap()).unwrap();
        let alice = private("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo");
        let bob = private("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw");
        let parties = PartyInfo { producer: b"Alice".to_vec(), recipient: b"Bob".to_vec() };
        let derived = |own: &PrivateKey, other: &PrivateKey| {
            let public = other.compute_public_key().unwrap();
            let words = (KeyManagement::EcdhEs, ContentEncryption::A128Gcm);
            base64url(&derive_key(own, public.as_ref(), words, &parties).unwrap())
        };
        assert_eq!(derived(&alice, &bob), "VqqN6vgjbSBcIijNcacQGg");
        assert_eq!(derived(&bob, &alice), "VqqN6vgjbSBcIijNcacQGg");
    }

    #[test]
    fn a_wrapped_key_is_the_one_of_the_rfc_and_does_not_open_with_another() {
        // RFC 3394 §4.1: 128 bits of key data with a 128-bit key.
        let agreed: Vec<u8> = (0..16).collect();
        let key: Vec<u8> = (0..16).map(|i| i * 0x11).collect();
        let wrapped = wrap_key(&agreed, &key).unwrap();
        assert_eq!(wrapped[..4], [0x1f, 0xa6, 0x8b, 0x0a]);
        assert_eq!(*unwrap_key(&agreed, &wrapped).unwrap(), key);
        assert!(unwrap_key(&[1; 16], &wrapped).is_none());
        assert!(
            unwrap_key(&agreed, &wrapped[..16]).is_none() && unwrap_key(&agreed, &[]).is_none()
        );
    }

    #[test]
    fn what_is_no_point_of_the_curve_agrees_on_nothing() {
        let own = PrivateKey::generate(&ECDH_P256).unwrap();
        let words = (KeyManagement::EcdhEs, ContentEncryption::A256Gcm);
        let point = own.compute_public_key().unwrap().as_ref().to_vec();
        let mut off_the_curve = point.clone();
        off_the_curve[64] ^= 1;
        for bad in [&off_the_curve[..], &point[..64], &[0], &[], &[4; 65]] {
            assert!(derive_key(&own, bad, words, &PartyInfo::default()).is_none());
        }
        assert!(derive_key(&own, &point, words, &PartyInfo::default()).is_some());
    }
}
