//! Hashes passwords with Argon2id in a bounded pool.
//!
//! One hash takes tens of milliseconds and 19 MiB. So few run at a time, a limited number of callers waits up to
//! `HASH_WAIT_TIMEOUT`, and further ones get [`HasherBusyError`]. Why a person waits for so long, and what was refused:
//! docs/decisions/password-hashing.md.

mod block_pool;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{ARGON2ID_IDENT, Algorithm, Argon2, Params, Version};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use self::block_pool::BlockPool;
use crate::infra::random;

/// How long a sign-in may wait for a permit: with everything around it less than the thirty seconds after which the first
/// proxies give up.
pub const HASH_WAIT_TIMEOUT: Duration = Duration::from_secs(25);

/// The longest password, in bytes of Unicode NFC.
pub const MAX_PASSWORD_LEN: usize = 512;
/// The longest input that is parsed as a password, in bytes: a keyboard may send letters composed or decomposed, and a
/// decomposed letter is up to four times as long.
pub const MAX_TYPED_LEN: usize = 4 * MAX_PASSWORD_LEN;

/// A password in Unicode NFC, wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// `None` if it is empty or longer than 512 bytes; never truncated. The length of the composed form counts, so that a
    /// password that could be set can be typed on every keyboard.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TYPED_LEN {
            return None;
        }
        let composed: Zeroizing<String> = Zeroizing::new(text.nfc().collect());
        (1..=MAX_PASSWORD_LEN).contains(&composed.len()).then_some(Self(composed))
    }

    /// Whether it may be set as a new password: at least 8 characters, and not among the most guessed. No character classes
    /// are required (NIST SP 800-63B §3.1.1.2).
    pub fn is_acceptable(&self) -> Result<(), &'static str> {
        if self.0.chars().count() < 8 {
            return Err("a password has at least 8 characters");
        }
        let lower = self.0.to_lowercase();
        let guessed = COMMON_PASSWORDS.lines().any(|common| common == lower);
        if guessed { Err("this password is among the most guessed ones") } else { Ok(()) }
    }
}

/// The most guessed passwords, one a line.
const COMMON_PASSWORDS: &str = include_str!("password/common.txt");

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// The pool of hashing threads, and its queue.
pub struct PasswordHasher {
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    max_waiting: usize,
    params: Params,
    blocks: Arc<BlockPool>,
    /// The hash for a user who does not exist; no password matches it.
    dummy: Arc<str>,
}

/// The queue is full, or the wait was too long.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("too many passwords are being hashed")]
pub struct HasherBusyError;

/// The result of a comparison.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PasswordCheck {
    /// The password matches.
    Correct {
        /// Whether it was hashed with other parameters than today's, and should be hashed again.
        outdated: bool,
    },
    /// It does not match, or the user has none.
    Wrong,
}

/// The permit for a hash, and for a second one after it.
pub struct HashPermit {
    permit: OwnedSemaphorePermit,
    params: Params,
    blocks: Arc<BlockPool>,
    dummy: Arc<str>,
}

impl PasswordHasher {
    /// `threads` hashes at a time, `queue` callers may wait.
    ///
    /// # Panics
    /// Never: the parameters are constants that Argon2 accepts.
    pub fn new(threads: usize, queue: usize) -> Self {
        // The OWASP minimum for Argon2id: 19 MiB, two passes, one lane.
        let params = Params::new(19_456, 2, 1, Some(32)).expect("constants in range");
        let dummy = dummy(&params);
        Self {
            permits: Arc::new(Semaphore::new(threads.max(1))),
            waiting: Arc::default(),
            max_waiting: queue,
            blocks: BlockPool::new(params.block_count()),
            dummy: dummy.into(),
            params,
        }
    }

    /// Waits for a permit, up to [`HASH_WAIT_TIMEOUT`]; fails at once if the queue is full.
    pub async fn acquire(&self) -> Result<HashPermit, HasherBusyError> {
        let _place = WaitingGuard::enter(&self.waiting, self.max_waiting)?;
        let turn = Arc::clone(&self.permits).acquire_owned();
        let permit =
            tokio::time::timeout(HASH_WAIT_TIMEOUT, turn).await.map_err(|_| HasherBusyError)?;
        Ok(HashPermit {
            permit: permit.map_err(|_| HasherBusyError)?,
            params: self.params.clone(),
            blocks: Arc::clone(&self.blocks),
            dummy: Arc::clone(&self.dummy),
        })
    }

