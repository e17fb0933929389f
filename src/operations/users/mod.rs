//! Operations on users. `user` is a user name or, if no user has that name, a subject.

mod declare;
mod set;
mod view;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::declare::{DeclaredPassword, UserDeclaration};
pub use self::set::Set;
pub use self::view::UserView;
use super::{Context, Operation, OperationError};
use crate::config::SecretString;
use crate::domain::authenticators;
use crate::domain::consent;
use crate::domain::events::{Event, UserChange};
use crate::domain::grants::{self, RevokedCounts};
use crate::domain::users::{self, AddOutcome, DeclaredUser, User};
use crate::infra::clock::UnixTime;
use crate::infra::password::{MAX_PASSWORD_LEN, Password};
use crate::infra::random;
use crate::infra::store::Store;
use crate::protocol::{Subject, claims};

/// What a subject that an operator chooses must be.
pub const SUBJECT_RULE: &str = "must be 1 to 255 characters of A-Z a-z 0-9 . _ : @ | -";

/// Whether the text can be a user name; the error goes on after "a user name".
pub fn check_username(text: &str) -> Result<(), &'static str> {
    if text.trim().is_empty() {
        return Err("must not be empty");
    }
    if text.chars().count() > 255 || text.chars().any(char::is_control) {
        return Err("must be at most 255 characters without control characters");
    }
    Ok(())
}

/// Adds a user.
#[derive(Debug, Deserialize, Serialize)]
pub struct Add {
    /// The user name.
    pub username: String,
    /// The subject; random if absent.
    pub sub: Option<String>,
    /// Their claims.
    pub claims: Map<String, Value>,
    /// Their groups.
    pub groups: Vec<String>,
    /// In plain text; only its hash is stored.
    pub password: SecretString,
}

/// Lists all users, by user name.
#[derive(Debug, Deserialize, Serialize)]
pub struct List {}

/// Shows one user.
#[derive(Debug, Deserialize, Serialize)]
pub struct Show {
    /// User name or subject.
    pub user: String,
}

/// Disables a user, and ends their sessions and grants.
#[derive(Debug, Deserialize, Serialize)]
pub struct Disable {
    /// User name or subject.
    pub user: String,
}

/// Enables a disabled user.
#[derive(Debug, Deserialize, Serialize)]
pub struct Enable {
    /// User name or subject.
    pub user: String,
}

/// Removes a user with their sessions, grants and consents.
#[derive(Debug, Deserialize, Serialize)]
pub struct Remove {
    /// User name or subject.
    pub user: String,
}

/// Ends the sessions and grants of a user, who may sign in again.
#[derive(Debug, Deserialize, Serialize)]
pub struct SignOut {
    /// User name or subject.
    pub user: String,
}

/// Removes the lock that failed sign-ins put on a user's account.
#[derive(Debug, Deserialize, Serialize)]
pub struct Unlock {
    /// User name or subject.
    pub user: String,
}

/// The result of [`Unlock`].
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Unlocked {
    /// The user name.
    pub username: String,
    /// Since when it was locked; absent if it was not.
    pub since: Option<UnixTime>,
}

/// Sets a user's password, and ends their sessions and grants.
#[derive(Debug, Deserialize, Serialize)]
pub struct SetPassword {
    /// User name or subject.
    pub user: String,
    /// The new one.
    pub password: SecretString,
}

/// The sessions and grants of a user that were ended.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ended {
    /// The user name.
    pub username: String,
    pub sessions: usize,
    /// Those that were active.
    pub grants: usize,
}

impl Ended {
    fn of(username: String, RevokedCounts { sessions, grants }: RevokedCounts) -> Self {
        Self { username, sessions, grants }
    }
}

impl Operation for Add {
    const NAME: &'static str = "user-add";
    type Output = UserView;

