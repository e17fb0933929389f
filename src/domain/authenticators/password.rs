//! Authentication by user name and password, and the limits on attempts.
//!
//! Attempts are counted by address, by account and address, by account, and for the whole installation, each
//! before the hash is computed, so that parallel guesses are all counted. A browser that has signed in as this
//! user before ([`Device`]) is counted by itself alone.
//!
//! A user name that no user has is an account like any other and costs the same work, so that neither response
//! nor time tells which user names exist.
//!
//! The limits and their reasons: docs/decisions/password-attempt-limits.md.

use std::net::IpAddr;

use thiserror::Error;
use tokio::join;

use super::Authentication;
use crate::config::RateLimitSettings;
use crate::domain::epoch::{self, Epoch, EpochOwner};
use crate::domain::rate_limit::{
    self, LimitPolicy, MAX_ACCOUNT_FAILURES, RateLimitError, RateLimited,
};
use crate::domain::users::{self, Device, User, canonical};
use crate::infra::client_ip::rate_limit_key;
use crate::infra::clock::{Clock, UnixTime};
use crate::infra::password::{
    HashPermit, HasherBusyError, Password, PasswordCheck, PasswordHasher,
};
use crate::infra::store::{Consistency, Store, StoreError};
use crate::protocol::Subject;

/// Checks user names and passwords.
pub struct PasswordAuthenticator<'a> {
    pub store: &'a dyn Store,
    pub clock: &'a Clock,
    pub limits: GuessLimits,
}

/// How many wrong passwords are checked in a minute.
#[derive(Clone, Copy, Debug)]
pub struct GuessLimits {
    /// From one address, whatever user name is typed; `None`: attempts are not counted by address.
    pub per_address: Option<u32>,
    /// From all addresses; `None`, in development: attempts are counted neither in total nor by account.
    pub total: Option<u32>,
}

impl From<RateLimitSettings> for GuessLimits {
    fn from(limit: RateLimitSettings) -> Self {
        Self {
            per_address: limit.enabled.then_some(limit.per_minute),
            total: limit
                .guesses
                .then_some(limit.per_minute.saturating_mul(TOTAL_PER_ADDRESS_LIMIT)),
        }
    }
}

/// The user name of an attempt, and where it comes from.
pub struct Credentials<'a> {
    /// As it was typed.
    pub username: &'a str,
    pub address: IpAddr,
    /// The device cookie of the browser, if it sent one.
    pub device: Option<&'a Device>,
}

/// A password as it was typed, with the permit to hash it.
pub struct QueuedPassword {
    password: Password,
    turn: HashPermit,
}

impl QueuedPassword {
    /// Waits for the permit. A caller that is dropped while it waits leaves the queue, and nothing has happened.
    pub async fn acquire(passwords: &PasswordHasher, text: &str) -> Result<Self, LoginFailure> {
        let nobody = |why| LoginFailure { why, sub: None, locks: false };
        let password = Password::parse(text).ok_or_else(|| nobody(LoginError::WrongPassword))?;
        let turn = passwords.acquire().await.map_err(|busy| nobody(busy.into()))?;
        Ok(Self { password, turn })
    }
}

/// What came of the right password.
#[derive(Debug)]
pub struct LoginOutcome {
    pub authentication: Authentication,
    pub user: User,
    /// The account was locked until now, for every browser that does not know the user.
    pub unlocked: bool,
}

/// What came of any other password.
#[derive(Debug)]
pub struct LoginFailure {
    pub why: LoginError,
    /// The user of that name; absent where there is none, or where it was not looked up.
    pub sub: Option<Subject>,
    /// This attempt was the one that locked the account.
    pub locks: bool,
}

/// Why an attempt failed. The page says the same for the first three.
#[derive(Debug, Error)]
pub enum LoginError {
    #[error("no user has that user name")]
    UnknownUser,
    #[error("the password is wrong")]
    WrongPassword,
    /// The right password of a disabled user.
    #[error("the user is disabled")]
    Disabled,
    #[error("there were too many attempts")]
    Throttled(RateLimited),
    /// Too many attempts from everywhere: until the operator unlocks the account, or its user signs in with a
    /// browser that has a device cookie.
    #[error("the account is locked")]
    Locked(RateLimited),
    /// Too many passwords wait to be hashed.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// The store failed, so no one can sign in.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RateLimitError> for LoginError {
    fn from(error: RateLimitError) -> Self {
        match error {
            RateLimitError::Limited(wait) => Self::Throttled(wait),
            RateLimitError::Store(cause) => Self::Store(cause),
        }
    }
}

impl From<HasherBusyError> for LoginError {
    fn from(_: HasherBusyError) -> Self {
        Self::Busy
    }
}

