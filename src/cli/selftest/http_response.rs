//! A whole answer, and what can be demanded of it. Everything in it may be nonsense.

use reqwest::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION, WWW_AUTHENTICATE,
};
use serde_json::{Map, Value};
use url::Url;

use super::report::{CheckFailure, CheckResult, Findings, fail, must, printable, should, warn};

/// What was answered to one request.
pub(super) struct HttpResponse {
    /// The request, for messages.
    pub what: String,
    /// Where it was asked.
    pub url: Url,
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl HttpResponse {
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn is_redirect(&self) -> bool {
        (300..400).contains(&self.status) && self.headers.contains_key(LOCATION)
    }

    /// Where it sends us.
    pub fn location(&self) -> Option<Url> {
        let to = self.header(&LOCATION).filter(|_| self.is_redirect())?;
        self.url.join(to).ok()
    }

    /// Without parameters, lower case.
    pub fn media_type(&self) -> String {
        let said = self.header(&CONTENT_TYPE).unwrap_or_default();
        said.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    pub fn status(&self, expected: &[u16]) -> CheckResult {
        let Self { what, status, .. } = self;
        must(expected.contains(status), || {
            let expected: Vec<String> = expected.iter().map(u16::to_string).collect();
            format!("{what} answered {status}{}, not {}", self.code(), expected.join(" or "))
        })
    }

    /// ` (invalid_grant)`, where the answer has one.
    fn code(&self) -> String {
        let body: Option<Value> = serde_json::from_slice(&self.body).ok();
        let code = body.as_ref().and_then(|body| body.get("error")).and_then(Value::as_str);
        code.map(|code| format!(" ({})", printable(code))).unwrap_or_default()
    }

    /// The body as a JSON object, of the type `application/json` or one ending in `+json`.
    pub fn json(&self) -> Result<Map<String, Value>, CheckFailure> {
        let (what, kind) = (&self.what, self.media_type());
        if kind != "application/json" && !kind.ends_with("+json") {
            let kind = printable(&kind);
            return Err(fail(format!("{what} answered {} as \"{kind}\", not JSON", self.status)));
        }
        serde_json::from_slice(&self.body)
            .map_err(|_| fail(format!("{what} answered {} with no JSON object", self.status)))
    }

    /// An error as RFC 6749 §5.2 has it. Another status of the 400s, another code of the same meaning
    /// and a missing `no-store` are only doubtful where the right code is there.
    pub fn refuses(&self, statuses: &[u16], codes: &[&str]) -> CheckResult {
        let mut findings = Findings::default();
        let what = &self.what;
        findings.add(self.status(statuses));
        match self.json() {
            Err(failure) => findings.add(Err(failure)),
            Ok(body) => {
                match body.get("error").and_then(Value::as_str) {
                    None => findings.fail(format!("{what} answered an error without `error`")),
                    Some(code) if !codes.contains(&code) => {
                        let expected = codes.join(" or ");
                        let code = printable(code);
                        findings.fail(format!("{what} answered {code}, not {expected}"));
                    }
                    Some(_) => {}
                }
                for member in ["error", "error_description", "error_uri"] {
                    findings.add(error_text(what, &body, member));
                }
            }
        }
        findings.add(self.require_no_store(warn));
        findings.result()
    }

    /// `Cache-Control: no-store` ([RFC 6749 §5.1]).
    ///
    /// [RFC 6749 §5.1]: https://www.rfc-editor.org/rfc/rfc6749#section-5.1
    pub fn require_no_store(&self, otherwise: impl Fn(String) -> CheckFailure) -> CheckResult {
        let said = self.header(&CACHE_CONTROL).unwrap_or_default().to_ascii_lowercase();
        if said.split(',').any(|word| word.trim() == "no-store") {
            return Ok(());
        }
        Err(otherwise(format!("{} answered without Cache-Control: no-store", self.what)))
    }

    /// `X-Content-Type-Options: nosniff`, so that no browser takes JSON for a page.
    pub fn nosniff(&self) -> CheckResult {
        let name = HeaderName::from_static("x-content-type-options");
        let said = self.header(&name).unwrap_or_default();
        should(said.eq_ignore_ascii_case("nosniff"), || {
            format!("{} answered without X-Content-Type-Options: nosniff", self.what)
        })
    }

    /// A challenge of that scheme in `WWW-Authenticate`; the whole header.
    pub fn challenge(&self, scheme: &str) -> Result<String, CheckFailure> {
        let values = self.headers.get_all(WWW_AUTHENTICATE).iter();
        let said: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
        let said = said.join(", ");
        let named = said.split([' ', ',']).any(|word| word.eq_ignore_ascii_case(scheme));
        must(named, || {
            format!("{} answered {} without WWW-Authenticate: {scheme}", self.what, self.status)
        })?;
        Ok(said)
    }

    /// 405 with `Allow` ([RFC 9110 §15.5.6]).
    ///
    /// [RFC 9110 §15.5.6]: https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6
    pub fn requires_405(&self) -> CheckResult {
        let Self { what, status, .. } = self;
        must((400..500).contains(status), || format!("{what} answered {status}, not 405"))?;
        should(*status == 405, || format!("{what} answered {status}, not 405"))?;
        should(self.headers.contains_key(ALLOW), || format!("{what} answered 405 without Allow"))
    }

    /// A page of the server's own: nobody is sent anywhere, least of all to where the request said.
    pub fn is_error_page(&self) -> CheckResult {
        let Self { what, status, .. } = self;
        if let Some(to) = self.header(&LOCATION) {
            let at_home = self.location().is_some_and(|to| to.origin() == self.url.origin());
            let to = printable(to.split(['?', '#']).next().unwrap_or_default());
            let text = format!("{what} redirects to {to} instead of showing an error page");
            return Err(if at_home { warn(text) } else { fail(text) });
        }
        must(*status < 500, || format!("{what} answered {status}, not 400"))?;
        let refused = (400..500).contains(status);
        should(refused, || format!("{what} answered {status}, not 400"))?;
        let kind = self.media_type();
        should(kind == "text/html", || {
            format!("{what} answered an error page of the type \"{}\"", printable(&kind))
        })
    }
}

/// `error_description` and its like keep to printable ASCII without quotes and backslashes
/// ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
fn error_text(what: &str, body: &Map<String, Value>, member: &str) -> CheckResult {
    match body.get(member) {
        None => Ok(()),
        Some(Value::String(text)) => {
            must(is_error_text(text), || format!("{what}: {member} has forbidden characters"))
        }
        Some(_) => Err(fail(format!("{what}: {member} is not text"))),
    }
}

pub(super) fn is_error_text(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}
