//! Client authentication ([RFC 6749 §2.3], [OpenID Connect Core §9]): the same rules at every endpoint.
//!
//! A client proves itself with one of the methods it registered. What exactly failed goes to the log; the
//! caller learns `invalid_client`, whichever of these it was, and which method the request used. Which ones
//! the client is registered for is told to a caller that shows its right secret, and so is no stranger. To
//! anybody else the answer says nothing that was not in the request.
//!
//! [RFC 6749 §2.3]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3
//! [OpenID Connect Core §9]: https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication

use thiserror::Error;

use super::assertion::{self, Broken};
use super::key_cache::{Holding, KeyCache, NotItsOwn};
use super::vault::Vault;
use super::{Client, ClientId};
use crate::domain::events::ClientAuthFailure;
use crate::infra::clock::UnixTime;
use crate::infra::jose::{self, NotVerified, Verified};
use crate::infra::store::{Consistency, CreateOutcome, Store, StoreError};
use crate::protocol::client_auth::{read_basic, read_unencoded_basic};
use crate::protocol::client_metadata::ClientAlg;
use crate::protocol::{AuthMethod, Credentials, Params};

/// Why a client is not authenticated.
#[derive(Debug, Error)]
pub enum NotAuthenticated {
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
    Signature(NotVerified),
    /// The assertion's claims.
    #[error("the assertion breaks a rule: {0:?}")]
    Assertion(Broken),
    /// The assertion was used before.
    #[error("the assertion was used before")]
    Replayed,
    /// The store did not answer: nothing is known about the client.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A method that is none of the client's: the commonest mistake of libraries, which have one of their own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WrongMethod {
    /// The client's.
    pub registered: Vec<AuthMethod>,
    /// Whether the secret beside it is the client's all the same.
    pub knows_secret: bool,
}

impl WrongMethod {
    /// The client's methods, as a person reads them.
    pub fn registered(&self) -> String {
        self.registered.iter().map(|method| method.as_str()).collect::<Vec<_>>().join(" or ")
    }
}

/// What authenticating needs beside the credentials.
pub struct Desk<'a> {
    /// Where clients are.
    pub store: &'a dyn Store,
    /// Where their keys are.
    pub keys: &'a KeyCache,
    /// What opens the secrets of `client_secret_jwt`, where that is allowed.
    pub vault: Option<&'a Vault>,
    /// The spellings of us an assertion may be addressed to.
    pub audiences: &'a [&'a str],
    /// The present.
    pub now: UnixTime,
}

