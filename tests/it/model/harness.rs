//! Two servers that are one installation, three browsers and three applications.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use latchkey::domain::clients::ClientSettings;
use latchkey::infra::clock::{Clock, UnixTime};
use latchkey::infra::store::Store;
use reqwest::RequestBuilder;
use reqwest::header::{ACCEPT, COOKIE, HOST, SET_COOKIE};
use serde_json::json;

use super::actions::{BROWSERS, CEILINGS};
use super::backends::{BackendKind, ModelBackend, RecordingStore};
use super::history::Seconds;
use crate::support::backends::BackendLocation;
use crate::support::browser::ACCEPT_HTML;
use crate::support::http::{self, FormFields, HttpResponse};
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::TestServer;

/// The people, by their number.
pub const USERNAMES: [&str; 2] = ["ada", "bob"];
/// The third one gets opaque access tokens.
pub const APPLICATIONS: [&str; 3] = ["shop", "forum", "vault"];
pub const OPAQUE: usize = 2;

pub struct Harness {
    pub servers: Vec<TestServer>,
    pub backend: ModelBackend,
    pub recorder: RecordingStore,
    pub applications: Vec<RelyingParty>,
    pub browsers: Vec<CookieJar>,
    began: UnixTime,
    issuer: String,
}

/// A browser is what it keeps.
pub type CookieJar = BTreeMap<String, String>;

/// What came back to a browser, and every place it was sent to on the way.
pub struct BrowserResponse {
    pub answer: HttpResponse,
    pub sent: Vec<String>,
}

impl Harness {
    pub async fn start(kind: BackendKind) -> Self {
        Self::start_at(kind, Duration::ZERO).await
    }

    /// So much later than it is.
    pub async fn start_at(kind: BackendKind, shift: Duration) -> Self {
        Self::build(kind, shift, Duration::ZERO, |store| store).await
    }

    /// The second server's clock goes so much before.
    pub async fn start_skewed(kind: BackendKind, skew: Duration) -> Self {
        Self::build(kind, Duration::ZERO, skew, |store| store).await
    }

    /// With something between the servers and their store.
    pub async fn start_over(
        kind: BackendKind,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        Self::build(kind, Duration::ZERO, Duration::ZERO, wrap).await
    }

    async fn build(
        kind: BackendKind,
        shift: Duration,
        skew: Duration,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        // Whole seconds, as tokens count them.
        let began = UnixTime::from_secs(Clock::System.now().as_secs()).plus(shift);
        let clock = Clock::manual(began);
        let (ground, store) = ModelBackend::open(kind, &clock).await;
        let tap = RecordingStore::wrap(wrap(store));
        let first = TestServer::start_on((Arc::new(tap.clone()), clock), None, &[]).await;
        let issuer = first.issuer().to_owned();
        let ahead = Clock::manual(began.plus(skew));
        let state = (first.failing_store().clone(), ahead);
        let second = TestServer::start_with_state(
            state,
            BackendLocation::Store,
            None,
            &[("ISSUER_URL", &issuer)],
        )
        .await;
        let mut applications = Vec::new();
        for (number, name) in APPLICATIONS.iter().enumerate() {
            let settings = ClientSettings {
                opaque_access_tokens: number == OPAQUE,
                ..ClientSettings::default()
            };
            let wishes = json!({"scope": CEILINGS[0]});
            applications.push(first.relying_party_with(name, &wishes, settings).await);
        }
        let browsers = vec![CookieJar::new(); BROWSERS];
        Self {
            servers: vec![first, second],
            backend: ground,
            recorder: tap,
            applications,
            browsers,
            began,
            issuer,
        }
    }

    /// Since it began.
    pub fn now(&self) -> Seconds {
        self.servers[0].app().now().since(self.began).as_secs()
    }

    /// A moment of the trace as tokens write it.
    pub fn date(&self, at: Seconds) -> u64 {
        self.began.as_secs() + at
    }

    pub fn advance_time(&self, seconds: Seconds) {
        for provider in &self.servers {
            provider.advance_time(Duration::from_secs(seconds));
        }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The server ends, and another takes its place.
    pub async fn crash(&mut self, server: usize) {
        let ended = self.servers.remove(server);
        let next = ended.restart(&[("ISSUER_URL", &self.issuer)]).await;
        self.servers.insert(server, next);
    }

    /// As an application.
    pub async fn post(
        &self,
        server: usize,
        by: usize,
        path: &str,
        fields: FormFields<'_>,
    ) -> HttpResponse {
        http::send(self.post_request(server, by, path, fields)).await
    }

    pub fn post_request(
        &self,
        server: usize,
        by: usize,
        path: &str,
        fields: FormFields<'_>,
    ) -> RequestBuilder {
        let request = http::form(self.servers[0].http(), &self.url(server, path), fields);
        self.applications[by].with_basic_auth(self.addressed(request))
    }

    pub async fn userinfo(&self, server: usize, token: &str) -> HttpResponse {
        let request = self.servers[0].http().get(self.url(server, "/userinfo"));
        http::send(self.addressed(request).bearer_auth(token)).await
    }

    /// A browser goes there, and on to where it is sent, until it would leave.
    pub async fn open(&mut self, server: usize, browser: usize, path: &str) -> BrowserResponse {
        let request = self.servers[0].http().get(self.url(server, path));
        self.follow_redirects(server, browser, request).await
    }

    pub async fn submit(
        &mut self,
        server: usize,
        browser: usize,
        path: &str,
        fields: FormFields<'_>,
    ) -> BrowserResponse {
        let request = http::form(self.servers[0].http(), &self.url(server, path), fields);
        self.follow_redirects(server, browser, request).await
    }

    async fn follow_redirects(
        &mut self,
        server: usize,
        browser: usize,
        first: RequestBuilder,
    ) -> BrowserResponse {
        let (mut request, mut sent) = (first, Vec::new());
        for _ in 0..10 {
            let answer = self.send(browser, request).await;
            let Some(to) = answer.location().map(str::to_owned) else {
                return BrowserResponse { answer, sent };
            };
            sent.push(to.clone());
            let Some(path) = to.strip_prefix(&self.issuer).or(to.strip_prefix('/').map(|_| &*to))
            else {
                return BrowserResponse { answer, sent };
            };
            request = self.servers[0].http().get(self.url(server, path));
        }
        panic!("sent in circles: {sent:?}");
    }

    async fn send(&mut self, browser: usize, request: RequestBuilder) -> HttpResponse {
        let jar = &mut self.browsers[browser];
        let held: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request =
            if held.is_empty() { request } else { request.header(COOKIE, held.join("; ")) };
        let host = self.issuer.trim_start_matches("http://");
        let request = request.header(HOST, host).header(ACCEPT, ACCEPT_HTML);
        let answer = http::send(request).await;
        for set in answer.headers.get_all(SET_COOKIE) {
            let set = set.to_str().expect("text");
            let pair = set.split(';').next().unwrap_or_default();
            let (name, value) = pair.split_once('=').expect("a cookie");
            if set.contains("Max-Age=0") {
                jar.remove(name);
            } else {
                jar.insert(name.into(), value.into());
            }
        }
        answer
    }

    fn url(&self, server: usize, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.servers[server].at().port())
    }

    /// To the one name that both servers answer to.
    fn addressed(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(HOST, self.issuer.trim_start_matches("http://"))
    }
}
