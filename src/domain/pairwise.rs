//! The `sub` and the `sid` that a client sees ([OpenID Connect Core §8]).
//!
//! The store has one local subject and one session id; both are translated when they leave for a client. A client with
//! `subject_type` `pairwise` gets a `sub` that is a MAC over its sector and the local subject (§8.1), and a `sid` of its
//! sector, too: a synthetic IV as in [RFC 5297], so that it can be read back from an `id_token_hint`. The key is derived
//! from `PAIRWISE_SALT`, or from `SECRET_KEY` where there is none.
//!
//! Why the `sid` differs by sector: docs/decisions/pairwise-session-ids.md.
//!
//! [RFC 5297]: https://www.rfc-editor.org/rfc/rfc5297
//! [OpenID Connect Core §8]: https://openid.net/specs/openid-connect-core-1_0.html#SubjectIDTypes

use uuid::Uuid;

use crate::config::SecretString;
use crate::infra::secret::{base64url, from_base64url};
use crate::infra::secret_key::{MacKey, MacPurpose, SecretKey};
use crate::protocol::client_metadata::SubjectType;
use crate::protocol::{ClientMetadata, Subject};

/// The key of pairwise subjects and session ids.
#[derive(Debug)]
pub struct PairwiseKey(MacKey);

impl PairwiseKey {
    /// Derived from the salt, or from `SECRET_KEY` where there is none.
    pub fn new(salt: Option<&SecretString>, root: &SecretKey) -> Self {
        let own = salt.and_then(|salt| SecretKey::from_text(salt.reveal()).ok());
        Self(own.as_ref().unwrap_or(root).mac_key(MacPurpose::PairwiseSubject))
    }

    /// The `sub` that this client sees of the user.
    pub fn subject_for(&self, client: &ClientMetadata, sub: &Subject) -> Subject {
        match client.subject_type {
            SubjectType::Public => sub.clone(),
            SubjectType::Pairwise => {
                // A registration without a sector is refused, so no two clients share the empty one.
                let sector = client.sector().unwrap_or_default();
                let mac = self.0.mac(&[&*sector, sub.as_str()]);
                // 43 characters of base64url are a subject.
                Subject::parse(&base64url(&mac)).unwrap_or_else(|| sub.clone())
            }
        }
    }

    /// The `sid` by which this client knows the session of that name.
    pub fn sid_for(&self, client: &ClientMetadata, sid: Uuid) -> String {
        match client.subject_type {
            SubjectType::Public => sid.to_string(),
            SubjectType::Pairwise => {
                let sector = client.sector().unwrap_or_default();
                let tag = sid_mac(&self.0, &sector, sid.as_bytes());
                let hidden = encrypt_sid(&self.0, &sector, &tag, *sid.as_bytes());
                base64url(&[tag, hidden].concat())
            }
        }
    }

    /// The session of a `sid` that this client was told: the pairwise one, under either generation of the key, or the
    /// plain one, from before the client was pairwise.
    pub fn resolve_sid(&self, client: &ClientMetadata, sid: &str) -> Option<Uuid> {
        if let Ok(sid) = Uuid::try_parse(sid) {
            return Some(sid);
        }
        let bytes: [u8; 32] = from_base64url(sid)?.try_into().ok()?;
        let (tag, hidden) = bytes.split_at(16);
        let (tag, hidden) = (tag.try_into().ok()?, hidden.try_into().ok()?);
        let sector = client.sector().unwrap_or_default();
        self.0.generations().iter().find_map(|key| {
            let name = encrypt_sid(key, &sector, &tag, hidden);
            (sid_mac(key, &sector, &name) == tag).then(|| Uuid::from_bytes(name))
        })
    }
}

/// The MAC of a pairwise `sid`. It has three parts, where that of a subject has two.
fn sid_mac(key: &MacKey, sector: &str, sid: &[u8; 16]) -> [u8; 16] {
    first_half(key.mac(&[&b"sid"[..], sector.as_bytes(), sid]))
}

