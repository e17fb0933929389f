use super::response::IssuedTokens;
use super::{TokenRequestError, target};
use crate::config::RegistrationPolicy;
use crate::domain::clients::{self, RegistrationSource};
use crate::domain::epoch::{self, Epoch, EpochOwner};
use crate::domain::grants::{self, Grant, GrantId, GrantStatus};
use crate::domain::token_claims::TokenSource;
use crate::http::app::App;
use crate::http::authenticated_client::AuthenticatedClient;
use crate::http::token_issuer;
use crate::http::token_response::TokenResponse;
use crate::infra::random;
use crate::infra::store::Consistency;
use crate::protocol::claims::ClaimsRequest;
use crate::protocol::{ErrorCode, OAuthError, Scope};

/// Scopes about an end-user; a client acting for itself has none.
const USER_SCOPES: [&str; Scope::STANDARD.len()] = Scope::STANDARD;

/// `grant_type=client_credentials` ([RFC 6749 §4.4]): the client acts for itself, and gets no refresh
/// token (§4.4.3). Only an opaque token needs a grant to be stored; a JWT needs none.
///
/// [RFC 6749 §4.4]: https://www.rfc-editor.org/rfc/rfc6749#section-4.4
pub(super) async fn issue(
    app: &App,
    who: &AuthenticatedClient,
) -> Result<IssuedTokens, TokenRequestError> {
    let client = &who.client;
    // With open registration no operator has approved the scope that a client registered.
    let unvetted = client.source == RegistrationSource::Registered
        && matches!(app.config.registration, RegistrationPolicy::Open);
    let ceiling = if unvetted { Scope::default() } else { client.max_scope() };
    let ceiling = USER_SCOPES.iter().fold(ceiling, |left, it| left.without(it));
    let scope = match who.params.get("scope") {
        None => match &client.settings.default_scope {
            Some(default) => default.intersection(&ceiling),
            None => ceiling,
        },
        Some(asked) => {
            let asked: Option<Scope> = asked.parse().ok();
            asked.filter(|asked| asked.is_subset(&ceiling)).ok_or(OAuthError::new(
                ErrorCode::InvalidScope,
                "scope names something this client may not have for itself",
            ))?
        }
    };
    let target = target::for_client_itself(app, client, &who.params, &scope)?;
    if client.unused_until.is_some() {
        clients::update(&*app.store, &client.id, |client| client.unused_until = None).await?;
    }
    // The epoch is read before the client is checked again: a client that was disabled in between has another epoch.
    let owner = EpochOwner::Client(client.id.clone());
    let epoch = epoch::current(&*app.store, &owner, Consistency::Cached).await?;
    grants::check_client_active(&*app.store, &client.id, epoch).await?;
    let grant = client.settings.opaque_access_tokens.then(|| new_grant(app, who, &scope, epoch));
    let alone = TokenSource::Client { epoch, proven_key: who.proven_key.as_ref() };
    let source = grant.as_ref().map_or(alone, TokenSource::Grant);
    let issued = token_issuer::issue_access_token(app, client, source, &target).await?;
    if let (Some(mut grant), Some(opaque)) = (grant, &issued.opaque) {
        grant.add_opaque_token(opaque.clone(), app.now())?;
        grants::insert(&*app.store, &grant, grant.ends_at, app.now()).await?;
    }
    let response = TokenResponse { access_token: Some(issued), ..TokenResponse::default() };
    Ok(IssuedTokens { response, sub: None })
}

fn new_grant(app: &App, who: &AuthenticatedClient, scope: &Scope, epoch: Epoch) -> Grant {
    Grant {
        id: GrantId(random::uuid()),
        client: who.client.id.clone(),
        client_created_at: Some(who.client.created_at),
        client_epoch: Some(epoch),
        authentication: None,
        scope: scope.clone(),
        claims: ClaimsRequest::default(),
        nonce: None,
        code: None,
        refresh_tokens: None,
        status: GrantStatus::Active,
        resources: Vec::new(),
        revoked_access: Vec::new(),
        opaque_tokens: Vec::new(),
        cnf: who.proven_key.clone(),
        ends_at: app.now(),
    }
}
