//! Client metadata ([RFC 7591 §2], [OpenID Connect Registration §2]): parsed by one function, whether it comes from a
//! registration, an update, the bootstrap file or the command line.
//!
//! Members that are not in [`MEMBERS`] are dropped, never stored and never echoed. What happens to known members that
//! cannot be read is explained in `parse.rs`.
//!
//! [RFC 7591 §2]: https://www.rfc-editor.org/rfc/rfc7591#section-2
//! [OpenID Connect Registration §2]: https://openid.net/specs/openid-connect-registration-1_0.html#ClientMetadata

mod parse;
mod sector;
mod validate;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use self::parse::MetadataParser;
pub use super::algorithms::{AssertionAlg, ClientAlg};
use super::algorithms::{ContentEncryption, KeyManagement};
use super::string_enum::string_enum;
use super::{AuthMethod, ErrorCode, GrantType, OAuthError, ResponseType, Scope, redirect_uri};

string_enum! {
    /// Where the client runs (OpenID Connect Registration §2).
    ApplicationType {
        /// On a server or in a browser.
        Web = "web",
        /// On the user's device.
        Native = "native",
    }
}

string_enum! {
    /// Whether clients see the same `sub` for a user ([OpenID Connect Core §8]).
    ///
    /// [OpenID Connect Core §8]: https://openid.net/specs/openid-connect-core-1_0.html#SubjectIDTypes
    SubjectType {
        /// All clients see the same `sub`.
        Public = "public",
        /// Each sector has its own `sub`.
        Pairwise = "pairwise",
    }
}

/// What a client registered about itself; the fields are the RFCs' own names.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClientMetadata {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_uris: Vec<String>,
    pub response_types: Vec<ResponseType>,
    pub grant_types: Vec<GrantType>,
    pub application_type: ApplicationType,
    pub token_endpoint_auth_method: AuthMethod,
    /// All methods, if there are several, which only an operator can declare. Earlier releases read the single one
    /// above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_endpoint_auth_methods: Vec<AuthMethod>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_endpoint_auth_signing_alg: Option<AssertionAlg>,
    pub subject_type: SubjectType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector_identifier_uri: Option<String>,
    pub id_token_signed_response_alg: ClientAlg,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_alg: Option<KeyManagement>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_encrypted_response_enc: Option<ContentEncryption>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo_signed_response_alg: Option<ClientAlg>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_alg: Option<KeyManagement>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub userinfo_encrypted_response_enc: Option<ContentEncryption>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_object_signing_alg: Option<ClientAlg>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_object_encryption_alg: Option<KeyManagement>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_object_encryption_enc: Option<ContentEncryption>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_uris: Vec<String>,
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
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frontchannel_logout_uri: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub frontchannel_logout_session_required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub backchannel_logout_session_required: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_version: Option<String>,
    /// As it was sent; the registration endpoint has verified it (RFC 7591 §2.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub software_statement: Option<String>,
}

/// The members that are parsed, in the order of the fields.
pub const MEMBERS: &[&str] = &[
    "redirect_uris",
    "response_types",
    "grant_types",
    "application_type",
    "token_endpoint_auth_method",
    "token_endpoint_auth_methods",
    "token_endpoint_auth_signing_alg",
    "subject_type",
    "sector_identifier_uri",
    "id_token_signed_response_alg",
    "id_token_encrypted_response_alg",
    "id_token_encrypted_response_enc",
    "userinfo_signed_response_alg",
    "userinfo_encrypted_response_alg",
    "userinfo_encrypted_response_enc",
    "request_object_signing_alg",
    "request_object_encryption_alg",
    "request_object_encryption_enc",
    "request_uris",
    "client_name",
    "client_uri",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "initiate_login_uri",
    "contacts",
    "jwks_uri",
    "jwks",
    "scope",
    "default_max_age",
    "require_auth_time",
    "default_acr_values",
    "post_logout_redirect_uris",
    "frontchannel_logout_uri",
    "frontchannel_logout_session_required",
    "backchannel_logout_uri",
    "backchannel_logout_session_required",
    "software_id",
    "software_version",
    "software_statement",
];

/// What this installation supports beyond the minimum; registrations are checked against it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerCapabilities {
    pub response_types: Vec<ResponseType>,
    /// The algorithms there are signing keys for.
    pub signing_algs: Vec<ClientAlg>,
    pub client_secret_jwt: bool,
    /// Whether the operator declares the client. Then more redirect URIs are allowed, and every error is reported.
    pub by_operator: bool,
}

