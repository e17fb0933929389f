//! Software statements ([RFC 7591 §2.3]): metadata that somebody the operator trusts has signed.
//!
//! [RFC 7591 §2.3]: https://www.rfc-editor.org/rfc/rfc7591#section-2.3

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value};

use super::key_cache::{Holding, KeyCache, NotItsOwn};
use crate::config::{SoftwareStatementIssuer, SoftwareStatementKeys};
use crate::infra::clock::UnixTime;
use crate::infra::jose::{self, ClientKey, Verified, read};
use crate::protocol::algorithms::ClientAlg;
use crate::protocol::client_metadata::MEMBERS;
use crate::protocol::{ErrorCode, OAuthError};

/// How far an issuer's clock may be ahead of ours.
const SKEW: Duration = Duration::from_secs(10);

/// What judging a statement needs.
pub struct Desk<'a> {
    /// Whose word is taken.
    pub issuers: &'a [SoftwareStatementIssuer],
    /// Fetches and remembers keys.
    pub keys: &'a KeyCache,
    /// Our own issuer.
    pub us: &'a str,
    /// The present.
    pub now: UnixTime,
}

impl Desk<'_> {
    /// The members of a registration that the statement vouches for.
    pub async fn read(&self, statement: &str) -> Result<Map<String, Value>, OAuthError> {
        let claimed = jose::peek_text(statement, "iss");
        let claimed = claimed.ok_or_else(|| bad("is not a signed token of an issuer"))?;
        let issuer = self.issuers.iter().find(|known| known.issuer == claimed);
        let issuer = issuer.ok_or(OAuthError::new(
            ErrorCode::UnapprovedSoftwareStatement,
            "software_statement: its issuer is not approved here",
        ))?;
        let verified = self.verify(issuer, statement).await.map_err(|why| {
            tracing::warn!(?why, issuer = claimed, "a software statement was not believed");
            match why {
                NotItsOwn::Busy | NotItsOwn::Keys => OAuthError::new(
                    ErrorCode::TemporarilyUnavailable,
                    "software_statement: the keys of its issuer cannot be had now; try again later",
                ),
                NotItsOwn::Signature(_) => bad("is not signed with a key of its issuer"),
            }
        })?;
        self.check(&verified.claims)?;
        // The rest is about the statement, or nothing a client could register.
        let counts = |name: &str| name != "software_statement" && MEMBERS.contains(&name);
        Ok(verified.claims.into_iter().filter(|(name, _)| counts(name)).collect())
    }

    async fn verify(&self, by: &SoftwareStatementIssuer, jwt: &str) -> Result<Verified, NotItsOwn> {
        match &by.keys {
            SoftwareStatementKeys::Url(url) => {
                self.keys.verify_behind(url, jwt, ClientAlg::ALL, Holding::Nothing, self.now).await
            }
            SoftwareStatementKeys::File(path) => {
                let set = load_keys(path).await.map_err(|why| {
                    tracing::error!("SOFTWARE_STATEMENT_ISSUERS: {why}");
                    NotItsOwn::Keys
                })?;
                let keys = ClientKey::all_from_set(&set);
                jose::verify_client(jwt, &keys, ClientAlg::ALL).map_err(NotItsOwn::Signature)
            }
        }
    }

    fn check(&self, claims: &Map<String, Value>) -> Result<(), OAuthError> {
        let time = |name| {
            let seconds =
                read::seconds(claims, name).map_err(|_| bad("has a time that is none"))?;
            Ok::<_, OAuthError>(seconds.map(UnixTime::from_secs))
        };
        if time("exp")?.is_some_and(|end| end <= self.now) {
            return Err(bad("has expired"));
        }
        for name in ["nbf", "iat"] {
            if time(name)?.is_some_and(|at| at > self.now.plus(SKEW)) {
                return Err(bad("is not valid yet"));
            }
        }
        let audience = read::audience(claims).map_err(|_| bad("has an audience that is none"))?;
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
    if ClientKey::all_from_set(&set).is_empty() {
        return Err(format!("{shown} holds no public key that verifies signatures"));
    }
    Ok(set)
}

fn bad(why: &str) -> OAuthError {
    let text = format!("software_statement: it {why}");
    OAuthError::described(ErrorCode::InvalidSoftwareStatement, &text)
}
