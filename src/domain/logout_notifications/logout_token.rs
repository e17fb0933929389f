use std::time::Duration;

use serde_json::{Map, Value, json};

use super::Delivery;
use crate::infra::clock::UnixTime;
use crate::infra::random;

/// `typ` of a logout token: never to be taken for an ID token ([Back-Channel Logout §2.4]).
///
/// [Back-Channel Logout §2.4]: https://openid.net/specs/openid-connect-backchannel-1_0.html#LogoutToken
pub const LOGOUT_TOKEN_TYP: &str = "logout+jwt";

/// The claims of a logout token. Each try has its own: a client that refuses a `jti` it has seen must
/// not refuse the second try of a word it never understood.
///
/// `sid` is the session as the client knows it, the same as in its ID tokens.
///
/// "A `nonce` Claim MUST NOT be present", so that it cannot pass for an ID token (§2.4).
pub fn logout_token_claims(
    issuer: &str,
    delivery: &Delivery,
    sid: &str,
    now: UnixTime,
) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("iss".into(), issuer.into());
    claims.insert("sub".into(), delivery.sub.as_str().into());
    claims.insert("aud".into(), delivery.client.as_str().into());
    claims.insert("iat".into(), now.as_secs().into());
    claims.insert("exp".into(), now.plus(LIFETIME).as_secs().into());
    claims.insert("jti".into(), random::uuid().to_string().into());
    claims.insert("sid".into(), sid.into());
    claims.insert("events".into(), json!({ EVENT: {} }));
    claims
}

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// "preferably at most two minutes in the future" (§2.4).
const LIFETIME: Duration = Duration::from_secs(120);
