//! A browser and its user: keeps cookies, follows redirects, fills in forms.

use std::collections::BTreeMap;
use std::sync::Mutex;

use reqwest::header::{ACCEPT, COOKIE, SET_COOKIE};
use reqwest::{Client as Http, RequestBuilder};
use url::Url;

use super::http::{self, FormFields, HttpResponse};
use super::relying_party::AuthorizationRequest;
use super::test_server::PASSWORD;

/// What browsers ask for where they go to a page.
pub const ACCEPT_HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// Follows redirects inside the issuer, keeps cookies, and stops where it would leave.
pub struct Browser {
    http: Http,
    issuer: String,
    person: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    pub fn new(http: Http, issuer: &str, person: &str) -> Self {
        let (issuer, person) = (issuer.to_owned(), person.to_owned());
        Self { http, issuer, person, cookies: Mutex::default() }
    }

    /// Goes there, and on to where it is sent.
    pub async fn open(&self, url: &str) -> HttpResponse {
        let answer = self.send(self.http.get(url)).await;
        self.follow_redirects(answer).await
    }

    /// Goes there and looks at what is answered first.
    pub async fn get(&self, url: &str) -> HttpResponse {
        self.send(self.http.get(url)).await
    }

    /// Asks what would be there.
    pub async fn head(&self, url: &str) -> HttpResponse {
        self.send(self.http.head(url)).await
    }

    /// Sends a form, and goes on to where it is sent.
    pub async fn submit(&self, path: &str, fields: FormFields<'_>) -> HttpResponse {
        let answer = self.post(path, fields).await;
        self.follow_redirects(answer).await
    }

    /// Sends a form and looks at what is answered first.
    pub async fn post(&self, path: &str, fields: FormFields<'_>) -> HttpResponse {
        self.send(http::form(&self.http, &format!("{}{path}", self.issuer), fields)).await
    }

    /// Fills in the login form on this page.
    pub async fn sign_in(&self, page: &HttpResponse) -> HttpResponse {
        self.sign_in_as(page, &self.person, PASSWORD).await
    }

    /// Fills in the login form with something else.
    pub async fn sign_in_as(
        &self,
        page: &HttpResponse,
        username: &str,
        password: &str,
    ) -> HttpResponse {
        let typed = [("username", username), ("password", password)];
        self.submit_form(page, "#login-submit", "/login", &typed).await
    }

    /// Presses "Continue as …" on the login page.
    pub async fn continue_as_current_user(&self, page: &HttpResponse) -> HttpResponse {
        self.submit_form(page, "#login-continue", "/login", &[("continue", "1")]).await
    }

    /// Answers the consent page: `accept` or `deny`.
    pub async fn decide_consent(&self, page: &HttpResponse, decision: &str) -> HttpResponse {
        self.submit_form(page, "#consent-accept", "/consent", &[("decision", decision)]).await
    }

    /// Does what every page on the way asks for, until the application has its answer.
    pub async fn authorize(&self, url: &str) -> AuthorizationResponse {
        let mut answer = self.open(url).await;
        for _ in 0..4 {
            if answer.location().is_some() {
                return AuthorizationResponse::from_redirect(&answer);
            }
            answer = if answer.has_element("#login-submit") {
                self.sign_in(&answer).await
            } else {
                self.decide_consent(&answer, "accept").await
            };
        }
        panic!("there is no end to it: {answer:?}");
    }

    /// Asks without any page.
    pub async fn authorize_silently(&self, request: &AuthorizationRequest) -> HttpResponse {
        self.get(&request.clone().with("prompt", "none").url()).await
    }

    /// Another window of the same browser, by itself from here on: the same cookies, with those of its own to
    /// come.
    pub fn new_window(&self) -> Self {
        let cookies = Mutex::new(self.cookies.lock().expect("the cookies").clone());
        let (http, issuer) = (self.http.clone(), self.issuer.clone());
        Self { http, issuer, person: self.person.clone(), cookies }
    }

