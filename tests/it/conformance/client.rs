//! A client of the suite: what it asks, what it does with the answer, and what it looks at on the way.

use std::collections::BTreeMap;

use latchkey::infra::secret::Secret;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::checks::{self, id_token, tokens};
use super::key::Key;
use super::suite::{Suite, declared, person, text};
use crate::support::browser::Browser;
use crate::support::http::{self, FormFields, HttpResponse};
use crate::support::relying_party::AuthorizationRequest;

/// A client, and what it knows.
pub struct Client<'s> {
    pub suite: &'s Suite,
    pub id: String,
    secret: String,
    pub redirect_uri: String,
    /// What it signs its assertions with from now on.
    pub key: Key,
}

/// What came back to the redirect URI.
#[derive(Debug)]
pub struct Callback {
    /// `query`, `fragment` or `form_post`.
    pub mode: &'static str,
    pub params: BTreeMap<String, String>,
    /// The pages on the way.
    pub pages: Vec<HttpResponse>,
}

/// What a sign-in brought.
#[derive(Debug)]
pub struct SignedIn {
    pub callback: Callback,
    /// The last one.
    pub id_token: String,
    pub claims: Map<String, Value>,
    /// The last one.
    pub access_token: Option<String>,
    /// What the token endpoint said.
    pub tokens: Option<Value>,
    pub userinfo: Option<Map<String, Value>>,
}

impl<'s> Client<'s> {
    pub fn registered(suite: &'s Suite, client: &Value, nth: usize) -> Self {
        Self {
            suite,
            id: text(client, "client_id").to_owned(),
            secret: client["client_secret"].as_str().unwrap_or_default().to_owned(),
            redirect_uri: client["redirect_uris"][0].as_str().expect("a URI").to_owned(),
            key: Key::nameless(nth),
        }
    }

    pub fn declared(suite: &'s Suite, nth: usize) -> Self {
        let id = match (suite.variant.auth, nth) {
            ("client_secret_post", _) => "conformance-post",
            (_, 0) => "conformance-basic",
            _ => "conformance-basic-2",
        };
        let client = &declared()[id];
        let said = |value: &toml::Value| value.as_str().expect("text").to_owned();
        Self {
            suite,
            id: id.to_owned(),
            secret: said(&client["client_secret"]),
            redirect_uri: said(&client["redirect_uris"].as_array().expect("an array")[0]),
            key: Key::nameless(nth),
        }
    }

    /// An authorization request as the suite makes it: without PKCE, with a state of 128 characters.
    pub fn asks(&self) -> AuthorizationRequest {
        let long: String = (0..3).map(|_| Secret::random().reveal()).collect();
        let nonce = Secret::random().reveal();
        let request = AuthorizationRequest::empty(self.suite.provider.issuer())
            .with("client_id", &self.id)
            .with("redirect_uri", &self.redirect_uri)
            .with("scope", "openid")
            .with("state", &format!("-._~{}", &long[..124]))
            .with("nonce", &nonce)
            .with("response_type", self.suite.variant.response_type);
        if self.suite.variant.form_post {
            request.with("response_mode", "form_post")
        } else {
            request
        }
    }

    /// The person does what each page asks for, until there is an answer.
    pub async fn walks(&self, browser: &Browser, request: &AuthorizationRequest) -> Callback {
        let first = browser.open(&request.url()).await;
        self.goes_on(browser, first).await
    }

    pub async fn goes_on(&self, browser: &Browser, mut answer: HttpResponse) -> Callback {
        let mut pages = Vec::new();
        for _ in 0..4 {
            if let Some(callback) = self.receives(&answer) {
                return Callback { pages, ..callback };
            }
            let next = if answer.has_element("#login-submit") {
                checks::pages::login(&answer);
                browser.sign_in_as(&answer, person().0, person().1).await
            } else {
                checks::pages::consent(&answer);
                browser.decide_consent(&answer, "accept").await
            };
            pages.push(std::mem::replace(&mut answer, next));
        }
        panic!("there is no end to it: {answer:?}");
    }

    /// Whether this answer goes to the redirect URI, and what it says there.
    fn receives(&self, answer: &HttpResponse) -> Option<Callback> {
        if answer.attribute("form", "action").as_deref() == Some(&*self.redirect_uri) {
            checks::pages::form_post(answer, &self.redirect_uri);
            let fields = answer.hidden_fields_beside("input[type=hidden]");
            return Some(Callback::new("form_post", fields));
        }
        let location = answer.location()?;
        let (uri, fragment) = location.split_once('#').unwrap_or((location, ""));
        let rest = uri.strip_prefix(&*self.redirect_uri);
        let rest = rest.unwrap_or_else(|| panic!("CheckMatchingCallbackParameters: {location}"));
        checks::require(
            "RejectAuthCodeInUrlQuery",
            rest.is_empty() || fragment.is_empty(),
            location,
        );
        let (mode, text) = if fragment.is_empty() {
            ("query", rest.trim_start_matches(['?', '&']))
        } else {
            ("fragment", fragment)
        };
        let fields = form_urlencoded::parse(text.as_bytes()).into_owned();
        Some(Callback::new(mode, fields))
    }