/// How an attempt was counted.
enum CountedAttempt {
    /// By address alone, if at all.
    Uncounted,
    /// By the browser, which this user has signed in with before.
    Device { name: String },
    /// By address and account. `last`: no further attempt will be checked.
    Address { pair: String, last: bool },
}

impl PasswordAuthenticator<'_> {
    /// Refuses an address that has used its attempts, before the wait for a hash permit. A browser with a device
    /// cookie passes: whether it is counted by itself is known only when the user is.
    pub async fn check_address_limit(&self, shown: &Credentials<'_>) -> Result<(), LoginFailure> {
        let nobody = |why| LoginFailure { why, sub: None, locks: false };
        let Some(per_minute) = self.limits.per_address.filter(|_| shown.device.is_none()) else {
            return Ok(());
        };
        let (name, schedule) = (address_key(shown.address), LimitPolicy::Address { per_minute });
        let checked =
            rate_limit::check_attempt(self.store, &name, schedule, self.clock.now()).await;
        checked.map_err(|error| nobody(error.into()))
    }

    /// Checks a user name and a password.
    ///
    /// The attempt is counted only when its hash is about to be computed, so a crowd of honest users does not
    /// lock itself out. An unknown user costs the same work.
    ///
    /// The epoch is read before the password: a new password begins another epoch. The hash would not tell, as
    /// it is replaced when the Argon2 parameters are raised.
    pub async fn authenticate(
        &self,
        shown: &Credentials<'_>,
        typed: QueuedPassword,
    ) -> Result<LoginOutcome, LoginFailure> {
        let nobody = |why| LoginFailure { why, sub: None, locks: false };
        let found = self.find_user(shown.username).await;
        let (epoch, user) = found.map_err(|cause| nobody(cause.into()))?;
        let sub = user.as_ref().map(|user| user.sub.clone());
        let account = account_key(sub.as_ref(), shown.username);
        let failed = |why| LoginFailure { why, sub: sub.clone(), locks: false };

        let counted =
            self.record_attempt(&account, sub.as_ref(), epoch, shown).await.map_err(failed)?;
        match self.verify(typed, user).await {
            Ok(user) => {
                let unlocked = self.clear_attempts(&account, &counted, shown.address).await;
                let unlocked = unlocked.map_err(failed)?;
                let now = self.clock.now();
                let authentication = Authentication::by_password(user.sub.clone(), epoch, now);
                Ok(LoginOutcome { authentication, user, unlocked })
            }
            Err(why) => {
                let last = matches!(counted, CountedAttempt::Address { last: true, .. });
                let is_wrong = matches!(why, LoginError::WrongPassword | LoginError::Disabled);
                if let CountedAttempt::Address { .. } = counted {
                    self.record_failure().await.map_err(failed)?;
                }
                Err(LoginFailure { locks: last && is_wrong, ..failed(why) })
            }
        }
    }

    async fn verify(
        &self,
        QueuedPassword { password, turn }: QueuedPassword,
        user: Option<User>,
    ) -> Result<User, LoginError> {
        let stored = user.as_ref().and_then(|user| user.password.as_deref());
        let (verdict, turn) = turn.verify(password.clone(), stored).await?;
        match (user, verdict) {
            (None, _) => Err(LoginError::UnknownUser),
            (Some(_), PasswordCheck::Wrong) => Err(LoginError::WrongPassword),
            (Some(user), PasswordCheck::Correct { .. }) if !user.enabled => {
                Err(LoginError::Disabled)
            }
            (Some(mut user), PasswordCheck::Correct { outdated }) => {
                if outdated {
                    self.rehash(&mut user, QueuedPassword { password, turn }).await;
                }
                Ok(user)
            }
        }
    }

    /// The epoch is read first: a change that the user's record does not show yet raises it after this. A user
    /// that does not exist costs the same look-ups.
    async fn find_user(&self, username: &str) -> Result<(Epoch, Option<User>), StoreError> {
        let canonical = canonical(username);
        let holder = users::username_subject(self.store, &canonical).await?;
        let sub = holder.clone().unwrap_or_else(users::placeholder_subject);
        let epoch =
            epoch::current(self.store, &EpochOwner::User(sub.clone()), Consistency::Strong).await?;
        let user = users::find(self.store, &sub).await?;
        let user = user.filter(|user| users::canonical(&user.username) == canonical);
        Ok((epoch, user.filter(|_| holder.is_some())))
    }

    async fn record_attempt(
        &self,
        account: &str,
        sub: Option<&Subject>,
        epoch: Epoch,
        shown: &Credentials<'_>,
    ) -> Result<CountedAttempt, LoginError> {
        let (store, now) = (self.store, self.clock.now());
        let known =
            sub.zip(shown.device).and_then(|(sub, device)| device.attempt_key(sub, epoch, now));
        if let Some(name) = known.filter(|_| self.limits.total.is_some()) {
            rate_limit::record_attempt(store, &name, LimitPolicy::Guess, now).await?;
            return Ok(CountedAttempt::Device { name });
        }
        if let Some(most) = self.limits.total {
            rate_limit::check_quota(store, TOTAL_FAILURES_KEY, most, now).await?;
        }
        if let Some(per_minute) = self.limits.per_address {
            let schedule = LimitPolicy::Address { per_minute };
            rate_limit::record_attempt(store, &address_key(shown.address), schedule, now).await?;
        }
        if self.limits.total.is_none() {
            return Ok(CountedAttempt::Uncounted);
        }
        let pair = account_address_key(account, epoch, shown.address);
        rate_limit::record_attempt(store, &pair, LimitPolicy::Guess, now).await?;
        let counted = rate_limit::record_attempt(store, account, LimitPolicy::Account, now).await;
        let failures = counted.map_err(|error| match error {
            RateLimitError::Limited(wait) => LoginError::Locked(wait),
            RateLimitError::Store(cause) => cause.into(),
        })?;
        Ok(CountedAttempt::Address { pair, last: failures >= MAX_ACCOUNT_FAILURES })
    }

    /// Clears the counts after the right password; `true` if the account was locked.
    async fn clear_attempts(
        &self,
        account: &str,
        counted: &CountedAttempt,
        address: IpAddr,
    ) -> Result<bool, LoginError> {
        let (store, now) = (self.store, self.clock.now());
        let freed = rate_limit::clear_attempt(store, account, LimitPolicy::Account, now);
        match counted {
            CountedAttempt::Uncounted => {
                self.clear_address_attempts(address).await?;
                Ok(false)
            }
            CountedAttempt::Device { name } => {
                let own = rate_limit::clear_attempt(store, name, LimitPolicy::Guess, now);
                let (freed, own) = join!(freed, own);
                own?;
                Ok(freed?)
            }
            CountedAttempt::Address { pair, .. } => {
                let (freed, pair, own) = join!(
                    freed,
                    rate_limit::clear_attempt(store, pair, LimitPolicy::Guess, now),
                    self.clear_address_attempts(address)
                );
                pair?;
                own?;
                // If the hundredth attempt is the right one, it has locked nothing.
                freed.map(|_| false).map_err(LoginError::Store)
            }
        }
    }

    async fn clear_address_attempts(&self, address: IpAddr) -> Result<(), StoreError> {
        let Some(per_minute) = self.limits.per_address else { return Ok(()) };
        let (name, schedule) = (address_key(address), LimitPolicy::Address { per_minute });
        rate_limit::clear_attempt(self.store, &name, schedule, self.clock.now()).await.map(drop)
    }

    async fn record_failure(&self) -> Result<(), LoginError> {
        rate_limit::add_to_quota(self.store, TOTAL_FAILURES_KEY, self.clock.now()).await?;
        Ok(())
    }

    /// Replaces a hash of outdated parameters. A failure is logged and does not fail the sign-in.
    async fn rehash(&self, user: &mut User, QueuedPassword { password, turn }: QueuedPassword) {
        let Ok(hash) = turn.hash(password).await else { return };
        let mut renewed = false;
        let written = users::update(self.store, &user.sub, |held| {
            // Unless it was changed in the meantime.
            renewed = held.password == user.password;
            if renewed {
                held.password = Some(hash.clone());
            }
        });
        match written.await {
            Ok(_) if renewed => user.password = Some(hash),
            Ok(_) => {}
            Err(cause) => tracing::warn!(%cause, "could not store a password hashed anew"),
        }
    }
}

