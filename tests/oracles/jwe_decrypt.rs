use std::sync::OnceLock;

use latchkey::infra::jose::{DecryptionError, DecryptionKey, RecipientKey, decrypt, encrypt};
use latchkey::protocol::algorithms::{ContentEncryption, KeyManagement};
use serde_json::json;

use super::{edited, lines, text};

/// What was encrypted for us is read, and nothing else: whatever is done to it, or made up, opens to
/// nothing or to the very same ([RFC 7516 §5.2]).
///
/// Lines: two digits for the algorithms, an [edit](super::edited), the content; or any text.
///
/// [RFC 7516 §5.2]: https://www.rfc-editor.org/rfc/rfc7516#section-5.2
pub fn jwe_decrypt(data: &[u8]) {
    holds(data, decrypt);
}

pub fn holds(data: &[u8], open: impl Fn(&str, &DecryptionKey) -> Result<Vec<u8>, DecryptionError>) {
    static KEYS: OnceLock<Vec<DecryptionKey>> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let all = KeyManagement::ALL.iter();
        all.map(|alg| DecryptionKey::generate_for(*alg).expect("a key")).collect()
    });
    let [digits, how, content] = lines(data);
    let digit = |at: usize| usize::from(digits.get(at).copied().unwrap_or(b'1') % 16);
    let key = &keys[digit(0) % keys.len()];
    let enc = ContentEncryption::ALL[digit(1) % ContentEncryption::ALL.len()];
    let set = json!({"keys": [serde_json::to_value(key.jwk()).expect("JSON")]});
    let recipient = RecipientKey::select(&set, key.alg()).expect("our own key");
    let content = &content[..content.len().min(8192)];
    let sealed = encrypt(content, key.alg(), enc, &recipient, None).expect("a JWE");
    assert_eq!(open(&sealed, key).as_deref(), Ok(content));

    let changed = text(&edited(sealed.as_bytes(), how));
    let opened = open(&changed, key);
    assert_eq!(opened.is_ok(), changed == sealed, "{sealed} was changed to {changed}");
    assert_eq!(open(&text(data), key), Err(DecryptionError));
    let other = &keys[(digit(0) + 1) % keys.len()];
    assert_eq!(open(&sealed, other), Err(DecryptionError), "it is for another key");
}
