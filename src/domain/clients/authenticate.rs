//! Client authentication ([RFC 6749 §2.3], [OpenID Connect Core §9]): the same rules at every endpoint.
//!
//! A client authenticates with one of the methods it registered. Which check failed is logged; the response is
//! `invalid_client` for all of them, and names the method that the request used. Only a request with the right secret
//! learns which methods are registered: any other response says nothing that was not in the request.
//!
//! [RFC 6749 §2.3]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3
//! [OpenID Connect Core §9]: https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication

use thiserror::Error;

use super::assertion::{self, AssertionError};
use super::jwks_cache::{ClientJwtError, FetchQueue, JwksCache};
use super::secret_encryption::SecretCipher;
use super::{Client, ClientId};
use crate::domain::events::ClientAuthFailure;
use crate::infra::clock::UnixTime;
use crate::infra::jose::{self, VerificationError, VerifiedJwt};
use crate::infra::store::{Consistency, CreateOutcome, Store, StoreError};
use crate::protocol::client_auth::{read_basic, read_unencoded_basic};
use crate::protocol::client_metadata::ClientAlg;
use crate::protocol::{AuthMethod, Credentials, Params};

/// Why a client is not authenticated.
#[derive(Debug, Error)]
pub enum ClientAuthError {
    /// No client of that id.
    #[error("there is no such client")]
    Unknown,
    /// An operator disabled it.
    #[error("the client is disabled")]
    Disabled,
    /// It registered other methods.
    #[error("the client is registered for another method")]
    Method(WrongMethod),
    /// Not one of its live secrets.
    #[error("the secret is wrong")]
    Secret,
    /// Its keys could not be fetched.
    #[error("the client's keys could not be fetched")]
    Keys,
    /// Too many keys are being fetched already: nothing is known about the client.
    #[error("too many keys are being fetched")]
    Busy,
    /// The assertion's signature or form.
    #[error("the assertion could not be verified: {0:?}")]
    Signature(VerificationError),
    /// The assertion's claims.
    #[error("the assertion breaks a rule: {0:?}")]
    Assertion(AssertionError),
    /// The assertion was used before.
    #[error("the assertion was used before")]
    Replayed,
    /// The store did not answer: nothing is known about the client.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A method that the client did not register: the most frequent mistake of libraries, which have a default of their
/// own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WrongMethod {
    /// The methods that the client registered.
    pub registered: Vec<AuthMethod>,
    /// Whether the request has the client's secret all the same.
    pub knows_secret: bool,
}

impl WrongMethod {
    /// The registered methods, for a sentence.
    pub fn registered(&self) -> String {
        self.registered.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(" or ")
    }
}

/// Authenticates clients.
pub struct ClientAuthenticator<'a> {
    pub store: &'a dyn Store,
    /// The key sets of clients.
    pub keys: &'a JwksCache,
    /// Decrypts the secrets of `client_secret_jwt`; absent where that method is off.
    pub secret_cipher: Option<&'a SecretCipher>,
    /// The accepted values of an assertion's `aud`.
    pub audiences: &'a [&'a str],
    pub now: UnixTime,
}

impl ClientAuthenticator<'_> {
    /// Authenticates the client of these credentials.
    ///
    /// The client is read from the cache first. Before a request is rejected it is read from the store, so that a secret
    /// that was made just now works at once. An unknown client is looked up twice, too, so that both rejections take as
    /// long.
    pub async fn authenticate(&self, credentials: &Credentials) -> Result<Client, ClientAuthError> {
        let id = claimed_id(credentials).as_deref().and_then(ClientId::parse);
        let id = id.ok_or(ClientAuthError::Unknown)?;
        let (lately, why) = match super::find_with(self.store, &id, Consistency::Cached).await? {
            None => (None, ClientAuthError::Unknown),
            Some(client) => match self.check_credentials(&client, credentials).await {
                Ok(()) => return Ok(client),
                Err(ClientAuthError::Store(cause)) => return Err(cause.into()),
                Err(why) => (Some(client), why),
            },
        };
        match super::find(self.store, &id).await? {
            None => Err(ClientAuthError::Unknown),
            now if now == lately => Err(why),
            Some(now) => self.check_credentials(&now, credentials).await.map(|()| now),
        }
    }

    async fn check_credentials(
        &self,
        client: &Client,
        credentials: &Credentials,
    ) -> Result<(), ClientAuthError> {
        if !client.metadata.auth_methods().iter().any(|method| credentials.match_method(*method)) {
            return Err(ClientAuthError::Method(self.wrong_method(client, credentials)));
        }
        match credentials {
            Credentials::Public { .. } => {}
            Credentials::Basic { secret, .. } | Credentials::Post { secret, .. } => {
                if !client.accepts_secret(secret, self.now) {
                    return Err(ClientAuthError::Secret);
                }
            }
            // An assertion of a disabled client is not used up.
            Credentials::Assertion { .. } if !client.enabled => {}
            Credentials::Assertion { jwt, .. } => self.check_assertion(client, jwt).await?,
        }
        if client.enabled { Ok(()) } else { Err(ClientAuthError::Disabled) }
    }

    fn wrong_method(&self, client: &Client, credentials: &Credentials) -> WrongMethod {
        let knows_secret = match credentials {
            Credentials::Public { .. } | Credentials::Assertion { .. } => false,
            Credentials::Basic { secret, .. } | Credentials::Post { secret, .. } => {
                client.accepts_secret(secret, self.now)
            }
        };
        WrongMethod { registered: client.metadata.auth_methods().to_vec(), knows_secret }
    }

    async fn check_assertion(&self, client: &Client, jwt: &str) -> Result<(), ClientAuthError> {
        let verified = self.verify(client, jwt).await?;
        let used =
            assertion::validate_claims(&verified.claims, &client.id, self.audiences, self.now);
        let used = used.map_err(ClientAuthError::Assertion)?;
        match self.store.create(&used).await? {
            CreateOutcome::Created => Ok(()),
            CreateOutcome::Exists => Err(ClientAuthError::Replayed),
        }
    }

    /// Verifies an assertion with the kind of key that belongs to the registered method.
    async fn verify(&self, client: &Client, jwt: &str) -> Result<VerifiedJwt, ClientAuthError> {
        if client.metadata.allows_auth_method(AuthMethod::ClientSecretJwt) {
            let cipher = self.secret_cipher.ok_or(ClientAuthError::Keys)?;
            let verified = cipher.verify(client, jwt, self.now);
            let verified = verified.map_err(ClientAuthError::Signature)?;
            return Ok(verified.store_reencrypted(self.store, &client.id).await);
        }
        let allowed = match client.metadata.token_endpoint_auth_signing_alg {
            Some(only) => only.signature_alg().into_iter().collect(),
            None => ClientAlg::ALL.to_vec(),
        };
        let verified =
            self.keys.verify(&client.metadata, jwt, &allowed, FetchQueue::Unlimited, self.now);
        verified.await.map_err(|why| match why {
            ClientJwtError::Busy => ClientAuthError::Busy,
            ClientJwtError::Keys => ClientAuthError::Keys,
            ClientJwtError::Signature(why) => ClientAuthError::Signature(why),
        })
    }
}

