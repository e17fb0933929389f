use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::record::ring_key;
use super::*;
use crate::infra::clock::{Clock, UnixTime};
use crate::infra::jose::{Algorithm, RecipientKey, SigningKey, encrypt};
use crate::infra::secret_key::SecretKey;
use crate::infra::store::{
    CommitOutcome, MemoryStore, PingInfo, RawKey, Store, StoreError, StoreFuture, Transaction,
};
use crate::protocol::algorithms::{ContentEncryption, KeyManagement};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// A term of ninety days but for the hour of announcement.
const UNTIL_DUE: Duration = Duration::from_secs(90 * 86_400 - 3600);
const ES256: KeyUse = KeyUse::Signing(Algorithm::Es256);
const POLICY: RotationPolicy = RotationPolicy {
    interval: Some(Duration::from_secs(90 * 86_400)),
    publication_lead: Duration::from_secs(3600),
    retention: Duration::from_secs(86_400),
    activation_delay: Duration::ZERO,
};

fn sealer(secret: &str) -> KeyEncryptor {
    KeyEncryptor::new(&SecretKey::from_text(&secret.repeat(32)).unwrap())
}

/// A store of its own, and a clock that stands still.
struct World {
    store: Arc<dyn Store>,
    clock: Clock,
}

impl World {
    fn new() -> Self {
        let clock = Clock::manual(UnixTime::from_secs(1_700_000_000));
        Self { store: Arc::new(MemoryStore::new(clock.clone())), clock }
    }

    fn at(&self) -> (Arc<dyn Store>, Clock) {
        (Arc::clone(&self.store), self.clock.clone())
    }

    /// A server with ES256 alone: making an RSA key takes long.
    async fn server(&self, files: Vec<SigningKey>) -> KeyRing {
        KeyRing::open(self.at(), sealer("s"), vec![ES256], POLICY, files).await.unwrap()
    }
}

fn file() -> SigningKey {
    SigningKey::generate_for(Algorithm::Es256).unwrap()
}

fn same(key: &SigningKey) -> SigningKey {
    SigningKey::from_pkcs8(key.alg(), &key.to_pkcs8().unwrap()).unwrap()
}

