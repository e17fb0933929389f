//! The client configuration endpoint ([RFC 7592 §2]): reads, replaces and removes a registration, with its registration
//! access token.
//!
//! A wrong token and an unknown client get the same 401, so that nobody can find out which clients exist. A client that
//! the operator disabled cannot be changed.
//!
//! [RFC 7592 §2]: https://www.rfc-editor.org/rfc/rfc7592#section-2

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::response::{self, NewCredentials};
use super::{policy, request, sector, software_statement};
use crate::domain::clients::secret_encryption::SecretCipher;
use crate::domain::clients::{self, Client, ClientId, ClientSecret};
use crate::domain::events::{Actor, ClientChange, Event};
use crate::http::app::App;
use crate::http::error::{ApiError, no_store};
use crate::http::presented_token::{self, PresentedToken};
use crate::http::request_info::RequestInfo;
use crate::infra::clock::UnixTime;
use crate::infra::secret::{Digest, Secret};
use crate::protocol::{AuthMethod, ClientMetadata, ErrorCode, OAuthError};

/// The client id in the path; one that cannot be read is that of no client.
type ClientIdPath = Result<Path<String>, PathRejection>;

/// What is registered; never the secret, of which there is only a digest.
pub async fn read(
    State(app): State<App>,
    named: ClientIdPath,
    PresentedToken { token, .. }: PresentedToken,
) -> Result<Response, ApiError> {
    let client = client_of_token(&app, named, &token).await?;
    response::client_information(
        &app,
        &client,
        &NewCredentials { token, secret: None },
        StatusCode::OK,
    )
}

/// Replaces everything: members that are left out go back to their defaults (§2.2). The token is
/// rotated, so the one in the answer is the one to keep.
pub async fn replace(
    State(app): State<App>,
    named: ClientIdPath,
    PresentedToken { token, .. }: PresentedToken,
    caller: RequestInfo,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, content) = request.into_parts();
    let client = client_of_token(&app, named, &token).await?;
    let members = request::read(&parts.headers, content).await?;
    request::check_update(&members, &client, app.now())?;
    software_statement::check_not_dropped(&members, &client)?;
    let members = software_statement::apply(&app, members).await?;
    let metadata = policy::restrict_scopes(&app, request::metadata(&members, &app.config.offer)?)?;
    let metadata = policy::check_not_broader(&app, metadata, &client)?;
    if drops_authentication(&client, &metadata) {
        let text = "token_endpoint_auth_method: a client that proves itself cannot become public";
        return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, text).into());
    }
    sector::check(&app, &metadata).await?;
    let (next_token, next) = response::new_secret();
    let secret = Secret::random().reveal();
    let method = metadata.token_endpoint_auth_method;
    let kept = app.secret_cipher.stored_secret((&client.id, method), &secret, app.now());
    let shown = Digest::of(token.as_bytes());
    let vault = &app.secret_cipher;
    let change = Replacement { shown, next, metadata: metadata.clone(), kept, vault };
    let now = app.now();
    let step = |held: &mut Client| change.apply(held, now).map(|made| (held.clone(), made));
    // Of concurrent updates one wins; the token of the others is not accepted any more.
    let replaced = clients::update_metadata(&*app.store, &client.id, &metadata, step).await?;
    let (client, made) = replaced.flatten().ok_or_else(presented_token::invalid)?;
    let told = Event::ClientChanged {
        client: client.id.as_str(),
        change: ClientChange::Updated,
        by: Actor::Client,
    };
    app.record_event(caller.address, &told);
    let fresh = NewCredentials { token: next_token, secret: made.then_some(secret) };
    response::client_information(&app, &client, &fresh, StatusCode::OK)
}

