//! `latchkey user`: a user is named by user name or, failing that, by subject.

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::error::CliError;
use super::operator::Operator;
use super::output;
use super::scope::warn_unexposed_claims;
use crate::config::SecretString;
use crate::operations::users::{
    Add, Disable, Enable, Ended, List, Remove, Set, SetPassword, Show, SignOut, Unlock, Unlocked,
};

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
    /// Change what is known of a user; what is not named stays
    Set(SetUser),
    /// End a user's sessions and tokens; they can sign in again
    SignOut {
        /// User name or subject
        user: String,
    },
    /// Unlock an account that is locked because too many failed to sign in
    Unlock {
        /// User name or subject
        user: String,
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

/// What to change about a user.
#[derive(Args, Debug)]
pub struct SetUser {
    /// User name or subject
    user: String,
    /// Their full name
    #[arg(long)]
    name: Option<String>,
    /// Their e-mail address; a new one counts as not verified
    #[arg(long)]
    email: Option<String>,
    /// A group they are in, in place of all there are; as often as needed
    #[arg(long = "group", value_name = "GROUP", conflicts_with = "no_groups")]
    groups: Vec<String>,
    /// Take them out of every group
    #[arg(long)]
    no_groups: bool,
    /// A group to put them in; as often as needed
    #[arg(long = "add-group", value_name = "GROUP")]
    add_groups: Vec<String>,
    /// A group to take them out of; as often as needed
    #[arg(long = "remove-group", value_name = "GROUP")]
    remove_groups: Vec<String>,
    /// A claim as name=value; the value is JSON, or else text; as often as needed
    #[arg(long = "claim", value_name = "NAME=VALUE")]
    claims: Vec<String>,
    /// A claim to take away; as often as needed
    #[arg(long = "remove-claim", value_name = "NAME")]
    remove_claims: Vec<String>,
}

impl UserCommand {
    pub(super) fn writes(&self) -> bool {
        match self {
            Self::List { .. } | Self::Show { .. } => false,
            Self::Add(_)
            | Self::Set(_)
            | Self::SignOut { .. }
            | Self::Unlock { .. }
            | Self::Disable { .. }
            | Self::Enable { .. }
            | Self::Remove { .. }
            | Self::SetPassword { .. } => true,
        }
    }
}

/// `ask` asks for a new password.
pub(super) async fn run(
    command: UserCommand,
    operator: &Operator,
    ask: impl Fn() -> Result<SecretString, CliError>,
) -> Result<String, CliError> {
    match command {
        UserCommand::Add(args) => {
            let mut add = args.operation()?;
            add.check()?;
            add.password = ask()?;
            let claims: Vec<_> = add.claims.keys().cloned().collect();
            let added = operator.run(add).await?;
            warn_unexposed_claims(operator, &claims).await?;
            Ok(format!("added {}, sub {}", added.username, added.sub.as_str()))
        }
        UserCommand::List { json } => {
            let users = operator.run(List {}).await?;
            Ok(output::render_list(&users, json, output::user_json, output::user_line))
        }
        UserCommand::Show { user, json } => {
            Ok(output::render_one(&output::user_json(&operator.run(Show { user }).await?), json))
        }
        UserCommand::Set(args) => {
            let set = args.operation()?;
            let given = set.claims.iter().filter(|(_, value)| !value.is_null());
            let claims: Vec<_> = given.map(|(name, _)| name.clone()).collect();
            let (user, changed) = operator.run(set).await?;
            warn_unexposed_claims(operator, &claims).await?;
            let outcome = if changed { "changed" } else { "nothing to change about" };
            Ok(format!("{outcome} {}", user.username))
        }
        UserCommand::SignOut { user } => {
            Ok(result_text("signed out", &operator.run(SignOut { user }).await?))
        }
        UserCommand::Unlock { user } => {
            let Unlocked { username, since } = operator.run(Unlock { user }).await?;
            Ok(match since {
                Some(at) => format!("unlocked {username}, locked since {}", output::timestamp(at)),
                None => format!(
                    "{username} was not locked; an address that failed too often waits for up to a day, \
                     unless the password is set anew (user set-password)"
                ),
            })
        }
        UserCommand::Disable { user } => {
            Ok(result_text(output::enabled_word(false), &operator.run(Disable { user }).await?))
        }
        UserCommand::Enable { user } => {
            Ok(format!("{} {}", output::enabled_word(true), operator.run(Enable { user }).await?))
        }
        UserCommand::Remove { user } => {
            Ok(result_text("removed", &operator.run(Remove { user }).await?))
        }
        UserCommand::SetPassword { user } => {
            operator.run(Show { user: user.clone() }).await?;
            let password = ask()?;
            let ended = operator.run(SetPassword { user, password }).await?;
            Ok(result_text("set the password of", &ended))
        }
    }
}

impl AddUser {
    /// What is asked for, without the password yet.
    fn operation(self) -> Result<Add, CliError> {
        let claims = parse_claims(self.name, self.email, &self.claims)?;
        let password = SecretString::new("");
        let (username, sub, groups) = (self.username, self.sub, self.groups);
        Ok(Add { username, sub, claims, groups, password })
    }
}

impl SetUser {
    fn operation(self) -> Result<Set, CliError> {
        let mut claims = parse_claims(self.name, self.email, &self.claims)?;
        for name in self.remove_claims {
            add_claim(&mut claims, &name, Value::Null)?;
        }
        let groups = (self.no_groups || !self.groups.is_empty()).then_some(self.groups);
        let (user, add_groups, remove_groups) = (self.user, self.add_groups, self.remove_groups);
        let set = Set { user, claims, groups, add_groups, remove_groups };
        if set.claims.is_empty()
            && set.groups.is_none()
            && set.add_groups.is_empty()
            && set.remove_groups.is_empty()
        {
            return Err(CliError::Usage("nothing to set: name at least one option".to_owned()));
        }
        Ok(set)
    }
}

fn parse_claims(
    name: Option<String>,
    email: Option<String>,
    others: &[String],
) -> Result<Map<String, Value>, CliError> {
    let mut claims = Map::new();
    for (name, value) in [("name", name), ("email", email)] {
        if let Some(text) = value {
            add_claim(&mut claims, name, Value::String(text))?;
        }
    }
    for claim in others {
        let (name, value) = parse_name_value("--claim", claim)?;
        add_claim(&mut claims, name, value)?;
    }
    Ok(claims)
}

/// NAME=VALUE, where the value is JSON or else text.
pub(super) fn parse_name_value<'a>(
    option: &str,
    text: &'a str,
) -> Result<(&'a str, Value), CliError> {
    let (name, text) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
            CliError::Usage(format!("{option} must be NAME=VALUE, for example locale=en"))
        })?;
    let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()));
    Ok((name, value))
}

/// Takes a claim in, and refuses it a second time.
fn add_claim(claims: &mut Map<String, Value>, name: &str, value: Value) -> Result<(), CliError> {
    match claims.insert(name.to_owned(), value) {
        None => Ok(()),
        Some(_) => Err(CliError::Usage(format!("the claim {name} is given twice"))),
    }
}

fn result_text(what: &str, ended: &Ended) -> String {
    let Ended { username, sessions, grants } = ended;
    format!("{what} {username}, ended sessions: {sessions}, ended grants: {grants}")
}
