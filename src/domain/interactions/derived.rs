//! Values that are computed from an interaction's id and our key, and so need not be stored: the CSRF tokens of its
//! forms, the `sid` of the session that begins in it, and its authorization code.

use uuid::Uuid;

use crate::domain::grants::{GrantId, OpaqueToken};
use crate::infra::secret::{Secret, base64url, from_base64url};
use crate::infra::secret_key::MacKey;
use crate::protocol::Subject;

/// The CSRF token of a form of this interaction, bound to the browser and to the form.
pub fn csrf_token(key: &MacKey, id: &Secret, cookie: &Secret, form: &str) -> String {
    base64url(&key.mac(&csrf_input(id, cookie, form)))
}

/// Whether the token is the one [`csrf`] made; in constant time.
pub fn verify_csrf_token(
    key: &MacKey,
    id: &Secret,
    cookie: &Secret,
    form: &str,
    shown: &str,
) -> bool {
    let parts = csrf_input(id, cookie, form);
    from_base64url(shown).is_some_and(|shown| key.verifies(&parts, &shown))
}

fn csrf_input(id: &Secret, cookie: &Secret, form: &str) -> [String; 3] {
    [form.to_owned(), id.reveal(), cookie.reveal()]
}

/// The authorization code of this interaction in the session with that `sid`. A second click, or a retry after a
/// lost response, gets the same code and not a second one. The id is 256 random bits, and without our key the
/// code cannot be computed from it ([RFC 6749 §10.10]).
///
/// [RFC 6749 §10.10]: https://www.rfc-editor.org/rfc/rfc6749#section-10.10
pub fn authorization_code(key: &MacKey, id: &Secret, sid: Uuid) -> OpaqueToken {
    let made = |what: &str| key.mac(&[what.to_owned(), id.reveal(), sid.to_string()]);
    OpaqueToken {
        grant: GrantId(uuid_from_mac(made("grant"))),
        secret: Secret::from_mac(made("code")),
    }
}

/// The `sid` of the session that begins when this user signs in here. It is the same for each copy of the form, so
/// that a logout ends the sessions of all copies.
pub fn session_sid(key: &MacKey, id: &Secret, sub: &Subject) -> Uuid {
    uuid_from_mac(key.mac(&["session".to_owned(), id.reveal(), sub.as_str().to_owned()]))
}

fn uuid_from_mac(mac: [u8; 32]) -> Uuid {
    let [low @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = mac;
    uuid::Builder::from_random_bytes(low).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::secret_key::{MacPurpose, SecretKey};

    fn key(text: &str, purpose: MacPurpose) -> MacKey {
        SecretKey::from_text(&text.repeat(32)).unwrap().mac_key(purpose)
    }

    #[test]
    fn a_forms_token_is_good_for_one_form_of_one_interaction_in_one_browser() {
        let key = key("a", MacPurpose::Csrf);
        let [id, cookie, other] = [(); 3].map(|()| Secret::random());
        let token = csrf_token(&key, &id, &cookie, "login");
        assert!(verify_csrf_token(&key, &id, &cookie, "login", &token));
        assert!(!verify_csrf_token(&key, &id, &cookie, "consent", &token));
        assert!(!verify_csrf_token(&key, &other, &cookie, "login", &token));
        assert!(!verify_csrf_token(&key, &id, &other, "login", &token));
    }

    #[test]
    fn a_code_follows_from_the_interaction_the_session_and_the_key_and_from_nothing_less() {
        let key_of = |text| key(text, MacPurpose::Interaction);
        let [id, other] = [(); 2].map(|()| Secret::random());
        let sid = Uuid::from_u128(7);
        let text = |key: &MacKey, id: &Secret, sid| {
            let made = authorization_code(key, id, sid);
            (made.grant.0, made.secret.reveal())
        };
        let first = text(&key_of("a"), &id, sid);
        assert_eq!(first, text(&key_of("a"), &id, sid));
        for another in [
            text(&key_of("b"), &id, sid),
            text(&key_of("a"), &other, sid),
            text(&key_of("a"), &id, Uuid::from_u128(8)),
        ] {
            assert!(first.0 != another.0 && first.1 != another.1);
        }
        assert_eq!(first.0.get_version_num(), 4);
    }

    #[test]
    fn a_session_has_one_name_for_each_person_in_each_interaction() {
        let key = key("a", MacPurpose::Interaction);
        let [id, other] = [(); 2].map(|()| Secret::random());
        let [ada, bob] = ["ada", "bob"].map(|sub| Subject::parse(sub).unwrap());
        assert_eq!(session_sid(&key, &id, &ada), session_sid(&key, &id, &ada));
        assert_ne!(session_sid(&key, &id, &ada), session_sid(&key, &id, &bob));
        assert_ne!(session_sid(&key, &id, &ada), session_sid(&key, &other, &ada));
    }
}
