//! The words of an active answer ([RFC 7662 §2.2]).
//!
//! [RFC 7662 §2.2]: https://www.rfc-editor.org/rfc/rfc7662#section-2.2

use std::time::Duration;

use serde_json::{Value, json};

use crate::domain::clients::Client;
use crate::domain::grants::{
    self, ActiveCheckError, Family, Holder, RefreshToken, Rotated, Standing,
};
use crate::domain::token_claims::Access;
use crate::http::app::App;
use crate::infra::clock::UnixTime;
use crate::infra::store::StoreError;
use crate::protocol::client_metadata::SubjectType;
use crate::protocol::{Scope, TokenType};

/// Whether the caller is the client the token was issued to, or one of the resources it is for.
pub(super) fn concerns(caller: &Client, access: &Access) -> bool {
    let is_for = |resource: &str| access.audience.iter().any(|it| it == resource);
    let serves = &caller.settings.resource_server_for;
    access.client == caller.id
        || is_for(caller.id.as_str())
        || serves.iter().any(|resource| is_for(resource))
}

/// An access token that is good now.
pub(super) fn access_token(app: &App, caller: &Client, access: &Access) -> Value {
    let issuer = app.issuer();
    let scope = shown_scope(app, caller, access);
    let person = Person::of(app, &access.holder, &scope);
    let mut answer = json!({
        "active": true,
        "token_type": TokenType::Bearer.as_str(),
        "iss": issuer,
        "client_id": access.client.as_str(),
        "sub": person.sub,
        "aud": one_or_all(&access.audience),
        "scope": scope.to_string(),
        "iat": access.issued_at.as_secs(),
        "exp": access.expires_at.as_secs(),
    });
    if let Some(username) = person.username {
        answer["username"] = username.into();
    }
    if let Some(id) = access.id {
        answer["jti"] = id.to_string().into();
    }
    for (name, value) in told_claims(app, caller, access, &scope) {
        // None stands in the place of ours.
        if answer.get(&name).is_none() {
            answer[name] = value;
        }
    }
    answer
}

/// The claims that the caller is configured to be told, as far as userinfo would tell them for this token: a
/// scope that was granted gives them, and the client may still have it.
fn told_claims(app: &App, caller: &Client, access: &Access, scope: &Scope) -> Vec<(String, Value)> {
    let Some(user) = &access.holder.user else { return Vec::new() };
    let scope = scope.intersection(&access.holder.client.scope_ceiling());
    let catalogue = app.catalogue();
    let given = catalogue.claims_for(&scope);
    let wanted = caller.settings.introspection_claims.iter();
    let told = wanted.filter(|name| given.contains(name.as_str()));
    told.filter_map(|name| Some((name.clone(), user.claim(name)?))).collect()
}

/// The scopes that mean something to whoever asks: an API need not know what else the client may do
/// ([RFC 7662 §2.2]).
fn shown_scope(app: &App, caller: &Client, access: &Access) -> Scope {
    if caller.id == access.client {
        return access.scope.clone();
    }
    let serves = |it: &&String| {
        *it == caller.id.as_str() || caller.settings.resource_server_for.contains(it)
    };
    let served = access.audience.iter().filter(serves).cloned().collect();
    app.resources().target((app.issuer(), &app.catalogue()), served, &access.scope).scope
}

