use std::net::IpAddr;

use super::{User, canonical, find, holder};
use crate::client_ip::bucket;
use crate::clock::Clock;
use crate::epoch::{self, Epoch, Owner};
use crate::password::{Busy, Password, Passwords, Verdict};
use crate::store::{AsOf, Store, StoreError};
use crate::throttle::{self, Schedule, TooMany};

/// Everything signing in with a password needs.
pub struct SignIn<'a> {
    /// Where users and attempts are.
    pub store: &'a dyn Store,
    /// What time it is.
    pub clock: &'a Clock,
    /// Who may hash.
    pub passwords: &'a Passwords,
    /// Failures one address may make in a minute; `None` counts nothing.
    pub per_minute: Option<u32>,
}

/// Why nobody was signed in. What the person reads is the same for the first three.
#[derive(Debug)]
pub enum NotSignedIn {
    /// No user of that name.
    UnknownUser,
    /// Not their password.
    WrongPassword,
    /// The right password of a disabled user.
    Disabled,
    /// Too many attempts.
    Throttled(TooMany),
    /// Too many people at once.
    Busy,
    /// The store did not answer, so nobody is let in.
    Store(StoreError),
}

impl SignIn<'_> {
    /// Checks a user name and a password.
    ///
    /// The cheap refusals come first. The attempt is counted only when its hash is about to be
    /// computed, so a crowd of honest users does not lock itself out, and before it is, so that
    /// guesses running side by side are all counted. An unknown user costs the same work.
    ///
    /// The epoch is the one in which the password was the right one: whoever changes it begins another.
    /// The hash says nothing about that, for it is made anew where the parameters were raised.
    pub async fn check(
        &self,
        username: &str,
        password: &str,
        address: IpAddr,
    ) -> Result<(User, Epoch), NotSignedIn> {
        let Some(password) = Password::parse(password) else {
            return Err(NotSignedIn::WrongPassword);
        };
        let turn = self.passwords.turn().await.map_err(|Busy| NotSignedIn::Busy)?;
        self.count(username, address).await?;
        let (epoch, user) = self.find(username).await.map_err(NotSignedIn::Store)?;
        let stored = user.as_ref().and_then(|user| user.password.as_deref());
        let verdict =
            turn.verify(password.clone(), stored).await.map_err(|Busy| NotSignedIn::Busy)?;
        match (user, verdict) {
            (None, _) => Err(NotSignedIn::UnknownUser),
            (Some(_), Verdict::Wrong) => Err(NotSignedIn::WrongPassword),
            (Some(user), Verdict::Right { .. }) if !user.enabled => Err(NotSignedIn::Disabled),
            (Some(mut user), Verdict::Right { outdated }) => {
                self.forgive(username, address).await?;
                if outdated {
                    self.rehash(&mut user, password).await;
                }
                Ok((user, epoch))
            }
        }
    }

    /// The epoch first: a change that the user's record does not show yet raises it after this. Nobody
    /// costs as much as somebody.
    async fn find(&self, username: &str) -> Result<(Epoch, Option<User>), StoreError> {
        let canonical = canonical(username);
        let holder = holder(self.store, &canonical).await?;
        let sub = holder.clone().unwrap_or_else(super::nobody);
        let epoch = epoch::current(self.store, &Owner::User(sub.clone()), AsOf::Now).await?;
        let user = find(self.store, &sub).await?;
        let user = user.filter(|user| self::canonical(&user.username) == canonical);
        Ok((epoch, user.filter(|_| holder.is_some())))
    }

    async fn count(&self, username: &str, address: IpAddr) -> Result<(), NotSignedIn> {
        let Some(per_minute) = self.per_minute else { return Ok(()) };
        let now = self.clock.now();
        let by_address = Schedule::Address { per_minute };
        for (name, schedule) in
            [(address_name(address), by_address), (account_name(username), Schedule::Account)]
        {
            let counted = throttle::take(self.store, &name, schedule, now).await;
            counted.map_err(NotSignedIn::Store)?.map_err(NotSignedIn::Throttled)?;
        }
        Ok(())
    }

    async fn forgive(&self, username: &str, address: IpAddr) -> Result<(), NotSignedIn> {
        let Some(per_minute) = self.per_minute else { return Ok(()) };
        let now = self.clock.now();
        let by_address = Schedule::Address { per_minute };
        for (name, schedule) in
            [(address_name(address), by_address), (account_name(username), Schedule::Account)]
        {
            let forgiven = throttle::forgive(self.store, &name, schedule, now).await;
            forgiven.map_err(NotSignedIn::Store)?;
        }
        Ok(())
    }

    /// Brings an old hash up to today's parameters. Failing to is no reason to keep somebody out.
    async fn rehash(&self, user: &mut User, password: Password) {
        let Ok(hash) = self.passwords.hash(password).await else { return };
        let mut renewed = false;
        let written = super::update(self.store, &user.sub, |held| {
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

fn account_name(username: &str) -> String {
    format!("account {}", canonical(username))
}

fn address_name(address: IpAddr) -> String {
    format!("address {}", bucket(address))
}