fn published(ring: &KeyRing) -> Vec<String> {
    let set: Value = serde_json::from_str(&ring.jwks()).unwrap();
    let keys = set["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn signer(ring: &KeyRing) -> String {
    ring.signing(Algorithm::Es256).unwrap().kid().to_owned()
}

async fn token(ring: &KeyRing) -> String {
    ring.sign_with(Algorithm::Es256, "JWT", json!({"sub": "ada"})).await.unwrap()
}

#[tokio::test]
async fn keys_follow_each_other_on_schedule_and_what_they_signed_verifies_as_long_as_it_matters() {
    let world = World::new();
    let ring = world.server(vec![]).await;
    let first = signer(&ring);
    let early = token(&ring).await;

    world.clock.advance(UNTIL_DUE);
    ring.refresh().await.unwrap();
    ring.refresh().await.unwrap();
    let both = published(&ring);
    assert_eq!((both.len(), &both[0], signer(&ring)), (2, &first, first.clone()), "published");

    // Nobody has to look: the moment alone decides.
    world.clock.advance(HOUR);
    let second = signer(&ring);
    assert_eq!(published(&ring), [second.clone(), first.clone()], "signing, the old one stays");
    assert!(ring.verify(&early, "JWT").is_ok() && ring.verify(&token(&ring).await, "JWT").is_ok());

    world.clock.advance(DAY);
    assert_eq!(published(&ring), std::slice::from_ref(&second), "nothing it signed can matter now");
    assert!(ring.verify(&early, "JWT").is_err());
    ring.refresh().await.unwrap();
    let stored = world.store.load(&ring_key()).await.unwrap().unwrap().record;
    assert_eq!(stored.keys.len(), 1, "nor is it kept");
}

#[tokio::test]
async fn each_change_of_phase_is_told_once() {
    let world = World::new();
    let ring = world.server(vec![]).await;
    let first = signer(&ring);
    let told =
        || ring.take_phase_changes().into_iter().map(|it| (it.kid, it.phase)).collect::<Vec<_>>();
    assert_eq!(told(), [(first.clone(), Phase::Signing)]);
    assert_eq!(told(), []);
    ring.rotate(Activation::Announced).await.unwrap();
    let next = told();
    assert_eq!((next.len(), next[0].1), (1, Phase::Published));
    world.clock.advance(HOUR);
    assert!(told().contains(&(first.clone(), Phase::Retired)));
    world.clock.advance(DAY);
    assert_eq!(told(), [(first, Phase::Gone)]);
}

#[tokio::test]
async fn a_key_that_stood_in_the_store_has_not_changed_because_a_server_starts() {
    let world = World::new();
    let first = world.server(vec![]).await;
    assert_eq!(first.take_phase_changes().len(), 1);
    let again = world.server(vec![]).await;
    assert_eq!(again.take_phase_changes(), []);
    again.rotate(Activation::Now).await.unwrap();
    assert_eq!(again.take_phase_changes().len(), 2, "what changes afterwards is told");
}

#[tokio::test]
async fn an_urgent_key_signs_at_once_and_others_soon_read_of_it() {
    let world = World::new();
    let (here, there) = (world.server(vec![]).await, world.server(vec![]).await);
    let first = signer(&here);
    assert_eq!(signer(&there), first);
    here.rotate(Activation::Now).await.unwrap();
    assert_ne!(signer(&here), first);
    assert_eq!(published(&here).len(), 2);
    there.refresh().await.unwrap();
    assert_eq!((here.jwks(), signer(&here)), (there.jwks(), signer(&there)));
    assert!(there.verify(&token(&here).await, "JWT").is_ok());
}

#[tokio::test]
async fn two_servers_that_begin_or_rotate_at_once_have_one_ring() {
    let world = World::new();
    let (here, there) = tokio::join!(world.server(vec![]), world.server(vec![]));
    here.refresh().await.unwrap();
    assert_eq!((published(&here), published(&here).len()), (published(&there), 1));

    world.clock.advance(UNTIL_DUE);
    let (one, other) = tokio::join!(here.refresh(), there.refresh());
    assert!(one.is_ok() && other.is_ok());
    here.refresh().await.unwrap();
    assert_eq!((published(&here), published(&here).len()), (published(&there), 2));
}

#[tokio::test]
async fn a_file_begins_the_ring_a_new_file_is_the_next_key_and_an_old_one_does_not_come_back() {
    let world = World::new();
    let (old, new) = (file(), file());
    let ring = world.server(vec![same(&old)]).await;
    assert_eq!(signer(&ring), old.kid());

    ring.import_files(vec![same(&old)]).await.unwrap();
    assert_eq!(published(&ring), [old.kid()], "it was there already");
    ring.import_files(vec![same(&new)]).await.unwrap();
    assert_eq!((published(&ring).len(), &*signer(&ring)), (2, old.kid()));
    world.clock.advance(HOUR);
    assert_eq!(signer(&ring), new.kid());

    world.clock.advance(DAY);
    ring.refresh().await.unwrap();
    let restarted = world.server(vec![same(&old)]).await;
    assert_eq!(published(&restarted), [new.kid()]);
}

#[tokio::test]
async fn the_store_alone_signs_nothing_and_another_secret_is_a_clear_error() {
    let world = World::new();
    let key = file();
    let ring = world.server(vec![same(&key)]).await;
    let raw = world.store.get(ring_key().raw()).await.unwrap().unwrap();
    let text = String::from_utf8(raw).unwrap();
    let der = key.to_pkcs8().unwrap();
    assert!(text.contains(key.kid()) && !text.contains(&crate::infra::secret::base64url(&der)));

    let other = KeyRing::open(world.at(), sealer("t"), vec![ES256], POLICY, vec![]).await;
    let error = other.err().unwrap();
    assert!(matches!(&error, RingError::WrongSecretKey(kid) if *kid == signer(&ring)), "{error}");
    assert!(error.to_string().starts_with("SECRET_KEY does not open"));

    let damaged = Transaction::within(ring_key().raw().partition().clone());
    let damaged = damaged.put(ring_key().raw().clone(), b"{".to_vec(), None);
    assert_eq!(world.store.commit(damaged).await.unwrap(), CommitOutcome::Committed);
    let damaged = KeyRing::open(world.at(), sealer("s"), vec![ES256], POLICY, vec![]).await;
    assert!(matches!(damaged.err().unwrap(), RingError::Unreadable));
}

#[tokio::test]
async fn a_changed_secret_takes_the_ring_along_while_the_one_before_is_known() {
    let world = World::new();
    let open = |sealer| KeyRing::open(world.at(), sealer, vec![ES256], POLICY, vec![]);
    let before = open(sealer("s")).await.unwrap();
    let mut both = sealer("t");
    both.derived_keys.extend(sealer("s").derived_keys);
    let between = open(both).await.unwrap();
    before.rotate(Activation::Announced).await.unwrap();
    between.refresh().await.unwrap();

    let after = open(sealer("t")).await.unwrap();
    assert_eq!((after.jwks(), published(&after).len()), (before.jwks(), 2));
    assert!(matches!(open(sealer("s")).await.err().unwrap(), RingError::WrongSecretKey(_)));
    before.refresh().await.unwrap();
    assert_eq!(signer(&before), signer(&after), "who has it parsed needs no secret");
}

#[tokio::test]
async fn an_algorithm_that_is_not_configured_is_not_in_the_set() {
    let world = World::new();
    let purposes = vec![ES256, KeyUse::Signing(Algorithm::EdDsa)];
    let both = KeyRing::open(world.at(), sealer("s"), purposes, POLICY, vec![]).await.unwrap();
    assert_eq!(published(&both).len(), 2);
    let signed = both.sign_with(Algorithm::EdDsa, "JWT", json!({})).await.unwrap();
    assert!(both.verify(&signed, "JWT").is_ok());

    let one = world.server(vec![]).await;
    assert!(!one.jwks().contains("OKP") && one.signing(Algorithm::EdDsa).is_none());
    assert!(one.sign_with(Algorithm::EdDsa, "JWT", json!({})).await.is_err());
    assert!(one.verify(&signed, "JWT").is_err());
}

#[tokio::test]
async fn what_is_encrypted_for_a_published_key_opens_before_and_after_a_rotation() {
    let world = World::new();
    let purposes = vec![ES256, KeyUse::Decryption(KeyManagement::EcdhEs)];
    let ring = KeyRing::open(world.at(), sealer("s"), purposes, POLICY, vec![]).await.unwrap();
    let sent = || {
        let set: Value = serde_json::from_str(&ring.jwks()).unwrap();
        let alg = KeyManagement::EcdhEs;
        let recipient = RecipientKey::select(&set, alg).unwrap();
        encrypt(b"request", alg, ContentEncryption::A256Gcm, &recipient, None).unwrap()
    };
    let before = sent();
    ring.rotate(Activation::Now).await.unwrap();
    let after = sent();
    assert_ne!(before.split('.').next(), after.split('.').next());
    for token in [&before, &after] {
        assert_eq!(ring.decrypt(token.clone()).await.unwrap(), b"request");
    }
    assert!(ring.decrypt("a.b.c.d.e".into()).await.is_err());
}

#[tokio::test]
async fn a_key_that_fell_into_other_hands_is_removed_once_it_does_not_sign() {
    let world = World::new();
    let key = file();
    let ring = world.server(vec![same(&key)]).await;
    let signed = token(&ring).await;
    assert!(matches!(ring.remove(key.kid()).await, Err(RingError::KeyInUse)));
    assert!(matches!(ring.remove("nobody").await, Err(RingError::UnknownKey)));

    ring.rotate(Activation::Now).await.unwrap();
    assert!(ring.verify(&signed, "JWT").is_ok());
    ring.remove(key.kid()).await.unwrap();
    assert!(ring.verify(&signed, "JWT").is_err());
    assert_eq!(published(&ring), [signer(&ring)]);
    ring.import_files(vec![same(&key)]).await.unwrap();
    assert_eq!(published(&ring).len(), 1, "its file does not bring it back");
}

#[tokio::test]
async fn whoever_rotates_in_a_loop_is_stopped() {
    let world = World::new();
    let ring = world.server(vec![]).await;
    for _ in 0..11 {
        ring.rotate(Activation::Now).await.unwrap();
        world.clock.advance(Duration::from_secs(1));
    }
    let before = published(&ring);
    assert!(matches!(ring.rotate(Activation::Now).await, Err(RingError::TooManyKeys)));
    assert_eq!(published(&ring), before);
    world.clock.advance(DAY);
    ring.rotate(Activation::Now).await.unwrap();
    assert_eq!(published(&ring).len(), 2);
}

/// A store that can be cut off.
struct CutOff(MemoryStore, AtomicBool);

impl CutOff {
    fn away<T: Send + 'static>(&self) -> Option<StoreFuture<'_, T>> {
        let away = || StoreError::Unavailable("cut off".into());
        self.1
            .load(Ordering::SeqCst)
            .then(|| -> StoreFuture<'_, T> { Box::pin(async move { Err(away()) }) })
    }
}

impl Store for CutOff {
    fn get<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.away().unwrap_or_else(|| self.0.get(key))
    }

    fn get_and_remove<'a>(&'a self, key: &'a RawKey) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.away().unwrap_or_else(|| self.0.get_and_remove(key))
    }

    fn commit(&self, change: Transaction) -> StoreFuture<'_, CommitOutcome> {
        self.away().unwrap_or_else(|| self.0.commit(change))
    }

    fn scan_index<'a>(
        &'a self,
        index: &'a RawKey,
        after: &'a str,
        limit: usize,
    ) -> StoreFuture<'a, Vec<String>> {
        self.away().unwrap_or_else(|| self.0.scan_index(index, after, limit))
    }

    fn increment<'a>(&'a self, counter: &'a RawKey, window: Duration) -> StoreFuture<'a, u64> {
        self.away().unwrap_or_else(|| self.0.increment(counter, window))
    }

    fn ping(&self) -> StoreFuture<'_, PingInfo> {
        self.away().unwrap_or_else(|| self.0.ping())
    }
}

