use aws_lc_rs::digest::{SHA256, digest};
use latchkey::infra::secret::base64url;
use latchkey::protocol::{CodeChallenge, PkceError};

use super::{lines, reference_parsers, text};

/// A verifier answers a challenge exactly if it is 43 to 128 unreserved characters and its SHA-256 is the
/// challenge in base64url, by another library ([RFC 7636 §4.1, §4.2, §4.6]); and only `S256` is a method.
///
/// Lines: method, verifier, challenge (the right one where it is empty).
///
/// [RFC 7636 §4.1, §4.2, §4.6]: https://www.rfc-editor.org/rfc/rfc7636#section-4.1
pub fn pkce(data: &[u8]) {
    holds(data, |challenge, method, verifier| {
        CodeChallenge::check(Some(&CodeChallenge::parse(challenge, method)?), verifier)
    });
}

pub fn holds(
    data: &[u8],
    check: impl Fn(&str, Option<&str>, Option<&str>) -> Result<(), PkceError>,
) {
    let [method, verifier, challenge] = lines(data).map(text);
    let method = Some(&*method).filter(|method| !method.is_empty());
    let right = base64url(digest(&SHA256, verifier.as_bytes()).as_ref());
    let challenge = if challenge.is_empty() { right.clone() } else { challenge };

    let unreserved =
        |c: char| matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '-' | '.' | '_' | '~');
    let well_formed =
        verifier.chars().all(unreserved) && verifier.len() >= 43 && verifier.len() <= 128;
    let is_digest =
        reference_parsers::base64url(challenge.as_bytes()).is_some_and(|it| it.len() == 32);
    let expected = match () {
        () if method != Some("S256") => Err(PkceError::MethodNotS256),
        () if !is_digest => Err(PkceError::MalformedChallenge),
        () if !well_formed => Err(PkceError::MalformedVerifier),
        () if challenge != right => Err(PkceError::WrongVerifier),
        () => Ok(()),
    };
    assert_eq!(check(&challenge, method, Some(&verifier)), expected);
    if method == Some("S256") && is_digest {
        assert_eq!(check(&challenge, method, None), Err(PkceError::MissingVerifier));
    }
    assert_eq!(CodeChallenge::check(None, Some(&verifier)), Err(PkceError::UnexpectedVerifier));
}