/// Whether a Basic header has the right secret, only not form-encoded ([RFC 6749 §2.3.1]). This authenticates nobody: it
/// is logged, so that the operator finds the cause.
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub async fn is_right_but_unencoded(store: &dyn Store, authorization: &str, now: UnixTime) -> bool {
    let Some((id, secret)) = read_unencoded_basic(authorization) else { return false };
    let Some(id) = ClientId::parse(&id) else { return false };
    let client = super::find_with(store, &id, Consistency::Cached).await;
    client.is_ok_and(|client| client.is_some_and(|client| client.accepts_secret(&secret, now)))
}

/// The client id of the credentials. That of an assertion is its `sub`; a `client_id` beside it has to be the same, which
/// `iss = sub = client` ensures.
fn claimed_id(credentials: &Credentials) -> Option<String> {
    match credentials {
        Credentials::Public { client_id }
        | Credentials::Basic { client_id, .. }
        | Credentials::Post { client_id, .. } => Some(client_id.clone()),
        Credentials::Assertion { client_id: Some(id), .. } => Some(id.clone()),
        Credentials::Assertion { client_id: None, jwt } => jose::unverified_claim(jwt, "sub"),
    }
}

/// The client id that a request claims, whether or not it is authentic or well-formed: for the log.
pub fn claimed_by(authorization: Option<&str>, params: &Params) -> Option<String> {
    let basic = || authorization.and_then(read_basic).map(|(id, _)| id);
    let form = || params.get("client_id").map(str::to_owned);
    let assertion = || {
        let jwt = params.get("client_assertion")?;
        jose::unverified_claim(jwt, "sub").or_else(|| jose::unverified_claim(jwt, "iss"))
    };
    basic().or_else(form).or_else(assertion)
}

impl ClientAuthError {
    /// For the audit log and metrics.
    pub const fn reason(&self) -> ClientAuthFailure {
        match self {
            Self::Unknown => ClientAuthFailure::UnknownClient,
            Self::Disabled => ClientAuthFailure::Disabled,
            Self::Method(_) => ClientAuthFailure::WrongMethod,
            Self::Secret => ClientAuthFailure::WrongSecret,
            Self::Keys => ClientAuthFailure::NoKeys,
            // Neither is reported: the client is told to come back.
            Self::Busy | Self::Store(_) => ClientAuthFailure::Busy,
            Self::Signature(_) => ClientAuthFailure::BadSignature,
            Self::Assertion(_) => ClientAuthFailure::BadAssertion,
            Self::Replayed => ClientAuthFailure::Replayed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::secret::base64url;

    #[test]
    fn a_claim_is_read_wherever_it_was_made() {
        let jwt =
            |claims: &str| format!("{}.{}.c2ln", base64url(b"{}"), base64url(claims.as_bytes()));
        let (sub, iss) = (jwt(r#"{"sub":"shop"}"#), jwt(r#"{"iss":"kiosk"}"#));
        for (header, form, claimed) in [
            (Some("Basic c2hvcDp4"), String::new(), Some("shop")),
            (Some("Basic c2hvcDp4"), "client_id=other".into(), Some("shop")),
            (Some("Basic !"), "client_id=form".into(), Some("form")),
            (None, format!("client_assertion={sub}"), Some("shop")),
            (None, format!("client_assertion={iss}"), Some("kiosk")),
            (None, format!("client_id=form&client_assertion={sub}"), Some("form")),
            (None, "client_assertion=x.y".into(), None),
            (Some("Basic !"), String::new(), None),
        ] {
            let params = Params::parse(form.as_bytes()).unwrap();
            assert_eq!(claimed_by(header, &params).as_deref(), claimed, "{header:?} {form}");
        }
    }
}
