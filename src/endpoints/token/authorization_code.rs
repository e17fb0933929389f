use super::issue::{Answer, answer, new_family, still_allowed};
use super::{Failure, target};
use crate::domain::clients::Client;
use crate::domain::grants::{
    self, Attempt, Credential, Family, Grant, Handle, Redeemed, Redemption, RefreshToken, Refusal,
    Use,
};
use crate::http::app::App;
use crate::http::client::Authenticated;
use crate::http::token_issuer;
use crate::infra::clock::UnixTime;
use crate::infra::random;
use crate::infra::store::StoreError;
use crate::protocol::{ErrorCode, OAuthError};

/// `grant_type=authorization_code` ([RFC 6749 §4.1.3]).
///
/// Everything that can fail comes first: who may be issued anything, and the tokens themselves. Then one
/// compare-and-swap validates and spends the code and remembers what came of it, so a request that ends
/// in a 503 can be sent again.
///
/// [RFC 6749 §4.1.3]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3
pub(super) async fn redeem(app: &App, who: &Authenticated) -> Result<Answer, Failure> {
    let (client, params) = (&who.client, &who.params);
    let missing = OAuthError::new(ErrorCode::InvalidRequest, "code is missing");
    let code =
        Handle::parse(Use::Code, params.get("code").ok_or(missing)?).ok_or(Refusal::Unknown)?;
    let now = app.now();
    let family = new_family(app, client);
    // A redirect URI that the client gave up since may be somebody else's by now.
    let redirect_uri =
        params.get("redirect_uri").filter(|uri| client.metadata.allows_redirect_to(uri));
    let shown = Redemption {
        attempt: Attempt(random::uuid()),
        client: &client.id,
        credential: Credential::AuthorizationCode,
        secret: &code.secret,
        redirect_uri,
        verifier: params.get("code_verifier"),
        ends_at: end(app, client, family.as_ref(), now),
        refresh: family.clone(),
    };
    let loaded = grants::load(&*app.store, code.grant).await?.ok_or(Refusal::Unknown)?;
    let held = loaded.grant().clone();
    let holder = grants::may_issue(&*app.store, &held, who.proven_key.as_ref(), now).await?;
    // Tokens are made for a code that will do. What refuses another is noted in the step.
    let made = match held.clone().redeem(&shown, now) {
        Ok(Redeemed) => {
            let held = still_allowed(app, &held, client)?;
            let target = target::of_grant(app, client, params, (&held, &held.scope))?;
            Some(answer(app, (client, holder.user.as_ref()), &held, &target).await?)
        }
        Err(_) => None,
    };
    let kept = made.as_ref().and_then(Answer::opaque);
    let step = |grant: &mut Grant| {
        let redeemed = grant.redeem(&shown, now)?;
        if let Some(kept) = kept {
            grant.remember(kept.clone(), now)?;
        }
        Ok::<_, Refusal>(redeemed)
    };
    let outcome = match grants::update_from(&*app.store, loaded, step).await {
        // The answer may have been lost, not the write: the same try again is recognised as itself. It is
        // written again all the same, for it may be the replicas that did not have it in time.
        Err(StoreError::Unavailable(_)) => {
            grants::update_anew(&*app.store, code.grant, step, Result::is_ok).await?
        }
        other => other?,
    };
    outcome.ok_or(Refusal::Unknown)??;
    let made = made.ok_or(Refusal::Unknown)?;
    hint_at_userinfo(app, client, &held);
    let Some(Family { current: generation, .. }) = family else { return Ok(made) };
    Ok(made.with_refresh(app, client, RefreshToken { grant: held.id, generation }))
}

/// Tells the operator of a client that has been granted a person's details and never asks for them.
fn hint_at_userinfo(app: &App, client: &Client, grant: &Grant) {
    // Who asks for single claims in the ID token knows where they are, and a token for an API opens no userinfo.
    let is_plain = grant.claims.id_token.is_empty() && grant.resources.is_empty();
    if is_plain && app.unasked.signed_in(client, &grant.scope, app.now()) {
        tracing::info!(
            client = client.id.as_str(),
            "the client was granted profile or email and has not asked /userinfo, which is where they are told; \
             if it reads the ID token alone, give it the setting claims_in_id_token or id_token_claims"
        );
    }
}

/// When everything that comes of the code will be over.
fn end(app: &App, client: &Client, family: Option<&Family>, now: UnixTime) -> UnixTime {
    let access_end = now.plus(token_issuer::longest_access_lifetime(app, client));
    family.map_or(access_end, |family| family.absolute_end.max(access_end))
}
