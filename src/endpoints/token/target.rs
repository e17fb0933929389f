//! Which of the granted APIs the access token of a token request is for ([RFC 8707 §2.2]).
//!
//! [RFC 8707 §2.2]: https://www.rfc-editor.org/rfc/rfc8707#section-2.2

use crate::domain::clients::Client;
use crate::domain::grants::Grant;
use crate::domain::resources::Target;
use crate::domain::token_claims::RequestedResources;
use crate::http::app::App;
use crate::http::token_issuer;
use crate::protocol::{ErrorCode, OAuthError, Params, Scope, resource};

/// The target of an access token of a grant: the granted APIs that the request names, or all of them, as far as the client
/// may still request them. `scope` is what the token is to allow.
pub(super) fn for_grant(
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
    require_scope(
        scope,
        token_issuer::token_target(
            app,
            client,
            scope,
            RequestedResources { named: &named, granted: &granted },
        ),
    )
}

/// The target of an access token for the client itself: the APIs that the request names.
pub(super) fn for_client_itself(
    app: &App,
    client: &Client,
    params: &Params,
    scope: &Scope,
) -> Result<Target, OAuthError> {
    let named = resource::asked(params)?;
    app.resources().check_for_client_itself(app.issuer(), client, &named)?;
    require_scope(
        scope,
        token_issuer::token_target(
            app,
            client,
            scope,
            RequestedResources { named: &named, granted: &[] },
        ),
    )
}

/// Refuses a token that would allow nothing: a scope has one word at least ([RFC 6749 §3.3]).
///
/// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
fn require_scope(granted: &Scope, target: Target) -> Result<Target, OAuthError> {
    if target.scope.is_empty() && !granted.is_empty() {
        let why = "nothing that was granted means anything to the API that this token would be for";
        return Err(OAuthError::new(ErrorCode::InvalidScope, why));
    }
    Ok(target)
}

const fn invalid(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidTarget, description)
}
