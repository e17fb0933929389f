use serde_json::{Map, Value};

use super::add_claims;
use crate::domain::clients::Client;
use crate::domain::users::User;
use crate::protocol::claims::{ClaimsRequest, ScopeCatalogue};
use crate::protocol::{Scope, Subject};

/// What the userinfo endpoint says of a person ([OpenID Connect Core §5.3.2]): `sub`, and the claims
/// that the token's scope exposes or the request asked for, as far as the client may still have them.
/// `seen_as` is the person as the client knows
/// them.
///
/// [OpenID Connect Core §5.3.2]: https://openid.net/specs/openid-connect-core-1_0.html#UserInfoResponse
pub fn userinfo_claims(
    (user, seen_as): (&User, &Subject),
    client: &Client,
    scope: &Scope,
    asked: &ClaimsRequest,
    catalogue: &ScopeCatalogue,
) -> Map<String, Value> {
    let mut claims = Map::new();
    let ceiling = client.scope_ceiling();
    let exposed = catalogue.claims_for(&scope.intersection(&ceiling));
    add_claims(&mut claims, user, exposed, &asked.userinfo, &catalogue.claims_for(&ceiling));
    claims.insert("sub".into(), seen_as.as_str().into());
    claims
}
