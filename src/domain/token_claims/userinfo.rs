use serde_json::{Map, Value};

use super::add_claims;
use crate::domain::clients::Client;
use crate::domain::users::User;
use crate::protocol::claims::{ClaimsRequest, ScopeCatalogue};
use crate::protocol::{Scope, Subject};

/// The claims of a userinfo response ([OpenID Connect Core §5.3.2]): `sub`, and those that the token's scope exposes or
/// the request asked for, as far as the client is still allowed them. `seen_as` is the subject as the client sees it.
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
    let ceiling = client.max_scope();
    let exposed = catalogue.claims_for(&scope.intersection(&ceiling));
    add_claims(&mut claims, user, exposed, &asked.userinfo, &catalogue.claims_for(&ceiling));
    claims.insert("sub".into(), seen_as.as_str().into());
    claims
}
