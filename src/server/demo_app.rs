//! The demo application: a client like any other that runs in this process, and shows what an application receives. It
//! exists where the demo client does, in development.
//!
//! `/demo` begins a sign-in with state, nonce and PKCE in a cookie of its own; `/demo/callback` redeems the
//! code and asks userinfo by the endpoints that every client uses, in this process, and shows what came.

mod page;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::Response;
use axum::{Extension, Router};
use http_body_util::BodyExt;
use serde_json::{Map, Value};
use tower::ServiceExt;

use self::page::DemoPage;
use crate::domain::development::DEMO_CLIENT_ID;
use crate::domain::token_claims::ID_TOKEN_TYP;
use crate::http::app::App;
use crate::http::authorization_response::{see_other, with_query};
use crate::http::cookies;
use crate::http::page_error::PageError;
use crate::http::pages::{PagePolicy, page as render};
use crate::http::request_info::RequestInfo;
use crate::infra::jose::claims;
use crate::infra::secret::{Digest, Secret, from_base64url};
use crate::protocol::{ErrorCode, Params};

/// Where a sign-in with the demo application begins.
pub const START_PATH: &str = "/demo";
/// Its redirect URI.
pub const CALLBACK_PATH: &str = "/demo/callback";

/// `/token` and `/userinfo` of this process, which the handlers call.
#[derive(Clone)]
pub(super) struct LocalEndpoints(pub Router);

/// Kept in a cookie from the authorization request to its response.
struct PendingSignIn {
    state: String,
    nonce: String,
    verifier: String,
}

impl PendingSignIn {
    fn new() -> Self {
        let [state, nonce, verifier] = std::array::from_fn(|_| Secret::random().reveal());
        Self { state, nonce, verifier }
    }

    fn from_cookie(app: &App, headers: &HeaderMap) -> Option<Self> {
        let mut parts = cookies::demo(&app.config.issuer, headers)?.split('.').map(str::to_owned);
        Some(Self { state: parts.next()?, nonce: parts.next()?, verifier: parts.next()? })
    }

    fn cookie(&self) -> String {
        let Self { state, nonce, verifier } = self;
        format!("{state}.{nonce}.{verifier}")
    }
}

