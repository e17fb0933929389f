use latchkey::domain::grants::{GrantId, OpaqueToken, TokenKind};
use latchkey::infra::secret::{Secret, base64url};
use uuid::Uuid;

use super::{edited, lines, text};

/// A code or an opaque token has one spelling (`ac1.<grant>.<secret>`): what is read is what would be
/// written, it is never read as the other kind, and changed by a bit it has another grant or secret, or
/// is nothing.
///
/// Lines: a grant and a secret; an [edit](super::edited); or, without an edit, any text.
pub fn code_parse(data: &[u8]) {
    holds(data, OpaqueToken::parse);
}

pub fn holds(data: &[u8], parse: impl Fn(TokenKind, &str) -> Option<OpaqueToken>) {
    let [seed, how] = lines(data);
    let byte = |at: usize| {
        seed.get(at % seed.len().max(1))
            .copied()
            .unwrap_or_else(|| u8::try_from(at).expect("a small place"))
    };
    let secret = base64url(&std::array::from_fn::<u8, 32, _>(byte));
    let made = OpaqueToken {
        grant: GrantId(Uuid::from_bytes(std::array::from_fn(|at| byte(at + 3)))),
        secret: Secret::parse(&secret).expect("32 bytes"),
    };
    for (kind, other) in
        [(TokenKind::Code, TokenKind::Access), (TokenKind::Access, TokenKind::Code)]
    {
        let written = made.render(kind);
        assert!(parse(kind, &written).is_some_and(|read| is(&read, &made)), "{written}");
        assert!(parse(other, &written).is_none(), "{written} is not of the other kind");
        for shown in [text(&edited(written.as_bytes(), how)), text(data)] {
            let Some(read) = parse(kind, &shown) else { continue };
            assert_eq!(read.render(kind), shown, "a second spelling");
            assert_eq!(is(&read, &made), shown == written, "{shown} and {written}");
        }
    }
}

fn is(one: &OpaqueToken, other: &OpaqueToken) -> bool {
    one.grant == other.grant && one.secret.reveal() == other.secret.reveal()
}
