//! Makes the store hold what the file declares, and nothing more than that.

use std::fmt;

use super::Bootstrap;
use super::client::ClientEntry;
use super::user::{DeclaredPassword, UserEntry};
use crate::clients::{self, Client, ClientSecret, Source};
use crate::clock::UnixTime;
use crate::grants;
use crate::password::{Passwords, Verdict};
use crate::protocol::Subject;
use crate::random;
use crate::secret::Digest;
use crate::store::{Created, Store, StoreError};
use crate::users::{self, Added, User};

/// What applying came to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Applied {
    /// The users.
    pub users: Tally,
    /// The clients.
    pub clients: Tally,
}

/// How many records became what.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Tally {
    /// Were not there.
    pub created: usize,
    /// Were there, and different.
    pub changed: usize,
    /// Were as declared.
    pub unchanged: usize,
}

/// Why it could not be applied whole. What was applied before stays, and is found unchanged next time.
#[derive(Debug)]
pub enum ApplyError {
    /// The store.
    Store(StoreError),
    /// No password could be hashed.
    Busy,
    /// What the store holds contradicts the file; a sentence for the operator, with the line.
    Conflict(String),
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Busy => f.write_str("no password could be hashed: the machine is too busy"),
            Self::Conflict(sentence) => f.write_str(sentence),
        }
    }
}

impl std::error::Error for ApplyError {}

impl From<StoreError> for ApplyError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, changed, unchanged } = self;
        write!(f, "{created} created, {changed} changed, {unchanged} unchanged")
    }
}

impl Bootstrap {
    /// Creates what is missing and changes what differs.
    pub async fn apply(
        &self,
        store: &dyn Store,
        passwords: &Passwords,
        now: UnixTime,
    ) -> Result<Applied, ApplyError> {
        let mut applied = Applied::default();
        for user in &self.users {
            applied.users.count(user.apply(store, passwords, now).await?);
        }
        for client in &self.clients {
            applied.clients.count(client.apply(store, now).await?);
        }
        Ok(applied)
    }
}

#[derive(Clone, Copy)]
enum Became {
    Created,
    Changed,
    Unchanged,
}

impl Became {
    fn from_changed(changed: bool) -> Self {
        if changed { Self::Changed } else { Self::Unchanged }
    }
}

impl Tally {
    fn count(&mut self, became: Became) {
        match became {
            Became::Created => self.created += 1,
            Became::Changed => self.changed += 1,
            Became::Unchanged => self.unchanged += 1,
        }
    }
}

impl UserEntry {
    async fn apply(
        &self,
        store: &dyn Store,
        passwords: &Passwords,
        now: UnixTime,
    ) -> Result<Became, ApplyError> {
        let held = self.find(store).await?;
        let stored = held.as_ref().and_then(|user| user.password.as_deref());
        let password = self.password(stored, passwords).await?;
        if let Some(held) = held {
            return self.change(store, &held.sub, password, now).await;
        }

        let user = User {
            sub: self.subject(store).await?,
            username: self.username.clone(),
            password,
            enabled: self.enabled.unwrap_or(true),
            claims: self.claims.clone(),
            groups: self.groups.clone(),
            created_at: now,
            development: false,
        };
        match users::add(store, &user).await? {
            Added::New => Ok(Became::Created),
            // Another server starts beside us and applies the same file: theirs is as good as ours.
            Added::UsernameTaken | Added::SubjectTaken => match self.find(store).await? {
                Some(held) => self.change(store, &held.sub, user.password, now).await,
                None => Err(self.conflict("its place in the store is taken, by another sub")),
            },
        }
    }

    /// The declared one; otherwise a new one, or that of another server which is adding them just now.
    async fn subject(&self, store: &dyn Store) -> Result<Subject, ApplyError> {
        if let Some(declared) = &self.sub {
            return Ok(declared.clone());
        }
        let made = Subject::parse(&random::uuid().to_string());
        let made = made.ok_or_else(|| self.conflict("no subject could be made"))?;
        Ok(users::claim(store, &self.username, made).await?)
    }

    /// The record this entry is about: by subject where one is declared, otherwise by name.
    async fn find(&self, store: &dyn Store) -> Result<Option<User>, ApplyError> {
        let named = users::find_by_username(store, &self.username).await?;
        let Some(sub) = &self.sub else { return Ok(named) };
        if named.as_ref().is_some_and(|user| user.sub != *sub) {
            return Err(self.conflict("the store has this user name under another sub"));
        }
        // A sub is never reassigned and its name stays, so this is somebody else.
        if named.is_none() && users::find(store, sub).await?.is_some() {
            return Err(self.conflict("the store has this sub under another user name"));
        }
        Ok(named)
    }

