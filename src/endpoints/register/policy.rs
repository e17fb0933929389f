//! Who may register, how often, with which scopes, and how many there may be ([RFC 7591 §5]).
//!
//! [RFC 7591 §5]: https://www.rfc-editor.org/rfc/rfc7591#section-5

use axum::http::{HeaderMap, StatusCode};

use crate::config::{RegistrationPolicy, SecretString};
use crate::domain::clients::{self, Client};
use crate::domain::rate_limit::{self, LimitPolicy, RateLimitError};
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::presented_token::{self, PresentedToken};
use crate::http::request_info::RequestInfo;
use crate::infra::client_ip::rate_limit_key;
use crate::infra::secret::Digest;
use crate::infra::store::StoreError;
use crate::protocol::{ClientMetadata, ErrorCode, GrantType, OAuthError, Scope};

/// Refuses a request that the registration policy does not allow.
pub(super) fn check_allowed(
    registration: &RegistrationPolicy,
    headers: &HeaderMap,
) -> Result<(), ApiError> {
    match registration {
        RegistrationPolicy::Open => Ok(()),
        RegistrationPolicy::Token(tokens) => {
            let shown =
                PresentedToken::from_header(headers)?.ok_or_else(presented_token::missing)?;
            if is_one_of(tokens, &shown.token) { Ok(()) } else { Err(presented_token::invalid()) }
        }
        RegistrationPolicy::Off => {
            let error = OAuthError::new(ErrorCode::AccessDenied, "clients are registered by hand");
            Err(ApiError::new(error).with_status(StatusCode::FORBIDDEN))
        }
    }
}

/// Every token is compared, whichever matches.
fn is_one_of(tokens: &[SecretString], shown: &str) -> bool {
    let shown = Digest::of(shown.as_bytes());
    let each = tokens.iter().map(|token| Digest::of(token.reveal().as_bytes()) == shown);
    each.fold(false, |found, it| found | it)
}

/// Counts the registrations of an address. It is open while the store is unavailable: nothing can be registered then.
pub(super) async fn check_rate_limit(app: &App, caller: &RequestInfo) -> Result<(), ApiError> {
    let Some(per_minute) = app.failures_per_minute() else { return Ok(()) };
    let name = format!("register {}", rate_limit_key(caller.address));
    let schedule = LimitPolicy::Address { per_minute };
    let counted = rate_limit::record_attempt(&*app.store, &name, schedule, app.now()).await;
    let limited = rate_limit::refuse_limited(counted);
    limited.map_err(|limited| ApiError::too_many(limited.retry_after.as_secs()))
}

/// With open registration, drops the scopes that are not declared. None left is an error and not an absent scope, which
/// would mean the standard ones.
pub(super) fn restrict_scopes(
    app: &App,
    mut metadata: ClientMetadata,
) -> Result<ClientMetadata, ApiError> {
    match app.config.registration {
        RegistrationPolicy::Token(_) => return Ok(metadata),
        RegistrationPolicy::Open | RegistrationPolicy::Off => {}
    }
    if let Some(asked) = metadata.scope.take() {
        let known = retain_known(&asked, |token| {
            app.catalogue().get(token).is_some()
                || app.resources().knows_scope_for_registered(token)
        });
        if known.is_empty() {
            return Err(no_known_scope());
        }
        metadata.scope = Some(known);
    }
    Ok(metadata)
}

/// Refuses an update that widens the registration, for no operator approves it, or moves the client to another sector: with
/// the refresh tokens it has it would learn the subjects of that sector.
pub(super) fn check_not_broader(
    app: &App,
    mut metadata: ClientMetadata,
    held: &Client,
) -> Result<ClientMetadata, ApiError> {
    if !metadata.has_same_subjects_as(&held.metadata) {
        let text = "subject_type: people would become others; neither it nor the sector of pairwise subjects can change";
        return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, text).into());
    }
    let alone = GrantType::ClientCredentials;
    let adds_alone =
        metadata.grant_types.contains(&alone) && !held.metadata.grant_types.contains(&alone);
    if adds_alone {
        let text = "grant_types: client_credentials cannot be added to a registration";
        return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, text).into());
    }
    metadata.scope = match metadata.scope {
        None => held.metadata.scope.clone(),
        Some(asked) => {
            let shared = asked.intersection(&app.max_scope(held));
            if shared.is_empty() {
                return Err(no_known_scope());
            }
            Some(shared)
        }
    };
    Ok(metadata)
}

fn no_known_scope() -> ApiError {
    let text = "scope: none of these scopes can be registered";
    OAuthError::new(ErrorCode::InvalidClientMetadata, text).into()
}

fn retain_known(asked: &Scope, known: impl Fn(&str) -> bool) -> Scope {
    let strangers = asked.iter().filter(|token| !known(token));
    strangers.fold(asked.clone(), Scope::without)
}

/// Refuses a registration while there are as many clients as `REGISTRATION_LIMIT`.
pub(super) async fn check_client_limit(app: &App) -> Result<(), ApiError> {
    let limit = usize::try_from(app.config.registration_limit).unwrap_or(usize::MAX);
    if clients::count(&*app.store, limit).await? < limit {
        return Ok(());
    }
    if prune_below(app, limit).await? {
        return Ok(());
    }
    tracing::warn!(limit, "a registration was refused: there are as many clients as there may be");
    let text = "there are as many clients as there may be";
    Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, text).into())
}

/// Removes clients from the index that were deleted unused. That reads all of it, so it happens once a minute at most.
async fn prune_below(app: &App, limit: usize) -> Result<bool, StoreError> {
    let once = LimitPolicy::Address { per_minute: 1 };
    match rate_limit::record_attempt(&*app.store, "prune clients", once, app.now()).await {
        Ok(_) => Ok(clients::list(&*app.store).await?.len() < limit),
        Err(RateLimitError::Limited(_)) => Ok(false),
        Err(RateLimitError::Store(cause)) => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use axum::http::header::AUTHORIZATION;
    use axum::response::IntoResponse;

    use super::*;

    const TOKEN: &str = "an-initial-access-token-of-40-characters";

    fn answered(registration: &RegistrationPolicy, value: Option<&'static str>) -> u16 {
        let headers = value.map(|value| (AUTHORIZATION, HeaderValue::from_static(value)));
        match check_allowed(registration, &headers.into_iter().collect()) {
            Ok(()) => 200,
            Err(refused) => refused.into_response().status().as_u16(),
        }
    }

    #[test]
    fn the_gate_opens_to_whom_the_operator_said() {
        let tokens = RegistrationPolicy::Token(vec![
            SecretString::new("x".repeat(32)),
            SecretString::new(TOKEN),
        ]);
        let good = Some("Bearer an-initial-access-token-of-40-characters");
        for (registration, shown, status) in [
            (&RegistrationPolicy::Open, None, 200),
            (&RegistrationPolicy::Open, Some("Basic eDp5"), 200),
            (&RegistrationPolicy::Off, good, 403),
            (&tokens, good, 200),
            (&tokens, Some("Bearer an-initial-access-token-of-40-character"), 401),
            (&tokens, None, 401),
            (&RegistrationPolicy::Token(Vec::new()), good, 401),
        ] {
            assert_eq!(answered(registration, shown), status, "{registration:?} {shown:?}");
        }
    }

    #[test]
    fn scopes_nobody_here_knows_are_dropped() {
        let asked: Scope = "openid admin email".parse().unwrap();
        let left = retain_known(&asked, |token| Scope::STANDARD.contains(&token));
        assert_eq!(left.to_string(), "email openid");
    }
}