    /// Keeps what that window was given, as the browser whose window it is would.
    pub fn merge_cookies_of(&self, window: &Self) {
        let given = window.cookies.lock().expect("the cookies").clone();
        self.cookies.lock().expect("the cookies").extend(given);
    }

    /// Sends a form from another site, whose requests a browser sends none of these cookies with.
    pub async fn post_cross_site(&self, path: &str, fields: FormFields<'_>) -> HttpResponse {
        let request = http::form(&self.http, &format!("{}{path}", self.issuer), fields);
        let request = request.header("sec-fetch-site", "cross-site").header(ACCEPT, ACCEPT_HTML);
        http::send(request.header("origin", "https://shop.example")).await
    }

    /// What its cookies hold.
    pub fn cookie_values(&self) -> Vec<String> {
        self.cookies.lock().expect("the cookies").values().cloned().collect()
    }

    /// The names of its cookies.
    pub fn cookie_names(&self) -> Vec<String> {
        self.cookies.lock().expect("the cookies").keys().cloned().collect()
    }

    /// What the cookie with this end of its name holds: `session` or `state`.
    pub fn cookie(&self, end: &str) -> Option<String> {
        let held = self.cookies.lock().expect("the cookies");
        held.iter().find(|(name, _)| name.ends_with(end)).map(|(_, value)| value.clone())
    }

    /// Holds a cookie that somebody else put there.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.cookies.lock().expect("the cookies").insert(name.into(), value.into());
    }

    async fn submit_form(
        &self,
        page: &HttpResponse,
        at: &str,
        path: &str,
        typed: FormFields<'_>,
    ) -> HttpResponse {
        let hidden = page.hidden_fields_beside(at);
        let hidden = hidden.iter().map(|(name, value)| (&**name, &**value));
        let fields: Vec<(&str, &str)> = hidden.chain(typed.iter().copied()).collect();
        self.submit(path, &fields).await
    }

    async fn follow_redirects(&self, mut answer: HttpResponse) -> HttpResponse {
        for _ in 0..10 {
            let Some(to) = answer.location() else { return answer };
            let to = if to.starts_with('/') { format!("{}{to}", self.issuer) } else { to.into() };
            if !to.starts_with(&self.issuer) {
                return answer;
            }
            answer = self.send(self.http.get(to)).await;
        }
        panic!("sent in circles: {answer:?}");
    }

    async fn send(&self, request: RequestBuilder) -> HttpResponse {
        let line: Vec<String> = {
            let held = self.cookies.lock().expect("the cookies");
            held.iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        let request =
            if line.is_empty() { request } else { request.header(COOKIE, line.join("; ")) };
        let answer = http::send(request.header(ACCEPT, ACCEPT_HTML)).await;
        for set in answer.headers.get_all(SET_COOKIE) {
            let set = set.to_str().expect("text");
            let pair = set.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie");
            let mut held = self.cookies.lock().expect("the cookies");
            if set.contains("Max-Age=0") {
                held.remove(name);
            } else {
                held.insert(name.into(), value.into());
            }
        }
        answer
    }
}

/// Where the browser left the issuer: the authorization answer, in the query.
#[derive(Clone, Debug)]
pub struct AuthorizationResponse(pub Url);

impl AuthorizationResponse {
    pub fn from_redirect(answer: &HttpResponse) -> Self {
        let location = answer.location().unwrap_or_else(|| panic!("goes nowhere: {answer:?}"));
        Self(location.parse().expect("a URL"))
    }

    pub fn param(&self, name: &str) -> Option<String> {
        let fragment = self.0.fragment().unwrap_or_default();
        let fields = url::form_urlencoded::parse(fragment.as_bytes()).chain(self.0.query_pairs());
        fields.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub fn code(&self) -> String {
        self.param("code").unwrap_or_else(|| panic!("no code: {}", self.0))
    }

    pub fn error(&self) -> String {
        self.param("error").unwrap_or_else(|| panic!("no error: {}", self.0))
    }
}
