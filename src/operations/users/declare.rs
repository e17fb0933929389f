//! Creates a user, or makes it what is declared.

use serde_json::{Map, Value};

use crate::domain::events::UserChange;
use crate::domain::grants;
use crate::domain::users::{self, AddOutcome, DeclaredUser, User};
use crate::infra::password::{Password, PasswordCheck, PasswordHasher};
use crate::infra::random;
use crate::infra::store::Store;
use crate::operations::Context;
use crate::operations::declaration::{
    DeclareError, DeclareOutcome, DeclaredValue, OnRemark, PreviousValue, Remark,
};
use crate::protocol::Subject;

/// A user as it is to be.
#[derive(Clone, Debug)]
pub struct UserDeclaration {
    pub username: String,
    /// Made when the user is first added, if none is chosen.
    pub sub: Option<Subject>,
    /// `None`: the stored one stays.
    pub password: Option<DeclaredPassword>,
    /// `None`: the stored value stays, so that a start does not let in again whom the command line has disabled.
    pub enabled: Option<bool>,
    pub claims: Map<String, Value>,
    pub groups: Vec<String>,
}

/// A password as it is declared.
#[derive(Clone, Debug)]
pub enum DeclaredPassword {
    /// To be hashed here.
    Plain(Password),
    /// Argon2id in PHC form, hashed elsewhere.
    Hash(String),
}

/// What becomes of the password of a user that exists.
enum NextPassword {
    /// It stays, and so does what is remembered of the declaration.
    Stored,
    /// It stays, and this hash of the declared one is remembered.
    Remembered(String),
    /// This hash replaces it.
    Set(String),
}

impl UserDeclaration {
    /// Creates the user or changes what differs, and reports each change as an event.
    pub async fn declare(
        &self,
        context: &Context<'_>,
        on_remark: &mut OnRemark<'_>,
    ) -> Result<DeclareOutcome, DeclareError> {
        if let Some(stored) = self.find(context.store).await? {
            return self.change(&stored, context, on_remark).await;
        }

        let password = match &self.password {
            Some(declared) => Some(declared.hash(context.passwords).await?),
            None => None,
        };
        let user = User {
            sub: self.subject(context.store).await?,
            username: self.username.clone(),
            password: password.clone(),
            enabled: self.enabled.unwrap_or(true),
            claims: self.claims.clone(),
            groups: self.groups.clone(),
            created_at: context.now,
            development: false,
            declared: Some(DeclaredUser { password, enabled: self.enabled }),
        };
        match users::add(context.store, &user).await? {
            AddOutcome::Added => {
                context.user_changed(user.sub.as_str(), UserChange::Added);
                Ok(DeclareOutcome::Created)
            }
            // Another server starts beside this one and declares the same: its record is as good as ours.
            AddOutcome::UsernameTaken | AddOutcome::SubjectTaken => {
                match self.find(context.store).await? {
                    Some(stored) => self.change(&stored, context, on_remark).await,
                    None => Err(DeclareError::Conflict(
                        "its place in the store is taken, by another sub",
                    )),
                }
            }
        }
    }

    /// The declared subject; otherwise a new one, or that of another server which is adding the user just now.
    async fn subject(&self, store: &dyn Store) -> Result<Subject, DeclareError> {
        if let Some(declared) = &self.sub {
            return Ok(declared.clone());
        }
        let made = Subject::parse(&random::uuid().to_string());
        let made = made.ok_or(DeclareError::Conflict("no subject could be made"))?;
        Ok(users::reserve_username(store, &self.username, made).await?)
    }

    /// The stored user of that name, if its subject is not another than the declared one.
    async fn find(&self, store: &dyn Store) -> Result<Option<User>, DeclareError> {
        let named = users::find_by_username(store, &self.username).await?;
        let Some(sub) = &self.sub else { return Ok(named) };
        if named.as_ref().is_some_and(|user| user.sub != *sub) {
            return Err(DeclareError::Conflict("the store has this user name under another sub"));
        }
        // A sub is never reassigned and its name stays, so this is another user.
        if named.is_none() && users::find(store, sub).await?.is_some() {
            return Err(DeclareError::Conflict("the store has this sub under another user name"));
        }
        Ok(named)
    }

