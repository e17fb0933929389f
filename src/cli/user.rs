//! `latchkey user`: a user is named by user name or, failing that, by subject.

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::failure::Failure;
use super::{password, shown};
use crate::bootstrap::check_username;
use crate::clock::UnixTime;
use crate::consents;
use crate::grants::{self, CutOff};
use crate::password::{Password, Passwords};
use crate::protocol::{Subject, claims};
use crate::random;
use crate::store::Store;
use crate::users::{self, Added, User};

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user; the password is asked for, or read from standard input
    Add(AddUser),
    /// List all users
    List {
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Show one user
    Show {
        /// User name or subject
        user: String,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Let a user do nothing any more, and end their sessions and tokens
    Disable {
        /// User name or subject
        user: String,
    },
    /// Let a disabled user back in
    Enable {
        /// User name or subject
        user: String,
    },
    /// Remove a user and everything they were given
    Remove {
        /// User name or subject
        user: String,
    },
    /// Set a new password, asked for or read from standard input; ends their sessions and tokens
    SetPassword {
        /// User name or subject
        user: String,
    },
}

/// A user to be added, without a password yet.
pub(super) struct New {
    user: User,
    /// Whether the subject was made rather than chosen.
    any_sub: bool,
}

/// A user to add.
#[derive(Args, Debug)]
pub struct AddUser {
    /// What they sign in with
    username: String,
    /// Their subject, for ever; made if not chosen
    #[arg(long)]
    sub: Option<String>,
    /// Their full name
    #[arg(long)]
    name: Option<String>,
    /// Their e-mail address
    #[arg(long)]
    email: Option<String>,
    /// A group they are in; as often as needed
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// A claim as name=value; the value is JSON, or else text; as often as needed
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
}

impl UserCommand {
    pub(super) fn writes(&self) -> bool {
        match self {
            Self::List { .. } | Self::Show { .. } => false,
            Self::Add(_)
            | Self::Disable { .. }
            | Self::Enable { .. }
            | Self::Remove { .. }
            | Self::SetPassword { .. } => true,
        }
    }
}

pub(super) async fn run(
    command: UserCommand,
    store: &dyn Store,
    now: UnixTime,
) -> Result<String, Failure> {
    match command {
        UserCommand::Add(args) => {
            let new = args.user(now)?;
            add(store, new, password::ask()?).await
        }
        UserCommand::List { json } => {
            let mut users = users::list(store).await?;
            users.sort_by(|one, other| one.username.cmp(&other.username));
            Ok(shown::list(&users, json, shown::user, shown::user_line))
        }
        UserCommand::Show { user, json } => {
            Ok(shown::one(&shown::user(&named(store, &user).await?), json))
        }
        UserCommand::Disable { user } => {
            let user = named(store, &user).await?;
            set_enabled(store, &user, false).await?;
            let ended = grants::cut_off(store, &user.sub, now).await?;
            Ok(told(shown::became(false), &user, ended))
        }
        UserCommand::Enable { user } => {
            let user = named(store, &user).await?;
            set_enabled(store, &user, true).await?;
            Ok(format!("{} {}", shown::became(true), user.username))
        }
        UserCommand::Remove { user } => {
            let user = named(store, &user).await?;
            users::remove(store, &user).await?;
            let ended = grants::cut_off(store, &user.sub, now).await?;
            consents::forget_all(store, &user.sub).await?;
            Ok(told("removed", &user, ended))
        }
        UserCommand::SetPassword { user } => {
            let user = named(store, &user).await?;
            set_password(store, &user, password::ask()?, now).await
        }
    }
}

impl AddUser {
    /// The record as it was asked for.
    pub(super) fn user(self, now: UnixTime) -> Result<New, Failure> {
        check_username(&self.username)
            .map_err(|rule| Failure::Usage(format!("a user name {rule}")))?;
        let any_sub = self.sub.is_none();
        let chosen = self.sub.unwrap_or_else(|| random::uuid().to_string());
        let sub = Subject::parse(&chosen).ok_or_else(|| {
            let rule = "--sub must be 1 to 255 characters of A-Z a-z 0-9 . _ : @ | -";
            Failure::Usage(rule.to_owned())
        })?;
        let mut claims = Map::new();
        for (name, value) in [("name", self.name), ("email", self.email)] {
            if let Some(text) = value {
                add_claim(&mut claims, name, Value::String(text))?;
            }
        }
        for claim in &self.claims {
            let (name, text) =
                claim.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                    Failure::Usage("--claim must be NAME=VALUE, for example locale=en".to_owned())
                })?;
            let value =
                serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
            add_claim(&mut claims, name, value)?;
        }
        let user = User {
            sub,
            username: self.username.trim().to_owned(),
            password: None,
            enabled: true,
            claims,
            groups: self.groups,
            created_at: now,
        };
        Ok(New { user, any_sub })
    }
}

/// Checks a claim as a file's would be, and refuses it a second time.
fn add_claim(claims: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), Failure> {
    claims::check(name, &value).map_err(Failure::Usage)?;
    match claims.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(Failure::Usage(format!("the claim {name} is given twice"))),
    }
}

pub(super) async fn add(
    store: &dyn Store,
    New { mut user, any_sub }: New,
    password: Password,
) -> Result<String, Failure> {
    user.password = Some(hash(password).await?);
    if any_sub {
        user.sub = users::claim(store, &user.username, user.sub).await?;
    }
    match users::add(store, &user).await? {
        Added::New => Ok(format!("added {}, sub {}", user.username, user.sub.as_str())),
        Added::UsernameTaken => {
            Err(Failure::Refused(format!("there is a user {} already", user.username)))
        }
        Added::SubjectTaken => {
            Err(Failure::Refused(format!("the sub {} is taken", user.sub.as_str())))
        }
    }
}

async fn set_enabled(store: &dyn Store, user: &User, enabled: bool) -> Result<(), Failure> {
    users::update(store, &user.sub, |user| user.enabled = enabled).await?.ok_or_else(gone)
}

/// The new password first: whoever knows the old one must not sign in again behind the sweep.
pub(super) async fn set_password(
    store: &dyn Store,
    user: &User,
    password: Password,
    now: UnixTime,
) -> Result<String, Failure> {
    let hash = hash(password).await?;
    let step = |user: &mut User| user.password = Some(hash.clone());
    users::update(store, &user.sub, step).await?.ok_or_else(gone)?;
    let ended = grants::cut_off(store, &user.sub, now).await?;
    Ok(told("set the password of", user, ended))
}

fn told(what: &str, user: &User, ended: CutOff) -> String {
    let CutOff { sessions, grants } = ended;
    format!("{what} {}, ended sessions: {sessions}, ended grants: {grants}", user.username)
}

pub(super) async fn named(store: &dyn Store, name: &str) -> Result<User, Failure> {
    if let Some(user) = users::find_by_username(store, name).await? {
        return Ok(user);
    }
    let by_sub = match Subject::parse(name) {
        Some(sub) => users::find(store, &sub).await?,
        None => None,
    };
    by_sub.ok_or_else(|| Failure::Refused(format!("there is no user {name}")))
}

async fn hash(password: Password) -> Result<String, Failure> {
    let hashed = Passwords::new(1, 1).hash(password).await;
    hashed.map_err(|_| Failure::Refused("the password could not be hashed".to_owned()))
}

fn gone() -> Failure {
    Failure::Refused("the user was removed at the same moment".to_owned())
}