impl ServerCapabilities {
    /// Everything there is: for what an operator declares before the configuration is known.
    pub fn all() -> Self {
        Self {
            response_types: ResponseType::ALL.to_vec(),
            signing_algs: ClientAlg::ALL.to_vec(),
            client_secret_jwt: true,
            by_operator: true,
        }
    }

    pub fn auth_methods(&self) -> impl Iterator<Item = AuthMethod> {
        let offered =
            |it: &AuthMethod| *it != AuthMethod::ClientSecretJwt || self.client_secret_jwt;
        AuthMethod::ALL.iter().copied().filter(offered)
    }

    /// The algorithms of client assertions, as the provider metadata lists them.
    pub fn assertion_alg_names(&self) -> Vec<&'static str> {
        let offered = |it: &&AssertionAlg| it.signature_alg().is_some() || self.client_secret_jwt;
        AssertionAlg::ALL.iter().filter(offered).map(|it| it.as_str()).collect()
    }
}

impl Default for ServerCapabilities {
    /// The code flow and RS256.
    fn default() -> Self {
        Self {
            response_types: vec![ResponseType::Code, ResponseType::None],
            signing_algs: vec![ClientAlg::Rs256],
            client_secret_jwt: false,
            by_operator: false,
        }
    }
}

impl ClientMetadata {
    /// [`Self::parse_within`] with the default capabilities.
    pub fn parse(members: &Map<String, Value>) -> Result<Self, OAuthError> {
        Self::parse_within(members, &ServerCapabilities::default())
    }

    /// [`Self::parse_reporting`], without the report of what was dropped.
    pub fn parse_within(
        members: &Map<String, Value>,
        offer: &ServerCapabilities,
    ) -> Result<Self, OAuthError> {
        Self::parse_reporting(members, offer).map(|(metadata, _)| metadata)
    }

    /// Parses and validates a registration, and reports which members were dropped or replaced. Errors are `invalid_redirect_uri` or `invalid_client_metadata`
    /// ([RFC 7591 §3.2.2]) and name the member.
    ///
    /// [RFC 7591 §3.2.2]: https://www.rfc-editor.org/rfc/rfc7591#section-3.2.2
    pub fn parse_reporting(
        members: &Map<String, Value>,
        offer: &ServerCapabilities,
    ) -> Result<(Self, Vec<OAuthError>), OAuthError> {
        let read = MetadataParser::new(members, offer);
        let metadata = Self::of(&read, offer)?;
        validate::validate(&metadata).map_err(|error| read.explain(error))?;
        Ok((metadata, read.into_dropped()))
    }

    fn of(read: &MetadataParser<'_>, offer: &ServerCapabilities) -> Result<Self, OAuthError> {
        let (method, methods) = read.auth_methods(offer)?;
        let response_types = read.response_types(offer)?;
        let application_type = read.word("application_type", ApplicationType::parse);
        let application_type = read.or_default(application_type)?.unwrap_or(ApplicationType::Web);
        let places = validate::RedirectUriRules::new(application_type, &response_types, offer);
        let encryption = |name: &str| {
            let alg = read.word(&format!("{name}_alg"), KeyManagement::parse)?;
            Ok((alg, read.content_encryption(name, alg)?))
        };
        let (id_token_alg, id_token_enc) = encryption("id_token_encrypted_response")?;
        let (userinfo_alg, userinfo_enc) = encryption("userinfo_encrypted_response")?;
        // Only a permission for the client, so it can be dropped.
        let (object_alg, object_enc) = read.or_default(encryption("request_object_encryption"))?;
        Ok(Self {
            redirect_uris: read.checked("redirect_uris", 20, |uri| places.check_redirect(uri))?,
            response_types,
            grant_types: read.grant_types(offer)?,
            application_type,
            token_endpoint_auth_method: method,
            token_endpoint_auth_methods: methods,
            token_endpoint_auth_signing_alg: read
                .word("token_endpoint_auth_signing_alg", AssertionAlg::parse)?,
            subject_type: read
                .word("subject_type", SubjectType::parse)?
                .unwrap_or(SubjectType::Public),
            sector_identifier_uri: read.link("sector_identifier_uri")?,
            id_token_signed_response_alg: read
                .own_signature_alg("id_token_signed_response_alg", offer)?
                .unwrap_or(ClientAlg::Rs256),
            id_token_encrypted_response_alg: id_token_alg,
            id_token_encrypted_response_enc: id_token_enc,
            userinfo_signed_response_alg: read
                .own_signature_alg("userinfo_signed_response_alg", offer)?,
            userinfo_encrypted_response_alg: userinfo_alg,
            userinfo_encrypted_response_enc: userinfo_enc,
            request_object_signing_alg: read
                .word("request_object_signing_alg", ClientAlg::parse)?,
            request_object_encryption_alg: object_alg,
            request_object_encryption_enc: object_enc,
            request_uris: read.links("request_uris", 20)?,
            client_name: read.name("client_name")?,
            client_uri: read.or_default(read.link("client_uri"))?,
            logo_uri: read.or_default(read.link("logo_uri"))?,
            policy_uri: read.or_default(read.link("policy_uri"))?,
            tos_uri: read.or_default(read.link("tos_uri"))?,
            // One without TLS is refused, not dropped: it has to be https (OpenID Connect Core §4), and the
            // Foundation's suite wants to hear so.
            initiate_login_uri: read.link("initiate_login_uri")?,
            contacts: read.strings("contacts", 10)?,
            jwks_uri: read.or_default(read.link("jwks_uri"))?,
            jwks: read.public_keys("jwks")?,
            scope: read.scope("scope")?,
            default_max_age: read.seconds("default_max_age")?,
            require_auth_time: read.boolean("require_auth_time")?,
            default_acr_values: read.strings("default_acr_values", 10)?,
            post_logout_redirect_uris: read
                .checked("post_logout_redirect_uris", 20, |uri| places.check_post_logout(uri))?,
            frontchannel_logout_uri: read.link("frontchannel_logout_uri")?,
            frontchannel_logout_session_required: read
                .boolean("frontchannel_logout_session_required")?,
            backchannel_logout_uri: read.link("backchannel_logout_uri")?,
            backchannel_logout_session_required: read
                .boolean("backchannel_logout_session_required")?,
            software_id: read.or_default(read.text("software_id", 255))?,
            software_version: read.or_default(read.text("software_version", 255))?,
            software_statement: read.text("software_statement", 16 * 1024)?,
        })
    }

