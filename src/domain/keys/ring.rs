use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use super::key_material::KeyMaterial;
use super::record::{KeyRecord, RingRecord};
use super::ring_store::RingStore;
use super::{KeyUse, Phase, RotationPolicy};
use crate::infra::clock::{Clock, UnixTime};
use crate::infra::jose::{
    self, Algorithm, DecryptionError, SigningError, SigningKey, VerificationError, VerifiedJwt,
};

/// The keys of this installation, as last read from the store. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing(pub(super) Arc<KeyRingInner>);

pub(super) struct KeyRingInner {
    pub current: ArcSwap<Snapshot>,
    /// The configured uses. Keys in the store for any other use are left alone.
    pub purposes: Vec<KeyUse>,
    pub policy: RotationPolicy,
    pub clock: Clock,
    /// Where the ring is stored; `None` for a fixed ring.
    pub ring_store: Option<RingStore>,
    /// The keys as they were last reported, by `kid`.
    reported: RwLock<BTreeMap<String, KeyInfo>>,
    signing_permits: Arc<Semaphore>,
    /// Decryption has one permit of its own: any client can cause it, and no signature should wait for it.
    decryption_permits: Arc<Semaphore>,
}

/// The ring as last read, its keys parsed.
#[derive(Default)]
pub(super) struct Snapshot {
    pub record: RingRecord,
    pub material: BTreeMap<String, KeyMaterial>,
}

/// A key as shown to operators and in metrics.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyInfo {
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    pub purpose: KeyUse,
    pub phase: Phase,
    /// When it entered the JWK Set.
    pub published_at: UnixTime,
    /// When it began, or will begin, to sign.
    pub begins_at: UnixTime,
}

impl KeyRing {
    /// A ring that never changes, for tests and tools. Of several keys for one algorithm the first signs.
    ///
    /// # Panics
    /// If there is none.
    pub fn fixed(keys: Vec<SigningKey>) -> Self {
        assert!(!keys.is_empty(), "a ring has at least one key");
        let mut purposes: Vec<_> = keys.iter().map(|key| KeyUse::Signing(key.alg())).collect();
        purposes.dedup();
        let mut snapshot = Snapshot::default();
        // Of one algorithm the key that begins last signs.
        for (begins, key) in (0..).zip(keys.into_iter().rev()) {
            snapshot.record.keys.push(KeyRecord {
                kid: key.kid().to_owned(),
                purpose: KeyUse::Signing(key.alg()),
                published_at: UnixTime::from_millis(begins),
                begins_at: UnixTime::from_millis(begins),
                sealed: String::new(),
            });
            snapshot.material.insert(key.kid().to_owned(), KeyMaterial::Signing(Arc::new(key)));
        }
        let policy = RotationPolicy {
            interval: None,
            publication_lead: Duration::ZERO,
            retention: Duration::MAX,
            activation_delay: Duration::ZERO,
        };
        Self::new(snapshot, purposes, policy, Clock::System, None)
    }

    pub(super) fn new(
        snapshot: Snapshot,
        purposes: Vec<KeyUse>,
        policy: RotationPolicy,
        clock: Clock,
        home: Option<RingStore>,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let pool = Arc::new(Semaphore::new(cores));
        let decryption = Arc::new(Semaphore::new(1));
        let current = ArcSwap::from_pointee(snapshot);
        let reported = RwLock::default();
        Self(Arc::new(KeyRingInner {
            current,
            purposes,
            policy,
            clock,
            ring_store: home,
            reported,
            signing_permits: pool,
            decryption_permits: decryption,
        }))
    }

    /// The JWK Set ([RFC 7517 §5]): every key that is not gone, ordered by `jwks_order`.
    ///
    /// [RFC 7517 §5]: https://www.rfc-editor.org/rfc/rfc7517#section-5
    pub fn jwks(&self) -> String {
        let now = self.0.clock.now();
        let snapshot = self.0.current.load();
        let mut keys = self.live_keys(&snapshot, now);
        keys.sort_by_key(|(_, phase, material)| jwks_order(material.jwk().kty, *phase));
        let public: Vec<_> = keys.iter().map(|(_, _, material)| material.jwk()).collect();
        json!({ "keys": public }).to_string()
    }

    /// The key that signs with this algorithm now, if the ring has one.
    pub fn signing(&self, alg: Algorithm) -> Option<Arc<SigningKey>> {
        let snapshot = self.0.current.load();
        let keys = self.live_keys(&snapshot, self.0.clock.now());
        let signs = |phase, key: &SigningKey| phase == Phase::Signing && key.alg() == alg;
        keys.into_iter().find_map(|(_, phase, material)| match material {
            KeyMaterial::Signing(key) if signs(phase, key) => Some(Arc::clone(key)),
            KeyMaterial::Signing(_) | KeyMaterial::Decryption(_) => None,
        })
    }

