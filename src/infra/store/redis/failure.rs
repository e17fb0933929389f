//! What an answer that is an error means for the command, for the connection and for the caller.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::super::{OpenError, StoreError};

/// Why a command has no answer, told without anything the command or the URL held.
#[derive(Debug)]
pub(super) enum Failure {
    /// The key holds something of another type.
    WrongType,
    /// It has not run, and may be said again as the detour says.
    Detour(Detour),
    Unavailable(String),
}

/// What redis wants instead. Each of these is proof that the command has not run.
#[derive(Debug)]
pub(super) enum Detour {
    /// It does not know the script yet.
    Load,
    /// The slot is another node's now.
    Moved(String),
    /// The slot is on its way to another node, and this key is there already.
    Ask(String),
    /// The keys of the slot are on their way, some here and some there.
    Later,
}

impl Failure {
    pub(super) fn unavailable(why: &str) -> Self {
        Self::Unavailable(why.to_owned())
    }

    pub(super) fn described(self) -> String {
        match self {
            Self::WrongType => "redis answered WRONGTYPE".to_owned(),
            Self::Detour(Detour::Load) => "redis forgets scripts as they come".to_owned(),
            Self::Detour(Detour::Moved(_) | Detour::Ask(_)) => {
                "it is a node of a cluster, and another one has the key".to_owned()
            }
            Self::Detour(Detour::Later) => "redis answered TRYAGAIN".to_owned(),
            Self::Unavailable(why) => why,
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::Unavailable(failure.described())
    }
}

impl From<Failure> for OpenError {
    fn from(failure: Failure) -> Self {
        Self::Unreachable(failure.described())
    }
}

/// An answer to the command leaves the connection as it is. No answer ends it, and so does one that
/// says this is the primary no more, for whoever is found next may be its successor.
pub(super) fn ends_the_connection(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => {
            matches!(kind, ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        }
        // UNBLOCKED: demoted while it waited for its replicas.
        ErrorKind::Extension => error.code() == Some("UNBLOCKED"),
        ErrorKind::UnexpectedReturnType => false,
        _ => true,
    }
}

pub(super) fn told(error: &RedisError) -> Failure {
    if let Some(detour) = detour(error) {
        return Failure::Detour(detour);
    }
    if error.code() == Some("WRONGTYPE") {
        return Failure::WrongType;
    }
    Failure::Unavailable(match error.code() {
        Some(code) => format!("redis answered {code}"),
        None if error.is_timeout() => "no answer in time".to_owned(),
        None if error.is_connection_refusal() => "the connection was refused".to_owned(),
        None if error.is_io_error() => "the connection was lost".to_owned(),
        None if error.kind() == ErrorKind::AuthenticationFailed => {
            "redis refused the user or the password".to_owned()
        }
        None => format!("redis client error: {:?}", error.kind()),
    })
}

fn detour(error: &RedisError) -> Option<Detour> {
    let ErrorKind::Server(kind) = error.kind() else { return None };
    let to = || error.redirect_node().map(|(node, _slot)| node.to_owned());
    match kind {
        ServerErrorKind::NoScript => Some(Detour::Load),
        ServerErrorKind::Moved => to().map(Detour::Moved),
        ServerErrorKind::Ask => to().map(Detour::Ask),
        ServerErrorKind::TryAgain => Some(Detour::Later),
        _ => None,
    }
}
