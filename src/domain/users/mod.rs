//! End-users: the record, the user name, and the store calls for both.
//!
//! A user is found by subject. A user name is a record of its own that points to the subject, because user names
//! are unique and can change, while a subject never does.

mod device;
mod restore;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

pub use self::device::{DEVICE_LIFETIME, Device};
pub use self::restore::{list_subjects, restore, username_owner};
use crate::infra::clock::UnixTime;
use crate::infra::secret::Digest;
use crate::infra::store::{
    Consistency, CreateOutcome, Key, Partition, RawKey, Record, Store, StoreError,
};
use crate::protocol::Subject;

/// An end-user.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct User {
    /// Never changed, and never given to another user.
    pub sub: Subject,
    /// What they sign in with, in their own spelling.
    pub username: String,
    /// Argon2id in PHC form; without one this user cannot sign in by password.
    pub password: Option<String>,
    /// No session, grant or token of a disabled user is accepted.
    pub enabled: bool,
    /// Standard claims in their standard types, and custom ones of any JSON.
    #[serde(default)]
    pub claims: Map<String, Value>,
    /// Exposed as the `groups` claim where a scope asks for it.
    #[serde(default)]
    pub groups: Vec<String>,
    /// When the record was made.
    pub created_at: UnixTime,
    /// Made, or given its password, by a development installation: off on any other issuer
    /// ([`development`](crate::domain::development)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub development: bool,
    /// What a bootstrap file set last, so that its own word counts again only when it changes. Absent in
    /// records of a release that did not remember it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub declared: Option<DeclaredUser>,
}

/// What a bootstrap file set last of a user, beyond what it sets at every start.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct DeclaredUser {
    /// The hash of the password in the file, whatever the user signs in with by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// What the file said of `enabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

impl User {
    /// The name that pages show: the `name` claim, or the user name.
    pub fn display_name(&self) -> &str {
        self.claims.get("name").and_then(Value::as_str).unwrap_or(&self.username)
    }

    /// The value of a claim this user has, wherever it is kept.
    pub fn claim(&self, name: &str) -> Option<Value> {
        match name {
            "groups" if !self.groups.is_empty() => Some(self.groups.clone().into()),
            "preferred_username" => {
                Some(self.claims.get(name).cloned().unwrap_or_else(|| self.username.clone().into()))
            }
            _ => self.claims.get(name).cloned(),
        }
    }
}

impl Record for User {
    const KIND: &'static str = "user.v1";

    fn key(&self) -> Key<Self> {
        user_key(&self.sub)
    }

    /// Users stay until they are removed.
    fn delete_after(&self) -> Option<UnixTime> {
        None
    }
}

/// The subject that has a user name.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Username {
    canonical: String,
    sub: Subject,
}

impl Record for Username {
    const KIND: &'static str = "username.v1";

    fn key(&self) -> Key<Self> {
        username_key(&self.canonical)
    }

    fn delete_after(&self) -> Option<UnixTime> {
        None
    }
}

/// The longest input that is looked up as a user name, in bytes: more than the longest user name, 255 characters,
/// takes in any Unicode composition and with spaces around it.
pub const MAX_USERNAME_INPUT_LEN: usize = 4096;

/// The spelling by which user names are compared: trimmed, NFKC, lower case.
pub fn canonical(username: &str) -> String {
    username.trim().nfkc().collect::<String>().to_lowercase()
}

/// The partition of everything that belongs to one user.
pub fn partition(sub: &Subject) -> Partition {
    Partition::new(format!("user:{}", sub.as_str()))
}

/// The key of a user's record.
pub fn user_key(sub: &Subject) -> Key<User> {
    Key::single(partition(sub))
}

fn username_key(canonical: &str) -> Key<Username> {
    let digest = Digest::of(canonical.as_bytes()).to_hex();
    Key::single(Partition::new(format!("username:{digest}")))
}

fn index() -> RawKey {
    RawKey::new(Partition::new("users"), "index.v1", None)
}

/// What adding a user came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum AddOutcome {
    /// The user was added.
    Added,
    /// Another user has this user name.
    UsernameTaken,
    /// Another user has this subject.
    SubjectTaken,
}

/// The user with this subject.
pub async fn find(store: &dyn Store, sub: &Subject) -> Result<Option<User>, StoreError> {
    find_cached(store, sub, Consistency::Strong).await
}

/// The user with this subject, by a read that may be cached.
pub async fn find_cached(
    store: &dyn Store,
    sub: &Subject,
    as_of: Consistency,
) -> Result<Option<User>, StoreError> {
    store.read(&user_key(sub), as_of).await
}