    /// The whole way, and every check on it.
    pub async fn signs_in(&self, browser: &Browser, request: &AuthorizationRequest) -> SignedIn {
        let callback = self.walks(browser, request).await;
        self.completes(request, callback).await
    }

    /// From the answer to the claims.
    pub async fn completes(&self, request: &AuthorizationRequest, callback: Callback) -> SignedIn {
        let (suite, variant) = (self.suite, self.suite.variant);
        checks::authorization_response::success(&callback, request, suite);
        let (code, token) = (callback.get("code"), callback.get("access_token"));
        let mut id_token = None;
        if variant.has("id_token") {
            let jwt = callback.get("id_token").expect("ExtractIdTokenFromAuthorizationResponse");
            let beside = id_token::Beside { code, token, front: true };
            id_token = Some((jwt.to_owned(), id_token::check(jwt, self, request, beside)));
        }
        let mut userinfo = None;
        if let (Some(token), Some((_, claims))) = (token, &id_token) {
            userinfo = Some(self.asks_about(token, request, claims).await);
        }
        let (mut tokens, mut access_token) = (None, token.map(str::to_owned));
        if let Some(code) = code {
            let body = tokens::success(&self.exchanges(code, &[]).await);
            let token = text(&body, "access_token").to_owned();
            let jwt = text(&body, "id_token").to_owned();
            let beside = id_token::Beside { code: None, token: Some(&token), front: false };
            let claims = id_token::check(&jwt, self, request, beside);
            if let Some((_, front)) = &id_token {
                id_token::agree(front, &claims);
            }
            if let (Some(front), None) = (callback.get("access_token"), &id_token) {
                self.asks_about(front, request, &claims).await;
            }
            userinfo = Some(self.asks_about(&token, request, &claims).await);
            id_token = Some((jwt, claims));
            (tokens, access_token) = (Some(body), Some(token));
        }
        let (id_token, claims) = id_token.expect("an ID token");
        SignedIn { callback, id_token, claims, access_token, tokens, userinfo }
    }

    async fn asks_about(
        &self,
        token: &str,
        request: &AuthorizationRequest,
        claims: &Map<String, Value>,
    ) -> Map<String, Value> {
        let url = self.suite.endpoint("userinfo_endpoint");
        let answer = http::send(self.suite.provider.http().get(url).bearer_auth(token)).await;
        checks::userinfo::check(&answer, request, claims)
    }

    /// The request ends with an error, and nobody was asked anything.
    pub async fn is_refused(&self, browser: &Browser, request: &AuthorizationRequest) -> String {
        let answer = browser.open(&request.url()).await;
        let callback = self.receives(&answer).unwrap_or_else(|| panic!("no answer: {answer:?}"));
        checks::authorization_response::error(&callback, request, self.suite)
    }

    /// Turns the code into tokens, with its own way to say who it is.
    pub async fn exchanges(&self, code: &str, more: FormFields<'_>) -> HttpResponse {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &*self.redirect_uri),
        ];
        fields.extend(more);
        self.posts(&fields).await
    }

    pub async fn refreshes(&self, token: &str, more: FormFields<'_>) -> HttpResponse {
        let mut fields = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
        fields.extend(more);
        self.posts(&fields).await
    }

    async fn posts(&self, fields: FormFields<'_>) -> HttpResponse {
        self.posts_with(fields, &self.assertion(self.suite.endpoint("token_endpoint"))).await
    }

    /// With this assertion, where it says who it is by one.
    pub async fn posts_with(&self, fields: FormFields<'_>, assertion: &str) -> HttpResponse {
        let url = self.suite.endpoint("token_endpoint");
        let mut fields = fields.to_vec();
        let form = |fields: FormFields<'_>| http::form(self.suite.provider.http(), url, fields);
        let request = match self.suite.variant.auth {
            "client_secret_basic" => {
                let encoded = |text: &str| {
                    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
                };
                form(&fields).basic_auth(encoded(&self.id), Some(encoded(&self.secret)))
            }
            "client_secret_post" => {
                fields.extend([("client_id", &*self.id), ("client_secret", &*self.secret)]);
                form(&fields)
            }
            _ => {
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                fields.extend([("client_assertion", assertion), ("client_assertion_type", kind)]);
                form(&fields)
            }
        };
        http::send(request).await
    }

    pub fn assertion(&self, audience: &str) -> String {
        let now = self.suite.provider.app().now().as_secs();
        self.key.sign(&json!({
            "iss": self.id, "sub": self.id, "aud": audience, "jti": Secret::random().reveal(),
            "iat": now, "nbf": now, "exp": now + 60,
        }))
    }
}

impl Callback {
    fn new(mode: &'static str, fields: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut params = BTreeMap::new();
        for (name, value) in fields {
            let first = params.insert(name, value);
            checks::require("CheckForDuplicateParameters", first.is_none(), first);
        }
        Self { mode, params, pages: Vec::new() }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// Whether the person had to sign in for it.
    pub fn asked_to_sign_in(&self) -> bool {
        self.pages.iter().any(|page| page.has_element("#login-submit"))
    }
}
