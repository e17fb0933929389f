use super::response::{IssuedTokens, issue_tokens, new_family, restrict_to_allowed_scope};
use super::{TokenRequestError, target};
use crate::domain::clients::Client;
use crate::domain::grants::{
    self, AttemptId, CodeRedemption, Credential, Grant, GrantError, OpaqueToken, Redeemed,
    RefreshToken, RefreshTokenFamily, TokenKind,
};
use crate::http::app::App;
use crate::http::authenticated_client::AuthenticatedClient;
use crate::http::token_issuer;
use crate::infra::clock::UnixTime;
use crate::infra::random;
use crate::infra::store::StoreError;
use crate::protocol::{ErrorCode, OAuthError};

/// `grant_type=authorization_code` ([RFC 6749 §4.1.3]).
///
/// What can fail comes first: the checks of client, user and session, and issuing the tokens. Then one compare-and-swap
/// validates the code, marks it as redeemed and stores what was issued, so a request that ends in a 503 can be sent
/// again.
///
/// [RFC 6749 §4.1.3]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3
pub(super) async fn redeem(
    app: &App,
    who: &AuthenticatedClient,
) -> Result<IssuedTokens, TokenRequestError> {
    let (client, params) = (&who.client, &who.params);
    let missing = OAuthError::new(ErrorCode::InvalidRequest, "code is missing");
    let code = OpaqueToken::parse(TokenKind::Code, params.get("code").ok_or(missing)?)
        .ok_or(GrantError::Unknown)?;
    let now = app.now();
    let family = new_family(app, client);
    // A redirect URI that the client has removed since may belong to another party by now.
    let redirect_uri =
        params.get("redirect_uri").filter(|uri| client.metadata.allows_redirect_to(uri));
    let shown = CodeRedemption {
        attempt: AttemptId(random::uuid()),
        client: &client.id,
        credential: Credential::AuthorizationCode,
        secret: &code.secret,
        redirect_uri,
        verifier: params.get("code_verifier"),
        proven_key: who.proven_key.as_ref(),
        ends_at: tokens_end(app, client, family.as_ref(), now),
        refresh_tokens: family.clone(),
    };
    let loaded = grants::load(&*app.store, code.grant).await?.ok_or(GrantError::Unknown)?;
    let held = loaded.grant().clone();
    let holder = grants::check_active(&*app.store, &held, who.key_proof(), now).await?;
    // Tokens are issued for a valid code alone. A failure is stored by the step below.
    let mut redeemed = held.clone();
    let made = match redeemed.redeem(&shown, now) {
        Ok(Redeemed) => {
            let held = restrict_to_allowed_scope(app, &redeemed, client)?;
            let target = target::for_grant(app, client, params, (&held, &held.scope))?;
            Some(issue_tokens(app, (client, holder.user.as_ref()), &held, &target).await?)
        }
        Err(_) => None,
    };
    let kept = made.as_ref().and_then(IssuedTokens::opaque_token);
    let step = |grant: &mut Grant| {
        let redeemed = grant.redeem(&shown, now)?;
        if let Some(kept) = kept {
            grant.add_opaque_token(kept.clone(), now)?;
        }
        Ok::<_, GrantError>(redeemed)
    };
    let outcome = match grants::update_from(&*app.store, loaded, step).await {
        // The reply may have been lost, not the write: the attempt id recognises that it was this request. It is written
        // again all the same, for the replicas may not have acknowledged it in time.
        Err(StoreError::Unavailable(_)) => {
            grants::update_anew(&*app.store, code.grant, step, Result::is_ok).await?
        }
        other => other?,
    };
    outcome.ok_or(GrantError::Unknown)??;
    let made = made.ok_or(GrantError::Unknown)?;
    warn_about_unused_userinfo(app, client, &held);
    let Some(RefreshTokenFamily { current: generation, .. }) = family else { return Ok(made) };
    Ok(made.with_refresh_token(app, client, RefreshToken { grant: held.id, generation }))
}

/// Logs a hint for the operator about a client that was granted claims and never calls userinfo.
fn warn_about_unused_userinfo(app: &App, client: &Client, grant: &Grant) {
    // A client that requests single claims in the ID token reads them there, and userinfo takes no token for an API.
    let is_plain = grant.claims.id_token.is_empty() && grant.resources.is_empty();
    if is_plain && app.unused_userinfo.record_sign_in(client, &grant.scope, app.now()) {
        tracing::info!(
            client = client.id.as_str(),
            "the client was granted profile or email and has not asked /userinfo, which is where they are told; \
             if it reads the ID token alone, give it the setting claims_in_id_token or id_token_claims"
        );
    }
}

/// The latest end of the tokens that are issued for the code.
fn tokens_end(
    app: &App,
    client: &Client,
    family: Option<&RefreshTokenFamily>,
    now: UnixTime,
) -> UnixTime {
    let access_end = now.plus(token_issuer::max_access_token_lifetime(app, client));
    family.map_or(access_end, |family| family.absolute_end.max(access_end))
}
