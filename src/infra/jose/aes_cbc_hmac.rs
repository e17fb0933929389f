//! AES-CBC with HMAC, as JWE composes them ([RFC 7518 §5.2]): encrypt, then authenticate. Decryption checks the tag
//! first, so that no error depends on the padding.
//!
//! [RFC 7518 §5.2]: https://www.rfc-editor.org/rfc/rfc7518#section-5.2

use aws_lc_rs::cipher::{
    AES_128, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey,
    PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// The tag is the first half of the MAC.
const TAG_LEN: usize = 16;

/// Encrypts with A128CBC-HS256; returns ciphertext and tag.
pub(super) fn encrypt(
    key: &[u8],
    iv: [u8; 16],
    aad: &[u8],
    content: &[u8],
) -> Option<(Vec<u8>, Vec<u8>)> {
    // The MAC's key comes first (§5.2.2.1).
    let (mac_key, cipher_key) = key.split_at_checked(16)?;
    let cipher = UnboundCipherKey::new(&AES_128, cipher_key).ok()?;
    let mut ciphertext = content.to_vec();
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    PaddedBlockEncryptingKey::cbc_pkcs7(cipher)
        .ok()?
        .less_safe_encrypt(&mut ciphertext, context)
        .ok()?;
    let tag = mac(mac_key, &iv, aad, &ciphertext)?.finalize().into_bytes()[..TAG_LEN].to_vec();
    Some((ciphertext, tag))
}

/// Decrypts if the tag verifies.
pub(super) fn decrypt(
    key: &[u8],
    aad: &[u8],
    iv: &[u8],
    mut ciphertext: Vec<u8>,
    tag: &[u8],
) -> Option<Vec<u8>> {
    let (mac_key, cipher_key) = key.split_at_checked(16)?;
    if tag.len() != TAG_LEN {
        return None;
    }
    mac(mac_key, iv, aad, &ciphertext)?.verify_truncated_left(tag).ok()?;
    let cipher = UnboundCipherKey::new(&AES_128, cipher_key).ok()?;
    let context = DecryptionContext::Iv128(FixedLength::try_from(iv).ok()?);
    let cipher = PaddedBlockDecryptingKey::cbc_pkcs7(cipher).ok()?;
    let length = cipher.decrypt(&mut ciphertext, context).ok()?.len();
    ciphertext.truncate(length);
    Some(ciphertext)
}

/// The MAC over the additional data, the IV, the ciphertext, and the length of the additional data in bits.
fn mac(key: &[u8], iv: &[u8], aad: &[u8], ciphertext: &[u8]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    for part in [aad, iv, ciphertext, &(aad.len() as u64 * 8).to_be_bytes()] {
        mac.update(part);
    }
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: String = hex.split_whitespace().collect();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(byte).collect()
    }

    #[test]
    fn the_example_of_the_rfc_is_encrypted_as_printed() {
        // RFC 7518 appendix B.1.
        let key: Vec<u8> = (0..32).collect();
        let content = b"A cipher system must not be required to be secret, and it must be able to \
            fall into the hands of the enemy without inconvenience";
        let aad = b"The second principle of Auguste Kerckhoffs";
        let iv = bytes("1a f3 8c 2d c2 b9 6f fd d8 66 94 09 23 41 bc 04");
        let (ciphertext, tag) =
            encrypt(&key, iv.clone().try_into().unwrap(), aad, content).unwrap();
        assert_eq!(ciphertext[..16], bytes("c8 0e df a3 2d df 39 d5 ef 00 c0 b4 68 83 42 79"));
        assert_eq!(tag, bytes("65 2c 3f a3 6b 0a 7c 5b 32 19 fa b3 a3 0b c1 c4"));
        let opened = |iv: &[u8], ciphertext: &[u8], tag: &[u8]| {
            decrypt(&key, aad, iv, ciphertext.to_vec(), tag)
        };
        assert_eq!(opened(&iv, &ciphertext, &tag).as_deref(), Some(&content[..]));
        assert_eq!(opened(&iv, &ciphertext, &tag[..15]), None, "a shortened tag");
        assert_eq!(opened(&iv, &ciphertext[..112], &tag), None);
        assert_eq!(opened(&iv[..15], &ciphertext, &tag), None);
    }
}
