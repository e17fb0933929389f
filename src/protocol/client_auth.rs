//! How a client says who it is ([RFC 6749 §2.3], [OpenID Connect Core §9]): the credentials in a request, before they are checked.
//!
//! [RFC 6749 §2.3]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3
//! [OpenID Connect Core §9]: https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Params;
use super::params::percent_decode;
use super::string_enum::string_enum;

string_enum! {
    /// A way for a client to authenticate. `none` is last, because some libraries take the first method in the metadata
    /// that they know.
    AuthMethod {
        /// Id and secret in a Basic header.
        ClientSecretBasic = "client_secret_basic",
        /// Id and secret in the form.
        ClientSecretPost = "client_secret_post",
        /// A JWT signed with the client's own key ([RFC 7523](https://www.rfc-editor.org/rfc/rfc7523)).
        PrivateKeyJwt = "private_key_jwt",
        /// A JWT with a MAC made with the secret; only where the operator allows it.
        ClientSecretJwt = "client_secret_jwt",
        /// A public client: the id alone.
        None = "none",
    }
}

/// `client_assertion_type` of RFC 7523 §2.2.
pub const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The client credentials in a request, not verified yet.
#[derive(Clone)]
pub enum Credentials {
    /// `client_id` only.
    Public { client_id: String },
    /// Basic header.
    Basic { client_id: String, secret: String },
    /// `client_id` and `client_secret` in the form.
    Post { client_id: String, secret: String },
    /// A client assertion; the id is what the assertion's `sub` claims, unverified, when the form
    /// does not say.
    Assertion { client_id: Option<String>, jwt: String },
}

/// Why the credentials could not be parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CredentialsError {
    /// There is no client id.
    Missing,
    /// More than one method at once (RFC 6749 §2.3: "MUST NOT").
    TwoMethods,
    /// The header is not Basic, or its two parts do not decode.
    Header,
    /// The form's `client_id` is not the one in the header.
    TwoClients,
    /// An assertion without its type, or of a type that is not `jwt-bearer`.
    AssertionType,
}

impl Credentials {
    /// Parses header and form. `authorization` is the raw header value.
    pub fn parse(authorization: Option<&str>, params: &Params) -> Result<Self, CredentialsError> {
        let client_id = params.get("client_id").map(str::to_owned);
        let secret = params.get("client_secret").map(str::to_owned);
        let assertion = params.get("client_assertion").map(str::to_owned);
        let shown = [authorization.is_some(), secret.is_some(), assertion.is_some()];
        if shown.into_iter().filter(|one| *one).count() > 1 {
            return Err(CredentialsError::TwoMethods);
        }
        if let Some(header) = authorization {
            let (id, secret) = read_basic(header).ok_or(CredentialsError::Header)?;
            if client_id.is_some_and(|also| also != id) {
                return Err(CredentialsError::TwoClients);
            }
            return Ok(Self::Basic { client_id: id, secret });
        }
        let kind = params.get("client_assertion_type");
        if let Some(jwt) = assertion {
            if kind != Some(JWT_BEARER) {
                return Err(CredentialsError::AssertionType);
            }
            return Ok(Self::Assertion { client_id, jwt });
        }
        if kind.is_some() {
            return Err(CredentialsError::AssertionType);
        }
        let client_id = client_id.ok_or(CredentialsError::Missing)?;
        Ok(match secret {
            Some(secret) => Self::Post { client_id, secret },
            None => Self::Public { client_id },
        })
    }

    /// The method in use, as far as the request shows it.
    pub const fn method_name(&self) -> &'static str {
        match self {
            Self::Public { .. } => AuthMethod::None.as_str(),
            Self::Basic { .. } => AuthMethod::ClientSecretBasic.as_str(),
            Self::Post { .. } => AuthMethod::ClientSecretPost.as_str(),
            Self::Assertion { .. } => "client_assertion",
        }
    }

    /// Whether the credentials can be of that method. An assertion can be of both JWT methods until it is verified.
    pub const fn match_method(&self, method: AuthMethod) -> bool {
        use AuthMethod::{
            ClientSecretBasic, ClientSecretJwt, ClientSecretPost, None, PrivateKeyJwt,
        };
        match self {
            Self::Public { .. } => matches!(method, None),
            Self::Basic { .. } => matches!(method, ClientSecretBasic),
            Self::Post { .. } => matches!(method, ClientSecretPost),
            Self::Assertion { .. } => matches!(method, PrivateKeyJwt | ClientSecretJwt),
        }
    }
}

