//! A client's own registration ([RFC 7592 §2]): read, replaced, removed, by whoever holds its token.
//!
//! A wrong token and a client that does not exist are the same 401, so nobody learns which clients
//! there are. A client the operator disabled stays as it is until the operator says otherwise.
//!
//! [RFC 7592 §2]: https://www.rfc-editor.org/rfc/rfc7592#section-2

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::answer::{self, Fresh};
use super::{body, gate, sector, statement};
use crate::domain::clients::vault::Vault;
use crate::domain::clients::{self, Client, ClientId, ClientSecret};
use crate::domain::events::{Actor, ClientChange, Event};
use crate::http::app::App;
use crate::http::caller::Caller;
use crate::http::error::{ApiError, no_store};
use crate::http::presented_token::{self, PresentedToken};
use crate::infra::clock::UnixTime;
use crate::infra::secret::{Digest, Secret};
use crate::protocol::{AuthMethod, ClientMetadata, ErrorCode, OAuthError};

/// The last piece of the path; one that cannot be read is nobody's id.
type Named = Result<Path<String>, PathRejection>;

/// What is registered; never the secret, of which there is only a digest.
pub async fn read(
    State(app): State<App>,
    named: Named,
    PresentedToken { token, .. }: PresentedToken,
) -> Result<Response, ApiError> {
    let client = owned(&app, named, &token).await?;
    answer::information(&app, &client, &Fresh { token, secret: None }, StatusCode::OK)
}

/// Replaces everything: members that are left out go back to their defaults (§2.2). The token is
/// rotated, so the one in the answer is the one to keep.
pub async fn replace(
    State(app): State<App>,
    named: Named,
    PresentedToken { token, .. }: PresentedToken,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, content) = request.into_parts();
    let client = owned(&app, named, &token).await?;
    let members = body::read(&parts.headers, content).await?;
    body::check_update(&members, &client, app.now())?;
    statement::check_kept(&members, &client)?;
    let members = statement::applied(&app, members).await?;
    let metadata = gate::limited(&app, body::metadata(&members, &app.config.offer)?)?;
    let metadata = gate::no_wider(&app, metadata, &client)?;
    if gives_up_proof(&client, &metadata) {
        let text = "token_endpoint_auth_method: a client that proves itself cannot become public";
        return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, text).into());
    }
    sector::check(&app, &metadata).await?;
    let (next_token, next) = answer::roll();
    let secret = Secret::random().reveal();
    let method = metadata.token_endpoint_auth_method;
    let kept = app.vault.keep((&client.id, method), &secret, app.now());
    let shown = Digest::of(token.as_bytes());
    let vault = &app.vault;
    let change = Replacement { shown, next, metadata: metadata.clone(), kept, vault };
    let now = app.now();
    let step = |held: &mut Client| change.apply(held, now).map(|made| (held.clone(), made));
    // Whoever was faster has the new token now; the one that came with this request is worth nothing.
    let replaced = clients::update_metadata(&*app.store, &client.id, &metadata, step).await?;
    let (client, made) = replaced.flatten().ok_or_else(presented_token::invalid)?;
    let told = Event::ClientChanged {
        client: client.id.as_str(),
        change: ClientChange::Updated,
        by: Actor::Client,
    };
    app.tell(caller.address, &told);
    let fresh = Fresh { token: next_token, secret: made.then_some(secret) };
    answer::information(&app, &client, &fresh, StatusCode::OK)
}

/// Removes the client, and with it everything it was given (§2.3).
pub async fn remove(
    State(app): State<App>,
    named: Named,
    PresentedToken { token, .. }: PresentedToken,
    caller: Caller,
) -> Result<Response, ApiError> {
    let client = owned(&app, named, &token).await?;
    let shown = Digest::of(token.as_bytes());
    // Of an update and a removal with the same token, one wins: the other finds another token, or nobody.
    let fits = |held: &Client| is_held_by(held, shown);
    if !clients::remove_if(&*app.store, &client, fits).await? {
        return Err(presented_token::invalid());
    }
    let told = Event::ClientChanged {
        client: client.id.as_str(),
        change: ClientChange::Removed,
        by: Actor::Client,
    };
    app.tell(caller.address, &told);
    Ok(no_store(StatusCode::NO_CONTENT))
}

/// The client of this registration access token, if it is the one that the path names.
async fn owned(app: &App, named: Named, token: &str) -> Result<Client, ApiError> {
    let id = named
        .ok()
        .and_then(|Path(id)| ClientId::parse(&id))
        .ok_or_else(presented_token::invalid)?;
    let client = clients::find(&*app.store, &id).await?;
    let shown = Digest::of(token.as_bytes());
    let client = client.filter(|client| client.registration_token == Some(shown));
    let client = client.ok_or_else(presented_token::invalid)?;
    if !client.enabled {
        let error = OAuthError::new(ErrorCode::AccessDenied, "the client is disabled");
        return Err(ApiError::new(error).with_status(StatusCode::FORBIDDEN));
    }
    Ok(client)
}

