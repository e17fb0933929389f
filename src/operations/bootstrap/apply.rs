//! Declares every user and client of the file, and logs what the operator may not expect.

use std::fmt;

use super::Bootstrap;
use crate::operations::Context;
use crate::operations::declaration::{DeclareError, DeclareOutcome, Remark};

/// How many users and clients were created or changed.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ApplyReport {
    pub users: ApplyCounts,
    pub clients: ApplyCounts,
}

/// How many records became what.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ApplyCounts {
    pub created: usize,
    pub changed: usize,
    pub unchanged: usize,
}

/// Why the file could not be applied whole. What was applied before stays, and is found unchanged next time.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The store or the password hasher did not answer.
    #[error(transparent)]
    Unavailable(DeclareError),
    /// What the store holds contradicts an entry of the file.
    #[error("line {line}: {entry}: {reason}")]
    Conflict { line: usize, entry: String, reason: &'static str },
}

impl fmt::Display for ApplyCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { created, changed, unchanged } = self;
        write!(f, "{created} created, {changed} changed, {unchanged} unchanged")
    }
}

impl Bootstrap {
    /// Creates what is missing and changes what differs. Each change is an event by
    /// [`Actor::BootstrapFile`](crate::domain::events::Actor), if the context says so.
    pub async fn apply(&self, context: &Context<'_>) -> Result<ApplyReport, ApplyError> {
        let mut report = ApplyReport::default();
        for user in &self.users {
            let username = &*user.declaration.username;
            let mut log = |remark| match remark {
                Remark::KeptUnknownPassword => tracing::warn!(username, "{}", text(remark)),
                Remark::KeptDisabled
                | Remark::KeptEnabled
                | Remark::KeptSecrets
                | Remark::KeptPassword
                | Remark::NewPassword => tracing::info!(username, "{}", text(remark)),
            };
            let declared = user.declaration.declare(context, &mut log).await;
            report.users.count(declared.map_err(|error| {
                ApplyError::of(error, user.line, || format!("user {username}"))
            })?);
        }
        for client in &self.clients {
            let id = client.declaration.id.as_str();
            let mut log = |remark| tracing::info!(client = id, "{}", text(remark));
            let declared = client.declaration.declare(context, &mut log).await;
            report.clients.count(
                declared.map_err(|error| {
                    ApplyError::of(error, client.line, || format!("client {id}"))
                })?,
            );
        }
        Ok(report)
    }
}

impl ApplyError {
    fn of(error: DeclareError, line: usize, entry: impl FnOnce() -> String) -> Self {
        match error {
            DeclareError::Store(_) | DeclareError::HasherBusy => Self::Unavailable(error),
            DeclareError::Conflict(reason) => Self::Conflict { line, entry: entry(), reason },
        }
    }
}

impl ApplyCounts {
    fn count(&mut self, outcome: DeclareOutcome) {
        match outcome {
            DeclareOutcome::Created => self.created += 1,
            DeclareOutcome::Changed => self.changed += 1,
            DeclareOutcome::Unchanged => self.unchanged += 1,
        }
    }
}

/// The remark as the log has it.
fn text(remark: Remark) -> &'static str {
    match remark {
        Remark::KeptDisabled => {
            "was disabled since, and stays so although the bootstrap file says enabled = true; the \
             file's word counts again when it changes"
        }
        Remark::KeptEnabled => {
            "was enabled since, and stays so although the bootstrap file says enabled = false; the \
             file's word counts again when it changes"
        }
        Remark::KeptSecrets => {
            "its secrets are others than the bootstrap file has, and stay so; the file's count when they \
             change"
        }
        Remark::KeptPassword => {
            "the password was changed since the bootstrap file set it, and stays so; the file's counts \
             again when it changes"
        }
        Remark::KeptUnknownPassword => {
            "the password in the bootstrap file is another than the stored one, which stays; the file's \
             counts when it changes"
        }
        Remark::NewPassword => "the password in the bootstrap file is new, and was set",
    }
}
