use latchkey::domain::clients::ClientId;
use latchkey::domain::grants::{GrantId, RefreshToken};
use latchkey::infra::secret_key::{MacKey, MacPurpose, SecretKey};
use uuid::Uuid;

use super::{edited, lines, text};

/// A refresh token that was written is read, by its client alone, and there is no other text that is: not
/// one bit of it may change (`rt1.<grant>.<generation>.<MAC>`).
///
/// Lines: a grant and a generation; an [edit](super::edited); or, without an edit, any text.
pub fn refresh_token_parse(data: &[u8]) {
    holds(data, RefreshToken::parse);
}

pub fn holds(data: &[u8], parse: impl Fn(&str, &ClientId, &MacKey) -> Option<RefreshToken>) {
    let root = SecretKey::from_text(&"k".repeat(32)).expect("a long key");
    let key = root.mac_key(MacPurpose::RefreshToken);
    let [client, other] = ["shop", "desk"].map(|id| ClientId::parse(id).expect("an id"));
    let [numbers, how] = lines(data);
    let mix = |sum: u128, byte: &u8| {
        sum.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).wrapping_add(u128::from(*byte))
    };
    let seed = numbers.iter().fold(7, mix);
    let generation = u64::try_from(seed >> 64).expect("half of it") >> (seed & 63);
    let token = RefreshToken { grant: GrantId(Uuid::from_u128(seed << 64 | seed)), generation };
    let written = token.render(&client, &key);
    assert_eq!(parse(&written, &client, &key), Some(token));
    assert_eq!(RefreshToken::parse_unverified(&written), Some(token));
    assert_eq!(parse(&written, &other, &key), None, "another client's");
    let strange = SecretKey::from_text(&"s".repeat(32)).expect("a long key");
    assert_eq!(parse(&written, &client, &strange.mac_key(MacPurpose::RefreshToken)), None);

    for shown in [text(&edited(written.as_bytes(), how)), text(data)] {
        if shown != written {
            assert_eq!(parse(&shown, &client, &key), None, "{shown} is not {written}");
        }
        // Nobody believes it, but whoever reads it reads what was written.
        if let Some(peeked) = RefreshToken::parse_unverified(&shown) {
            let head = format!("rt1.{}.", peeked.grant.0.simple());
            assert!(shown.starts_with(&head), "{shown}: {peeked:?}");
        }
    }
}