impl Desk<'_> {
    /// The client the credentials prove.
    ///
    /// The client may be taken for what it was a moment ago, as long as that proves it. Nobody is turned
    /// away for it: a secret that was made just now works at once. A client that is not there is looked up
    /// twice, too, so that being turned away takes as long as it does where there is one.
    pub async fn authenticate(
        &self,
        credentials: &Credentials,
    ) -> Result<Client, NotAuthenticated> {
        let id = claimed_id(credentials).as_deref().and_then(ClientId::parse);
        let id = id.ok_or(NotAuthenticated::Unknown)?;
        let (lately, why) = match super::find_as_of(self.store, &id, Consistency::Cached).await? {
            None => (None, NotAuthenticated::Unknown),
            Some(client) => match self.prove(&client, credentials).await {
                Ok(()) => return Ok(client),
                Err(NotAuthenticated::Store(cause)) => return Err(cause.into()),
                Err(why) => (Some(client), why),
            },
        };
        match super::find(self.store, &id).await? {
            None => Err(NotAuthenticated::Unknown),
            now if now == lately => Err(why),
            Some(now) => self.prove(&now, credentials).await.map(|()| now),
        }
    }

    async fn prove(
        &self,
        client: &Client,
        credentials: &Credentials,
    ) -> Result<(), NotAuthenticated> {
        if !client.metadata.auth_methods().iter().any(|method| credentials.match_method(*method)) {
            return Err(NotAuthenticated::Method(self.wrong_method(client, credentials)));
        }
        match credentials {
            Credentials::Public { .. } => {}
            Credentials::Basic { secret, .. } | Credentials::Post { secret, .. } => {
                if !client.opens_with(secret, self.now) {
                    return Err(NotAuthenticated::Secret);
                }
            }
            // An assertion of a disabled client is not used up.
            Credentials::Assertion { .. } if !client.enabled => {}
            Credentials::Assertion { jwt, .. } => self.check_assertion(client, jwt).await?,
        }
        if client.enabled { Ok(()) } else { Err(NotAuthenticated::Disabled) }
    }

    fn wrong_method(&self, client: &Client, credentials: &Credentials) -> WrongMethod {
        let knows_secret = match credentials {
            Credentials::Public { .. } | Credentials::Assertion { .. } => false,
            Credentials::Basic { secret, .. } | Credentials::Post { secret, .. } => {
                client.opens_with(secret, self.now)
            }
        };
        WrongMethod { registered: client.metadata.auth_methods().to_vec(), knows_secret }
    }

    async fn check_assertion(&self, client: &Client, jwt: &str) -> Result<(), NotAuthenticated> {
        let verified = self.verify(client, jwt).await?;
        let used = assertion::judge(&verified.claims, &client.id, self.audiences, self.now);
        let used = used.map_err(NotAuthenticated::Assertion)?;
        match self.store.create(&used).await? {
            CreateOutcome::Created => Ok(()),
            CreateOutcome::Exists => Err(NotAuthenticated::Replayed),
        }
    }

    /// By the one kind of key that goes with the registered method.
    async fn verify(&self, client: &Client, jwt: &str) -> Result<Verified, NotAuthenticated> {
        if client.metadata.allows_auth_method(AuthMethod::ClientSecretJwt) {
            let vault = self.vault.ok_or(NotAuthenticated::Keys)?;
            let believed = vault.verify(client, jwt, self.now);
            let believed = believed.map_err(NotAuthenticated::Signature)?;
            return Ok(believed.renew(self.store, &client.id).await);
        }
        let allowed = match client.metadata.token_endpoint_auth_signing_alg {
            Some(only) => only.signature_alg().into_iter().collect(),
            None => ClientAlg::ALL.to_vec(),
        };
        let verified =
            self.keys.verify(&client.metadata, jwt, &allowed, Holding::Nothing, self.now);
        verified.await.map_err(|why| match why {
            NotItsOwn::Busy => NotAuthenticated::Busy,
            NotItsOwn::Keys => NotAuthenticated::Keys,
            NotItsOwn::Signature(why) => NotAuthenticated::Signature(why),
        })
    }
}

/// Whether a Basic header shows a secret that is right, only not form-encoded ([RFC 6749 §2.3.1]). Nothing
/// is proven by it: the log says why, so that the operator need not guess.
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub async fn is_right_but_unencoded(store: &dyn Store, authorization: &str, now: UnixTime) -> bool {
    let Some((id, secret)) = read_unencoded_basic(authorization) else { return false };
    let Some(id) = ClientId::parse(&id) else { return false };
    let client = super::find_as_of(store, &id, Consistency::Cached).await;
    client.is_ok_and(|client| client.is_some_and(|client| client.opens_with(&secret, now)))
}

/// Who the credentials say it is. An assertion says so in its `sub`; a `client_id` beside it must agree,
/// which `iss = sub = client` makes sure of.
fn claimed_id(credentials: &Credentials) -> Option<String> {
    match credentials {
        Credentials::Public { client_id }
        | Credentials::Basic { client_id, .. }
        | Credentials::Post { client_id, .. } => Some(client_id.clone()),
        Credentials::Assertion { client_id: Some(id), .. } => Some(id.clone()),
        Credentials::Assertion { client_id: None, jwt } => jose::peek_text(jwt, "sub"),
    }
}

/// Who a request says it comes from, believed or not and well-formed or not: for the log.
pub fn claimed_by(authorization: Option<&str>, params: &Params) -> Option<String> {
    let basic = || authorization.and_then(read_basic).map(|(id, _)| id);
    let form = || params.get("client_id").map(str::to_owned);
    let assertion = || {
        let jwt = params.get("client_assertion")?;
        jose::peek_text(jwt, "sub").or_else(|| jose::peek_text(jwt, "iss"))
    };
    basic().or_else(form).or_else(assertion)
}

impl NotAuthenticated {
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