/// Encrypts a session id under its MAC, or decrypts it.
fn encrypt_sid(key: &MacKey, sector: &str, tag: &[u8; 16], name: [u8; 16]) -> [u8; 16] {
    let mask = first_half(key.mac(&[&b"sid mask"[..], sector.as_bytes(), tag]));
    std::array::from_fn(|at| name[at] ^ mask[at])
}

fn first_half(mac: [u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| mac[at])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn client(subject_type: &str, uri: &str) -> ClientMetadata {
        let members = json!({"redirect_uris": [uri], "subject_type": subject_type});
        ClientMetadata::parse(members.as_object().unwrap()).unwrap()
    }

    fn root(c: &str) -> SecretKey {
        SecretKey::from_text(&c.repeat(32)).unwrap()
    }

    #[test]
    fn one_sector_sees_one_subject_and_another_sees_another() {
        let key = PairwiseKey::new(None, &root("a"));
        let ada = Subject::parse("ada").unwrap();
        let seen = |kind, uri| key.subject_for(&client(kind, uri), &ada);
        let shop = seen("pairwise", "https://shop.example/cb");
        assert_eq!(shop, seen("pairwise", "https://SHOP.example:8443/other"));
        assert_ne!(shop, seen("pairwise", "https://kiosk.example/cb"));
        assert_eq!(shop.as_str().len(), 43);
        assert_eq!(seen("public", "https://shop.example/cb"), ada);
        let bob = Subject::parse("bob").unwrap();
        assert_ne!(shop, key.subject_for(&client("pairwise", "https://shop.example/cb"), &bob));
    }

    #[test]
    fn one_sector_sees_one_session_and_finds_it_again_and_another_sees_another() {
        let key = PairwiseKey::new(None, &root("a"));
        let shop = client("pairwise", "https://shop.example/cb");
        let kiosk = client("pairwise", "https://kiosk.example/cb");
        let open = client("public", "https://open.example/cb");
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let seen = key.sid_for(&shop, one);
        assert_eq!(seen, key.sid_for(&client("pairwise", "https://shop.example/x"), one));
        assert_eq!(seen.len(), 43);
        assert_ne!(seen, key.sid_for(&kiosk, one));
        assert_ne!(seen, key.sid_for(&shop, two));
        assert_eq!(key.sid_for(&open, one), one.to_string());

        assert_eq!(key.resolve_sid(&shop, &seen), Some(one));
        assert_eq!(key.resolve_sid(&kiosk, &seen), None, "another sector's");
        assert_eq!(key.resolve_sid(&shop, &one.to_string()), Some(one), "from before");
        for end in 0..43 {
            let mut other = seen.clone().into_bytes();
            other[end] = if other[end] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).unwrap();
            assert_eq!(key.resolve_sid(&shop, &other), None, "{other}");
        }
        let both = PairwiseKey::new(None, &root("b").with_previous(&"a".repeat(32)).unwrap());
        assert_eq!(both.resolve_sid(&shop, &seen), Some(one), "under the key before");
    }

    #[test]
    fn a_salt_of_its_own_survives_a_change_of_the_secret_key() {
        let (client, ada) =
            (client("pairwise", "https://a.example"), Subject::parse("ada").unwrap());
        let seen = |salt: Option<&str>, root: &SecretKey| {
            PairwiseKey::new(salt.map(SecretString::new).as_ref(), root).subject_for(&client, &ada)
        };
        let salt = "s".repeat(32);
        assert_eq!(seen(Some(&salt), &root("a")), seen(Some(&salt), &root("b")));
        assert_ne!(seen(None, &root("a")), seen(None, &root("b")));
        let both = root("b").with_previous(&"a".repeat(32)).unwrap();
        assert_eq!(seen(None, &both), seen(None, &root("b")), "one subject at a time");
        // The way to keep the subjects that came of a SECRET_KEY: it becomes the salt.
        assert_eq!(seen(None, &root("a")), seen(Some(&"a".repeat(32)), &root("b")));
    }
}