#[tokio::test]
async fn a_store_that_is_away_stops_nothing_and_one_that_forgot_gets_the_ring_back() {
    let clock = World::new().clock;
    let store = Arc::new(CutOff(MemoryStore::new(clock.clone()), AtomicBool::new(false)));
    let at: (Arc<dyn Store>, Clock) = (store.clone(), clock.clone());
    let ring = KeyRing::open(at, sealer("s"), vec![ES256], POLICY, vec![]).await.unwrap();
    let (first, set) = (signer(&ring), ring.jwks());

    store.1.store(true, Ordering::SeqCst);
    clock.advance(90 * DAY);
    assert!(matches!(ring.refresh().await, Err(RingError::Store(_))));
    assert!(matches!(ring.rotate(Activation::Now).await, Err(RingError::Store(_))));
    assert_eq!((signer(&ring), ring.jwks()), (first.clone(), set));
    assert!(ring.verify(&token(&ring).await, "JWT").is_ok());

    store.1.store(false, Ordering::SeqCst);
    assert!(store.get_and_remove(ring_key().raw()).await.unwrap().is_some());
    ring.refresh().await.unwrap();
    let stored: Arc<dyn Store> = store;
    let stored = stored.load(&ring_key()).await.unwrap().unwrap().record;
    assert!(stored.keys.iter().any(|key| key.kid == first));
    assert_eq!(published(&ring).len(), 2, "and the successor that was due");
}

