use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, Algorithm, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::aes_cbc_hmac;
use crate::infra::random;
use crate::protocol::algorithms::ContentEncryption;

/// A content encryption key. It encrypts one content only, so a random nonce is never repeated under it.
pub(super) type ContentKey = Zeroizing<Vec<u8>>;

/// The length of the key in bytes.
pub(super) const fn key_length(enc: ContentEncryption) -> usize {
    match enc {
        ContentEncryption::A128Gcm => 16,
        // Of A128CBC-HS256 half is the MAC's key.
        ContentEncryption::A128CbcHs256 | ContentEncryption::A256Gcm => 32,
    }
}

pub(super) fn new_key(enc: ContentEncryption) -> ContentKey {
    let bytes = Zeroizing::new(random::bytes::<32>());
    Zeroizing::new(bytes[..key_length(enc)].to_vec())
}

/// The last three parts of a compact JWE.
pub(super) struct EncryptedContent {
    pub iv: Vec<u8>,
    pub ciphertext: Vec<u8>,
    pub tag: Vec<u8>,
}

/// Encrypts, bound to `aad` ([RFC 7518 §5.3]). `None` if the library fails.
///
/// [RFC 7518 §5.3]: https://www.rfc-editor.org/rfc/rfc7518#section-5.3
pub(super) fn encrypt(
    enc: ContentEncryption,
    key: &[u8],
    aad: &[u8],
    content: &[u8],
) -> Option<EncryptedContent> {
    match enc {
        ContentEncryption::A128CbcHs256 => {
            let iv = random::bytes();
            let (ciphertext, tag) = aes_cbc_hmac::encrypt(key, iv, aad, content)?;
            Some(EncryptedContent { iv: iv.to_vec(), ciphertext, tag })
        }
        ContentEncryption::A128Gcm => encrypt_gcm(&AES_128_GCM, key, random::bytes(), aad, content),
        ContentEncryption::A256Gcm => encrypt_gcm(&AES_256_GCM, key, random::bytes(), aad, content),
    }
}

fn encrypt_gcm(
    algorithm: &'static Algorithm,
    key: &[u8],
    iv: [u8; 12],
    aad: &[u8],
    content: &[u8],
) -> Option<EncryptedContent> {
    let mut ciphertext = content.to_vec();
    let nonce = Nonce::assume_unique_for_key(iv);
    let tag = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?)
        .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut ciphertext)
        .ok()?;
    Some(EncryptedContent { iv: iv.to_vec(), ciphertext, tag: tag.as_ref().to_vec() })
}

/// Decrypts; `None` if any part was changed.
pub(super) fn decrypt(
    enc: ContentEncryption,
    key: &[u8],
    aad: &[u8],
    content: EncryptedContent,
) -> Option<Vec<u8>> {
    match enc {
        ContentEncryption::A128CbcHs256 => {
            aes_cbc_hmac::decrypt(key, aad, &content.iv, content.ciphertext, &content.tag)
        }
        ContentEncryption::A128Gcm => decrypt_gcm(&AES_128_GCM, key, aad, content),
        ContentEncryption::A256Gcm => decrypt_gcm(&AES_256_GCM, key, aad, content),
    }
}

fn decrypt_gcm(
    algorithm: &'static Algorithm,
    key: &[u8],
    aad: &[u8],
    EncryptedContent { iv, ciphertext, tag }: EncryptedContent,
) -> Option<Vec<u8>> {
    let nonce = Nonce::try_assume_unique_for_key(&iv).ok()?;
    // A shorter tag would be easier to guess: the length is the algorithm's (RFC 7518 §5.3).
    if tag.len() != 16 {
        return None;
    }
    let mut content = ciphertext;
    content.extend_from_slice(&tag);
    let cipher = LessSafeKey::new(UnboundKey::new(algorithm, key).ok()?);
    let length = cipher.open_in_place(nonce, Aad::from(aad), &mut content).ok()?.len();
    content.truncate(length);
    Some(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::secret::base64url;

    #[test]
    fn the_example_of_the_rfc_is_encrypted_as_printed() {
        // RFC 7516 appendix A.1, from A.1.4 on: the key is wrapped in a way we do not speak.
        let key = [
            177, 161, 244, 128, 84, 143, 225, 115, 63, 180, 3, 255, 107, 154, 212, 246, 138, 7,
            110, 91, 112, 46, 34, 105, 47, 130, 203, 46, 122, 234, 64, 252,
        ];
        let iv = [227, 197, 117, 252, 2, 219, 233, 68, 180, 225, 77, 219];
        let aad = b"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ";
        let content = b"The true sign of intelligence is not knowledge but imagination.";
        let sealed = encrypt_gcm(&AES_256_GCM, &key, iv, aad, content).unwrap();
        assert_eq!(
            base64url(&sealed.ciphertext),
            "5eym8TW_c8SuK0ltJ3rpYIzOeDQz7TALvtu6UG9oMo4vpzs9tX_EFShS8iB7j6jiSdiwkIr3ajwQzaBtQD_A"
        );
        assert_eq!(base64url(&sealed.tag), "XFBoMYUZodetZdvTiFvSkQ");
        let with_tag = |tag: &[u8]| EncryptedContent {
            iv: iv.to_vec(),
            ciphertext: sealed.ciphertext.clone(),
            tag: tag.to_vec(),
        };
        let opened = decrypt(ContentEncryption::A256Gcm, &key, aad, with_tag(&sealed.tag));
        assert_eq!(opened.as_deref(), Some(&content[..]));
        let opened = decrypt(ContentEncryption::A256Gcm, &key, aad, with_tag(&sealed.tag[..12]));
        assert_eq!(opened, None, "a shortened tag");
    }
}