    /// Hashes a new password into a PHC string.
    pub async fn hash(&self, password: Password) -> Result<String, HasherBusyError> {
        self.acquire().await?.hash(password).await
    }

    /// Gives no more permits. Callers that wait fail at once; permits that were given stay valid.
    pub fn close(&self) {
        self.permits.close();
    }

    /// How many callers wait for a permit.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

impl HashPermit {
    /// Compares with a stored hash; with `None`, does the same work and finds it wrong. Returns the permit, for a caller that
    /// has to hash the password again.
    pub async fn verify(
        self,
        password: Password,
        stored: Option<&str>,
    ) -> Result<(PasswordCheck, Self), HasherBusyError> {
        let stored: Arc<str> = stored.map_or_else(|| Arc::clone(&self.dummy), Into::into);
        let work = move || {
            let Ok(hash) = PasswordHash::new(&stored) else { return (PasswordCheck::Wrong, self) };
            let computed = compute_as(&hash, &password, &self.blocks);
            // Outputs are compared in constant time.
            let verdict = if computed.is_some() && computed == hash.hash {
                PasswordCheck::Correct { outdated: is_outdated(&self.params, &hash) }
            } else {
                PasswordCheck::Wrong
            };
            (verdict, self)
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| HasherBusyError)
    }

    /// Hashes a new password into a PHC string.
    pub async fn hash(self, password: Password) -> Result<String, HasherBusyError> {
        let work = move || {
            let Self { permit: _held, params, blocks: memory, .. } = self;
            let salt = SaltString::encode_b64(&random::bytes::<16>()).ok()?;
            let mut hash = PasswordHash {
                algorithm: ARGON2ID_IDENT,
                version: Some(Version::V0x13.into()),
                params: ParamsString::try_from(&params).ok()?,
                salt: Some(salt.as_salt()),
                hash: None,
            };
            hash.hash = Some(compute_as(&hash, &password, &memory)?);
            Some(hash.to_string())
        };
        tokio::task::spawn_blocking(work).await.ok().flatten().ok_or(HasherBusyError)
    }
}

/// Counts one waiting caller until it is dropped.
struct WaitingGuard(Arc<AtomicUsize>);

impl WaitingGuard {
    fn enter(waiting: &Arc<AtomicUsize>, most: usize) -> Result<Self, HasherBusyError> {
        let place = Self(Arc::clone(waiting));
        if waiting.fetch_add(1, Ordering::SeqCst) >= most {
            Err(HasherBusyError)
        } else {
            Ok(place)
        }
    }
}

impl Drop for WaitingGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The hash of this password with the algorithm, parameters and salt of another hash.
fn compute_as(
    hash: &PasswordHash<'_>,
    password: &Password,
    memory: &Arc<BlockPool>,
) -> Option<Output> {
    let mut buffer = [0; Salt::MAX_LENGTH];
    let salt = hash.salt?.decode_b64(&mut buffer).ok()?;
    let params = Params::try_from(hash).ok()?;
    let length = params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN);
    let algorithm = Algorithm::try_from(hash.algorithm).ok()?;
    let version = hash.version.map(Version::try_from).transpose().ok()?.unwrap_or_default();
    let blocks = params.block_count();
    let argon = Argon2::new(algorithm, version, params);
    let output = |out: &mut [u8]| {
        memory.lend(blocks, |blocks| {
            argon.hash_password_into_with_memory(password.0.as_bytes(), salt, out, blocks)
        })?;
        Ok(())
    };
    Output::init_with(length, output).ok()
}

fn is_outdated(ours: &Params, hash: &PasswordHash<'_>) -> bool {
    let costs = |p: &Params| (p.m_cost(), p.t_cost(), p.p_cost());
    let same = Params::try_from(hash).is_ok_and(|params| costs(&params) == costs(ours));
    !same || hash.algorithm != Algorithm::Argon2id.ident()
}