/// Whether the token opens this client now.
fn is_held_by(client: &Client, shown: Digest) -> bool {
    client.enabled && client.registration_token == Some(shown)
}

/// Whether the update would leave what the client was given to whoever knows its id. A refresh token of
/// a confidential client is bound to its credentials ([RFC 6749 §10.4]); that stays so.
///
/// [RFC 6749 §10.4]: https://www.rfc-editor.org/rfc/rfc6749#section-10.4
fn gives_up_proof(client: &Client, next: &ClientMetadata) -> bool {
    next.is_public() && !client.metadata.is_public()
}

/// One update, with everything rolled before.
struct Replacement<'a> {
    shown: Digest,
    next: Digest,
    metadata: ClientMetadata,
    kept: ClientSecret,
    vault: &'a Vault,
}

impl Replacement<'_> {
    /// Applies it if the client is still the token's, and answers whether the new secret was needed.
    fn apply(&self, client: &mut Client, now: UnixTime) -> Option<bool> {
        if !is_held_by(client, self.shown) || gives_up_proof(client, &self.metadata) {
            return None;
        }
        client.registration_token = Some(self.next);
        client.metadata = self.metadata.clone();
        if !client.metadata.has_secret() {
            client.secrets.clear();
            return Some(false);
        }
        let readable = client.metadata.token_endpoint_auth_method == AuthMethod::ClientSecretJwt;
        if !readable {
            client.secrets.iter_mut().for_each(|it| it.sealed = None);
        }
        let does =
            |it: &ClientSecret| it.is_live(now) && (!readable || self.vault.opens(&client.id, it));
        let needed = !client.secrets.iter().any(does);
        if needed {
            client.secrets = vec![self.kept.clone()];
        }
        Some(needed)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::endpoints::register::{made, tests::vault};
    use crate::protocol::client_metadata::ServerCapabilities;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn registration(method: &str) -> ClientMetadata {
        let members = json!({"redirect_uris": ["https://shop.example/cb"],
            "token_endpoint_auth_method": method});
        ClientMetadata::parse_within(members.as_object().unwrap(), &ServerCapabilities::all())
            .unwrap()
    }

    fn replacement<'a>(
        vault: &'a Vault,
        client: &Client,
        token: &str,
        method: &str,
    ) -> Replacement<'a> {
        let [shown, next] = [token, "next"].map(|it| Digest::of(it.as_bytes()));
        let metadata = registration(method);
        let kept = vault.keep((&client.id, metadata.token_endpoint_auth_method), "secret", NOW);
        Replacement { shown, next, metadata, kept, vault }
    }

    #[test]
    fn a_secret_is_made_where_one_is_needed_kept_where_there_is_one_and_dropped_where_it_is_not() {
        let vault = vault();
        for (before, after, needed) in [
            ("none", "client_secret_post", true),
            ("client_secret_basic", "client_secret_post", false),
            ("none", "none", false),
            ("client_secret_basic", "client_secret_jwt", true),
            ("client_secret_jwt", "client_secret_jwt", false),
            ("client_secret_jwt", "client_secret_basic", false),
        ] {
            let (mut client, fresh) = made(registration(before), &vault, NOW).unwrap();
            let made = replacement(&vault, &client, &fresh.token, after).apply(&mut client, NOW);
            assert_eq!(made, Some(needed), "{before} to {after}");
            assert_eq!(client.secrets.is_empty(), after == "none", "{before} to {after}");
            assert_eq!(client.opens_with("secret", NOW), needed, "{before} to {after}");
            let sealed = client.secrets.iter().any(|it| it.sealed.is_some());
            assert_eq!(sealed, after == "client_secret_jwt", "{before} to {after}");
        }
    }

    #[test]
    fn a_client_that_proves_itself_stays_one_that_does() {
        let vault = vault();
        let (mut client, fresh) = made(registration("client_secret_basic"), &vault, NOW).unwrap();
        let before = client.clone();
        assert_eq!(
            replacement(&vault, &client, &fresh.token, "none").apply(&mut client, NOW),
            None
        );
        assert_eq!(client, before);
    }

    #[test]
    fn a_token_changes_a_client_once_and_a_disabled_client_never() {
        let vault = vault();
        let (mut client, fresh) = made(registration("none"), &vault, NOW).unwrap();
        let change = replacement(&vault, &client, &fresh.token, "none");
        assert!(change.apply(&mut client, NOW).is_some());
        assert_eq!(change.apply(&mut client, NOW), None, "the token was rotated");
        let (mut client, fresh) = made(registration("none"), &vault, NOW).unwrap();
        client.enabled = false;
        let before = client.clone();
        assert_eq!(
            replacement(&vault, &client, &fresh.token, "client_secret_post")
                .apply(&mut client, NOW),
            None
        );
        assert_eq!(client, before);
    }
}
