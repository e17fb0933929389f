//! An honest OAuth client, and a browser that signs people in for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use latchkey::infra::secret::{Digest, Secret, from_base64url};
use reqwest::RequestBuilder;
use reqwest::header::{ACCEPT, COOKIE};
use serde_json::Value;

use crate::parts::http::{FormFields, HttpClient, HttpOutcome, encode, send};
use crate::parts::installation::PASSWORD;

/// What is asked for where nothing else is said.
pub const SCOPE: &str = "openid offline_access";

/// A confidential application with a secret in the header.
#[derive(Debug)]
pub struct ConfidentialClient {
    pub id: String,
    pub secret: String,
    pub redirect_uri: String,
}

/// An authorization code, and what is needed to redeem it.
#[derive(Clone, Debug)]
pub struct Code {
    pub text: String,
    pub verifier: String,
    pub client: Arc<ConfidentialClient>,
    pub person: String,
}

/// What a redemption or a refresh brought.
#[derive(Clone, Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: String,
    /// Only at the redemption, or if the server says one again.
    pub id: Option<String>,
}

impl Tokens {
    /// None if the answer is not a good one.
    pub fn of(reply: &HttpOutcome) -> Option<Self> {
        let body = reply.has_status(200).then(|| reply.json())?;
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        Some(Self {
            access: text("access_token")?,
            refresh: text("refresh_token")?,
            id: text("id_token"),
        })
    }

    /// Whether they are for this person and this application.
    pub fn belong_to(&self, person: &str, shop: &ConfidentialClient) -> bool {
        let access = claims(&self.access);
        let good = |id: &Value| id["sub"] == person && id["aud"] == *shop.id;
        access["sub"] == person
            && access["client_id"] == *shop.id
            && self.id.as_ref().is_none_or(|id| good(&claims(id)))
    }

    /// The generation of the refresh token: `rt1.<grant>.<generation>.<MAC>`.
    pub fn generation(&self) -> u64 {
        generation(&self.refresh)
    }
}

