//! What an error reply means for the command, for the connection and for the caller.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::super::{OpenError, StoreError};

/// Why a command has no reply. The text repeats nothing of the command or the URL.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// The key holds a value of another type.
    #[error("redis answered WRONGTYPE")]
    WrongType,
    /// The server did not run the command, and says where or how to send it again.
    #[error(transparent)]
    Redirected(Redirection),
    /// The command may or may not have run.
    #[error("{0}")]
    Unavailable(String),
}

/// Replies that prove that the command has not run.
#[derive(Debug, thiserror::Error)]
pub(super) enum Redirection {
    /// `NOSCRIPT`: send it again behind a `SCRIPT LOAD`.
    #[error("redis forgets scripts as they come")]
    LoadScript,
    /// `MOVED`: the slot belongs to another node.
    #[error("it is a node of a cluster, and another one has the key")]
    Moved(String),
    /// `ASK`: the slot is being migrated, and this key is already at the target.
    #[error("it is a node of a cluster, and another one has the key")]
    Ask(String),
    /// `TRYAGAIN`: the slot is being migrated, and the keys of the command are on both sides.
    #[error("redis answered TRYAGAIN")]
    TryAgain,
}

impl CommandError {
    pub(super) fn unavailable(reason: &str) -> Self {
        Self::Unavailable(reason.to_owned())
    }
}

impl From<CommandError> for StoreError {
    fn from(error: CommandError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<CommandError> for OpenError {
    fn from(error: CommandError) -> Self {
        unreachable(error.to_string())
    }
}

/// As [`OpenError`] names this backend.
pub(super) const BACKEND: &str = "redis";

pub(super) fn invalid_options(reason: &'static str) -> OpenError {
    OpenError::InvalidOptions { backend: BACKEND, reason }
}

pub(super) fn unreachable(reason: impl Into<String>) -> OpenError {
    OpenError::Unreachable { backend: BACKEND, reason: reason.into() }
}

/// Whether the connection must be replaced after this error. An error reply to one command leaves it as it
/// is; an I/O error ends it, and so does a reply that says that the server is no longer the primary:
/// connecting again finds the new one.
pub(super) fn ends_connection(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(kind) => {
            matches!(kind, ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        }
        // The server was demoted while the command was in `WAIT`.
        ErrorKind::Extension => error.code() == Some("UNBLOCKED"),
        ErrorKind::UnexpectedReturnType => false,
        _ => true,
    }
}

pub(super) fn classify_error(error: &RedisError) -> CommandError {
    if let Some(redirection) = redirection(error) {
        return CommandError::Redirected(redirection);
    }
    if error.code() == Some("WRONGTYPE") {
        return CommandError::WrongType;
    }
    CommandError::Unavailable(match error.code() {
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

fn redirection(error: &RedisError) -> Option<Redirection> {
    let ErrorKind::Server(kind) = error.kind() else { return None };
    let target = || error.redirect_node().map(|(node, _slot)| node.to_owned());
    match kind {
        ServerErrorKind::NoScript => Some(Redirection::LoadScript),
        ServerErrorKind::Moved => target().map(Redirection::Moved),
        ServerErrorKind::Ask => target().map(Redirection::Ask),
        ServerErrorKind::TryAgain => Some(Redirection::TryAgain),
        _ => None,
    }
}
