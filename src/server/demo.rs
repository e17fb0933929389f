//! Creates the demo user and client of a development installation. They exist on a loopback issuer only, and are marked, so
//! that they are disabled when the issuer becomes a public one.

use serde_json::{Map, Value, json};

use super::demo_app::CALLBACK_PATH;
use crate::config::{Config, DevAccount};
use crate::domain::clients::{
    self, Client, ClientId, ClientSettings, DeclaredClient, RegistrationSource,
};
use crate::domain::development::{self, DEMO_CLIENT_ID};
use crate::domain::users::{self, DeclaredUser, User};
use crate::http::app::DemoLogin;
use crate::infra::clock::UnixTime;
use crate::infra::password::{Password, PasswordHasher};
use crate::infra::random;
use crate::infra::secret::{Digest, Secret, base64url};
use crate::infra::store::{CreateOutcome, Store, StoreError};
use crate::protocol::{ClientMetadata, Subject};

/// What the startup message shows of them.
pub struct Demo {
    /// For the front page.
    pub trial: DemoLogin,
    /// An authorization request of the demo client, to be tried with other tools.
    pub authorize_url: String,
    /// The password, generated or given.
    pub password: String,
    /// The verifier that goes with the link's challenge (RFC 7636).
    pub verifier: String,
}

/// Adds the demo user and client, or brings them up to date.
pub async fn seed(
    config: &Config,
    account: &DevAccount,
    store: &dyn Store,
    passwords: &PasswordHasher,
    now: UnixTime,
) -> Result<Demo, StoreError> {
    let password = account
        .password
        .as_ref()
        .map_or_else(|| base64url(&random::bytes::<12>()), |given| given.reveal().to_owned());
    let hash = match Password::parse(&password) {
        Some(password) => passwords.hash(password).await.ok(),
        None => None,
    };
    seed_user(account, hash, store, now).await?;
    seed_client(config, store, now).await?;
    let verifier = Secret::random().reveal();
    let challenge = Digest::of(verifier.as_bytes()).to_base64url();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs([
        ("response_type", "code"),
        ("client_id", DEMO_CLIENT_ID),
        ("redirect_uri", &config.issuer.url("/")),
        ("scope", "openid profile email"),
        ("state", "demo"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let authorize_url = format!("{}?{}", config.issuer.url("/authorize"), query.finish());
    Ok(Demo { trial: DemoLogin { user: account.user.clone() }, authorize_url, password, verifier })
}

async fn seed_user(
    account: &DevAccount,
    hash: Option<String>,
    store: &dyn Store,
    now: UnixTime,
) -> Result<(), StoreError> {
    if let Some(known) = users::find_by_username(store, &account.user).await? {
        if !known.development {
            tracing::warn!(
                user = %account.user,
                "was there before; with the development password it is a development account from now on"
            );
        }
        development::mark_user(store, &known.sub).await?;
        let set = |user: &mut User| {
            user.password.clone_from(&hash);
            // Back from a public issuer, where it was off.
            user.enabled |= user.development;
            user.development = true;
        };
        return users::update(store, &known.sub, set).await.map(drop);
    }
    let sub = random::uuid().to_string();
    let sub = Subject::parse(&sub).unwrap_or_else(|| unreachable!("a UUID is a subject"));
    development::mark_user(store, &sub).await?;
    let user = User {
        sub,
        username: account.user.clone(),
        password: hash,
        enabled: true,
        claims: claims(&account.user, now),
        groups: vec!["demo".to_owned()],
        created_at: now,
        development: true,
        declared: Some(DeclaredUser::default()),
    };
    users::add(store, &user).await.map(drop)
}

/// Every standard claim, so that every scope has something to show.
fn claims(username: &str, now: UnixTime) -> Map<String, Value> {
    let claims = json!({
        "name": "Demo User", "given_name": "Demo", "family_name": "User", "middle_name": "Q",
        "nickname": "demo", "preferred_username": username,
        "profile": "https://demo.example/profile", "picture": "https://demo.example/picture.png",
        "website": "https://demo.example", "gender": "unspecified", "birthdate": "1990-01-31",
        "zoneinfo": "Europe/London", "locale": "en-GB", "updated_at": now.as_secs(),
        "email": "demo@demo.example", "email_verified": true,
        "phone_number": "+44 20 7946 0000", "phone_number_verified": true,
        "address": {"formatted": "1 Demo Street\nLondon\nUnited Kingdom", "street_address": "1 Demo Street",
            "locality": "London", "region": "England", "postal_code": "N1 1AA", "country": "United Kingdom"},
    });
    claims.as_object().cloned().unwrap_or_default()
}

/// A public native client: any port of this machine may be its redirect URI.
async fn seed_client(config: &Config, store: &dyn Store, now: UnixTime) -> Result<(), StoreError> {
    let members = json!({
        "client_name": "Demo application", "application_type": "native",
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [config.issuer.url(CALLBACK_PATH), config.issuer.url("/"), "http://localhost/", "http://localhost/callback",
            "http://127.0.0.1/", "http://127.0.0.1/callback", "http://[::1]/callback"],
    });
    let members = members.as_object().cloned().unwrap_or_default();
    let (Ok(metadata), Some(id)) =
        (ClientMetadata::parse(&members), ClientId::parse(DEMO_CLIENT_ID))
    else {
        unreachable!("the demo client is well-formed");
    };
    let client = Client {
        id,
        metadata,
        settings: ClientSettings::default(),
        secrets: Vec::new(),
        registration_token: None,
        enabled: true,
        source: RegistrationSource::Operator,
        created_at: now,
        unused_until: None,
        development: true,
        declared: Some(DeclaredClient::default()),
    };
    if clients::add(store, &client).await? == CreateOutcome::Exists {
        // Back from a public issuer, where it was off, or of a release with other redirect URIs. One of the
        // operator's own stays as it is.
        let on = |held: &mut Client| {
            if held.development {
                held.enabled = true;
                held.metadata.redirect_uris.clone_from(&client.metadata.redirect_uris);
            }
        };
        clients::update(store, &client.id, on).await?;
    }
    Ok(())
}
