//! A registered client: makes authorization requests, redeems, refreshes, introspects and revokes.

use latchkey::domain::clients::{
    self, Client, ClientId, ClientSecret, ClientSettings, DeclaredClient, RegistrationSource,
};
use latchkey::infra::secret::{Digest, Secret};
use latchkey::infra::store::CreateOutcome;
use latchkey::protocol::ClientMetadata;
use latchkey::protocol::client_metadata::ServerCapabilities;
use reqwest::{Client as Http, RequestBuilder};
use serde_json::{Value, json};

use super::browser::Browser;
use super::http::{self, FormFields, HttpResponse};
use super::test_server::TestServer;

/// A client of the server, and what it knows.
pub struct RelyingParty {
    pub id: String,
    pub secret: String,
    pub redirect_uri: String,
    issuer: String,
    http: Http,
    basic: bool,
}

impl TestServer {
    /// A web application of that name with the code flow, refresh tokens and a secret in the header.
    pub async fn relying_party(&self, name: &str) -> RelyingParty {
        self.relying_party_with(name, &json!({}), ClientSettings::default()).await
    }

    /// With other metadata, and what an operator may decide.
    pub async fn relying_party_with(
        &self,
        name: &str,
        overrides: &Value,
        settings: ClientSettings,
    ) -> RelyingParty {
        let redirect_uri = format!("https://{name}.example/cb");
        let mut members = json!({
            "client_name": name, "redirect_uris": [redirect_uri],
            "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
            "token_endpoint_auth_method": "client_secret_basic",
        });
        for (member, value) in overrides.as_object().expect("an object") {
            members[member] = value.clone();
        }
        let offer = ServerCapabilities { by_operator: true, ..self.app().config.offer.clone() };
        let members = members.as_object().expect("an object");
        let metadata = ClientMetadata::parse_within(members, &offer);
        let metadata = metadata.expect("good metadata");
        // Characters that a Basic header has to carry encoded.
        let secret = format!("{}:+ %/=", Secret::random().reveal());
        let now = self.app().now();
        let digest = Digest::of(secret.as_bytes());
        let kept = ClientSecret { digest, sealed: None, created_at: now, expires_at: None };
        let client = Client {
            id: ClientId::parse(name).expect("an id"),
            secrets: if metadata.has_secret() { vec![kept] } else { Vec::new() },
            metadata,
            settings,
            registration_token: None,
            enabled: true,
            source: RegistrationSource::Operator,
            created_at: now,
            unused_until: None,
            development: false,
            declared: Some(DeclaredClient::default()),
        };
        assert_eq!(
            clients::add(self.store(), &client).await.expect("a store"),
            CreateOutcome::Created
        );
        RelyingParty {
            id: name.to_owned(),
            secret,
            redirect_uri,
            issuer: self.issuer().to_owned(),
            http: self.http().clone(),
            basic: members["token_endpoint_auth_method"] == "client_secret_basic",
        }
    }
}

impl TestServer {
    /// Somebody who says to be this client, with a secret in the header.
    pub fn client_with_secret(&self, name: &str, secret: &str) -> RelyingParty {
        RelyingParty {
            id: name.to_owned(),
            secret: secret.to_owned(),
            redirect_uri: format!("https://{name}.example/cb"),
            issuer: self.issuer().to_owned(),
            http: self.http().clone(),
            basic: true,
        }
    }
}

impl RelyingParty {
    /// An authorization request with PKCE.
    pub fn authorization_request(&self, scope: &str) -> AuthorizationRequest {
        let verifier = Secret::random().reveal();
        let challenge = Digest::of(verifier.as_bytes()).to_base64url();
        let request =
            AuthorizationRequest { issuer: self.issuer.clone(), params: Vec::new(), verifier };
        let usual = [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", scope),
            ("state", "s t&a=te"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        usual.iter().fold(request, |request, (name, value)| request.with(name, value))
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The whole way: the person in front of the browser agrees, and the code is exchanged.
    pub async fn sign_in(&self, browser: &Browser, scope: &str) -> Tokens {
        let request = self.authorization_request(scope);
        let code = browser.authorize(&request.url()).await.code();
        let body = self.redeem(&code, &request).await.success_json();
        Tokens { body, code, request }
    }

    /// Turns the code into tokens.
    pub async fn redeem(&self, code: &str, request: &AuthorizationRequest) -> HttpResponse {
        self.redeem_with(code, &request.verifier).await
    }

    pub async fn redeem_with(&self, code: &str, verifier: &str) -> HttpResponse {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", verifier),
        ];
        self.post("/token", &fields).await
    }

    pub async fn refresh(&self, token: &str) -> HttpResponse {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.post("/token", &fields).await
    }

    /// What the server says of the token.
    pub async fn introspect(&self, token: &str) -> Value {
        self.post("/introspect", &[("token", token)]).await.success_json()
    }

    pub async fn revoke(&self, token: &str) {
        let answer = self.post("/revoke", &[("token", token)]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    /// Sends a form as itself.
    pub async fn post(&self, path: &str, fields: FormFields<'_>) -> HttpResponse {
        if self.basic {
            return http::send(self.with_basic_auth(self.form(path, fields))).await;
        }
        let mut fields = fields.to_vec();
        fields.extend([("client_id", &*self.id), ("client_secret", &*self.secret)]);
        http::send(self.form(path, &fields)).await
    }

    /// A form that says nothing about who sends it.
    pub fn form(&self, path: &str, fields: FormFields<'_>) -> RequestBuilder {
        http::form(&self.http, &format!("{}{path}", self.issuer), fields)
    }

    /// With id and secret in the header, each form-encoded first (RFC 6749 §2.3.1).
    pub fn with_basic_auth(&self, request: RequestBuilder) -> RequestBuilder {
        let encode =
            |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        request.basic_auth(encode(&self.id), Some(encode(&self.secret)))
    }
}

/// An authorization request in the making.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest {
    pub verifier: String,
    issuer: String,
    params: Vec<(String, String)>,
}

impl AuthorizationRequest {
    /// Without any parameter yet.
    pub fn empty(issuer: &str) -> Self {
        Self { issuer: issuer.to_owned(), params: Vec::new(), verifier: String::new() }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(held, _)| held == name).map(|(_, value)| &**value)
    }

    /// With this parameter, in place of one of that name.
    #[must_use]
    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(name).with_duplicate(name, value)
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.params.retain(|(held, _)| held != name);
        self
    }

    /// With this parameter beside one of that name.
    #[must_use]
    pub fn with_duplicate(mut self, name: &str, value: &str) -> Self {
        self.params.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn url(&self) -> String {
        format!("{}/authorize?{}", self.issuer, http::encode(&self.fields()))
    }

    /// For a request by form.
    pub fn fields(&self) -> Vec<(&str, &str)> {
        self.params.iter().map(|(name, value)| (&**name, &**value)).collect()
    }
}

/// What a sign-in brought.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub body: Value,
    pub code: String,
    pub request: AuthorizationRequest,
}

impl Tokens {
    pub fn access(&self) -> &str {
        self.body["access_token"].as_str().expect("an access token")
    }

    pub fn refresh(&self) -> &str {
        self.body["refresh_token"].as_str().expect("a refresh token")
    }

    pub fn id(&self) -> &str {
        self.body["id_token"].as_str().expect("an ID token")
    }

    /// The claims of the ID token; its signature is looked at elsewhere.
    pub fn id_claims(&self) -> Value {
        let part = self.id().split('.').nth(1).expect("a JWT");
        let bytes = latchkey::infra::secret::from_base64url(part).expect("base64url");
        serde_json::from_slice(&bytes).expect("JSON")
    }
}