/// The same halves as they were sent, where the form-decoding that [RFC 6749 §2.3.1] asks for makes another
/// secret of them: many libraries leave the encoding out, and most secrets do not show it.
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub fn read_unencoded_basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    let decoded = STANDARD.decode(encoded).ok()?;
    let (id, secret) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    let differs = scheme.eq_ignore_ascii_case("basic") && is_changed_by_form_encoding(secret);
    differs.then(|| (id.to_owned(), secret.to_owned()))
}

/// Whether form-decoding makes another text of this one, or none.
pub fn is_changed_by_form_encoding(secret: &str) -> bool {
    secret.contains(['+', '%'])
}

/// Strict base64, split at the first colon, both halves form-decoded ([RFC 6749 §2.3.1]).
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub fn read_basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = STANDARD.decode(encoded).ok()?;
    let colon = decoded.iter().position(|&byte| byte == b':')?;
    let id = percent_decode(&decoded[..colon]).ok()?;
    let secret = percent_decode(&decoded[colon + 1..]).ok()?;
    (!id.is_empty()).then_some((id, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    fn params(text: &str) -> Params {
        Params::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn both_halves_of_a_basic_header_are_form_decoded() {
        let read = read_basic(&header("my%3Aid:a%2Bb%25+c:d")).unwrap();
        assert_eq!(read, ("my:id".into(), "a+b% c:d".into()));
        // As openid-client sends a UUID: whatever is no letter or digit is encoded.
        let read = read_basic(&header("3f1c%2D42aa%5F%7e:s%2Dt%5Fu%2Ev%7E")).unwrap();
        assert_eq!(read, ("3f1c-42aa_~".into(), "s-t_u.v~".into()));
        assert_eq!(read_basic("Basic bm9jb2xvbg=="), None);
        assert_eq!(read_basic("Basic YTpi\n"), None);
        assert_eq!(read_basic("Basic YTp"), None);
        assert_eq!(read_basic("Bearer YTpi"), None);
        assert_eq!(read_basic(&header(":secret")), None);
    }

    #[test]
    fn one_method_at_a_time() {
        let basic = header("a:b");
        let read = |header: Option<&str>, form: &str| {
            Credentials::parse(header, &params(form)).map(|read| {
                let of = |method: &&AuthMethod| read.match_method(**method);
                AuthMethod::ALL.iter().filter(of).copied().collect::<Vec<_>>()
            })
        };
        let assertion = format!("client_assertion=x.y.z&client_assertion_type={JWT_BEARER}");
        assert_eq!(read(Some(&basic), ""), Ok(vec![AuthMethod::ClientSecretBasic]));
        assert_eq!(read(Some(&basic), "client_id=a"), Ok(vec![AuthMethod::ClientSecretBasic]));
        assert_eq!(read(Some(&basic), "client_id=c"), Err(CredentialsError::TwoClients));
        assert_eq!(read(Some(&basic), "client_secret=b"), Err(CredentialsError::TwoMethods));
        assert_eq!(read(Some(&basic), &assertion), Err(CredentialsError::TwoMethods));
        assert_eq!(
            read(None, "client_id=a&client_secret=b"),
            Ok(vec![AuthMethod::ClientSecretPost])
        );
        assert_eq!(read(None, "client_id=a"), Ok(vec![AuthMethod::None]));
        assert_eq!(
            read(None, &assertion),
            Ok(vec![AuthMethod::PrivateKeyJwt, AuthMethod::ClientSecretJwt])
        );
        assert_eq!(read(None, "client_assertion=x.y.z"), Err(CredentialsError::AssertionType));
        assert_eq!(read(None, "client_secret=b"), Err(CredentialsError::Missing));
        assert_eq!(read(None, ""), Err(CredentialsError::Missing));
    }
}