/// A hash with today's parameters that no password has: its output is random.
fn dummy(params: &Params) -> String {
    let salt = SaltString::encode_b64(&random::bytes::<16>()).expect("16 bytes make a salt");
    let output = Output::new(&random::bytes::<32>()).expect("32 bytes make an output");
    let (m, t, p) = (params.m_cost(), params.t_cost(), params.p_cost());
    format!("$argon2id$v=19$m={m},t={t},p={p}${salt}${output}")
}

/// Whether the text is an Argon2id hash in PHC form, as a user file may hold.
pub fn is_phc(text: &str) -> bool {
    PasswordHash::new(text)
        .is_ok_and(|hash| hash.algorithm == Algorithm::Argon2id.ident() && hash.hash.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_hash_and_nothing_matches_the_dummy() {
        let pool = PasswordHasher::new(1, 4);
        let password = |text| Password::parse(text).unwrap();
        let hash = pool.hash(password("correct horse e\u{301}")).await.unwrap();
        assert!(is_phc(&hash));
        let verify = async |text, stored| {
            pool.acquire().await.unwrap().verify(password(text), stored).await.unwrap().0
        };
        let composed = verify("correct horse \u{e9}", Some(&*hash)).await;
        assert_eq!(composed, PasswordCheck::Correct { outdated: false });
        assert_eq!(verify("wrong", Some(&*hash)).await, PasswordCheck::Wrong);
        assert_eq!(verify("anything", None).await, PasswordCheck::Wrong);
        assert!(PasswordHash::new(&pool.dummy).is_ok(), "the dummy costs as much as a real one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_refuses_and_a_long_wait_gives_up() {
        let pool = PasswordHasher::new(1, 1);
        let held = pool.acquire().await.unwrap();
        let (first, second) = tokio::join!(pool.acquire(), pool.acquire());
        assert_eq!(first.err(), Some(HasherBusyError), "waited for as long as one waits");
        assert_eq!(second.err(), Some(HasherBusyError), "found the queue full");
        drop(held);
        assert!(pool.acquire().await.is_ok());
        assert_eq!(pool.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_when_it_closes_is_told_at_once_and_who_has_a_turn_keeps_it() {
        let pool = PasswordHasher::new(1, 1);
        let held = pool.acquire().await.unwrap();
        let began = tokio::time::Instant::now();
        let (waited, ()) = tokio::join!(pool.acquire(), async { pool.close() });
        assert_eq!(waited.err(), Some(HasherBusyError));
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert!(held.hash(Password::parse("correct horse").unwrap()).await.is_ok());
        assert_eq!(pool.acquire().await.err(), Some(HasherBusyError));
    }

    #[tokio::test(start_paused = true)]
    async fn two_hundred_who_come_at_once_all_get_their_turn_and_whoever_hangs_up_leaves_the_queue()
    {
        let pool = Arc::new(PasswordHasher::new(1, 256));
        let mut crowd = tokio::task::JoinSet::new();
        for _ in 0..200 {
            let pool = Arc::clone(&pool);
            crowd.spawn(async move {
                let turn = pool.acquire().await?;
                tokio::time::sleep(Duration::from_millis(120)).await;
                drop(turn);
                Ok::<_, HasherBusyError>(())
            });
        }
        let came = crowd.join_all().await;
        assert_eq!(came.iter().filter(|came| came.is_ok()).count(), 200);

        let held = pool.acquire().await.unwrap();
        let waiting = {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.acquire().await.map(drop) })
        };
        tokio::task::yield_now().await;
        assert_eq!(pool.waiting(), 1);
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(pool.waiting(), 0);
        drop(held);
    }

    #[test]
    fn a_new_password_is_long_and_not_the_first_guess() {
        let check = |text: &str| Password::parse(text).unwrap().is_acceptable();
        assert!(check("short").is_err());
        assert!(check("Password123").is_err());
        assert!(check("tea with seven otters").is_ok());
        assert!(Password::parse(&"x".repeat(513)).is_none());
        assert!(Password::parse("").is_none());
        // 256 letters of two bytes, and the same in pieces of three.
        let (whole, pieces) = ("\u{e9}".repeat(256), "e\u{301}".repeat(256));
        assert_eq!(Password::parse(&pieces).unwrap().0, Password::parse(&whole).unwrap().0);
        assert!(Password::parse(&"e\u{301}".repeat(257)).is_none());
    }
}
