//! Client metadata ([RFC 7591 §2], [OpenID Connect Registration §2]): read strictly, by one function,
//! whether it comes from a registration, an update, a file or the command line.
//!
//! Members that are not on the list are dropped, never stored and never echoed; members on the list
//! have the right type or the whole registration is refused.
//!
//! [RFC 7591 §2]: https://www.rfc-editor.org/rfc/rfc7591#section-2
//! [OpenID Connect Registration §2]: https://openid.net/specs/openid-connect-registration-1_0.html#ClientMetadata

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use super::wire::wire_words;
use super::{AuthMethod, ErrorCode, GrantType, OAuthError, ResponseType, Scope, redirect_uri};

wire_words! {
    /// Where the client runs (OpenID Connect Registration §2).
    ApplicationType {
        /// On a server or in a browser.
        Web = "web",
        /// On the person's device.
        Native = "native",
    }
}

wire_words! {
    /// Signature algorithms a client's own JWTs may use ([RFC 7518 §3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1)).
    ClientAlg {
        /// RSASSA-PKCS1-v1_5 with SHA-256
        Rs256 = "RS256",
        /// RSASSA-PSS with SHA-256
        Ps256 = "PS256",
        /// ECDSA with P-256 and SHA-256
        Es256 = "ES256",
        /// Ed25519 (RFC 8037)
        EdDsa = "EdDSA",
    }
}

/// What a client registered about itself.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClientMetadata {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_uris: Vec<String>,
    pub response_types: Vec<ResponseType>,
    pub grant_types: Vec<GrantType>,
    pub application_type: ApplicationType,
    pub token_endpoint_auth_method: AuthMethod,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<ClientAlg>,
    pub subject_type: String,
    pub id_token_signed_response_alg: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiate_login_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contacts: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u32>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub require_auth_time: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub default_acr_values: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
}

impl ClientMetadata {
    /// Reads and checks a registration. Errors are `invalid_redirect_uri` or `invalid_client_metadata`
    /// ([RFC 7591 §3.2.2]) and name the member.
    ///
    /// [RFC 7591 §3.2.2]: https://www.rfc-editor.org/rfc/rfc7591#section-3.2.2
    pub fn parse(members: &Map<String, Value>) -> Result<Self, OAuthError> {
        let read = Reader(members);
        let method = read.word("token_endpoint_auth_method", AuthMethod::parse)?;
        let metadata = Self {
            redirect_uris: read.strings("redirect_uris", 20)?,
            response_types: read.response_types()?,
            grant_types: read.grant_types()?,
            application_type: read
                .word("application_type", ApplicationType::parse)?
                .unwrap_or(ApplicationType::Web),
            token_endpoint_auth_method: method.unwrap_or(AuthMethod::ClientSecretBasic),
            token_endpoint_auth_signing_alg: read
                .word("token_endpoint_auth_signing_alg", ClientAlg::parse)?,
            subject_type: read.only("subject_type", "public")?,
            id_token_signed_response_alg: read.only("id_token_signed_response_alg", "RS256")?,
            client_name: read.name("client_name")?,
            client_uri: read.link("client_uri")?,
            logo_uri: read.link("logo_uri")?,
            policy_uri: read.link("policy_uri")?,
            tos_uri: read.link("tos_uri")?,
            initiate_login_uri: read.link("initiate_login_uri")?,
            contacts: read.strings("contacts", 10)?,
            jwks_uri: read.link("jwks_uri")?,
            jwks: read.public_keys("jwks")?,
            scope: read.scope("scope")?,
            default_max_age: read.seconds("default_max_age")?,
            require_auth_time: read.boolean("require_auth_time")?,
            default_acr_values: read.strings("default_acr_values", 10)?,
            software_id: read.text("software_id", 255)?,
            software_version: read.text("software_version", 255)?,
        };
        metadata.check()?;
        Ok(metadata)
    }

    /// What the members have to be together.
    fn check(&self) -> Result<(), OAuthError> {
        for uri in &self.redirect_uris {
            redirect_uri::check_registrable(uri).map_err(|why| {
                let sentence = format!("redirect_uris: each {why}");
                OAuthError::described(ErrorCode::InvalidRedirectUri, &sentence)
            })?;
        }
        let uses = |grant| self.grant_types.contains(&grant);
        if uses(GrantType::AuthorizationCode) && self.redirect_uris.is_empty() {
            return Err(OAuthError::new(
                ErrorCode::InvalidRedirectUri,
                "redirect_uris is required for the authorization_code grant",
            ));
        }
        if uses(GrantType::RefreshToken) && !uses(GrantType::AuthorizationCode) {
            return Err(wrong("grant_types: refresh_token needs authorization_code beside it"));
        }
        if uses(GrantType::AuthorizationCode) == self.response_types.is_empty() {
            return Err(wrong("response_types: code and the authorization_code grant go together"));
        }
        if uses(GrantType::ClientCredentials) && self.is_public() {
            return Err(wrong("grant_types: client_credentials needs client authentication"));
        }
        if self.jwks.is_some() && self.jwks_uri.is_some() {
            return Err(wrong("jwks and jwks_uri exclude each other"));
        }
        let keyed = self.jwks.is_some() || self.jwks_uri.is_some();
        if self.token_endpoint_auth_method == AuthMethod::PrivateKeyJwt && !keyed {
            return Err(wrong("private_key_jwt needs jwks or jwks_uri"));
        }
        Ok(())
    }

