//! The members of an active response ([RFC 7662 §2.2]).
//!
//! [RFC 7662 §2.2]: https://www.rfc-editor.org/rfc/rfc7662#section-2.2

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::clients::Client;
use crate::domain::grants::{
    self, ActiveCheckError, ActiveParties, GrantStatus, KeyProof, RefreshToken, RefreshTokenFamily,
    RotationOutcome,
};
use crate::domain::token_claims::ValidAccessToken;
use crate::http::app::App;
use crate::infra::clock::UnixTime;
use crate::infra::store::StoreError;
use crate::protocol::client_metadata::SubjectType;
use crate::protocol::{Scope, TokenType};

/// Introspection carries no proof of a key. As long as no token type has one, a token that is bound to a key (by a later
/// release, in the same store) is not active: reported as `Bearer`, it would be accepted from whoever copied it.
pub(super) const NO_PROOF: KeyProof<'static> = KeyProof::Presented(None);

/// Whether the caller is the client the token was issued to, or one of the resources it is for.
pub(super) fn may_introspect(caller: &Client, access: &ValidAccessToken) -> bool {
    let is_for = |resource: &str| access.audience.iter().any(|it| it == resource);
    let serves = &caller.settings.resource_server_for;
    access.client == caller.id
        || is_for(caller.id.as_str())
        || serves.iter().any(|resource| is_for(resource))
}

/// The response about an access token that is active.
pub(super) fn access_token(app: &App, caller: &Client, access: &ValidAccessToken) -> Value {
    let issuer = app.issuer();
    let scope = visible_scope(app, caller, access);
    let subject = SubjectMembers::of(app, &access.holder, &scope);
    let cnf = access.grant.as_ref().and_then(|grant| grant.cnf.as_ref());
    let mut answer = json!({
        "active": true,
        "token_type": TokenType::of(cnf).as_str(),
        "iss": issuer,
        "client_id": access.client.as_str(),
        "sub": subject.sub,
        "aud": audience_value(&access.audience),
        "scope": scope.to_string(),
        "iat": access.issued_at.as_secs(),
        "exp": access.expires_at.as_secs(),
    });
    if let Some(cnf) = cnf {
        // RFC 9449 §6.2, RFC 8705 §3.2.
        answer["cnf"] = json!(cnf);
    }
    if let Some(username) = subject.username {
        answer["username"] = username.into();
    }
    if let Some(id) = access.id {
        answer["jti"] = id.to_string().into();
    }
    for (name, value) in configured_claims(app, caller, access, &scope) {
        // None replaces a member of RFC 7662.
        if answer.get(&name).is_none() {
            answer[name] = value;
        }
    }
    answer
}

/// The claims of `introspection_claims`, as far as userinfo would give them for this token: a granted scope exposes them,
/// and the client is still allowed it.
fn configured_claims(
    app: &App,
    caller: &Client,
    access: &ValidAccessToken,
    scope: &Scope,
) -> Vec<(String, Value)> {
    let Some(user) = &access.holder.user else { return Vec::new() };
    let scope = scope.intersection(&access.holder.client.max_scope());
    let catalogue = app.catalogue();
    let given = catalogue.claims_for(&scope);
    let wanted = caller.settings.introspection_claims.iter();
    let told = wanted.filter(|name| given.contains(name.as_str()));
    told.filter_map(|name| Some((name.clone(), user.claim(name)?))).collect()
}

/// The scopes that concern the caller: an API need not know what else the client may do
/// ([RFC 7662 §2.2]).
fn visible_scope(app: &App, caller: &Client, access: &ValidAccessToken) -> Scope {
    if caller.id == access.client {
        return access.scope.clone();
    }
    let serves = |it: &&String| {
        *it == caller.id.as_str() || caller.settings.resource_server_for.contains(it)
    };
    let served = access.audience.iter().filter(serves).cloned().collect();
    app.resources().target((app.issuer(), &app.catalogue()), served, &access.scope).scope
}

