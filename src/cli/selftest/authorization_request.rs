//! An authorization request, and the answer that travels back with the browser.

use url::Url;

use super::client::{CALLBACK, RegisteredClient, long_state, random_string};
use super::http_response::is_error_text;
use super::metadata::ServerMetadata;
use super::report::{CheckFailure, CheckResult, Findings, fail, printable};
use crate::infra::secret::Digest;

/// What is sent, and what has to be remembered until the answer comes.
#[derive(Clone, Debug)]
pub(super) struct AuthorizationUrl {
    pub params: Vec<(String, String)>,
    pub nonce: String,
    pub verifier: String,
}

impl AuthorizationUrl {
    /// A good one, for a code with PKCE.
    pub fn of(client: &RegisteredClient) -> Self {
        let (state, nonce, verifier) = (long_state(), random_string(), random_string());
        let challenge = Digest::of(verifier.as_bytes()).to_base64url();
        let params = [
            ("response_type", "code"),
            ("client_id", &*client.id),
            ("redirect_uri", CALLBACK),
            ("scope", "openid"),
            ("state", &*state),
            ("nonce", &*nonce),
            ("code_challenge", &*challenge),
            ("code_challenge_method", "S256"),
        ];
        let params = params.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { params, nonce, verifier }
    }

    /// With this parameter instead of the one of the same name.
    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    pub fn without(mut self, name: &str) -> Self {
        self.params.retain(|(other, _)| other != name);
        self
    }

    /// With this parameter, even if there is one of that name.
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.params.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn url(&self, endpoint: &Url) -> Url {
        let mut url = endpoint.clone();
        url.query_pairs_mut().extend_pairs(&self.params);
        url
    }
}

/// An authorization answer as it came back to the application.
#[derive(Clone, Debug)]
pub(super) struct RedirectResponse {
    pub params: Vec<(String, String)>,
    /// It came as a form (`response_mode=form_post`).
    pub by_form: bool,
}

impl RedirectResponse {
    /// Read out of a redirect, if it goes to the callback and nowhere else.
    pub fn of(url: &Url) -> Option<Self> {
        let callback: Url = CALLBACK.parse().ok()?;
        let here = url.origin() == callback.origin() && url.path() == callback.path();
        let params = url.query_pairs().into_owned().collect();
        here.then_some(Self { params, by_form: false })
    }

    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// What every answer has: the state as it was sent, each parameter once, and the issuer where that
    /// is promised ([RFC 9207 §2](https://www.rfc-editor.org/rfc/rfc9207#section-2)).
    fn belongs_to(&self, metadata: &ServerMetadata, request: &AuthorizationUrl) -> CheckResult {
        let mut findings = Findings::default();
        let asked = request.params.iter().find(|(name, _)| name == "state");
        if self.param("state") != asked.map(|(_, state)| state.as_str()) {
            findings.fail("the state is not returned as it was sent");
        }
        let promised =
            metadata.says("authorization_response_iss_parameter_supported").unwrap_or_default();
        match self.param("iss") {
            Some(iss) if Some(iss) != metadata.text("issuer") => {
                findings.fail(format!("the answer's iss is {}", printable(iss)));
            }
            None if promised => findings.fail("the answer has no iss, though it is promised"),
            Some(_) | None => {}
        }
        for (at, (name, _)) in self.params.iter().enumerate() {
            if self.params.iter().take(at).any(|(other, _)| other == name) {
                findings.fail(format!("the answer has {} twice", printable(name)));
            }
        }
        findings.result()
    }

    /// A code.
    pub fn code(
        &self,
        metadata: &ServerMetadata,
        request: &AuthorizationUrl,
    ) -> Result<String, CheckFailure> {
        if let Some(error) = self.param("error") {
            return Err(fail(format!("it is refused as {}", printable(error))));
        }
        self.belongs_to(metadata, request)?;
        let code = self.param("code").filter(|code| !code.is_empty());
        code.map(str::to_owned).ok_or_else(|| fail("there is no code in the answer"))
    }

    /// An error, one of these, and nothing else with it.
    pub fn refuses(
        &self,
        metadata: &ServerMetadata,
        request: &AuthorizationUrl,
        codes: &[&str],
    ) -> CheckResult {
        const USUAL: [&str; 6] =
            ["error", "error_description", "error_uri", "state", "session_state", "iss"];
        let mut findings = Findings::default();
        findings.add(self.belongs_to(metadata, request));
        match self.param("error") {
            Some(error) if codes.contains(&error) => {}
            Some(error) => {
                findings.fail(format!(
                    "it is refused as {}, not {}",
                    printable(error),
                    codes.join(" or ")
                ));
            }
            None => findings.fail("there is no error in the answer"),
        }
        for (name, value) in &self.params {
            if matches!(&**name, "code" | "access_token" | "id_token") {
                findings.fail(format!("a refusal comes with {name}"));
            } else if !USUAL.contains(&&**name) {
                findings.warn(format!("a refusal comes with {}", printable(name)));
            }
            if name.starts_with("error") && !is_error_text(value) {
                findings.fail(format!("{} has forbidden characters", printable(name)));
            }
        }
        findings.result()
    }
}
