use latchkey::domain::clients::assertion::{AssertionError, UsedAssertion, validate_claims};
use latchkey::domain::clients::authenticate::{ClientAuthError, ClientAuthenticator};
use latchkey::domain::clients::{Client, ClientId};
use latchkey::infra::clock::UnixTime;
use latchkey::protocol::Credentials;
use serde_json::{Map, Value};

use super::in_process_server::{InProcessServer, NOW};
use super::signer::{TestSigner, is_refused, pieces};
use super::{edited, lines, reference_parsers, text};

const AUDIENCES: [&str; 2] = ["http://localhost:5000", "http://localhost:5000/token"];

/// A client assertion is believed exactly if a second reader of the rules believes it ([RFC 7523 §3],
/// OpenID Connect Core §9): by the claims alone, and as a whole with signature and header. And once: the
/// same one a second time is a replay.
///
/// Lines: whose hand (`c` the client's, `s` a stranger's), the header, an [edit](super::edited) of the
/// token, and the claims.
///
/// [RFC 7523 §3]: https://www.rfc-editor.org/rfc/rfc7523#section-3
pub fn client_assertion(data: &[u8]) {
    holds(data, validate_claims);
    let [hand, header, how, payload] = lines(data);
    let hand = if hand == b"s" { TestSigner::Stranger } else { TestSigner::Client };
    let token = hand.signs(header, payload);
    let token = text(&edited(token.as_bytes(), how));
    InProcessServer::with(|server| {
        let jwt = token.clone();
        let credentials = Credentials::Assertion { client_id: None, jwt };
        let app = server.app();
        let authenticator = ClientAuthenticator {
            store: &*app.store,
            keys: &app.client_jwks,
            secret_cipher: Some(&app.secret_cipher),
            audiences: &AUDIENCES,
            now: NOW,
        };
        let outcome = |tried: Result<Client, ClientAuthError>| {
            assert!(!matches!(tried, Err(ClientAuthError::Store(_))), "a store");
            tried.map(|client| client.id)
        };
        let first = outcome(server.waits(authenticator.authenticate(&credentials)));
        let was_used = matches!(first, Err(ClientAuthError::Replayed));
        assert_eq!(first.is_ok() || was_used, is_good(&token), "{token}: {first:?}");
        if let Ok(id) = first {
            assert_eq!(id.as_str(), "signer");
            let again = outcome(server.waits(authenticator.authenticate(&credentials)));
            assert!(matches!(again, Err(ClientAuthError::Replayed)), "{again:?}");
        }
    });
}

/// The rules about the claims.
pub fn holds(
    data: &[u8],
    judge: impl Fn(
        &Map<String, Value>,
        &ClientId,
        &[&str],
        UnixTime,
    ) -> Result<UsedAssertion, AssertionError>,
) {
    let [_, _, _, payload] = lines(data);
    let Ok(Value::Object(claims)) = serde_json::from_slice(payload) else { return };
    let client = ClientId::parse("signer").expect("an id");
    let judged = judge(&claims, &client, &AUDIENCES, NOW);
    let good = obeys(&Value::Object(claims.clone())).is_ok();
    assert_eq!(judged.is_ok(), good, "{judged:?}: {claims:?}");
}

/// The whole token, by the simple readers.
fn is_good(token: &str) -> bool {
    let Some((header, claims)) = pieces(token) else { return false };
    let named = match header.get("kid") {
        None => true,
        Some(kid) => kid == "k1",
    };
    token.len() <= 16 * 1024
        && !is_refused(&header)
        && header.get("typ").is_none_or(Value::is_string)
        && header.get("alg").is_some_and(|alg| alg == "EdDSA")
        && named
        && TestSigner::Client.signed(token)
        && obeys(&claims).is_ok()
}

fn obeys(claims: &Value) -> Result<(), ()> {
    let must = |holds: bool| if holds { Ok(()) } else { Err(()) };
    let now = NOW.as_millis();
    must(reference_parsers::string(claims.get("iss"))? == Some("signer"))?;
    must(reference_parsers::string(claims.get("sub"))? == Some("signer"))?;
    let audience = reference_parsers::audience(claims.get("aud"))?;
    must(audience.len() == 1 && AUDIENCES.contains(&audience[0]))?;
    let end = reference_parsers::seconds(claims.get("exp"))?.ok_or(())?.saturating_mul(1000);
    must(end > now - 10_000)?;
    let moment = |name| {
        reference_parsers::seconds(claims.get(name)).map(|at| at.map(|it| it.saturating_mul(1000)))
    };
    let (issued, begins) = (moment("iat")?, moment("nbf")?);
    for begin in [issued, begins].into_iter().flatten() {
        must(begin <= now + 10_000)?;
    }
    // Five minutes and the skew: from when it was made, or where that is not said, from now.
    match issued.or(begins) {
        Some(made) => must(made.saturating_add(310_000) > now)?,
        None => must(end <= now + 310_000)?,
    }
    let id = reference_parsers::string(claims.get("jti"))?.ok_or(())?;
    must(!id.is_empty() && id.len() <= 128)
}