/// Since when the account of this user is locked, if it is.
pub async fn locked_since(
    store: &dyn Store,
    sub: &Subject,
) -> Result<Option<UnixTime>, StoreError> {
    rate_limit::locked_since(store, &account_key(Some(sub), "")).await
}

/// Unlocks the account of this user; returns since when it was locked.
pub async fn unlock(store: &dyn Store, sub: &Subject) -> Result<Option<UnixTime>, StoreError> {
    rate_limit::unlock(store, &account_key(Some(sub), "")).await
}

/// The key under which all failures are counted.
const TOTAL_FAILURES_KEY: &str = "sign-in failures";
/// The installation's limit is that of so many addresses.
const TOTAL_PER_ADDRESS_LIMIT: u32 = 20;

fn account_key(sub: Option<&Subject>, username: &str) -> String {
    match sub {
        Some(sub) => format!("account sub:{}", sub.as_str()),
        None => format!("account name:{}", canonical(username)),
    }
}

/// The epoch is part of the key: after a new password the failures with the old one no longer count.
fn account_address_key(account: &str, epoch: Epoch, address: IpAddr) -> String {
    format!("{account} in {} from {}", epoch.number(), rate_limit_key(address))
}

fn address_key(address: IpAddr) -> String {
    format!("address {}", rate_limit_key(address))
}
