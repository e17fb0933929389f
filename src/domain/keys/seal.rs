use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::material::Purpose;
use crate::infra::random;
use crate::infra::secret::{base64url, from_base64url};
use crate::infra::secret_key::{self, MacKey, SecretKey};

/// Encrypts private keys for the store: whoever reads the store alone cannot sign.
pub struct Sealer {
    /// The first seals; each opens.
    pub(super) roots: Vec<MacKey>,
}

impl Sealer {
    /// From `SECRET_KEY`.
    pub fn new(root: &SecretKey) -> Self {
        Self { roots: root.derive(secret_key::Purpose::KeyRing).generations() }
    }

    /// The sealed text of a private key. It opens under this name and for this purpose only.
    pub(super) fn seal(&self, name: &str, purpose: Purpose, der: &[u8]) -> Option<String> {
        let nonce = random::bytes::<NONCE_LEN>();
        let mut sealed = der.to_vec();
        cipher(&self.roots[0], name)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(label(name, purpose)),
                &mut sealed,
            )
            .ok()?;
        Some(base64url(&[&nonce[..], &sealed].concat()))
    }

    /// The private key, and whether it was sealed with the root that seals now.
    pub(super) fn open(
        &self,
        name: &str,
        purpose: Purpose,
        sealed: &str,
    ) -> Option<(Zeroizing<Vec<u8>>, bool)> {
        let sealed = from_base64url(sealed)?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        self.roots.iter().enumerate().find_map(|(at, root)| {
            let mut der = Zeroizing::new(sealed.to_vec());
            let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
            let aad = Aad::from(label(name, purpose));
            let length = cipher(root, name)?.open_in_place(nonce, aad, &mut der).ok()?.len();
            der.truncate(length);
            Some((der, at == 0))
        })
    }
}

/// A cipher for this one key, so that no two keys share their nonces.
fn cipher(root: &MacKey, name: &str) -> Option<LessSafeKey> {
    let key = Zeroizing::new(root.mac(&["aes-256-gcm", name]));
    UnboundKey::new(&AES_256_GCM, &*key).ok().map(LessSafeKey::new)
}

fn label(name: &str, purpose: Purpose) -> String {
    format!("keyring.v1 {name} {}", purpose.as_str())
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::jose::Algorithm;

    #[test]
    fn a_sealed_key_opens_under_its_own_name_purpose_and_root_only() {
        let sealer = |c: &str| Sealer::new(&SecretKey::from_text(&c.repeat(32)).unwrap());
        let (ours, rs256) = (sealer("a"), Purpose::Signs(Algorithm::Rs256));
        let sealed = ours.seal("kid", rs256, b"private").unwrap();
        let (der, current) = ours.open("kid", rs256, &sealed).unwrap();
        assert_eq!((&der[..], current), (&b"private"[..], true));
        assert!(!sealed.contains(&base64url(b"private")));
        assert!(ours.open("other", rs256, &sealed).is_none());
        assert!(ours.open("kid", Purpose::Signs(Algorithm::Ps256), &sealed).is_none());
        assert!(sealer("b").open("kid", rs256, &sealed).is_none());
        assert!(ours.open("kid", rs256, &sealed[..10]).is_none());

        let mut newer = sealer("b");
        newer.roots.extend(ours.roots);
        assert!(!newer.open("kid", rs256, &sealed).unwrap().1, "to be sealed anew");
    }
}