/// Removes the client, and with it everything it was given (§2.3).
pub async fn remove(
    State(app): State<App>,
    named: ClientIdPath,
    PresentedToken { token, .. }: PresentedToken,
    caller: RequestInfo,
) -> Result<Response, ApiError> {
    let client = client_of_token(&app, named, &token).await?;
    let shown = Digest::of(token.as_bytes());
    // Of an update and a removal with the same token, one wins: the other finds another token, or no client.
    let fits = |held: &Client| accepts_token(held, shown);
    if !clients::remove_if(&*app.store, &client, fits).await? {
        return Err(presented_token::invalid());
    }
    let told = Event::ClientChanged {
        client: client.id.as_str(),
        change: ClientChange::Removed,
        by: Actor::Client,
    };
    app.record_event(caller.address, &told);
    Ok(no_store(StatusCode::NO_CONTENT))
}

/// The client of this registration access token, if it is the one that the path names.
async fn client_of_token(app: &App, named: ClientIdPath, token: &str) -> Result<Client, ApiError> {
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
fn accepts_token(client: &Client, shown: Digest) -> bool {
    client.enabled && client.registration_token == Some(shown)
}

/// Whether the update would make a confidential client public. A refresh token of a confidential client is bound to its
/// credentials ([RFC 6749 §10.4]); that stays so.
///
/// [RFC 6749 §10.4]: https://www.rfc-editor.org/rfc/rfc6749#section-10.4
fn drops_authentication(client: &Client, next: &ClientMetadata) -> bool {
    next.is_public() && !client.metadata.is_public()
}

/// One update. What is random in it was made before.
struct Replacement<'a> {
    shown: Digest,
    next: Digest,
    metadata: ClientMetadata,
    kept: ClientSecret,
    vault: &'a SecretCipher,
}

impl Replacement<'_> {
    /// Applies it if the client is still the token's, and answers whether the new secret was needed.
    fn apply(&self, client: &mut Client, now: UnixTime) -> Option<bool> {
        if !accepts_token(client, self.shown) || drops_authentication(client, &self.metadata) {
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
        let does = |it: &ClientSecret| {
            it.is_live(now) && (!readable || self.vault.can_decrypt(&client.id, it))
        };
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
    use crate::endpoints::register::{new_client, tests::vault};
    use crate::protocol::client_metadata::ServerCapabilities;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn registration(method: &str) -> ClientMetadata {
        let members = json!({"redirect_uris": ["https://shop.example/cb"],
            "token_endpoint_auth_method": method});
        ClientMetadata::parse_within(members.as_object().unwrap(), &ServerCapabilities::all())
            .unwrap()
    }

    fn replacement<'a>(
        vault: &'a SecretCipher,
        client: &Client,
        token: &str,
        method: &str,
    ) -> Replacement<'a> {
        let [shown, next] = [token, "next"].map(|it| Digest::of(it.as_bytes()));
        let metadata = registration(method);
        let kept =
            vault.stored_secret((&client.id, metadata.token_endpoint_auth_method), "secret", NOW);
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
            let (mut client, fresh) = new_client(registration(before), &vault, NOW).unwrap();
            let made = replacement(&vault, &client, &fresh.token, after).apply(&mut client, NOW);
            assert_eq!(made, Some(needed), "{before} to {after}");
            assert_eq!(client.secrets.is_empty(), after == "none", "{before} to {after}");
            assert_eq!(client.accepts_secret("secret", NOW), needed, "{before} to {after}");
            let sealed = client.secrets.iter().any(|it| it.sealed.is_some());
            assert_eq!(sealed, after == "client_secret_jwt", "{before} to {after}");
        }
    }

    #[test]
    fn a_client_that_proves_itself_stays_one_that_does() {
        let vault = vault();
        let (mut client, fresh) =
            new_client(registration("client_secret_basic"), &vault, NOW).unwrap();
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
        let (mut client, fresh) = new_client(registration("none"), &vault, NOW).unwrap();
        let change = replacement(&vault, &client, &fresh.token, "none");
        assert!(change.apply(&mut client, NOW).is_some());
        assert_eq!(change.apply(&mut client, NOW), None, "the token was rotated");
        let (mut client, fresh) = new_client(registration("none"), &vault, NOW).unwrap();
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