    /// Whether the client cannot keep a secret (RFC 6749 §2.1).
    pub fn is_public(&self) -> bool {
        self.token_endpoint_auth_method == AuthMethod::None
    }

    /// Whether the client authenticates with a secret that we make.
    pub fn has_secret(&self) -> bool {
        use AuthMethod::{ClientSecretBasic, ClientSecretPost, None, PrivateKeyJwt};
        match self.token_endpoint_auth_method {
            ClientSecretBasic | ClientSecretPost => true,
            None | PrivateKeyJwt => false,
        }
    }

    /// Whether `requested` is one of the registered redirect URIs.
    pub fn allows_redirect_to(&self, requested: &str) -> bool {
        let native = self.application_type == ApplicationType::Native;
        self.redirect_uris.iter().any(|uri| redirect_uri::matches(uri, requested, native))
    }
}

/// Reads members of the right type, or says which one is not.
struct Reader<'a>(&'a Map<String, Value>);

impl<'a> Reader<'a> {
    /// A member that is there; `null` is as good as absent.
    fn member(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    fn text(&self, name: &str, most: usize) -> Result<Option<String>, OAuthError> {
        let Some(value) = self.member(name) else { return Ok(None) };
        let text = value.as_str().filter(|text| text.len() <= most);
        let text =
            text.ok_or_else(|| wrong(&format!("{name} must be a string of at most {most} bytes")))?;
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    fn strings(&self, name: &str, most: usize) -> Result<Vec<String>, OAuthError> {
        let Some(value) = self.member(name) else { return Ok(Vec::new()) };
        let complaint = || wrong(&format!("{name} must be an array of at most {most} strings"));
        let items = value.as_array().filter(|items| items.len() <= most).ok_or_else(complaint)?;
        let text =
            |item: &Value| item.as_str().filter(|text| text.len() <= 2048).map(str::to_owned);
        items.iter().map(text).collect::<Option<_>>().ok_or_else(complaint)
    }

    fn boolean(&self, name: &str) -> Result<bool, OAuthError> {
        let Some(value) = self.member(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| wrong(&format!("{name} must be true or false")))
    }

    fn seconds(&self, name: &str) -> Result<Option<u32>, OAuthError> {
        let Some(value) = self.member(name) else { return Ok(None) };
        let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
        seconds.map(Some).ok_or_else(|| wrong(&format!("{name} must be a number of seconds")))
    }

    fn word<T>(&self, name: &str, parse: fn(&str) -> Option<T>) -> Result<Option<T>, OAuthError> {
        let Some(word) = self.text(name, 64)? else { return Ok(None) };
        parse(&word).map(Some).ok_or_else(|| wrong(&format!("{name}: no such value here")))
    }

    /// A member of which only one value is supported.
    fn only(&self, name: &str, supported: &str) -> Result<String, OAuthError> {
        match self.text(name, 64)? {
            Some(other) if other != supported => {
                Err(wrong(&format!("{name}: only {supported} is supported")))
            }
            Some(_) | None => Ok(supported.to_owned()),
        }
    }

    /// Grant types; ones nobody here knows are dropped, since a client may be written for several
    /// providers ("the authorization server MAY … replace", RFC 7591 §2).
    fn grant_types(&self) -> Result<Vec<GrantType>, OAuthError> {
        if self.member("grant_types").is_none() {
            return Ok(vec![GrantType::AuthorizationCode]);
        }
        let words = self.strings("grant_types", 20)?;
        let known: Vec<_> = GrantType::ALL
            .iter()
            .copied()
            .filter(|t| words.iter().any(|w| w == t.as_str()))
            .collect();
        if known.is_empty() {
            Err(wrong("grant_types: none of them is supported"))
        } else {
            Ok(known)
        }
    }

    fn response_types(&self) -> Result<Vec<ResponseType>, OAuthError> {
        if self.member("response_types").is_none() {
            let wants_code = self.grant_types()?.contains(&GrantType::AuthorizationCode);
            return Ok(if wants_code { vec![ResponseType::Code] } else { Vec::new() });
        }
        let words = self.strings("response_types", 20)?;
        let known: Vec<_> = ResponseType::ALL
            .iter()
            .copied()
            .filter(|t| words.iter().any(|w| w == t.as_str()))
            .collect();
        if known.is_empty() && !words.is_empty() {
            return Err(wrong("response_types: none of them is supported"));
        }
        Ok(known)
    }

    /// A name shown to people: at most 64 characters, none of which is a control or changes the
    /// direction of writing.
    fn name(&self, name: &str) -> Result<Option<String>, OAuthError> {
        let Some(text) = self.text(name, 255)? else { return Ok(None) };
        let shown: String = text.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        if shown.chars().count() > 64 {
            return Err(wrong(&format!("{name} must be at most 64 characters")));
        }
        Ok(Some(shown).filter(|shown| !shown.is_empty()))
    }

    /// An `https` URL; `http` only where it stays on this machine.
    fn link(&self, name: &str) -> Result<Option<String>, OAuthError> {
        let Some(text) = self.text(name, 2048)? else { return Ok(None) };
        let good = text.bytes().all(|c| c.is_ascii_graphic())
            && Url::parse(&text).is_ok_and(|url| {
                let own_machine = url.scheme() == "http"
                    && redirect_uri::is_loopback(&url)
                    && name != "initiate_login_uri"
                    && name != "jwks_uri";
                (url.scheme() == "https" || own_machine)
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
            });
        if good { Ok(Some(text)) } else { Err(wrong(&format!("{name} must be an https URL"))) }
    }

    fn scope(&self, name: &str) -> Result<Option<Scope>, OAuthError> {
        let Some(text) = self.text(name, 1024)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| wrong("scope must be words of printable ASCII"))
    }

    /// A JWK Set without a private or a symmetric key ([RFC 7517 §9.2]).
    ///
    /// [RFC 7517 §9.2]: https://www.rfc-editor.org/rfc/rfc7517#section-9.2
    fn public_keys(&self, name: &str) -> Result<Option<Value>, OAuthError> {
        let Some(set) = self.member(name) else { return Ok(None) };
        let keys = set.get("keys").and_then(Value::as_array);
        let public = |key: &Value| {
            let kind = key.get("kty").and_then(Value::as_str);
            matches!(kind, Some("RSA" | "EC" | "OKP"))
                && ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
                    .iter()
                    .all(|part| key.get(part).is_none())
        };
        match keys {
            Some(keys) if (1..=20).contains(&keys.len()) && keys.iter().all(public) => {
                Ok(Some(set.clone()))
            }
            _ => Err(wrong(&format!("{name} must be a JWK Set of 1 to 20 public keys"))),
        }
    }
}

/// Bidirectional controls, zero-width characters and their like.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{061C}' | '\u{E0000}'..='\u{E007F}')
}