/// There are clients that walk the set and give up at the first key that is not RSA.
#[tokio::test]
async fn rsa_keys_come_first_in_the_set_and_of_a_kind_the_one_that_signs() {
    let world = World::new();
    let purposes = vec![ES256, KeyUse::Signing(Algorithm::Rs256)];
    let ring = KeyRing::open(world.at(), sealer("s"), purposes, POLICY, vec![]).await.unwrap();
    world.clock.advance(HOUR);
    ring.rotate(Activation::Now).await.unwrap();
    ring.rotate(Activation::Announced).await.unwrap();
    let keys = ring.keys();
    let of = |kid: &String| keys.iter().find(|key| key.kid == *kid).unwrap();
    let shown: Vec<_> = published(&ring)
        .iter()
        .map(|kid| (of(kid).purpose.as_str(), of(kid).phase.as_str()))
        .collect();
    #[rustfmt::skip]
    assert_eq!(shown, [
        ("RS256", "signing"), ("RS256", "published"), ("RS256", "retired"),
        ("ES256", "signing"), ("ES256", "published"), ("ES256", "retired"),
    ]);
}

#[test]
fn of_several_fixed_keys_the_first_signs() {
    let keys: Vec<_> = (0..3).map(|_| file()).collect();
    let mut names: Vec<_> = keys.iter().map(|key| key.kid().to_owned()).collect();
    let ring = KeyRing::fixed(keys);
    assert_eq!(signer(&ring), names[0]);
    let mut shown = published(&ring);
    assert_eq!(shown[0], names[0]);
    shown.sort();
    names.sort();
    assert_eq!(shown, names);
}
