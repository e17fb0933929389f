use std::fmt;
use std::path::PathBuf;

/// Why a store call has no answer.
#[derive(Debug)]
pub enum StoreError {
    /// The backend could not be reached or did not answer. The write may or may not have happened.
    Unavailable(String),
    /// Stored bytes are not what is filed under this key.
    Corrupt { key: String, reason: String },
    /// A change kept losing races.
    Contended { key: String },
}

impl StoreError {
    /// One stable word, for a metric's label.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "unavailable",
            Self::Corrupt { .. } => "corrupt",
            Self::Contended { .. } => "contended",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) => write!(f, "store unavailable: {why}"),
            Self::Corrupt { key, reason } => write!(f, "corrupt record at {key}: {reason}"),
            Self::Contended { key } => write!(f, "too many concurrent changes to {key}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Why the store cannot be used at all: a sentence for the operator, before a port is bound. It never
/// repeats the URL, not even the host, for a password with an unescaped `/` or `#` parses as one.
#[derive(Debug)]
pub enum OpenError {
    /// The options make no sense.
    InvalidOptions(&'static str),
    /// Nobody answered, or the answer was a refusal.
    Unreachable(String),
    /// It answers, but must not be trusted with grants and sessions.
    Unsuitable(Vec<String>),
    /// It would work, and forget: bearable only if the operator says so.
    NotDurable(Vec<String>),
    /// The folder of a file store, or what is in it, cannot be used.
    DataDir { folder: PathBuf, why: String },
    /// Another process uses the folder of a file store.
    InUse { folder: PathBuf, by: Option<u32> },
    /// What is stored takes a release that reads the schema `data`; this one reads no further than `reads`.
    Newer { data: u32, reads: u32 },
    /// What is stored ends at the schema `data`; this release reads none before `reads`.
    Older { data: u32, reads: u32 },
    /// It was reached, and did not tell which schema its data has.
    SchemaUnreadable(StoreError),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidOptions(why) => write!(f, "the redis store is misconfigured: {why}"),
            Self::Unreachable(why) => write!(f, "the redis store cannot be reached: {why}"),
            Self::Unsuitable(why) => {
                write!(f, "the redis store cannot be used: {}", why.join("; "))
            }
            Self::NotDurable(why) => write!(
                f,
                "the redis store would lose what it has acknowledged: {}; \
                 ALLOW_VOLATILE_STORE=true starts anyway",
                why.join("; ")
            ),
            Self::DataDir { folder, why } => {
                write!(f, "the store in {} cannot be used: {why}", folder.display())
            }
            Self::InUse { folder, by } => {
                let by = by.map_or("another process".to_owned(), |pid| format!("process {pid}"));
                let folder = folder.display();
                write!(
                    f,
                    "the store in {folder} is in use by {by}, and only one at a time can use it"
                )
            }
            Self::Newer { data, reads } => write!(
                f,
                "the store was used by a newer Latchkey: its data takes one that reads schema {data}, and \
                 this one reads no further than {reads}; nothing was changed"
            ),
            Self::Older { data, reads } => write!(
                f,
                "the store was last used by too old a Latchkey: its data ends at schema {data}, and this \
                 one reads none before {reads}; start the releases between them first, one after the \
                 other; nothing was changed"
            ),
            Self::SchemaUnreadable(error) => {
                write!(f, "the store does not tell which schema its data has: {error}")
            }
        }
    }
}

impl std::error::Error for OpenError {}
