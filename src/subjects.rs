//! As whom a client knows a person ([OpenID Connect Core §8]).
//!
//! Everything in here keeps the one local subject; only what leaves for a client is translated, at the
//! last moment. A client with `subject_type` `pairwise` gets a MAC over its sector and the local subject
//! (§8.1), so that clients of different sectors cannot tell by `sub` that they know the same person. It
//! has to be the same for ever: the key is that of `PAIRWISE_SALT`, or where there is none that of
//! `SECRET_KEY`.
//!
//! [OpenID Connect Core §8]: https://openid.net/specs/openid-connect-core-1_0.html#SubjectIDTypes

use crate::config::SecretText;
use crate::protocol::client_metadata::SubjectType;
use crate::protocol::{ClientMetadata, Subject};
use crate::secret::base64url;
use crate::secret_key::{MacKey, Purpose, SecretKey};

/// What pairwise subjects are made with.
#[derive(Debug)]
pub struct PairwiseKey(MacKey);

impl PairwiseKey {
    /// Of the salt, or of the root where there is none.
    pub fn new(salt: Option<&SecretText>, root: &SecretKey) -> Self {
        let own = salt.and_then(|salt| SecretKey::from_text(salt.reveal()).ok());
        Self(own.as_ref().unwrap_or(root).derive(Purpose::PairwiseSubject))
    }

    /// The `sub` this client sees of the person.
    pub fn seen_by(&self, client: &ClientMetadata, sub: &Subject) -> Subject {
        match client.subject_type {
            SubjectType::Public => sub.clone(),
            SubjectType::Pairwise => {
                // Registered without a sector it could be, and is refused then; nobody shares an empty one
                // with a host.
                let sector = client.sector().unwrap_or_default();
                let mac = self.0.mac(&[&*sector, sub.as_str()]);
                // 43 characters of base64url are a subject.
                Subject::parse(&base64url(&mac)).unwrap_or_else(|| sub.clone())
            }
        }
    }
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
        let seen = |kind, uri| key.seen_by(&client(kind, uri), &ada);
        let shop = seen("pairwise", "https://shop.example/cb");
        assert_eq!(shop, seen("pairwise", "https://SHOP.example:8443/other"));
        assert_ne!(shop, seen("pairwise", "https://kiosk.example/cb"));
        assert_eq!(shop.as_str().len(), 43);
        assert_eq!(seen("public", "https://shop.example/cb"), ada);
        let bob = Subject::parse("bob").unwrap();
        assert_ne!(shop, key.seen_by(&client("pairwise", "https://shop.example/cb"), &bob));
    }

    #[test]
    fn a_salt_of_its_own_survives_a_change_of_the_secret_key() {
        let (client, ada) =
            (client("pairwise", "https://a.example"), Subject::parse("ada").unwrap());
        let seen = |salt: Option<&str>, root: &SecretKey| {
            PairwiseKey::new(salt.map(SecretText::new).as_ref(), root).seen_by(&client, &ada)
        };
        let salt = "s".repeat(32);
        assert_eq!(seen(Some(&salt), &root("a")), seen(Some(&salt), &root("b")));
        assert_ne!(seen(None, &root("a")), seen(None, &root("b")));
        let both = root("b").also_accepting(&"a".repeat(32)).unwrap();
        assert_eq!(seen(None, &both), seen(None, &root("b")), "one subject at a time");
        // The way to keep the subjects that came of a SECRET_KEY: it becomes the salt.
        assert_eq!(seen(None, &root("a")), seen(Some(&"a".repeat(32)), &root("b")));
    }
}
