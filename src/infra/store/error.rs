use std::path::PathBuf;

/// Why a store operation has no result.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The backend could not be reached, or did not reply in time. A write may have happened.
    #[error("store unavailable: {0}")]
    Unavailable(String),
    /// The key holds a value of another type, or bytes that cannot be parsed.
    #[error("corrupt record at {key}: {reason}")]
    Corrupt { key: String, reason: String },
    /// An update lost races for too long.
    #[error("too many concurrent changes to {key}")]
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

/// Why the store cannot be opened: a sentence for the operator, before a port is bound. It never repeats the
/// URL, not even the host: a password with an unescaped `/` or `#` parses as one.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the {backend} store is misconfigured: {reason}")]
    InvalidOptions { backend: &'static str, reason: &'static str },
    /// There was no reply, or an error.
    #[error("the {backend} store cannot be reached: {reason}")]
    Unreachable { backend: &'static str, reason: String },
    /// The server replies, but cannot be trusted with grants and sessions.
    #[error("the {backend} store cannot be used: {}", problems.join("; "))]
    Unsuitable { backend: &'static str, problems: Vec<String> },
    /// The server may lose data, which only `ALLOW_VOLATILE_STORE` permits.
    #[error(
        "the {backend} store would lose what it has acknowledged: {}; \
         ALLOW_VOLATILE_STORE=true starts anyway",
        problems.join("; ")
    )]
    NotDurable { backend: &'static str, problems: Vec<String> },
    /// The folder of a file store, or the database in it, cannot be used.
    #[error("the store in {} cannot be used: {why}", folder.display())]
    DataDir { folder: PathBuf, why: String },
    /// Another process uses the folder of a file store.
    #[error(
        "the store in {} is in use by {}, and only one at a time can use it",
        folder.display(),
        holder(*by)
    )]
    InUse { folder: PathBuf, by: Option<u32> },
    /// The data needs a release that reads the schema `data`; this one reads no further than `reads`.
    #[error(
        "the store was used by a newer Latchkey: its data takes one that reads schema {data}, and \
         this one reads no further than {reads}; nothing was changed"
    )]
    Newer { data: u32, reads: u32 },
    /// The data was last written in the schema `data`; this release reads none before `reads`.
    #[error(
        "the store was last used by too old a Latchkey: its data ends at schema {data}, and this \
         one reads none before {reads}; start the releases between them first, one after the \
         other; nothing was changed"
    )]
    Older { data: u32, reads: u32 },
    /// The schema of the data could not be read.
    #[error("the store does not tell which schema its data has: {0}")]
    SchemaUnreadable(#[source] StoreError),
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or("another process".to_owned(), |pid| format!("process {pid}"))
}
