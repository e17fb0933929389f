//! Two servers that are one installation, three browsers and three applications.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use latchkey::domain::clients::Settings;
use latchkey::infra::clock::{Clock, UnixTime};
use latchkey::infra::store::Store;
use reqwest::RequestBuilder;
use reqwest::header::{ACCEPT, COOKIE, HOST, SET_COOKIE};
use serde_json::json;

use super::actions::{BROWSERS, CEILINGS};
use super::backends::{Ground, Kind, Tap};
use super::history::Seconds;
use crate::support::backends::Place;
use crate::support::browser::A_PAGE;
use crate::support::http::{self, Answer, Fields};
use crate::support::relying_party::RelyingParty;
use crate::support::test_server::House;

/// The people, by their number.
pub const NAMES: [&str; 2] = ["ada", "bob"];
/// The third one gets opaque access tokens.
pub const APPLICATIONS: [&str; 3] = ["shop", "forum", "vault"];
pub const OPAQUE: usize = 2;

pub struct Rig {
    pub houses: Vec<House>,
    pub ground: Ground,
    pub tap: Tap,
    pub applications: Vec<RelyingParty>,
    pub browsers: Vec<Jar>,
    began: UnixTime,
    issuer: String,
}

/// A browser is what it keeps.
pub type Jar = BTreeMap<String, String>;

/// What came back to a browser, and every place it was sent to on the way.
pub struct Came {
    pub answer: Answer,
    pub sent: Vec<String>,
}

impl Rig {
    pub async fn start(kind: Kind) -> Self {
        Self::start_at(kind, Duration::ZERO).await
    }

    /// So much later than it is.
    pub async fn start_at(kind: Kind, shift: Duration) -> Self {
        Self::build(kind, shift, Duration::ZERO, |store| store).await
    }

    /// The second server's clock goes so much before.
    pub async fn start_skewed(kind: Kind, skew: Duration) -> Self {
        Self::build(kind, Duration::ZERO, skew, |store| store).await
    }

    /// With something between the houses and their store.
    pub async fn start_over(
        kind: Kind,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        Self::build(kind, Duration::ZERO, Duration::ZERO, wrap).await
    }

    async fn build(
        kind: Kind,
        shift: Duration,
        skew: Duration,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        // Whole seconds, as tokens count them.
        let began = UnixTime::from_secs(Clock::System.now().as_secs()).plus(shift);
        let clock = Clock::manual(began);
        let (ground, store) = Ground::open(kind, &clock).await;
        let tap = Tap::on(wrap(store));
        let first = House::start_on((Arc::new(tap.clone()), clock), None, &[]).await;
        let issuer = first.issuer().to_owned();
        let ahead = Clock::manual(began.plus(skew));
        let state = (first.faults().clone(), ahead);
        let second = House::over(state, Place::Store, None, &[("ISSUER_URL", &issuer)]).await;
        let mut applications = Vec::new();
        for (number, name) in APPLICATIONS.iter().enumerate() {
            let settings =
                Settings { opaque_access_tokens: number == OPAQUE, ..Settings::default() };
            let wishes = json!({"scope": CEILINGS[0]});
            applications.push(first.relying_party_with(name, &wishes, settings).await);
        }
        let browsers = vec![Jar::new(); BROWSERS];
        Self { houses: vec![first, second], ground, tap, applications, browsers, began, issuer }
    }

    /// Since it began.
    pub fn now(&self) -> Seconds {
        self.houses[0].app().now().since(self.began).as_secs()
    }

    /// A moment of the trace as tokens write it.
    pub fn date(&self, at: Seconds) -> u64 {
        self.began.as_secs() + at
    }

    pub fn later(&self, seconds: Seconds) {
        for house in &self.houses {
            house.later(Duration::from_secs(seconds));
        }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The server ends, and another takes its place.
    pub async fn crash(&mut self, server: usize) {
        let ended = self.houses.remove(server);
        let next = ended.restarts(&[("ISSUER_URL", &self.issuer)]).await;
        self.houses.insert(server, next);
    }

    /// As an application.
    pub async fn posts(&self, server: usize, by: usize, path: &str, fields: Fields<'_>) -> Answer {
        http::send(self.posting(server, by, path, fields)).await
    }

    pub fn posting(
        &self,
        server: usize,
        by: usize,
        path: &str,
        fields: Fields<'_>,
    ) -> RequestBuilder {
        let request = http::form(self.houses[0].http(), &self.url(server, path), fields);
        self.applications[by].signed(self.addressed(request))
    }

    pub async fn userinfo(&self, server: usize, token: &str) -> Answer {
        let request = self.houses[0].http().get(self.url(server, "/userinfo"));
        http::send(self.addressed(request).bearer_auth(token)).await
    }

    /// A browser goes there, and on to where it is sent, until it would leave.
    pub async fn opens(&mut self, server: usize, browser: usize, path: &str) -> Came {
        let request = self.houses[0].http().get(self.url(server, path));
        self.follows(server, browser, request).await
    }

    pub async fn submits(
        &mut self,
        server: usize,
        browser: usize,
        path: &str,
        fields: Fields<'_>,
    ) -> Came {
        let request = http::form(self.houses[0].http(), &self.url(server, path), fields);
        self.follows(server, browser, request).await
    }

    async fn follows(&mut self, server: usize, browser: usize, first: RequestBuilder) -> Came {
        let (mut request, mut sent) = (first, Vec::new());
        for _ in 0..10 {
            let answer = self.sends(browser, request).await;
            let Some(to) = answer.location().map(str::to_owned) else {
                return Came { answer, sent };
            };
            sent.push(to.clone());
            let Some(path) = to.strip_prefix(&self.issuer).or(to.strip_prefix('/').map(|_| &*to))
            else {
                return Came { answer, sent };
            };
            request = self.houses[0].http().get(self.url(server, path));
        }
        panic!("sent in circles: {sent:?}");
    }

    async fn sends(&mut self, browser: usize, request: RequestBuilder) -> Answer {
        let jar = &mut self.browsers[browser];
        let held: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request =
            if held.is_empty() { request } else { request.header(COOKIE, held.join("; ")) };
        let host = self.issuer.trim_start_matches("http://");
        let request = request.header(HOST, host).header(ACCEPT, A_PAGE);
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
        format!("http://127.0.0.1:{}{path}", self.houses[server].at().port())
    }

    /// To the one name that both servers answer to.
    fn addressed(&self, request: RequestBuilder) -> RequestBuilder {
        request.header(HOST, self.issuer.trim_start_matches("http://"))
    }
}
