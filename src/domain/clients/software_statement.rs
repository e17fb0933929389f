//! Software statements ([RFC 7591 §2.3]): client metadata signed by an issuer that the operator trusts.
//!
//! [RFC 7591 §2.3]: https://www.rfc-editor.org/rfc/rfc7591#section-2.3

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::jwks_cache::{ClientJwtError, FetchQueue, JwksCache};
use crate::config::{SoftwareStatementIssuer, SoftwareStatementKeys};
use crate::infra::clock::UnixTime;
use crate::infra::jose::{self, VerificationKey, VerifiedJwt, claims};
use crate::protocol::algorithms::ClientAlg;
use crate::protocol::client_metadata::MEMBERS;
use crate::protocol::{ErrorCode, OAuthError};

/// How far an issuer's clock may be ahead of ours.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(10);

/// Verifies software statements.
pub struct SoftwareStatementVerifier<'a> {
    /// The trusted issuers.
    pub issuers: &'a [SoftwareStatementIssuer],
    pub keys: &'a JwksCache,
    /// Our own issuer, which `aud` has to contain where there is one.
    pub us: &'a str,
    pub now: UnixTime,
}

impl SoftwareStatementVerifier<'_> {
    /// Verifies a statement, and answers the client metadata in it.
    pub async fn verify(&self, statement: &str) -> Result<Map<String, Value>, OAuthError> {
        let claimed = jose::unverified_claim(statement, "iss");
        let claimed = claimed.ok_or_else(|| bad("is not a signed token of an issuer"))?;
        let issuer = self.issuers.iter().find(|known| known.issuer == claimed);
        let issuer = issuer.ok_or(OAuthError::new(
            ErrorCode::UnapprovedSoftwareStatement,
            "software_statement: its issuer is not approved here",
        ))?;
        let verified = self.verify_signature(issuer, statement).await.map_err(|why| {
            tracing::warn!(?why, issuer = claimed, "a software statement was not believed");
            match why {
                ClientJwtError::Busy | ClientJwtError::Keys => OAuthError::new(
                    ErrorCode::TemporarilyUnavailable,
                    "software_statement: the keys of its issuer cannot be had now; try again later",
                ),
                ClientJwtError::Signature(_) => bad("is not signed with a key of its issuer"),
            }
        })?;
        self.check(&verified.claims)?;
        // Other claims are about the statement, or no client metadata.
        let counts = |name: &str| name != "software_statement" && MEMBERS.contains(&name);
        Ok(verified.claims.into_iter().filter(|(name, _)| counts(name)).collect())
    }

    async fn verify_signature(
        &self,
        by: &SoftwareStatementIssuer,
        jwt: &str,
    ) -> Result<VerifiedJwt, ClientJwtError> {
        match &by.keys {
            SoftwareStatementKeys::Url(url) => {
                self.keys
                    .verify_by_uri(url, jwt, ClientAlg::ALL, FetchQueue::Unlimited, self.now)
                    .await
            }
            SoftwareStatementKeys::File(path) => {
                let set = load_keys(path).await.map_err(|why| {
                    tracing::error!("SOFTWARE_STATEMENT_ISSUERS: {why}");
                    ClientJwtError::Keys
                })?;
                let keys = VerificationKey::all_from_set(&set);
                jose::verify_client(jwt, &keys, ClientAlg::ALL).map_err(ClientJwtError::Signature)
            }
        }
    }

    fn check(&self, claims: &Map<String, Value>) -> Result<(), OAuthError> {
        let time = |name| {
            let seconds =
                claims::seconds(claims, name).map_err(|_| bad("has a time that is none"))?;
            Ok::<_, OAuthError>(seconds.map(UnixTime::from_secs))
        };
        if time("exp")?.is_some_and(|end| end <= self.now) {
            return Err(bad("has expired"));
        }
        for name in ["nbf", "iat"] {
            if time(name)?.is_some_and(|at| at > self.now.plus(MAX_CLOCK_SKEW)) {
                return Err(bad("is not valid yet"));
            }
        }
        let audience = claims::audience(claims).map_err(|_| bad("has an audience that is none"))?;
        if !audience.is_empty() && !audience.contains(&self.us) {
            return Err(bad("is for somebody else"));
        }
        Ok(())
    }
}

/// The JWK Set in a file: read each time, so that it can be replaced. The error is a sentence.
pub async fn load_keys(path: &Path) -> Result<Value, String> {
    let shown = path.display();
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let set: Value = serde_json::from_str(&text)
        .map_err(|error| format!("{shown} must hold a JWK Set: {error}"))?;
    if VerificationKey::all_from_set(&set).is_empty() {
        return Err(format!("{shown} holds no public key that verifies signatures"));
    }
    Ok(set)
}

fn bad(why: &str) -> OAuthError {
    let text = format!("software_statement: it {why}");
    OAuthError::described(ErrorCode::InvalidSoftwareStatement, &text)
}
