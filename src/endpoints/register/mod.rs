//! Dynamic registration ([RFC 7591], [OpenID Connect Registration]) and its management ([RFC 7592]).
//!
//! | path | does | writes |
//! |---|---|---|
//! | `POST /register` | makes a client | the client, its redirect URIs' origins |
//! | `GET /register/{client_id}` | says what is registered | nothing |
//! | `PUT /register/{client_id}` | replaces all of it | the client, its redirect URIs' origins |
//! | `DELETE /register/{client_id}` | removes the client | the client, its redirect URIs' origins |
//!
//! Ids, secrets and tokens are made here, and only digests are stored (for `client_secret_jwt` the secret too, encrypted):
//! a secret is in the one response that it was made for.
//!
//! [RFC 7591]: https://www.rfc-editor.org/rfc/rfc7591
//! [RFC 7592]: https://www.rfc-editor.org/rfc/rfc7592
//! [OpenID Connect Registration]: https://openid.net/specs/openid-connect-registration-1_0.html

pub mod configuration;
mod policy;
mod request;
mod response;
mod sector;
mod software_statement;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use self::response::NewCredentials;
use crate::config::{Config, RegistrationPolicy};
use crate::domain::clients::secret_encryption::SecretCipher;
use crate::domain::clients::{
    self, Client, ClientId, ClientSettings, DeclaredClient, RegistrationSource, UNUSED_RETENTION,
};
use crate::domain::events::{Actor, ClientChange, Event};
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::request_info::RequestInfo;
use crate::infra::clock::UnixTime;
use crate::infra::random;
use crate::infra::secret::Secret;
use crate::infra::store::CreateOutcome;
use crate::protocol::{ClientMetadata, ProviderMetadata};

const PATH: &str = "/register";

/// Adds the endpoint to the provider metadata, unless registration is off.
pub fn add_metadata(metadata: &mut ProviderMetadata, config: &Config) {
    metadata.registration_endpoint = match config.registration {
        RegistrationPolicy::Open | RegistrationPolicy::Token(_) => Some(config.issuer.url(PATH)),
        RegistrationPolicy::Off => None,
    };
}

/// `POST /register`. Cheap checks first: who asks, how often, what it says, and only then whether there is room and what
/// others say of it.
pub async fn register(
    State(app): State<App>,
    caller: RequestInfo,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    policy::check_allowed(&app.config.registration, &parts.headers)?;
    policy::check_rate_limit(&app, &caller).await?;
    let members = request::read(&parts.headers, body).await?;
    let members = software_statement::apply(&app, members).await?;
    let metadata = policy::restrict_scopes(&app, request::metadata(&members, &app.config.offer)?)?;
    policy::check_client_limit(&app).await?;
    sector::check(&app, &metadata).await?;
    let (client, fresh) = new_client(metadata, &app.secret_cipher, app.now())?;
    match clients::add(&*app.store, &client).await? {
        CreateOutcome::Created => {}
        // The id is random.
        CreateOutcome::Exists => return Err(ApiError::internal()),
    }
    let change = Event::ClientChanged {
        client: client.id.as_str(),
        change: ClientChange::Registered,
        by: Actor::Client,
    };
    app.record_event(caller.address, &change);
    response::client_information(&app, &client, &fresh, StatusCode::CREATED)
}

/// A new client, and the credentials that only its response has.
fn new_client(
    metadata: ClientMetadata,
    vault: &SecretCipher,
    now: UnixTime,
) -> Result<(Client, NewCredentials), ApiError> {
    let id = ClientId::parse(&random::uuid().to_string()).ok_or_else(ApiError::internal)?;
    let (token, token_digest) = response::new_secret();
    let secret = Secret::random().reveal();
    let has_secret = metadata.has_secret();
    let kept = vault.stored_secret((&id, metadata.token_endpoint_auth_method), &secret, now);
    let client = Client {
        id,
        settings: ClientSettings::default(),
        metadata,
        secrets: if has_secret { vec![kept] } else { Vec::new() },
        registration_token: Some(token_digest),
        enabled: true,
        source: RegistrationSource::Registered,
        created_at: now,
        unused_until: Some(now.plus(UNUSED_RETENTION)),
        development: false,
        declared: Some(DeclaredClient::default()),
    };
    Ok((client, NewCredentials { token, secret: has_secret.then_some(secret) }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::infra::secret_key::SecretKey;

    pub fn vault() -> SecretCipher {
        SecretCipher::new(&SecretKey::from_text(&"k".repeat(32)).unwrap())
    }

    fn registered(method: &str) -> (Client, NewCredentials) {
        let members = json!({"redirect_uris": ["https://shop.example/cb"],
            "token_endpoint_auth_method": method});
        let metadata = ClientMetadata::parse(members.as_object().unwrap()).unwrap();
        new_client(metadata, &vault(), UnixTime::from_secs(1_700_000_000)).unwrap()
    }

    #[test]
    fn a_confidential_client_gets_a_secret_that_opens_it_and_a_public_one_gets_none() {
        let (client, fresh) = registered("client_secret_basic");
        assert!(client.accepts_secret(&fresh.secret.unwrap(), client.created_at));
        let (client, fresh) = registered("none");
        assert!(fresh.secret.is_none() && client.secrets.is_empty());
    }

    #[test]
    fn no_two_clients_share_an_id_a_secret_or_a_token() {
        let (one, other) = (registered("client_secret_post"), registered("client_secret_post"));
        assert_ne!(one.0.id, other.0.id);
        assert_ne!(one.1.secret, other.1.secret);
        assert_ne!(one.1.token, other.1.token);
    }
}