/// A refresh token that its own client asks about, if it could be used now.
pub(super) async fn refresh_token(
    app: &App,
    caller: &Client,
    text: &str,
) -> Result<Option<Value>, StoreError> {
    // The MAC covers the client: somebody else's refresh token does not verify.
    let Some(token) = RefreshToken::parse(text, &caller.id, &app.refresh_key) else {
        return Ok(None);
    };
    let Some(grant) = grants::find(&*app.store, token.grant).await? else { return Ok(None) };
    let now = app.now();
    let grace = app.config.lifetimes.refresh_grace;
    let usable = |family: &&Family| is_usable(family, token.generation, grace, now);
    let family = grant.refresh.as_ref().filter(usable);
    let Some(family) = family else { return Ok(None) };
    if grant.standing != Standing::Good || grant.client != caller.id {
        return Ok(None);
    }
    let holder = match grants::may_issue(&*app.store, &grant, None, now).await {
        Ok(holder) => holder,
        Err(ActiveCheckError::Inactive(_)) => return Ok(None),
        Err(ActiveCheckError::Store(cause)) => return Err(cause),
    };
    let person = Person::of(app, &holder, &grant.scope);
    let mut answer = json!({
        "active": true,
        "iss": app.issuer(),
        "client_id": grant.client.as_str(),
        "sub": person.sub,
        "aud": app.issuer(),
        "scope": grant.scope.to_string(),
        "exp": family.idle_end.min(family.absolute_end).as_secs(),
    });
    if token.generation == family.current {
        answer["iat"] = family.rotated_at.as_secs().into();
    }
    if let Some(username) = person.username {
        answer["username"] = username.into();
    }
    Ok(Some(answer))
}

/// Who is behind a token, as the client it was issued to knows them.
struct Person<'a> {
    sub: String,
    /// What userinfo would give as `preferred_username`, so only for a scope that gives it; and not where
    /// the client knows them by a pairwise subject: the name would be the same everywhere.
    username: Option<&'a str>,
}

impl<'a> Person<'a> {
    fn of(app: &App, holder: &'a Holder, scope: &Scope) -> Self {
        let client = &holder.client;
        let Some(user) = &holder.user else {
            return Self { sub: client.id.as_str().to_owned(), username: None };
        };
        let scope = scope.intersection(&client.scope_ceiling());
        let may_know = app.catalogue().claims_for(&scope).contains("preferred_username");
        let username = match client.metadata.subject_type {
            SubjectType::Public if may_know => Some(user.username.as_str()),
            SubjectType::Public | SubjectType::Pairwise => None,
        };
        Self { sub: app.seen_by(client, &user.sub).into(), username }
    }
}

/// Whether a token of this generation would be answered, and not taken for a copy.
fn is_usable(family: &Family, generation: u64, grace: Duration, now: UnixTime) -> bool {
    let answered = family.clone().rotate(generation, grace, now) != Rotated::Reuse;
    let known = generation <= family.current && answered;
    known && now < family.idle_end && now < family.absolute_end
}

/// As in a JWT: one audience is a string ([RFC 7519 §4.1.3]).
///
/// [RFC 7519 §4.1.3]: https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3
fn one_or_all(audience: &[String]) -> Value {
    match audience {
        [one] => one.as_str().into(),
        several => several.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::grants::Replaced;

    #[test]
    fn only_refresh_tokens_that_would_be_answered_are_active_and_only_in_time() {
        let now = UnixTime::from_secs(1_700_000_000);
        let family = Family {
            current: 5,
            tolerated: Some(3),
            earlier: vec![Replaced { generation: 1, at: now }],
            rotated_at: now,
            idle_end: now.plus(Duration::from_mins(1)),
            absolute_end: now.plus(Duration::from_secs(90)),
            idle: Duration::from_mins(1),
        };
        let usable = |grace| -> Vec<_> {
            let grace = Duration::from_secs(grace);
            (0..8).filter(|g| is_usable(&family, *g, grace, now)).collect()
        };
        assert_eq!((usable(30), usable(0)), (vec![1, 3, 5], vec![5]));
        assert!(!is_usable(&family, 5, Duration::from_secs(30), family.idle_end));
    }

    #[test]
    fn one_audience_is_a_string_and_several_are_an_array() {
        assert_eq!(one_or_all(&["a".to_owned()]), json!("a"));
        assert_eq!(one_or_all(&["a".to_owned(), "b".to_owned()]), json!(["a", "b"]));
    }
}