    async fn run(self, context: &Context<'_>) -> Result<UserView, OperationError> {
        self.check()?;
        let password = new_password(&self.password)?;
        let (mut user, any_sub) = self.user(context)?;
        user.password = Some(hash(context, password).await?);
        if any_sub {
            user.sub = users::reserve_username(context.store, &user.username, user.sub).await?;
        }
        match users::add(context.store, &user).await? {
            AddOutcome::Added => {
                context.user_changed(user.sub.as_str(), UserChange::Added);
                Ok(UserView::of(user, None))
            }
            AddOutcome::UsernameTaken => {
                let why = format!("there is a user {} already", user.username);
                Err(OperationError::Refused(why))
            }
            AddOutcome::SubjectTaken => {
                Err(OperationError::Refused(format!("the sub {} is taken", user.sub.as_str())))
            }
        }
    }
}

impl Add {
    /// Checks the input, so that a caller can do so before it asks for the password.
    pub fn check(&self) -> Result<(), OperationError> {
        check_username(&self.username)
            .map_err(|rule| OperationError::Invalid(format!("a user name {rule}")))?;
        if self.sub.as_deref().is_some_and(|sub| Subject::parse(sub).is_none()) {
            return Err(bad_sub());
        }
        check_claims(&self.claims)
    }

    /// The record as it was asked for, and whether its subject was made rather than chosen.
    fn user(self, context: &Context<'_>) -> Result<(User, bool), OperationError> {
        let any_sub = self.sub.is_none();
        let chosen = self.sub.unwrap_or_else(|| random::uuid().to_string());
        let sub = Subject::parse(&chosen).ok_or_else(bad_sub)?;
        let user = User {
            sub,
            username: self.username.trim().to_owned(),
            password: None,
            enabled: true,
            claims: self.claims,
            groups: self.groups,
            created_at: context.now,
            development: false,
            declared: Some(DeclaredUser::default()),
        };
        Ok((user, any_sub))
    }
}

impl Operation for List {
    const NAME: &'static str = "user-list";
    type Output = Vec<UserView>;

    async fn run(self, context: &Context<'_>) -> Result<Vec<UserView>, OperationError> {
        let mut users = users::list(context.store).await?;
        users.sort_by(|one, other| one.username.cmp(&other.username));
        let mut views = Vec::with_capacity(users.len());
        for user in users {
            views.push(view(context.store, user).await?);
        }
        Ok(views)
    }
}

impl Operation for Show {
    const NAME: &'static str = "user-show";
    type Output = UserView;

    async fn run(self, context: &Context<'_>) -> Result<UserView, OperationError> {
        view(context.store, find(context.store, &self.user).await?).await
    }
}

impl Operation for Disable {
    const NAME: &'static str = "user-disable";
    type Output = Ended;

    async fn run(self, context: &Context<'_>) -> Result<Ended, OperationError> {
        let user = find(context.store, &self.user).await?;
        set_enabled(context, &user, false).await?;
        let ended = grants::revoke_all_for_subject(context.store, &user.sub, context.now).await?;
        Ok(Ended::of(user.username, ended))
    }
}

impl Operation for Enable {
    const NAME: &'static str = "user-enable";
    /// Their user name.
    type Output = String;

    async fn run(self, context: &Context<'_>) -> Result<String, OperationError> {
        let user = find(context.store, &self.user).await?;
        set_enabled(context, &user, true).await?;
        Ok(user.username)
    }
}

impl Operation for Remove {
    const NAME: &'static str = "user-remove";
    type Output = Ended;

    async fn run(self, context: &Context<'_>) -> Result<Ended, OperationError> {
        let user = find(context.store, &self.user).await?;
        // What refers to the user goes first: after a fault the user is still there, and can be removed again.
        let ended = grants::revoke_all_for_subject(context.store, &user.sub, context.now).await?;
        consent::forget_all(context.store, &user.sub).await?;
        authenticators::unlock(context.store, &user.sub).await?;
        users::remove(context.store, &user).await?;
        context.user_changed(user.sub.as_str(), UserChange::Removed);
        // And what began meanwhile.
        grants::revoke_all_for_subject(context.store, &user.sub, context.now).await?;
        consent::forget_all(context.store, &user.sub).await?;
        Ok(Ended::of(user.username, ended))
    }
}

impl Operation for SetPassword {
    const NAME: &'static str = "user-set-password";
    type Output = Ended;

