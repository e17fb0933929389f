use super::Failure;
use super::issue::{Answer, Rolled, access_lifetime, answer, new_family};
use crate::app::App;
use crate::grants::{self, Attempt, Grant, Handle, Redemption, Refusal, Use};
use crate::http::client::Authenticated;
use crate::protocol::{ErrorCode, OAuthError};
use crate::random;
use crate::store::StoreError;

/// `grant_type=authorization_code` ([RFC 6749 §4.1.3]).
///
/// Validating and spending the code, and filing what comes of it, is one compare-and-swap. Who may be
/// issued anything is asked before it, and nothing is asked after it: a store that fails has either not
/// spent the code, or the client gets its tokens. Every use of those asks again who may.
///
/// [RFC 6749 §4.1.3]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3
pub(super) async fn redeem(app: &App, who: &Authenticated) -> Result<Answer, Failure> {
    let (client, params) = (&who.client, &who.params);
    let missing = OAuthError::new(ErrorCode::InvalidRequest, "code is missing");
    let code =
        Handle::parse(Use::Code, params.get("code").ok_or(missing)?).ok_or(Refusal::Unknown)?;
    let now = app.now();
    let family = new_family(app, client);
    let access_end = now.plus(access_lifetime(app, client));
    let shown = Redemption {
        attempt: Attempt(random::uuid()),
        client: &client.id,
        secret: &code.secret,
        redirect_uri: params.get("redirect_uri"),
        verifier: params.get("code_verifier"),
        refresh: family,
        ends_at: family.map_or(access_end, |family| family.absolute_end.max(access_end)),
    };
    let held = grants::find(&*app.store, code.grant).await?.ok_or(Refusal::Unknown)?;
    let holder = grants::may_issue(&*app.store, &held, now).await?.map_err(Refusal::Denied)?;
    let rolled = Rolled::new(app, client, held.id, &held.scope);
    let step = |grant: &mut Grant| {
        let redeemed = grant.redeem(&shown, now);
        if let (Ok(_), Some(rolled)) = (redeemed, &rolled) {
            rolled.remembered_by(grant);
        }
        (redeemed, grant.clone())
    };
    let key = code.grant.key();
    let outcome = match app.store.update(&key, step).await {
        // The answer may have been lost, not the write: the same try again is recognised as itself.
        Err(StoreError::Unavailable(_)) => app.store.update(&key, step).await?,
        other => other?,
    };
    let (redeemed, grant) = outcome.ok_or(Refusal::Unknown)?;
    redeemed?;
    let generation = grant.refresh.map(|family| family.current);
    let user = holder.user.as_ref();
    answer(app, (client, user), &grant, &grant.scope, (generation, rolled)).await
}