/// The user with this user name. Costs two look-ups whether there is one or not, so that the time does not tell
/// which user names exist.
pub async fn find_by_username(store: &dyn Store, name: &str) -> Result<Option<User>, StoreError> {
    let canonical = canonical(name);
    let holder = username_subject(store, &canonical).await?;
    let user = find(store, &holder.clone().unwrap_or_else(placeholder_subject)).await?;
    let user = user.filter(|user| self::canonical(&user.username) == canonical);
    Ok(user.filter(|_| holder.is_some()))
}

/// The subject that the user name points to: perhaps of a user who was removed, or was never fully added.
pub(super) async fn username_subject(
    store: &dyn Store,
    canonical: &str,
) -> Result<Option<Subject>, StoreError> {
    let named = store.load(&username_key(canonical)).await?;
    Ok(named.map(|loaded| loaded.record.sub))
}

/// A subject to look up in place of one that does not exist.
pub(super) fn placeholder_subject() -> Subject {
    Subject::parse("nobody").unwrap_or_else(|| unreachable!())
}

/// Reserves a user name, and returns the subject to add its user under: `made`, or the one that the user name was
/// reserved for before, as long as no user has it.
///
/// Of two servers that add the same user at the same moment both get the same subject, and one of them finds it
/// added already. A server that continues after another stopped halfway gets that one's subject.
pub async fn reserve_username(
    store: &dyn Store,
    username: &str,
    made: Subject,
) -> Result<Subject, StoreError> {
    let name = Username { canonical: canonical(username), sub: made };
    if store.create(&name).await? == CreateOutcome::Created {
        return Ok(name.sub);
    }
    let holder = async || {
        let held = store.load(&name.key()).await?;
        Ok::<_, StoreError>(held.map(|held| held.record.sub))
    };
    let Some(first) = holder().await? else { return Ok(name.sub) };
    // Read again because a removed user's name is removed before the record: a name that is still reserved
    // now, and had no record a moment ago, is being added.
    let is_begun = find(store, &first).await?.is_none() && holder().await?.as_ref() == Some(&first);
    Ok(if is_begun { first } else { name.sub })
}

/// Adds a user: name, then index, then record, so that another server can find and finish it.
///
/// A user name that was reserved for another subject is taken, even if that user is not there yet: it may be in
/// the middle of being added. [`reserve_username`] returns that subject.
pub async fn add(store: &dyn Store, user: &User) -> Result<AddOutcome, StoreError> {
    let canonical = canonical(&user.username);
    let name = Username { canonical: canonical.clone(), sub: user.sub.clone() };
    if store.create(&name).await? == CreateOutcome::Exists {
        match store.load(&name.key()).await?.map(|held| held.record.sub) {
            Some(holder) if holder == user.sub => {}
            Some(_) => return Ok(AddOutcome::UsernameTaken),
            // Unreadable: it names no subject.
            None => store.put(&name).await?,
        }
    }
    store.index_add(&index(), user.sub.as_str()).await?;
    if store.create(user).await? == CreateOutcome::Created {
        return Ok(AddOutcome::Added);
    }
    let held = find(store, &user.sub).await?;
    if held.is_some_and(|held| self::canonical(&held.username) == canonical) {
        return Ok(AddOutcome::UsernameTaken);
    }
    // The subject has another user name, so this one becomes free.
    store.remove(&name.key()).await?;
    Ok(AddOutcome::SubjectTaken)
}

/// Changes a user; `None` if there is no such user. The user name must stay.
pub async fn update(
    store: &dyn Store,
    sub: &Subject,
    mut change: impl FnMut(&mut User) + Send,
) -> Result<Option<()>, StoreError> {
    store.update(&user_key(sub), |user| change(user)).await
}

/// Removes a user and frees the user name. Sessions and grants end with the record: every use of them looks the
/// user up.
///
/// The user is disabled first, as the store may fail in between. The name is removed before the record: a name
/// without a record would give its subject to the user that is added under it next ([`reserve_username`]), and a subject is never
/// given to another user ([OpenID Connect Core §8]).
///
/// [OpenID Connect Core §8]: https://openid.net/specs/openid-connect-core-1_0.html#SubjectIDTypes
pub async fn remove(store: &dyn Store, user: &User) -> Result<(), StoreError> {
    update(store, &user.sub, |user| user.enabled = false).await?;
    store.remove(&username_key(&canonical(&user.username))).await?;
    store.remove(&user.key()).await?;
    store.index_remove(&index(), user.sub.as_str()).await
}

/// All users, read page by page; for the command line, not for requests.
pub async fn list(store: &dyn Store) -> Result<Vec<User>, StoreError> {
    let (mut users, mut after) = (Vec::new(), None);
    loop {
        let page = list_subjects(store, after.as_ref()).await?;
        for sub in &page {
            users.extend(find(store, sub).await?);
        }
        let Some(last) = page.last().cloned() else { return Ok(users) };
        after = Some(last);
    }
}

#[cfg(test)]
mod tests;