/// The generation that a refresh token says it has.
pub fn generation(refresh: &str) -> u64 {
    refresh.split('.').nth(2).and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

/// The claims of a JWT, unchecked.
pub fn claims(jwt: &str) -> Value {
    let bytes = jwt.split('.').nth(1).and_then(from_base64url).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

impl ConfidentialClient {
    pub fn new(number: usize) -> Self {
        Self {
            id: format!("shop-{number}"),
            secret: format!("only-for-tests-only-for-tests-{number:04}"),
            redirect_uri: format!("https://shop-{number}.example/cb"),
        }
    }

    /// The request that turns the code into tokens.
    pub fn redeem_request(&self, http: &HttpClient, code: &Code) -> RequestBuilder {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &*code.text),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &code.verifier),
        ];
        self.form_request(http, "/token", &fields)
    }

    pub fn refresh_request(&self, http: &HttpClient, token: &str) -> RequestBuilder {
        let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
        self.form_request(http, "/token", &fields)
    }

    pub fn revoke_request(&self, http: &HttpClient, token: &str) -> RequestBuilder {
        self.form_request(http, "/revoke", &[("token", token)])
    }

    pub fn introspect_request(&self, http: &HttpClient, token: &str) -> RequestBuilder {
        self.form_request(http, "/introspect", &[("token", token)])
    }

    /// For a token of its own.
    pub fn client_credentials_request(&self, http: &HttpClient) -> RequestBuilder {
        self.form_request(http, "/token", &[("grant_type", "client_credentials")])
    }

    /// A form as itself.
    pub fn form_request(
        &self,
        http: &HttpClient,
        path: &str,
        fields: FormFields<'_>,
    ) -> RequestBuilder {
        self.with_basic_auth(http.form(path, fields))
    }

    /// With id and secret in the header.
    pub fn with_basic_auth(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(&self.id, Some(&self.secret))
    }

    /// An authorization request, and the verifier that goes with its challenge.
    pub fn authorization_url(&self, scope: &str, more: FormFields<'_>) -> (String, String) {
        let verifier = Secret::random().reveal();
        let challenge = Digest::of(verifier.as_bytes()).to_base64url();
        let mut fields = vec![
            ("response_type", "code"),
            ("client_id", &*self.id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", scope),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        fields.extend(more);
        (format!("/authorize?{}", encode(&fields)), verifier)
    }
}

/// The request for what the access token opens.
pub fn userinfo(http: &HttpClient, access: &str) -> RequestBuilder {
    http.get("/userinfo").bearer_auth(access)
}

/// A browser with its cookies, in front of which one person sits. It can go to any server.
#[derive(Debug)]
pub struct Browser {
    pub person: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    pub fn new(person: &str) -> Self {
        Self { person: person.to_owned(), cookies: Mutex::default() }
    }

    /// Another window: the same cookies, which from here on change by themselves.
    pub fn new_window(&self) -> Self {
        Self { person: self.person.clone(), cookies: Mutex::new(self.cookies().clone()) }
    }

    /// Signed in, through the real pages. The reply is the one that was not as it should be.
    pub async fn sign_in(
        http: &HttpClient,
        shop: &ConfidentialClient,
        person: &str,
    ) -> Result<Self, HttpOutcome> {
        let browser = Self::new(person);
        let (url, _) = shop.authorization_url("openid", &[]);
        let page = browser.open(http, &url).await;
        let landed = browser.submit_login(http, &page, PASSWORD).await;
        if landed.redirect_param("code").is_some() { Ok(browser) } else { Err(landed) }
    }

    /// A code without any page, in the session there is; the scope is `openid offline_access`, so
    /// that what comes of it outlives the session.
    pub async fn code(
        &self,
        http: &HttpClient,
        shop: &Arc<ConfidentialClient>,
    ) -> Result<Code, HttpOutcome> {
        self.code_for(http, shop, SCOPE).await
    }

    /// The same for another scope.
    pub async fn code_for(
        &self,
        http: &HttpClient,
        shop: &Arc<ConfidentialClient>,
        scope: &str,
    ) -> Result<Code, HttpOutcome> {
        let (code, reply) = self.try_code(http, shop, scope).await;
        code.ok_or(reply)
    }

    /// The same, with the answer in any case.
    pub async fn try_code(
        &self,
        http: &HttpClient,
        shop: &Arc<ConfidentialClient>,
        scope: &str,
    ) -> (Option<Code>, HttpOutcome) {
        let (url, verifier) = shop.authorization_url(scope, &[("prompt", "none")]);
        let reply = self.send(http.get(&url)).await;
        let (shop, person) = (Arc::clone(shop), self.person.clone());
        let code =
            reply.redirect_param("code").map(|text| Code { text, verifier, client: shop, person });
        (code, reply)
    }

    /// The login form on this page, filled in and sent; then on to where it leads.
    pub async fn submit_login(
        &self,
        http: &HttpClient,
        page: &HttpOutcome,
        password: &str,
    ) -> HttpOutcome {
        let answer = self.post_login(http, page, password).await;
        self.follow_redirects(http, answer).await
    }

    /// The same, and what was answered first.
    pub async fn post_login(
        &self,
        http: &HttpClient,
        page: &HttpOutcome,
        password: &str,
    ) -> HttpOutcome {
        let typed = [("username", &*self.person), ("password", password)];
        self.post_form(http, page, "#login-submit", "/login", &typed).await
    }

    /// Sends the form around this element with what was typed, and looks at what is answered first.
    pub async fn post_form(
        &self,
        http: &HttpClient,
        page: &HttpOutcome,
        at: &str,
        path: &str,
        typed: FormFields<'_>,
    ) -> HttpOutcome {
        let hidden = page.hidden_fields_beside(at);
        let hidden = hidden.iter().map(|(name, value)| (&**name, &**value));
        let fields: Vec<_> = hidden.chain(typed.iter().copied()).collect();
        self.send(http.form(path, &fields)).await
    }

    /// Goes there, and on to where it is sent, but not out of the issuer.
    pub async fn open(&self, http: &HttpClient, url: &str) -> HttpOutcome {
        let answer = self.send(http.get(url)).await;
        self.follow_redirects(http, answer).await
    }

    /// Goes on to where this answer sends it.
    pub async fn follow_redirects(
        &self,
        http: &HttpClient,
        mut answer: HttpOutcome,
    ) -> HttpOutcome {
        for _ in 0..10 {
            let Some(to) = answer.location() else { break };
            if to.starts_with("https://") {
                break;
            }
            answer = self.send(http.get(to)).await;
        }
        answer
    }

    /// One request with the cookies there are; those that are set with the answer are kept.
    pub async fn send(&self, request: RequestBuilder) -> HttpOutcome {
        let line: Vec<String> =
            self.cookies().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request =
            if line.is_empty() { request } else { request.header(COOKIE, line.join("; ")) };
        let reply = send(request.header(ACCEPT, "text/html,*/*;q=0.8")).await;
        for set in reply.headers("set-cookie") {
            let pair = set.split(';').next().unwrap_or_default();
            let Some((name, value)) = pair.split_once('=') else { continue };
            if set.contains("Max-Age=0") {
                self.cookies().remove(name);
            } else {
                self.cookies().insert(name.to_owned(), value.to_owned());
            }
        }
        reply
    }

    fn cookies(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, String>> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
