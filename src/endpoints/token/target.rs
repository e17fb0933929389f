//! For which of the APIs that were granted a token request wants its access token ([RFC 8707 §2.2]).
//!
//! [RFC 8707 §2.2]: https://www.rfc-editor.org/rfc/rfc8707#section-2.2

use crate::domain::clients::Client;
use crate::domain::grants::Grant;
use crate::domain::resources::Target;
use crate::domain::token_claims::Wanted;
use crate::http::app::App;
use crate::http::token_issuer;
use crate::protocol::{ErrorCode, OAuthError, Params, Scope, resource};

/// What the access token is for: what the request names of what was granted, or else all of that, as far as it
/// is still open to the client. `scope` is what of the grant it is to allow.
pub(super) fn of_grant(
    app: &App,
    client: &Client,
    params: &Params,
    (grant, scope): (&Grant, &Scope),
) -> Result<Target, OAuthError> {
    let named = resource::asked(params)?;
    let resources = app.resources();
    let open = |it: &&String| resources.is_open(app.issuer(), client, it);
    let granted: Vec<String> = grant.resources.iter().filter(open).cloned().collect();
    if granted.is_empty() && !grant.resources.is_empty() {
        return Err(invalid("the APIs that were granted are not open to this client any more"));
    }
    let by_default = if grant.resources.is_empty() { &client.settings.audience } else { &granted };
    let has_userinfo = scope.contains("openid") || by_default.is_empty();
    let was_granted = |it: &String| by_default.contains(it) || (has_userinfo && it == app.issuer());
    if !named.iter().all(was_granted) {
        resources.check(app.issuer(), client, &named)?;
        return Err(invalid("resource names what the authorization request did not"));
    }
    meaning(
        scope,
        token_issuer::target(app, client, scope, Wanted { named: &named, granted: &granted }),
    )
}

/// The same for a client that acts for itself: what it names.
pub(super) fn alone(
    app: &App,
    client: &Client,
    params: &Params,
    scope: &Scope,
) -> Result<Target, OAuthError> {
    let named = resource::asked(params)?;
    app.resources().check_alone(app.issuer(), client, &named)?;
    meaning(scope, token_issuer::target(app, client, scope, Wanted { named: &named, granted: &[] }))
}

/// A token that allows nothing is none: a scope has one word at least ([RFC 6749 §3.3]).
///
/// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
fn meaning(granted: &Scope, target: Target) -> Result<Target, OAuthError> {
    if target.scope.is_empty() && !granted.is_empty() {
        let why = "nothing that was granted means anything to the API that this token would be for";
        return Err(OAuthError::new(ErrorCode::InvalidScope, why));
    }
    Ok(target)
}

const fn invalid(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidTarget, description)
}
