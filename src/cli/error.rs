use crate::config::ConfigErrors;
use crate::infra::store::{OpenError, StoreError};
use crate::operations::OperationError;

/// Why a command could not do what was asked, as sentences for the operator.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    /// The state of the store or of the machine does not allow it.
    #[error("{0}")]
    Refused(String),
    /// The arguments make no sense.
    #[error("{0}")]
    Usage(String),
    /// The same of the self-test, which exits with the codes of test runs: 0, 1 and 2.
    #[error("{0}")]
    SelfTestUsage(String),
    /// The store or the server does not answer.
    #[error("{0}")]
    Unavailable(String),
    #[error(transparent)]
    Config(#[from] ConfigErrors),
}

/// The self-test was called in a way that makes no sense, so nothing was tested.
pub(super) const EXIT_SELFTEST_USAGE: u8 = 2;
/// `EX_USAGE`
pub(super) const EX_USAGE: u8 = 64;
/// `EX_UNAVAILABLE`
const EX_UNAVAILABLE: u8 = 69;
/// `EX_CONFIG`
const EX_CONFIG: u8 = 78;
/// What to do about a file store that another process has open.
const STOP_SERVER_HINT: &str = "if that is the server, this needs it stopped, or it does not answer at its control \
    socket: stop it, run this again, and start it again";

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
            OpenError::InvalidOptions { .. }
            | OpenError::Unreachable { .. }
            | OpenError::Unsuitable { .. }
            | OpenError::NotDurable { .. }
            | OpenError::DataDir { .. }
            | OpenError::Newer { .. }
            | OpenError::Older { .. }
            | OpenError::SchemaUnreadable(_) => Self::Unavailable(error.to_string()),
        }
    }
}