/// The response about a refresh token of the caller; `None` if it would not be accepted now.
pub(super) async fn refresh_token(
    app: &App,
    caller: &Client,
    text: &str,
) -> Result<Option<Value>, StoreError> {
    // The MAC covers the client id: a refresh token of another client does not verify.
    let Some(token) = RefreshToken::parse(text, &caller.id, &app.refresh_key) else {
        return Ok(None);
    };
    let Some(grant) = grants::find(&*app.store, token.grant).await? else { return Ok(None) };
    let now = app.now();
    let grace = app.config.lifetimes.refresh_grace;
    let usable =
        |family: &&RefreshTokenFamily| would_be_accepted(family, token.generation, grace, now);
    let family = grant.refresh_tokens.as_ref().filter(usable);
    let Some(family) = family else { return Ok(None) };
    if grant.status != GrantStatus::Active || grant.client != caller.id {
        return Ok(None);
    }
    let holder = match grants::check_active(&*app.store, &grant, NO_PROOF, now).await {
        Ok(holder) => holder,
        Err(ActiveCheckError::Inactive(_)) => return Ok(None),
        Err(ActiveCheckError::Store(cause)) => return Err(cause),
    };
    let subject = SubjectMembers::of(app, &holder, &grant.scope);
    let mut answer = json!({
        "active": true,
        "iss": app.issuer(),
        "client_id": grant.client.as_str(),
        "sub": subject.sub,
        "aud": app.issuer(),
        "scope": grant.scope.to_string(),
        "exp": family.idle_end.min(family.absolute_end).as_secs(),
    });
    if token.generation == family.current {
        answer["iat"] = family.rotated_at.as_secs().into();
    }
    if let Some(username) = subject.username {
        answer["username"] = username.into();
    }
    Ok(Some(answer))
}

/// `sub` and `username`, as the client sees them that the token was issued to.
struct SubjectMembers<'a> {
    sub: String,
    /// As userinfo gives it as `preferred_username`: only for a scope that exposes it, and not to pairwise clients, for it is
    /// the same for all of them.
    username: Option<&'a str>,
}

impl<'a> SubjectMembers<'a> {
    fn of(app: &App, holder: &'a ActiveParties, scope: &Scope) -> Self {
        let client = &holder.client;
        let Some(user) = &holder.user else {
            return Self { sub: client.id.as_str().to_owned(), username: None };
        };
        let scope = scope.intersection(&client.max_scope());
        let may_know = app.catalogue().claims_for(&scope).contains("preferred_username");
        let username = match client.metadata.subject_type {
            SubjectType::Public if may_know => Some(user.username.as_str()),
            SubjectType::Public | SubjectType::Pairwise => None,
        };
        Self { sub: app.subject_for(client, &user.sub).into(), username }
    }
}

/// Whether a refresh token of this generation would be accepted.
fn would_be_accepted(
    family: &RefreshTokenFamily,
    generation: u64,
    grace: Duration,
    now: UnixTime,
) -> bool {
    let answered = family.clone().rotate(generation, grace, now) != RotationOutcome::Reuse;
    let known = generation <= family.current && answered;
    known && now < family.idle_end && now < family.absolute_end
}

/// As in a JWT: one audience is a string ([RFC 7519 §4.1.3]).
///
/// [RFC 7519 §4.1.3]: https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3
fn audience_value(audience: &[String]) -> Value {
    match audience {
        [one] => one.as_str().into(),
        several => several.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grants::ReplacedGeneration;

    #[test]
    fn only_refresh_tokens_that_would_be_answered_are_active_and_only_in_time() {
        let now = UnixTime::from_secs(1_700_000_000);
        let family = RefreshTokenFamily {
            current: 5,
            tolerated: Some(3),
            earlier: vec![ReplacedGeneration { generation: 1, at: now }],
            rotated_at: now,
            idle_end: now.plus(Duration::from_mins(1)),
            absolute_end: now.plus(Duration::from_secs(90)),
            idle: Duration::from_mins(1),
        };
        let usable = |grace| -> Vec<_> {
            let grace = Duration::from_secs(grace);
            (0..8).filter(|g| would_be_accepted(&family, *g, grace, now)).collect()
        };
        assert_eq!((usable(30), usable(0)), (vec![1, 3, 5], vec![5]));
        assert!(!would_be_accepted(&family, 5, Duration::from_secs(30), family.idle_end));
    }

    #[test]
    fn one_audience_is_a_string_and_several_are_an_array() {
        assert_eq!(audience_value(&["a".to_owned()]), json!("a"));
        assert_eq!(audience_value(&["a".to_owned(), "b".to_owned()]), json!(["a", "b"]));
    }
}
