//! A person signs in and a code becomes tokens ([OpenID Connect Core §3.1]).
//!
//! [OpenID Connect Core §3.1]: https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth

use reqwest::header::{CACHE_CONTROL, HeaderName};
use serde_json::{Map, Value};

use super::browser::Stop;
use super::http::Ask;
use super::id_token;
use super::reply::Reply;
use super::report::{Findings, Not, Verdict, fail, must, should, skip};
use super::request::{Landing, Request};
use super::token::token_answer;
use super::trial::{CALLBACK, Registered, Trial};

/// What the application holds in the end, and what it asked for.
#[derive(Clone, Debug)]
pub(super) struct Tokens {
    pub request: Request,
    pub body: Map<String, Value>,
    /// Of the ID token, once it was verified.
    pub claims: Map<String, Value>,
}

impl Tokens {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    pub fn access(&self) -> Result<&str, Not> {
        self.text("access_token").ok_or_else(|| skip("there is no access token"))
    }

    pub fn refresh(&self) -> Result<&str, Not> {
        self.text("refresh_token").ok_or_else(|| skip("no refresh token was issued"))
    }

    pub fn sub(&self) -> Option<&str> {
        self.claims.get("sub").and_then(Value::as_str)
    }
}

/// The scopes that are offered out of these.
pub(super) fn offered(trial: &Trial, wanted: &[&str]) -> String {
    let more = wanted.iter().filter(|scope| trial.lists("scopes_supported", scope));
    std::iter::once(&"openid").chain(more).copied().collect::<Vec<_>>().join(" ")
}

/// The first time: password, consent, code.
pub(super) async fn sign_in(trial: &mut Trial) -> Verdict {
    let scope = offered(trial, &["profile", "email", "offline_access"]);
    let mut request = Request::of(&trial.web()?).with("scope", &scope);
    if scope.contains("offline_access") {
        // Without it the scope may be passed over (OpenID Connect Core §11).
        request = request.with("prompt", "consent");
    }
    let landing = walk(trial, &request).await?;
    let code = landing.code(trial, &request)?;
    trial.granted = Some((request, code));
    Ok(())
}

/// Goes all the way, signing in and agreeing where that is asked for.
pub(super) async fn walk(trial: &mut Trial, request: &Request) -> Result<Landing, Not> {
    let url = request.url(&trial.endpoint("authorization_endpoint")?);
    let person = trial.person.as_ref().ok_or_else(|| skip("needs --user"))?;
    trial.browser.authorize(&trial.http, &url, person).await
}

/// Goes there and fills in nothing.
pub(super) async fn look(trial: &mut Trial, request: &Request) -> Result<Stop, Not> {
    let url = request.url(&trial.endpoint("authorization_endpoint")?);
    trial.browser.go(&trial.http, Ask::get(&url)).await
}

/// The page for the password cannot be framed, is kept nowhere, and posts to where it came from.
pub(super) fn login_page(trial: &Trial) -> Verdict {
    trial.person.as_ref().ok_or_else(|| skip("needs --user"))?;
    let page = trial.browser.login_page.as_ref().ok_or_else(|| skip("there was no login page"))?;
    let header = |name: &'static str| {
        page.header(&HeaderName::from_static(name)).unwrap_or_default().to_ascii_lowercase()
    };
    let mut findings = Findings::default();
    let framed = header("x-frame-options").is_empty()
        && !header("content-security-policy").contains("frame-ancestors");
    if framed {
        findings.wrong("other sites can put the login page into a frame");
    }
    let kept = page.header(&CACHE_CONTROL).unwrap_or_default();
    findings.note(should(kept.contains("no-store"), || "the login page may be kept".to_owned()));
    findings.note(page.nosniff());
    findings.verdict()
}

pub(super) async fn redeem(
    trial: &Trial,
    client: &Registered,
    code: &str,
    verifier: Option<&str>,
) -> Result<Reply, Not> {
    let mut fields =
        vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
    fields.extend(verifier.map(|verifier| ("code_verifier", verifier)));
    trial.token(client, &fields).await
}

/// The code becomes tokens.
pub(super) async fn exchange(trial: &mut Trial) -> Verdict {
    trial.person.as_ref().ok_or_else(|| skip("needs --user"))?;
    let (request, code) = trial.granted.take().ok_or_else(|| skip("nobody could be signed in"))?;
    let reply = redeem(trial, &trial.web()?, &code, Some(&request.verifier)).await?;
    reply.status(&[200])?;
    let body = reply.json()?;
    let mut findings = Findings::default();
    findings.note(token_answer(&body));
    findings.note(reply.unkept(fail));
    findings.note(reply.nosniff());
    findings.note(must(body.get("id_token").is_some_and(Value::is_string), || {
        "there is no ID token".to_owned()
    }));
    // Code and tokens: 128 bits cannot be had in fewer characters.
    if code.len() < 22 {
        findings.wrong("the code is too short to be unguessable");
    }
    let claims = body.get("id_token").and_then(Value::as_str);
    let claims = claims.and_then(id_token::peek).unwrap_or_default();
    trial.tokens = Some(Tokens { request, body, claims });
    findings.verdict()
}

/// Another round in the same session: a code, and what was asked.
pub(super) async fn another_code(trial: &mut Trial) -> Result<(Request, String), Not> {
    trial.tokens()?;
    let request = Request::of(&trial.web()?);
    let code = walk(trial, &request).await?.code(trial, &request)?;
    Ok((request, code))
}

/// The same without anybody being asked, with some changes; the tokens are verified.
pub(super) async fn silently(trial: &mut Trial, changes: &[(&str, &str)]) -> Result<Tokens, Not> {
    trial.tokens()?;
    let mut request = Request::of(&trial.web()?).with("prompt", "none");
    for (name, value) in changes {
        request = match *value {
            "" => request.without(name),
            value => request.with(name, value),
        };
    }
    let landing = match look(trial, &request).await? {
        Stop::Landed(landing) => landing,
        Stop::Page(page) => {
            return Err(fail(format!("{} shows a page ({})", page.what, page.status)));
        }
        Stop::SignedOut(_) => return Err(fail("it goes to the page for signing out")),
    };
    let code = landing.code(trial, &request)?;
    let reply = redeem(trial, &trial.web()?, &code, Some(&request.verifier)).await?;
    reply.status(&[200])?;
    let body = reply.json()?;
    let token = body.get("id_token").and_then(Value::as_str);
    let token = token.ok_or_else(|| fail("there is no ID token"))?;
    let claims = id_token::verified(trial, token)?;
    Ok(Tokens { request, body, claims })
}