    /// What the record's password should be, given the one it has.
    async fn password(
        &self,
        stored: Option<&str>,
        passwords: &Passwords,
    ) -> Result<Option<String>, ApplyError> {
        let stored_hash = || stored.map(str::to_owned);
        let plain = match &self.password {
            None => return Ok(stored_hash()),
            Some(DeclaredPassword::Hash(hash)) => return Ok(Some(hash.clone())),
            Some(DeclaredPassword::Plain(plain)) => plain,
        };
        if stored.is_some() {
            let turn = passwords.turn().await.map_err(|_| ApplyError::Busy)?;
            match turn.verify(plain.clone(), stored).await.map_err(|_| ApplyError::Busy)? {
                Verdict::Right { outdated: false } => return Ok(stored_hash()),
                Verdict::Right { outdated: true } | Verdict::Wrong => {}
            }
        }
        passwords.hash(plain.clone()).await.map(Some).map_err(|_| ApplyError::Busy)
    }

    /// Makes the record what the file says. Another password, or none of this person's business any more:
    /// what they have open ends, as it does on the command line.
    async fn change(
        &self,
        store: &dyn Store,
        sub: &Subject,
        password: Option<String>,
        now: UnixTime,
    ) -> Result<Became, ApplyError> {
        let (mut changed, mut cut_off) = (false, false);
        let step = |user: &mut User| {
            let before = user.clone();
            user.username.clone_from(&self.username);
            user.claims.clone_from(&self.claims);
            user.groups.clone_from(&self.groups);
            user.enabled = self.enabled.unwrap_or(user.enabled);
            if self.password.is_some() {
                user.password.clone_from(&password);
            }
            changed = *user != before;
            cut_off = user.password != before.password || (before.enabled && !user.enabled);
        };
        if users::update(store, sub, step).await?.is_none() {
            return Err(self.conflict("it was removed at the same moment"));
        }
        if cut_off {
            grants::cut_off(store, sub, now).await?;
        }
        Ok(Became::from_changed(changed))
    }

    fn conflict(&self, why: &str) -> ApplyError {
        ApplyError::Conflict(format!("line {}: user {}: {why}", self.line, self.username))
    }
}

impl ClientEntry {
    async fn apply(&self, store: &dyn Store, now: UnixTime) -> Result<Became, ApplyError> {
        if clients::find(store, &self.id).await?.is_none() {
            let client = Client {
                id: self.id.clone(),
                metadata: self.metadata.clone(),
                settings: self.settings.clone(),
                secrets: self.secrets.iter().map(|digest| fresh(*digest, now)).collect(),
                registration_token: None,
                enabled: self.enabled.unwrap_or(true),
                source: Source::Operator,
                created_at: now,
                unused_until: None,
                development: false,
            };
            match clients::add(store, &client).await? {
                Created::New => return Ok(Became::Created),
                // Another server starts beside us and applies the same file.
                Created::Taken => {}
            }
        }

        let step = |client: &mut Client| {
            let before = client.clone();
            self.declare(client, now);
            (*client != before, before.enabled && !client.enabled)
        };
        match clients::update_metadata(store, &self.id, &self.metadata, step).await? {
            Some((changed, disabled)) => {
                if disabled {
                    clients::cut_off(store, &self.id, now).await?;
                }
                Ok(Became::from_changed(changed))
            }
            None => Err(ApplyError::Conflict(format!(
                "line {}: client {}: its place in the store is taken by something unreadable",
                self.line,
                self.id.as_str()
            ))),
        }
    }

    /// The operator's word replaces a registration's, whose token opens it no more.
    fn declare(&self, client: &mut Client, now: UnixTime) {
        client.metadata.clone_from(&self.metadata);
        client.settings.clone_from(&self.settings);
        client.enabled = self.enabled.unwrap_or(client.enabled);
        client.source = Source::Operator;
        client.registration_token = None;
        client.unused_until = None;

        let held = std::mem::take(&mut client.secrets);
        let keep = |digest: &Digest| {
            let known = held.iter().find(|secret| secret.digest == *digest);
            let created_at = known.map_or(now, |secret| secret.created_at);
            ClientSecret { created_at, ..fresh(*digest, now) }
        };
        client.secrets = self.secrets.iter().map(keep).collect();
    }
}

fn fresh(digest: Digest, now: UnixTime) -> ClientSecret {
    ClientSecret { digest, sealed: None, created_at: now, expires_at: None }
}
