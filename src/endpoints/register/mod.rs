//! Dynamic registration ([RFC 7591], [OpenID Connect Registration]) and its management ([RFC 7592]).
//!
//! | path | does | writes |
//! |---|---|---|
//! | `POST /register` | makes a client | the client, its redirect URIs' origins |
//! | `GET /register/{client_id}` | says what is registered | nothing |
//! | `PUT /register/{client_id}` | replaces all of it | the client, its redirect URIs' origins |
//! | `DELETE /register/{client_id}` | removes the client | the client, its redirect URIs' origins |
//!
//! `gate.rs` decides who may register, `body.rs` reads what they send, `answer.rs` writes the one
//! answer, `manage.rs` has the client's own page, `sector.rs` asks whose client it is,
//! `statement.rs` whom others say it is. Ids, secrets and tokens are made here and only
//! digests are kept (for `client_secret_jwt` the secret too, encrypted), so a secret is shown once: with the
//! answer that made it.
//!
//! [RFC 7591]: https://www.rfc-editor.org/rfc/rfc7591
//! [RFC 7592]: https://www.rfc-editor.org/rfc/rfc7592
//! [OpenID Connect Registration]: https://openid.net/specs/openid-connect-registration-1_0.html

mod answer;
mod body;
mod gate;
pub mod manage;
mod sector;
mod statement;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use self::answer::Fresh;
use crate::config::{Config, RegistrationPolicy};
use crate::domain::clients::vault::Vault;
use crate::domain::clients::{
    self, Client, ClientId, DeclaredClient, Settings, Source, UNUSED_RETENTION,
};
use crate::domain::events::{Actor, ClientChange, Event};
use crate::http::app::App;
use crate::http::caller::Caller;
use crate::http::error::ApiError;
use crate::infra::clock::UnixTime;
use crate::infra::random;
use crate::infra::secret::Secret;
use crate::infra::store::CreateOutcome;
use crate::protocol::{ClientMetadata, ProviderMetadata};

const PATH: &str = "/register";

/// What discovery says about it, unless nobody may register.
pub fn advertise(metadata: &mut ProviderMetadata, config: &Config) {
    metadata.registration_endpoint = match config.registration {
        RegistrationPolicy::Open | RegistrationPolicy::Token(_) => Some(config.issuer.url(PATH)),
        RegistrationPolicy::Off => None,
    };
}

/// `POST /register`. Cheap checks first: who asks, how often, what it says, and only then whether there is room and what
/// others say of it.
pub async fn register(
    State(app): State<App>,
    caller: Caller,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    gate::admit(&app.config.registration, &parts.headers)?;
    gate::take_turn(&app, &caller).await?;
    let members = body::read(&parts.headers, body).await?;
    let members = statement::applied(&app, members).await?;
    let metadata = gate::limited(&app, body::metadata(&members, &app.config.offer)?)?;
    gate::find_room(&app).await?;
    sector::check(&app, &metadata).await?;
    let (client, fresh) = made(metadata, &app.vault, app.now())?;
    match clients::add(&*app.store, &client).await? {
        CreateOutcome::Created => {}
        // Nobody else can have rolled this id.
        CreateOutcome::Exists => return Err(ApiError::internal()),
    }
    let change = Event::ClientChanged {
        client: client.id.as_str(),
        change: ClientChange::Registered,
        by: Actor::Client,
    };
    app.tell(caller.address, &change);
    answer::information(&app, &client, &fresh, StatusCode::CREATED)
}

/// A new client, and what it is told once.
fn made(
    metadata: ClientMetadata,
    vault: &Vault,
    now: UnixTime,
) -> Result<(Client, Fresh), ApiError> {
    let id = ClientId::parse(&random::uuid().to_string()).ok_or_else(ApiError::internal)?;
    let (token, token_digest) = answer::roll();
    let secret = Secret::random().reveal();
    let has_secret = metadata.has_secret();
    let kept = vault.keep((&id, metadata.token_endpoint_auth_method), &secret, now);
    let client = Client {
        id,
        settings: Settings::default(),
        metadata,
        secrets: if has_secret { vec![kept] } else { Vec::new() },
        registration_token: Some(token_digest),
        enabled: true,
        source: Source::Registered,
        created_at: now,
        unused_until: Some(now.plus(UNUSED_RETENTION)),
        development: false,
        declared: Some(DeclaredClient::default()),
    };
    Ok((client, Fresh { token, secret: has_secret.then_some(secret) }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::infra::secret_key::SecretKey;

    pub fn vault() -> Vault {
        Vault::new(&SecretKey::from_text(&"k".repeat(32)).unwrap())
    }

    fn registered(method: &str) -> (Client, Fresh) {
        let members = json!({"redirect_uris": ["https://shop.example/cb"],
            "token_endpoint_auth_method": method});
        let metadata = ClientMetadata::parse(members.as_object().unwrap()).unwrap();
        made(metadata, &vault(), UnixTime::from_secs(1_700_000_000)).unwrap()
    }

    #[test]
    fn a_confidential_client_gets_a_secret_that_opens_it_and_a_public_one_gets_none() {
        let (client, fresh) = registered("client_secret_basic");
        assert!(client.opens_with(&fresh.secret.unwrap(), client.created_at));
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
