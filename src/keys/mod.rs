//! The signing keys: loaded at start, or made once where none was asked for.
//!
//! A path that was given and does not load is an error that names the file, before a port is bound;
//! a key is never made in its place. Signing runs in a small pool, not on the reactor: under full load
//! an RS256 signature every 0.3 ms would hold up everything else.

mod files;

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

pub use self::files::{KeyComplaint, KeySource, load_or_make_secret};
use crate::jose::{self, NotVerified, PublicJwk, SigningError, SigningKey};

/// The keys of this installation, the one that signs first.
#[derive(Clone)]
pub struct KeyRing(Arc<Parts>);

struct Parts {
    keys: Vec<SigningKey>,
    jwks: String,
    pool: Arc<Semaphore>,
}

impl KeyRing {
    /// Loads the key, or makes one where no path was given. Also answers what the operator should
    /// know about it.
    pub fn load(source: &KeySource) -> Result<(Self, Option<String>), KeyComplaint> {
        let (key, notice) = files::load_or_make_key(source)?;
        Ok((Self::of(vec![key]), notice))
    }

    /// A ring of these keys, the first of which signs.
    ///
    /// # Panics
    /// If there is none.
    pub fn of(keys: Vec<SigningKey>) -> Self {
        assert!(!keys.is_empty(), "a ring has at least one key");
        let public: Vec<&PublicJwk> = keys.iter().map(SigningKey::jwk).collect();
        let jwks = json!({ "keys": public }).to_string();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Parts { keys, jwks, pool: Arc::new(Semaphore::new(cores)) }))
    }

    /// The JWK Set, serialised once ([RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)).
    pub fn jwks(&self) -> &str {
        &self.0.jwks
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.keys.len()
    }

    /// Never: a ring has a key.
    pub fn is_empty(&self) -> bool {
        self.0.keys.is_empty()
    }

    /// Signs claims as a JWT of the type `typ`.
    pub async fn sign<C>(&self, typ: &'static str, claims: C) -> Result<String, SigningError>
    where
        C: Serialize + Send + 'static,
    {
        let turn = Arc::clone(&self.0.pool).acquire_owned().await.map_err(|_| SigningError)?;
        let parts = Arc::clone(&self.0);
        let work = move || {
            let _held = turn;
            parts.keys[0].sign(typ, &claims)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| SigningError)?
    }

    /// The claims of a token of ours of that type. Time, issuer and audience are the caller's to judge.
    pub fn verify(&self, token: &str, typ: &str) -> Result<Map<String, Value>, NotVerified> {
        jose::verify_ours(token, &self.0.keys, typ)
    }
}