    /// Signs claims as a JWT of the type `typ`, with RS256.
    pub async fn sign<C>(&self, typ: &'static str, claims: C) -> Result<String, SigningError>
    where
        C: Serialize + Send + 'static,
    {
        self.sign_with(Algorithm::Rs256, typ, claims).await
    }

    /// Signs claims with the algorithm a client registered. RSA runs in a bounded pool away from the reactor.
    pub async fn sign_with<C>(
        &self,
        alg: Algorithm,
        typ: &'static str,
        claims: C,
    ) -> Result<String, SigningError>
    where
        C: Serialize + Send + 'static,
    {
        let key = self.signing(alg).ok_or(SigningError)?;
        match alg {
            // Some microseconds, less than moving it to another thread takes.
            Algorithm::Es256 | Algorithm::EdDsa => return key.sign(typ, &claims),
            Algorithm::Rs256 | Algorithm::Ps256 => {}
        }
        run_blocking(&self.0.signing_permits, move || key.sign(typ, &claims))
            .await
            .unwrap_or(Err(SigningError))
    }

    /// Verifies the signature and type of a token of ours. The caller checks time, issuer and audience.
    pub fn verify(&self, token: &str, typ: &str) -> Result<Map<String, Value>, VerificationError> {
        self.with_verifying(|keys| jose::verify_own(token, keys, typ))
    }

    /// Verifies the signature of a token of ours. The caller checks the type, too.
    pub fn verify_of_any_type(&self, token: &str) -> Result<VerifiedJwt, VerificationError> {
        self.with_verifying(|keys| jose::verify_own_of_any_type(token, keys))
    }

    fn with_verifying<T>(&self, verify: impl FnOnce(Vec<&SigningKey>) -> T) -> T {
        let snapshot = self.0.current.load();
        let keys = self.live_keys(&snapshot, self.0.clock.now());
        let signing = keys.into_iter().filter_map(|(_, _, material)| match material {
            KeyMaterial::Signing(key) => Some(&**key),
            KeyMaterial::Decryption(_) => None,
        });
        verify(signing.collect())
    }

    /// Decrypts a JWE that was encrypted for one of our keys; the newest is tried first if it names none. One at a
    /// time: the sender causes an RSA operation before it is authenticated.
    pub async fn decrypt(&self, token: String) -> Result<Vec<u8>, DecryptionError> {
        let snapshot = self.0.current.load();
        let keys = self.live_keys(&snapshot, self.0.clock.now());
        let ours = keys.into_iter().rev().filter_map(|(_, _, material)| match material {
            KeyMaterial::Decryption(key) => Some(Arc::clone(key)),
            KeyMaterial::Signing(_) => None,
        });
        let ours: Vec<_> = ours.collect();
        let open = move || ours.iter().find_map(|key| jose::decrypt(&token, key).ok());
        run_blocking(&self.0.decryption_permits, open).await.flatten().ok_or(DecryptionError)
    }

    /// Whether there is no key for RS256, which every installation needs.
    pub fn is_empty(&self) -> bool {
        self.signing(Algorithm::Rs256).is_none()
    }

    /// Every key that is not gone.
    pub fn keys(&self) -> Vec<KeyInfo> {
        let snapshot = self.0.current.load();
        let keys = self.live_keys(&snapshot, self.0.clock.now());
        let info = keys.into_iter().map(|(key, phase, _)| KeyInfo {
            kid: key.kid.clone(),
            purpose: key.purpose,
            phase,
            published_at: key.published_at,
            begins_at: key.begins_at,
        });
        info.collect()
    }

    /// The keys whose phase differs from the last call, removed ones included.
    pub fn take_phase_changes(&self) -> Vec<KeyInfo> {
        let now: BTreeMap<_, _> = self.keys().into_iter().map(|it| (it.kid.clone(), it)).collect();
        let mut told = self.0.reported.write().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *told, now.clone());
        let gone = before.values().filter(|key| !now.contains_key(&key.kid));
        let gone = gone.map(|key| KeyInfo { phase: Phase::Gone, ..key.clone() });
        let moved = |key: &&KeyInfo| before.get(&key.kid).is_none_or(|it| it.phase != key.phase);
        now.values().filter(moved).cloned().chain(gone).collect()
    }

    /// Marks the selected keys as reported in their present phase: they were there before this process started, so
    /// reading them is no change.
    pub fn mark_reported(&self, kid: impl Fn(&str) -> bool) {
        let standing = self.keys().into_iter().filter(|key| kid(&key.kid));
        let mut told = self.0.reported.write().unwrap_or_else(PoisonError::into_inner);
        told.extend(standing.map(|key| (key.kid.clone(), key)));
    }

    /// Every key that is not gone, by use, the earliest first.
    fn live_keys<'a>(
        &self,
        snapshot: &'a Snapshot,
        now: UnixTime,
    ) -> Vec<(&'a KeyRecord, Phase, &'a KeyMaterial)> {
        let of =
            |purpose: &KeyUse| snapshot.record.keys_for(*purpose, self.0.policy.retention, now);
        let keys = self.0.purposes.iter().flat_map(of).filter(|(_, phase)| *phase != Phase::Gone);
        keys.filter_map(|(key, phase)| Some((key, phase, snapshot.material.get(&key.kid)?)))
            .collect()
    }
}

/// The sort key of the JWK Set. RSA comes first, because some clients walk the set and fail at the first key of a
/// type they do not know; within a type the signing key comes first, because others take the first that fits.
fn jwks_order(kty: &str, phase: Phase) -> (bool, u8) {
    let order = match phase {
        Phase::Signing => 0,
        Phase::Published => 1,
        Phase::Retired => 2,
        Phase::Gone => 3,
    };
    (kty != "RSA", order)
}

/// Runs `work` on a blocking thread, at most as many at once as there are permits. `None` if the runtime shuts down.
async fn run_blocking<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let turn = Arc::clone(turns).acquire_owned().await.ok()?;
    let work = move || {
        let _held = turn;
        work()
    };
    tokio::task::spawn_blocking(work).await.ok()
}