    /// The new password is stored first: nobody who knows the old one may sign in after the sessions were ended.
    async fn run(self, context: &Context<'_>) -> Result<Ended, OperationError> {
        let password = new_password(&self.password)?;
        let user = find(context.store, &self.user).await?;
        let hash = hash(context, password).await?;
        let step = |user: &mut User| user.password = Some(hash.clone());
        users::update(context.store, &user.sub, step).await?.ok_or_else(user_removed)?;
        context.user_changed(user.sub.as_str(), UserChange::PasswordSet);
        let ended = grants::revoke_all_for_subject(context.store, &user.sub, context.now).await?;
        unlock(context, &user).await?;
        Ok(Ended::of(user.username, ended))
    }
}

impl Operation for SignOut {
    const NAME: &'static str = "user-sign-out";
    type Output = Ended;

    async fn run(self, context: &Context<'_>) -> Result<Ended, OperationError> {
        let user = find(context.store, &self.user).await?;
        context.user_changed(user.sub.as_str(), UserChange::SignedOut);
        let ended = grants::revoke_all_for_subject(context.store, &user.sub, context.now).await?;
        Ok(Ended::of(user.username, ended))
    }
}

impl Operation for Unlock {
    const NAME: &'static str = "user-unlock";
    type Output = Unlocked;

    async fn run(self, context: &Context<'_>) -> Result<Unlocked, OperationError> {
        let user = find(context.store, &self.user).await?;
        let since = unlock(context, &user).await?;
        Ok(Unlocked { username: user.username, since })
    }
}

async fn unlock(context: &Context<'_>, user: &User) -> Result<Option<UnixTime>, OperationError> {
    let since = authenticators::unlock(context.store, &user.sub).await?;
    if since.is_some() {
        let (sub, by) = (user.sub.as_str(), context.by);
        context.events.record(None, &Event::AccountUnlocked { sub, by });
    }
    Ok(since)
}

async fn view(store: &dyn Store, user: User) -> Result<UserView, OperationError> {
    let locked_since = authenticators::locked_since(store, &user.sub).await?;
    Ok(UserView::of(user, locked_since))
}

async fn set_enabled(
    context: &Context<'_>,
    user: &User,
    enabled: bool,
) -> Result<(), OperationError> {
    let step = |user: &mut User| user.enabled = enabled;
    users::update(context.store, &user.sub, step).await?.ok_or_else(user_removed)?;
    context.user_changed(
        user.sub.as_str(),
        if enabled { UserChange::Enabled } else { UserChange::Disabled },
    );
    Ok(())
}

/// The person of that user name or subject.
pub(super) async fn find(store: &dyn Store, name: &str) -> Result<User, OperationError> {
    if let Some(user) = users::find_by_username(store, name).await? {
        return Ok(user);
    }
    let by_sub = match Subject::parse(name) {
        Some(sub) => users::find(store, &sub).await?,
        None => None,
    };
    by_sub.ok_or_else(|| OperationError::Refused(format!("there is no user {name}")))
}

fn check_claims<'a>(
    claims: impl IntoIterator<Item = (&'a String, &'a Value)>,
) -> Result<(), OperationError> {
    for (name, value) in claims {
        claims::check(name, value).map_err(OperationError::Invalid)?;
    }
    Ok(())
}

/// A password that may be set as a new one.
fn new_password(text: &SecretString) -> Result<Password, OperationError> {
    let password = Password::parse(text.reveal()).ok_or_else(|| {
        OperationError::Refused(format!("a password has 1 to {MAX_PASSWORD_LEN} bytes"))
    })?;
    password.is_acceptable().map_err(|why| OperationError::Refused(why.to_owned()))?;
    Ok(password)
}

async fn hash(context: &Context<'_>, password: Password) -> Result<String, OperationError> {
    let hashed = context.passwords.hash(password).await;
    hashed.map_err(|_| OperationError::Unavailable("the password could not be hashed".to_owned()))
}

fn bad_sub() -> OperationError {
    OperationError::Invalid(format!("a sub {SUBJECT_RULE}"))
}

pub(super) fn user_removed() -> OperationError {
    OperationError::Refused("the user was removed at the same moment".to_owned())
}
