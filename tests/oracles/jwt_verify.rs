use latchkey::infra::jose::{SigningKey, VerificationError, verify_own};
use serde_json::{Map, Value};

use super::signer::{TestSigner, is_refused, pieces};
use super::{edited, lines, text};

/// A token is believed to be ours exactly if a second reader with another library's Ed25519 believes it:
/// signed by our key, with the header that goes with it, of the type that is wanted; and then its claims
/// are those that were signed. One that we made is believed, and not with any byte changed.
///
/// Lines: what (`o` our hand, `s` a stranger's, `m` a token as we make them, `r` raw), the header (of `m`:
/// its type), an [edit](super::edited), and the claims (of `r`: the token).
pub fn jwt_verify(data: &[u8]) {
    holds(data, |token, key| verify_own(token, [key], "at+jwt"));
}

pub fn holds(
    data: &[u8],
    verify: impl Fn(&str, &SigningKey) -> Result<Map<String, Value>, VerificationError>,
) {
    let [what, header, how, payload] = lines(data);
    let key = TestSigner::Ours.key();
    let made = match what.first() {
        Some(b'm') => {
            let claims: Value = serde_json::from_slice(payload).unwrap_or_default();
            let typ = if header == b"at+jwt" { "at+jwt" } else { "jwt" };
            let made = key.sign(typ, &claims).expect("a token");
            let good = typ == "at+jwt" && claims.is_object() && made.len() <= 16 * 1024;
            assert_eq!(verify(&made, &key).is_ok(), good, "{made}");
            made
        }
        Some(b'r') => text(payload),
        letter => TestSigner::of(letter).signs(header, payload),
    };
    let token = text(&edited(made.as_bytes(), how));
    let verified = verify(&token, &key);
    let expected = slowly(&token, key.kid());
    assert_eq!(verified.as_ref().ok(), expected.as_ref(), "{token}: {verified:?}");
    let changed = made != token;
    assert!(!(changed && expected.is_some()), "{made} became {token}, and is believed");
}

fn slowly(token: &str, kid: &str) -> Option<Map<String, Value>> {
    let (header, claims) = pieces(token)?;
    let typ = header.get("typ")?.as_str()?.to_ascii_lowercase();
    let good = token.len() <= 16 * 1024
        && !is_refused(&header)
        && header.get("alg")? == "EdDSA"
        && header.get("kid")? == kid
        && ["at+jwt", "application/at+jwt"].contains(&&*typ)
        && TestSigner::Ours.signed(token);
    good.then(|| claims.as_object().cloned()).flatten()
}
