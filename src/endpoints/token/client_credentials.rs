use super::issue::Answer;
use super::{Failure, target};
use crate::config::RegistrationPolicy;
use crate::domain::clients::{self, Source};
use crate::domain::epoch::{self, Epoch, Owner};
use crate::domain::grants::{self, Grant, GrantId, Standing};
use crate::domain::token_claims::Behind;
use crate::http::app::App;
use crate::http::client::Authenticated;
use crate::http::token_issuer;
use crate::http::token_response::TokenResponse;
use crate::infra::random;
use crate::infra::store::Consistency;
use crate::protocol::claims::ClaimsRequest;
use crate::protocol::{ErrorCode, OAuthError, Scope};

/// Scopes that are about a person; a client acting for itself has none.
const PERSONAL: [&str; Scope::STANDARD.len()] = Scope::STANDARD;

/// `grant_type=client_credentials` ([RFC 6749 §4.4]): the client acts for itself, and gets no refresh
/// token (§4.4.3). Only opaque tokens leave a grant behind; a JWT needs none.
///
/// [RFC 6749 §4.4]: https://www.rfc-editor.org/rfc/rfc6749#section-4.4
pub(super) async fn grant(app: &App, who: &Authenticated) -> Result<Answer, Failure> {
    let client = &who.client;
    // Where anybody may register, nobody has looked at what a client gave itself.
    let unvetted = client.source == Source::Registered
        && matches!(app.config.registration, RegistrationPolicy::Open);
    let ceiling = if unvetted { Scope::default() } else { client.scope_ceiling() };
    let ceiling = PERSONAL.iter().fold(ceiling, |left, it| left.without(it));
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
    let target = target::alone(app, client, &who.params, &scope)?;
    if client.unused_until.is_some() {
        clients::update(&*app.store, &client.id, |client| client.unused_until = None).await?;
    }
    // The epoch first, and then once more whether the client may do anything: one that was disabled in
    // between is in another epoch by then.
    let owner = Owner::Client(client.id.clone());
    let epoch = epoch::current(&*app.store, &owner, Consistency::Cached).await?;
    grants::may_act_alone(&*app.store, &client.id, epoch).await?;
    let grant = client.settings.opaque_access_tokens.then(|| alone(app, who, &scope, epoch));
    let behind = grant.as_ref().map_or(Behind::Client(epoch), Behind::Grant);
    let issued = token_issuer::access_token(app, client, behind, &target).await?;
    if let (Some(mut grant), Some(opaque)) = (grant, &issued.opaque) {
        grant.remember(opaque.clone(), app.now())?;
        grants::file(&*app.store, &grant, grant.ends_at, app.now()).await?;
    }
    let response = TokenResponse { access_token: Some(issued), ..TokenResponse::default() };
    Ok(Answer { response, sub: None })
}

fn alone(app: &App, who: &Authenticated, scope: &Scope, epoch: Epoch) -> Grant {
    Grant {
        id: GrantId(random::uuid()),
        client: who.client.id.clone(),
        client_since: Some(who.client.created_at),
        client_epoch: Some(epoch),
        person: None,
        scope: scope.clone(),
        claims: ClaimsRequest::default(),
        nonce: None,
        code: None,
        refresh: None,
        standing: Standing::Good,
        resources: Vec::new(),
        revoked_access: Vec::new(),
        opaque: Vec::new(),
        cnf: None,
        ends_at: app.now(),
    }
}
