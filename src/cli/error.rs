use std::fmt;

use crate::config::ConfigErrors;
use crate::infra::store::{OpenError, StoreError};
use crate::operations::OperationError;

/// Why a tool could not do what was asked, as sentences for the operator.
#[derive(Debug)]
pub(super) enum CliError {
    /// It cannot be done.
    Refused(String),
    /// It was asked for in a way that makes no sense.
    Usage(String),
    /// The same of a test run, which keeps the codes of test runs: 0, 1 and 2.
    SelfTestUsage(String),
    /// The store cannot be used now.
    Unavailable(String),
    /// The configuration is wrong.
    Config(ConfigErrors),
}

/// A test run that was not one.
pub(super) const EXIT_SELFTEST_USAGE: u8 = 2;
/// `EX_USAGE`
pub(super) const EX_USAGE: u8 = 64;
/// `EX_UNAVAILABLE`
const EX_UNAVAILABLE: u8 = 69;
/// What to do about a file store that the server has.
const STOP_SERVER_HINT: &str = "if that is the server, this needs it stopped, or it does not answer at its control \
    socket: stop it, run this again, and start it again";
/// `EX_CONFIG`
const EX_CONFIG: u8 = 78;

impl CliError {
    /// What the process exits with.
    pub fn code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => EX_USAGE,
            Self::SelfTestUsage(_) => EXIT_SELFTEST_USAGE,
            Self::Unavailable(_) => EX_UNAVAILABLE,
            Self::Config(_) => EX_CONFIG,
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why)
            | Self::Usage(why)
            | Self::SelfTestUsage(why)
            | Self::Unavailable(why) => f.write_str(why),
            Self::Config(complaints) => complaints.fmt(f),
        }
    }
}

impl From<ConfigErrors> for CliError {
    fn from(complaints: ConfigErrors) -> Self {
        Self::Config(complaints)
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(format!("{error}; whether a change happened is not known"))
    }
}

impl From<OperationError> for CliError {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Refused(why) => Self::Refused(why),
            OperationError::Invalid(why) => Self::Usage(why),
            OperationError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<OpenError> for CliError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::InUse { .. } => Self::Unavailable(format!("{error}; {STOP_SERVER_HINT}")),
            OpenError::InvalidOptions(_)
            | OpenError::Unreachable(_)
            | OpenError::Unsuitable(_)
            | OpenError::NotDurable(_)
            | OpenError::DataDir { .. }
            | OpenError::Newer { .. }
            | OpenError::Older { .. }
            | OpenError::SchemaUnreadable(_) => Self::Unavailable(error.to_string()),
        }
    }
}
