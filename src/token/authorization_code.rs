use std::time::Duration;

use super::Failure;
use super::issue::{Answer, answer, new_family};
use crate::app::App;
use crate::grants::{self, Attempt, Grant, Handle, Redemption, Refusal, Use};
use crate::http::client::Authenticated;
use crate::protocol::{ErrorCode, OAuthError};
use crate::random;
use crate::store::StoreError;

/// `grant_type=authorization_code` ([RFC 6749 §4.1.3]).
///
/// Validating and spending the code is one compare-and-swap. Who may be issued
/// anything is asked after it: a code of a disabled user is spent and gives nothing.
///
/// [RFC 6749 §4.1.3]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3
pub(super) async fn redeem(app: &App, who: &Authenticated) -> Result<Answer, Failure> {
    let (client, params) = (&who.client, &who.params);
    let missing = OAuthError::new(ErrorCode::InvalidRequest, "code is missing");
    let code =
        Handle::parse(Use::Code, params.get("code").ok_or(missing)?).ok_or(Refusal::Unknown)?;
    let now = app.now();
    let family = new_family(app, client);
    let access = client
        .settings
        .access_token_lifetime
        .map_or(app.config.lifetimes.access_token, |own| Duration::from_secs(own.into()));
    let access_end = now.plus(access);
    let shown = Redemption {
        attempt: Attempt(random::uuid()),
        client: &client.id,
        secret: &code.secret,
        redirect_uri: params.get("redirect_uri"),
        verifier: params.get("code_verifier"),
        refresh: family,
        ends_at: family.map_or(access_end, |family| family.absolute_end.max(access_end)),
    };
    let step = |grant: &mut Grant| (grant.redeem(&shown, now), grant.clone());
    // Asked before too, so that a store that fails here has not spent the code.
    if let Some(held) = grants::find(&*app.store, code.grant).await? {
        grants::may_issue(&*app.store, &held, now).await?.map_err(Refusal::Denied)?;
    }
    let key = code.grant.key();
    let outcome = match app.store.update(&key, step).await {
        // The answer may have been lost, not the write: the same try again is recognised as itself.
        Err(StoreError::Unavailable(_)) => app.store.update(&key, step).await?,
        other => other?,
    };
    let (redeemed, grant) = outcome.ok_or(Refusal::Unknown)?;
    redeemed?;
    let holder = grants::may_issue(&*app.store, &grant, now).await?.map_err(Refusal::Denied)?;
    let generation = grant.refresh.map(|family| family.current);
    answer(app, (client, holder.user.as_ref()), &grant, &grant.scope, generation).await
}
