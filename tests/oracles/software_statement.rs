use std::sync::OnceLock;

use latchkey::config::{SoftwareStatementIssuer, SoftwareStatementKeys};
use latchkey::domain::clients::software_statement::SoftwareStatementVerifier;
use latchkey::protocol::client_metadata::MEMBERS;
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;

use super::in_process_server::{ISSUER, InProcessServer, NOW};
use super::signer::{TestSigner, is_refused, pieces};
use super::{edited, lines, reference_parsers, text};

const ISSUERS: [&str; 2] = ["https://federation.example", "https://other.example"];

/// A software statement counts exactly if a second reader of the rules lets it ([RFC 7591 §2.3]): signed by
/// the issuer that it names and the operator approved, in time, for us or for anybody; and what is taken
/// from it are members of a registration, as they were signed.
///
/// Lines: whose hand (`c` the issuer's, `s` a stranger's), the header, an [edit](super::edited), the claims.
///
/// [RFC 7591 §2.3]: https://www.rfc-editor.org/rfc/rfc7591#section-2.3
pub fn software_statement(data: &[u8]) {
    let [hand, header, how, payload] = lines(data);
    let hand = if hand == b"s" { TestSigner::Stranger } else { TestSigner::Client };
    let token = hand.signs(header, payload);
    let token = text(&edited(token.as_bytes(), how));
    let issuers: Vec<SoftwareStatementIssuer> = ISSUERS.map(approved).into();
    let read = InProcessServer::with(|server| {
        let keys = &server.app().client_jwks;
        let verifier = SoftwareStatementVerifier { issuers: &issuers, keys, us: ISSUER, now: NOW };
        server.waits(verifier.verify(&token))
    });
    judged(read.ok(), &token);
}

/// What was read of it, or that nothing was.
pub fn judged(read: Option<Map<String, Value>>, token: &str) {
    let expected = slowly(token);
    assert_eq!(read, expected, "{token}");
}

fn approved(issuer: &str) -> SoftwareStatementIssuer {
    static FILES: OnceLock<[NamedTempFile; 2]> = OnceLock::new();
    // The second issuer has keys of its own.
    let hand = if issuer == ISSUERS[0] { TestSigner::Client } else { TestSigner::Ours };
    let files = FILES.get_or_init(|| [TestSigner::Client, TestSigner::Ours].map(written));
    let file = &files[usize::from(hand == TestSigner::Ours)];
    SoftwareStatementIssuer {
        issuer: issuer.to_owned(),
        keys: SoftwareStatementKeys::File(file.path().to_owned()),
    }
}

fn written(hand: TestSigner) -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    let set = json!({"keys": [hand.jwk()]});
    std::fs::write(file.path(), set.to_string()).expect("a file");
    file
}

fn slowly(token: &str) -> Option<Map<String, Value>> {
    let (header, claims) = pieces(token)?;
    let hand = match claims.get("iss")?.as_str()? {
        issuer if issuer == ISSUERS[0] => TestSigner::Client,
        issuer if issuer == ISSUERS[1] => TestSigner::Ours,
        _ => return None,
    };
    let good = token.len() <= 16 * 1024
        && !is_refused(&header)
        && header.get("typ").is_none_or(Value::is_string)
        && header.get("alg")? == "EdDSA"
        && header.get("kid").is_none_or(|kid| kid == "k1")
        && hand.signed(token);
    let now = NOW.as_millis();
    let moment = |name: &str| {
        reference_parsers::seconds(claims.get(name)).map(|it| it.map(|it| it.saturating_mul(1000)))
    };
    let live = moment("exp").ok()?.is_none_or(|end| end > now);
    let begun = |name| Some(moment(name).ok()?.is_none_or(|at| at <= now + 10_000));
    let audience = reference_parsers::audience(claims.get("aud")).ok()?;
    let ours = audience.is_empty() || audience.contains(&ISSUER);
    if !(good && live && begun("nbf")? && begun("iat")? && ours) {
        return None;
    }
    let members = claims.as_object()?.clone().into_iter();
    let counts = |name: &str| name != "software_statement" && MEMBERS.contains(&name);
    Some(members.filter(|(name, _)| counts(name)).collect())
}
