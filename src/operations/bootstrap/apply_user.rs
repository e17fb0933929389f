//! Makes a user what the file says.

use super::apply::{ApplyError, Became, Desk};
use super::declared::{Before, Word};
use super::user::{DeclaredPassword, UserEntry};
use crate::domain::events::UserChange;
use crate::domain::grants;
use crate::domain::users::{self, Added, DeclaredUser, User};
use crate::infra::password::{PasswordCheck, PasswordHasher};
use crate::infra::random;
use crate::infra::store::Store;
use crate::protocol::Subject;

/// What becomes of the password of a user that is there already.
enum NextPassword {
    /// The file says nothing, or what it said before.
    AsStored,
    /// It stays, and this is the hash of what the file says.
    Noted(String),
    /// The file's.
    Set(String),
}

impl UserEntry {
    pub(super) async fn apply(&self, desk: &Desk<'_>) -> Result<Became, ApplyError> {
        let Desk { store, passwords, now, .. } = *desk;
        if let Some(held) = self.find(store).await? {
            return self.change(&held, desk).await;
        }

        let password = match &self.password {
            Some(declared) => Some(declared.hash(passwords).await?),
            None => None,
        };
        let user = User {
            sub: self.subject(store).await?,
            username: self.username.clone(),
            password: password.clone(),
            enabled: self.enabled.unwrap_or(true),
            claims: self.claims.clone(),
            groups: self.groups.clone(),
            created_at: now,
            development: false,
            declared: Some(DeclaredUser { password, enabled: self.enabled }),
        };
        match users::add(store, &user).await? {
            Added::New => {
                desk.user_changed(&user.sub, &[UserChange::Added]);
                Ok(Became::Created)
            }
            // Another server starts beside us and applies the same file: theirs is as good as ours.
            Added::UsernameTaken | Added::SubjectTaken => match self.find(store).await? {
                Some(held) => self.change(&held, desk).await,
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

    /// A password in the file is for creation, or for when the file's own word changes: one that was changed
    /// elsewhere, perhaps because the file's had leaked, must not come back with the next start.
    async fn next_password(
        &self,
        held: &User,
        passwords: &PasswordHasher,
    ) -> Result<NextPassword, ApplyError> {
        let Some(declared) = &self.password else { return Ok(NextPassword::AsStored) };
        let username = &*self.username;
        let said = Before::of(held.declared.as_ref(), |it| it.password.as_ref());
        let stored = held.password.as_deref();
        match (said, stored) {
            (_, None) => Ok(NextPassword::Set(declared.hash(passwords).await?)),
            (Before::Said(before), Some(stored)) if declared.is(before, passwords).await? => {
                if before != stored && !declared.is(stored, passwords).await? {
                    tracing::info!(
                        username,
                        "the password was changed since the bootstrap file set it, and stays so; the \
                         file's counts again when it changes"
                    );
                }
                Ok(NextPassword::AsStored)
            }
            (_, Some(stored)) if declared.is(stored, passwords).await? => {
                Ok(NextPassword::Noted(stored.to_owned()))
            }
            // Of a release that did not remember: it may have been reset since the last start.
            (Before::Unknown, Some(_)) => {
                tracing::warn!(
                    username,
                    "the password in the bootstrap file is another than the stored one, which stays; \
                     the file's counts when it changes"
                );
                Ok(NextPassword::Noted(declared.hash(passwords).await?))
            }
            (Before::Said(_) | Before::Silent, Some(_)) => {
                tracing::info!(username, "the password in the bootstrap file is new, and was set");
                Ok(NextPassword::Set(declared.hash(passwords).await?))
            }
        }
    }

    /// Makes the record what the file says. Another password, or none of this person's business any more:
    /// what they have open ends, as it does on the command line.
    async fn change(&self, held: &User, desk: &Desk<'_>) -> Result<Became, ApplyError> {
        let Desk { store, passwords, now, .. } = *desk;
        let next = self.next_password(held, passwords).await?;
        let (mut changes, mut kept) = (Vec::new(), None);
        let step = |user: &mut User| {
            let before = user.clone();
            user.username.clone_from(&self.username);
            user.claims.clone_from(&self.claims);
            user.groups.clone_from(&self.groups);
            let said = Before::of(before.declared.as_ref(), |it| it.enabled.as_ref());
            let word = Word::of(self.enabled.as_ref(), said);
            let mut declared = user.declared.take().unwrap_or_default();
            match &next {
                NextPassword::AsStored => {}
                NextPassword::Noted(hash) => declared.password = Some(hash.clone()),
                NextPassword::Set(hash) => {
                    declared.password = Some(hash.clone());
                    user.password = Some(hash.clone());
                }
            }
            (user.enabled, kept) = word.enabled(user.enabled);
            declared.enabled = self.enabled.or(declared.enabled);
            user.declared = Some(declared);
            changes = self::changes(&before, user);
        };
        if users::update(store, &held.sub, step).await?.is_none() {
            return Err(self.conflict("it was removed at the same moment"));
        }
        if let Some(kept) = kept {
            tracing::info!(username = &*self.username, "{}", kept.as_str());
        }
        desk.user_changed(&held.sub, &changes);
        if changes
            .iter()
            .any(|change| matches!(*change, UserChange::PasswordSet | UserChange::Disabled))
        {
            grants::cut_off(store, &held.sub, now).await?;
        }
        Ok(Became::by(&changes))
    }

    fn conflict(&self, why: &str) -> ApplyError {
        ApplyError::Conflict(format!("line {}: user {}: {why}", self.line, self.username))
    }
}

/// What is different now, as the command line reports it.
fn changes(before: &User, after: &User) -> Vec<UserChange> {
    let rest = User {
        password: after.password.clone(),
        enabled: after.enabled,
        declared: after.declared.clone(),
        ..before.clone()
    };
    let updated = (rest != *after).then_some(UserChange::Updated);
    let set = (before.password != after.password).then_some(UserChange::PasswordSet);
    let switch = if after.enabled { UserChange::Enabled } else { UserChange::Disabled };
    let switched = (before.enabled != after.enabled).then_some(switch);
    [updated, set, switched].into_iter().flatten().collect()
}

impl DeclaredPassword {
    /// The hash to be stored.
    async fn hash(&self, passwords: &PasswordHasher) -> Result<String, ApplyError> {
        match self {
            Self::Hash(hash) => Ok(hash.clone()),
            Self::Plain(plain) => passwords.hash(plain.clone()).await.map_err(|_| ApplyError::Busy),
        }
    }

    /// Whether the hash is of this password, or this very hash.
    async fn is(&self, hash: &str, passwords: &PasswordHasher) -> Result<bool, ApplyError> {
        let plain = match self {
            Self::Hash(own) => return Ok(own == hash),
            Self::Plain(plain) => plain.clone(),
        };
        let turn = passwords.acquire().await.map_err(|_| ApplyError::Busy)?;
        let verdict = turn.verify(plain, Some(hash)).await.map_err(|_| ApplyError::Busy)?.0;
        Ok(match verdict {
            PasswordCheck::Correct { outdated: _ } => true,
            PasswordCheck::Wrong => false,
        })
    }
}