fn wrong(description: &str) -> OAuthError {
    OAuthError::described(ErrorCode::InvalidClientMetadata, description)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: &Value) -> Result<ClientMetadata, OAuthError> {
        ClientMetadata::parse(value.as_object().unwrap())
    }

    #[test]
    fn silence_means_the_defaults_of_the_rfc() {
        let client =
            parse(&json!({"redirect_uris": ["https://shop.example/cb"], "extra": {}})).unwrap();
        assert_eq!(client.grant_types, [GrantType::AuthorizationCode]);
        assert_eq!(client.response_types, [ResponseType::Code]);
        assert_eq!(client.token_endpoint_auth_method, AuthMethod::ClientSecretBasic);
        assert_eq!(client.application_type, ApplicationType::Web);
        let stored = serde_json::to_value(&client).unwrap();
        assert_eq!(stored.get("extra"), None);
        assert_eq!(parse(&stored), Ok(client), "what is stored reads back the same");
    }

    #[test]
    fn each_bad_member_is_named() {
        let good = json!({"redirect_uris": ["https://shop.example/cb"]});
        for (member, value) in [
            ("redirect_uris", json!(["https://shop.example/cb#"])),
            ("redirect_uris", json!("https://shop.example/cb")),
            ("redirect_uris", json!([])),
            ("grant_types", json!(["password"])),
            ("grant_types", json!("authorization_code")),
            ("grant_types", json!(["refresh_token"])),
            ("token_endpoint_auth_method", json!("client_secret_jwt")),
            ("id_token_signed_response_alg", json!("none")),
            ("subject_type", json!("pairwise")),
            ("logo_uri", json!("javascript:alert(1)")),
            ("policy_uri", json!("http://shop.example/policy")),
            ("initiate_login_uri", json!("http://localhost/start")),
            ("client_name", json!("x".repeat(65))),
            ("client_name", json!(["x"])),
            ("default_max_age", json!(-1)),
            ("default_max_age", json!(1.5)),
            ("jwks", json!({"keys": [{"kty": "RSA", "n": "x", "e": "AQAB", "d": "secret"}]})),
            ("jwks", json!({"keys": [{"kty": "oct", "k": "secret"}]})),
            ("scope", json!("open\"id")),
            ("token_endpoint_auth_method", json!("private_key_jwt")),
        ] {
            let mut client = good.clone();
            client[member] = value.clone();
            let error = parse(&client).unwrap_err();
            let named = error.description.contains(member) || error.description.contains("jwks");
            assert!(named, "{member}={value}: {error}");
        }
    }

    #[test]
    fn a_name_is_stripped_of_what_cannot_be_seen() {
        let client = parse(&json!({"redirect_uris": ["https://shop.example/cb"],
            "client_name": "My\u{202E} \n Shop\u{200B}"}));
        assert_eq!(client.unwrap().client_name.as_deref(), Some("My Shop"));
    }
}