    /// The declared password takes effect when it differs from the one that was declared before.
    async fn next_password(
        &self,
        user: &User,
        passwords: &PasswordHasher,
    ) -> Result<(NextPassword, Option<Remark>), DeclareError> {
        let Some(declared) = &self.password else { return Ok((NextPassword::Stored, None)) };
        let previous = PreviousValue::of(user.declared.as_ref(), |it| it.password.as_ref());
        let Some(stored) = user.password.as_deref() else {
            return Ok((NextPassword::Set(declared.hash(passwords).await?), None));
        };
        match previous {
            PreviousValue::Declared(hash) if declared.matches(hash, passwords).await? => {
                let is_kept = hash != stored && !declared.matches(stored, passwords).await?;
                Ok((NextPassword::Stored, is_kept.then_some(Remark::KeptPassword)))
            }
            _ if declared.matches(stored, passwords).await? => {
                Ok((NextPassword::Remembered(stored.to_owned()), None))
            }
            // Of a release that did not remember: the password may have been reset since the last start.
            PreviousValue::Unknown => {
                let hash = declared.hash(passwords).await?;
                Ok((NextPassword::Remembered(hash), Some(Remark::KeptUnknownPassword)))
            }
            PreviousValue::Declared(_) | PreviousValue::Absent => {
                let hash = declared.hash(passwords).await?;
                Ok((NextPassword::Set(hash), Some(Remark::NewPassword)))
            }
        }
    }

    /// Makes the record what is declared. A new password and disabling end the user's sessions and grants, as they do
    /// by command line.
    async fn change(
        &self,
        stored: &User,
        context: &Context<'_>,
        on_remark: &mut OnRemark<'_>,
    ) -> Result<DeclareOutcome, DeclareError> {
        let (next, remark) = self.next_password(stored, context.passwords).await?;
        let (mut changes, mut enabled_remark) = (Vec::new(), None);
        let step = |user: &mut User| {
            let before = user.clone();
            user.username.clone_from(&self.username);
            user.claims.clone_from(&self.claims);
            user.groups.clone_from(&self.groups);
            let previous = PreviousValue::of(before.declared.as_ref(), |it| it.enabled.as_ref());
            let enabled = DeclaredValue::of(self.enabled.as_ref(), previous);
            let mut declared = user.declared.take().unwrap_or_default();
            match &next {
                NextPassword::Stored => {}
                NextPassword::Remembered(hash) => declared.password = Some(hash.clone()),
                NextPassword::Set(hash) => {
                    declared.password = Some(hash.clone());
                    user.password = Some(hash.clone());
                }
            }
            (user.enabled, enabled_remark) = enabled.enabled(user.enabled);
            declared.enabled = self.enabled.or(declared.enabled);
            user.declared = Some(declared);
            changes = self::changes(&before, user);
        };
        if users::update(context.store, &stored.sub, step).await?.is_none() {
            return Err(DeclareError::Conflict("it was removed at the same moment"));
        }
        remark.into_iter().chain(enabled_remark).for_each(on_remark);
        for change in &changes {
            context.user_changed(stored.sub.as_str(), *change);
        }
        let ends_all =
            |it: &UserChange| matches!(it, UserChange::PasswordSet | UserChange::Disabled);
        if changes.iter().any(ends_all) {
            grants::revoke_all_for_subject(context.store, &stored.sub, context.now).await?;
        }
        Ok(DeclareOutcome::of_update(&changes))
    }
}

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
    async fn hash(&self, passwords: &PasswordHasher) -> Result<String, DeclareError> {
        match self {
            Self::Hash(hash) => Ok(hash.clone()),
            Self::Plain(plain) => {
                passwords.hash(plain.clone()).await.map_err(|_| DeclareError::HasherBusy)
            }
        }
    }

    /// Whether the hash is of this password, or this very hash.
    async fn matches(&self, hash: &str, passwords: &PasswordHasher) -> Result<bool, DeclareError> {
        let plain = match self {
            Self::Hash(own) => return Ok(own == hash),
            Self::Plain(plain) => plain.clone(),
        };
        let permit = passwords.acquire().await.map_err(|_| DeclareError::HasherBusy)?;
        let (verdict, _) =
            permit.verify(plain, Some(hash)).await.map_err(|_| DeclareError::HasherBusy)?;
        Ok(match verdict {
            PasswordCheck::Correct { outdated: _ } => true,
            PasswordCheck::Wrong => false,
        })
    }
}