    /// Whether the client cannot keep a secret (RFC 6749 §2.1).
    pub fn is_public(&self) -> bool {
        self.token_endpoint_auth_method == AuthMethod::None
    }

    /// The methods it may authenticate with; each request uses one (RFC 6749 §2.3).
    pub fn auth_methods(&self) -> &[AuthMethod] {
        match self.token_endpoint_auth_methods.as_slice() {
            [] => std::slice::from_ref(&self.token_endpoint_auth_method),
            several => several,
        }
    }

    pub fn allows_auth_method(&self, method: AuthMethod) -> bool {
        self.auth_methods().contains(&method)
    }

    /// Whether the client authenticates with a secret that Latchkey issues.
    pub fn has_secret(&self) -> bool {
        use AuthMethod::{
            ClientSecretBasic, ClientSecretJwt, ClientSecretPost, None, PrivateKeyJwt,
        };
        self.auth_methods().iter().any(|method| match method {
            ClientSecretBasic | ClientSecretPost | ClientSecretJwt => true,
            None | PrivateKeyJwt => false,
        })
    }

    /// Whether another application on the same device could take this one's place at that redirect URI
    /// ([RFC 8252 §8.6]). A public client proves itself only by its redirect URI, and a private-use scheme or a
    /// loopback port belongs to whichever application takes it first. A web client at its one registered loopback
    /// address, in development, is trusted: it could not be kept signed in otherwise.
    ///
    /// [RFC 8252 §8.6]: https://www.rfc-editor.org/rfc/rfc8252#section-8.6
    pub fn is_impersonable_at(&self, uri: &str) -> bool {
        let is_native = self.application_type == ApplicationType::Native
            || redirect_uri::is_private_use(uri)
            || !self.redirect_uris.iter().any(|registered| registered == uri);
        self.is_public() && is_native && redirect_uri::is_native(uri)
    }

    /// Warnings about redirect URIs that only an operator may declare.
    pub fn operator_warnings(&self) -> Vec<String> {
        let said = |uri: &String| {
            redirect_uri::operator_warning(uri)
                .map(|caution| format!("redirect_uris: {uri} {caution}"))
        };
        self.redirect_uris.iter().filter_map(said).collect()
    }

    /// Whether `requested` is one of the registered redirect URIs.
    pub fn allows_redirect_to(&self, requested: &str) -> bool {
        let native = self.application_type == ApplicationType::Native;
        self.redirect_uris.iter().any(|uri| redirect_uri::matches(uri, requested, native))
    }
}

fn invalid_metadata(description: &str) -> OAuthError {
    OAuthError::described(ErrorCode::InvalidClientMetadata, description)
}

#[cfg(test)]
mod tests;