/// `GET /demo`.
pub(super) async fn start(State(app): State<App>) -> Response {
    let begun = PendingSignIn::new();
    let fields = [
        ("response_type", "code"),
        ("client_id", DEMO_CLIENT_ID),
        ("redirect_uri", &*app.config.issuer.url(CALLBACK_PATH)),
        ("scope", "openid profile email"),
        ("state", &*begun.state),
        ("nonce", &*begun.nonce),
        ("code_challenge", &*Digest::of(begun.verifier.as_bytes()).to_base64url()),
        ("code_challenge_method", "S256"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let answer = see_other(&with_query(&app.config.issuer.url("/authorize"), &fields));
    with_cookie(&app, answer, &begun.cookie())
}

/// Why a sign-in was not completed.
enum DemoError {
    /// It was not begun in this browser, or its response was shown already.
    NoPendingSignIn,
    /// The authorization response is not for this request, or not of this issuer.
    InvalidResponse,
    /// The provider answered with an error: its code and description.
    Inactive(&'static str, String),
    /// This endpoint did not answer with 200 and JSON.
    Endpoint(&'static str),
}

/// `GET /demo/callback`.
pub(super) async fn callback(
    State(app): State<App>,
    Extension(endpoints): Extension<LocalEndpoints>,
    caller: RequestInfo,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let params = Params::parse(query.unwrap_or_default().as_bytes()).unwrap_or_default();
    let begun = PendingSignIn::from_cookie(&app, &headers).ok_or(DemoError::NoPendingSignIn);
    let told = match begun {
        Ok(begun) => complete_sign_in(&app, &endpoints, &params, &begun).await,
        Err(why) => Err(why),
    };
    let told = told.map_err(|why| error_page(&caller, why))?;
    // The code is spent: a page that is loaded again says so, and redeems nothing twice.
    let answer = render(&told, StatusCode::OK, &PagePolicy::default());
    Ok(with_cookie(&app, answer, ""))
}

/// What every client does with an authorization response: `state` and `iss` first (RFC 9207 §2.4), then the
/// code, then the ID token (OpenID Connect Core §3.1.3.7), then userinfo.
async fn complete_sign_in(
    app: &App,
    endpoints: &LocalEndpoints,
    params: &Params,
    begun: &PendingSignIn,
) -> Result<DemoPage, DemoError> {
    if params.get("state") != Some(&*begun.state) || params.get("iss") != Some(app.issuer()) {
        return Err(DemoError::InvalidResponse);
    }
    if let Some(error) = params.get("error") {
        let why = params.get("error_description").unwrap_or_default();
        return Err(authorization_error(error, why));
    }
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "authorization_code")
        .append_pair("client_id", DEMO_CLIENT_ID)
        .append_pair("code", params.get("code").unwrap_or_default())
        .append_pair("redirect_uri", &app.config.issuer.url(CALLBACK_PATH))
        .append_pair("code_verifier", &begun.verifier)
        .finish();
    let tokens = Request::post("/token")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(form));
    let tokens = endpoints.send(tokens).await.ok_or(DemoError::Endpoint("/token"))?;
    let text = |name: &str| tokens.get(name).and_then(Value::as_str).unwrap_or_default();
    let id_token = text("id_token");
    let claims = app.keys.verify(id_token, ID_TOKEN_TYP).ok();
    let claims = claims.filter(|it| {
        let said = |name| claims::text(it, name).ok().flatten();
        said("iss") == Some(app.issuer())
            && said("nonce") == Some(&*begun.nonce)
            && claims::audience(it).is_ok_and(|audience| audience.contains(&DEMO_CLIENT_ID))
    });
    let claims = claims.ok_or(DemoError::InvalidResponse)?;
    let bearer = format!("Bearer {}", text("access_token"));
    let userinfo =
        Request::get("/userinfo").header(header::AUTHORIZATION, bearer).body(Body::empty());
    let userinfo = endpoints.send(userinfo).await.ok_or(DemoError::Endpoint("/userinfo"))?;
    Ok(DemoPage::of(app.issuer(), &tokens, (&header_of(id_token), &claims), &userinfo))
}

impl LocalEndpoints {
    /// The JSON of a 200 response.
    async fn send(
        &self,
        request: Result<Request<Body>, axum::http::Error>,
    ) -> Option<Map<String, Value>> {
        let answer = self.0.clone().oneshot(request.ok()?).await.ok()?;
        let (status, body) = (answer.status(), answer.into_body().collect().await.ok()?.to_bytes());
        serde_json::from_slice(&body).ok().filter(|_| status == StatusCode::OK)
    }
}

/// The header of a token that was verified.
fn header_of(token: &str) -> Map<String, Value> {
    let bytes = from_base64url(token.split('.').next().unwrap_or_default());
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// The error of the response; a code that is unknown here becomes part of the description.
fn authorization_error(error: &str, why: &str) -> DemoError {
    use ErrorCode as Code;
    let known = [
        Code::AccessDenied,
        Code::InvalidRequest,
        Code::InvalidScope,
        Code::ServerError,
        Code::TemporarilyUnavailable,
        Code::UnauthorizedClient,
        Code::UnmetAuthenticationRequirements,
        Code::UnsupportedResponseType,
        Code::LoginRequired,
        Code::ConsentRequired,
        Code::InteractionRequired,
        Code::InvalidTarget,
    ];
    match known.into_iter().map(Code::as_str).find(|code| *code == error) {
        Some(code) => DemoError::Inactive(code, why.to_owned()),
        None => DemoError::Inactive("refused", format!("{error}: {why}")),
    }
}

fn error_page(caller: &RequestInfo, why: DemoError) -> PageError {
    let (title, message, detail) = match why {
        DemoError::NoPendingSignIn => (
            "Please start again",
            "This sign-in was shown already, or it was begun in another browser.",
            None,
        ),
        DemoError::InvalidResponse => (
            "Please start again",
            "This answer is not the one that the demo application is waiting for.",
            Some(("invalid_request", "state, iss or nonce is not that of the request".to_owned())),
        ),
        DemoError::Inactive(code, why) => (
            "Not signed in",
            "The demo application was told that there will be no sign-in. An app would offer to try again.",
            Some((code, why)),
        ),
        DemoError::Endpoint(which) => (
            "Something went wrong",
            "The demo application did not get what it asked for. The log says why.",
            Some(("server_error", format!("{which} did not answer with what was asked for"))),
        ),
    };
    PageError {
        title,
        message: message.to_owned(),
        detail,
        next_link: Some((START_PATH.to_owned(), "Try a sign-in".to_owned())),
        ..PageError::request_error(&caller.request_id, "invalid_request", "")
    }
}

fn with_cookie(app: &App, mut answer: Response, value: &str) -> Response {
    if let Some(line) = cookies::set_demo(app, value) {
        answer.headers_mut().append(header::SET_COOKIE, line);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_provider_says_is_shown_under_its_own_code() {
        for (error, code, why) in [
            ("access_denied", "access_denied", "no"),
            ("temporarily_unavailable", "temporarily_unavailable", "no"),
            ("login_required", "login_required", "no"),
            ("of_tomorrow", "refused", "of_tomorrow: no"),
        ] {
            let told = authorization_error(error, "no");
            assert!(matches!(told, DemoError::Inactive(c, w) if c == code && w == why), "{error}");
        }
    }
}
