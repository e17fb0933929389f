use std::fmt;

use crate::config::ConfigErrors;
use crate::infra::store::{OpenError, StoreError};
use crate::operations::OperationError;

/// Why a tool could not do what was asked, as sentences for the operator.
#[derive(Debug)]
pub(super) enum Failure {
    /// It cannot be done.
    Refused(String),
    /// It was asked for in a way that makes no sense.
    Usage(String),
    /// The same of a test run, which keeps the codes of test runs: 0, 1 and 2.
    BadCall(String),
    /// The store cannot be used now.
    Unavailable(String),
    /// The configuration is wrong.
    Config(ConfigErrors),
}

/// A test run that was not one.
pub(super) const BAD_CALL: u8 = 2;
/// `EX_USAGE`
pub(super) const USAGE: u8 = 64;
/// `EX_UNAVAILABLE`
const UNAVAILABLE: u8 = 69;
/// What to do about a file store that the server has.
const STOP_FIRST: &str = "if that is the server, this needs it stopped, or it does not answer at its control \
    socket: stop it, run this again, and start it again";
/// `EX_CONFIG`
const CONFIG: u8 = 78;

impl Failure {
    /// What the process exits with.
    pub fn code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => USAGE,
            Self::BadCall(_) => BAD_CALL,
            Self::Unavailable(_) => UNAVAILABLE,
            Self::Config(_) => CONFIG,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) | Self::Usage(why) | Self::BadCall(why) | Self::Unavailable(why) => {
                f.write_str(why)
            }
            Self::Config(complaints) => complaints.fmt(f),
        }
    }
}

impl From<ConfigErrors> for Failure {
    fn from(complaints: ConfigErrors) -> Self {
        Self::Config(complaints)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(format!("{error}; whether a change happened is not known"))
    }
}

impl From<OperationError> for Failure {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Refused(why) => Self::Refused(why),
            OperationError::Invalid(why) => Self::Usage(why),
            OperationError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::InUse { .. } => Self::Unavailable(format!("{error}; {STOP_FIRST}")),
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
