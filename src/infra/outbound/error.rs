use std::error::Error as _;
use std::net::IpAddr;
use std::path::PathBuf;

/// Why nothing was fetched. All display the same: who chose the URL must not learn what listens where in our network. The log
/// has the [reason](Self::reason).
#[derive(Debug, thiserror::Error)]
#[error("the document could not be fetched")]
pub enum FetchError {
    /// Not an `https` URL with a host and without credentials.
    BadUrl,
    /// The name does not resolve.
    NoAddress(String),
    /// One of the addresses is not a public one.
    PrivateAddress(IpAddr),
    /// Another port than 443, and the host is not on the allowlist.
    Port(u16),
    /// The connection, TLS or HTTP failed.
    Transport(String),
    /// Another status than 200; a redirect is one.
    Status(u16),
    /// Not JSON, or with another content type.
    NotJson,
    /// Too many requests are under way.
    Busy,
    /// Not UTF-8.
    NotText,
    /// Larger than the limit.
    TooLarge,
    /// It timed out.
    TooSlow,
}

impl FetchError {
    /// The reason, for the log only.
    pub fn reason(&self) -> String {
        match self {
            Self::BadUrl => "not an https URL".into(),
            Self::NoAddress(why) => format!("the name does not resolve: {why}"),
            Self::PrivateAddress(address) => format!("{address} is not a public address"),
            Self::Port(port) => format!("port {port} is not allowed"),
            Self::Transport(why) => format!("the transfer failed: {why}"),
            Self::Status(status) => format!("the answer was {status}"),
            Self::NotJson => "the answer is not JSON".into(),
            Self::Busy => "too many are being fetched already".into(),
            Self::NotText => "the answer is not text".into(),
            Self::TooLarge => "the answer is too large".into(),
            Self::TooSlow => "it took too long".into(),
        }
    }
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TooSlow;
        }
        // reqwest says what it was doing; what went wrong is further down. The URL may hold a secret.
        let error = error.without_url();
        let mut why = error.to_string();
        let mut cause = error.source();
        while let Some(deeper) = cause {
            why = format!("{why}: {deeper}");
            cause = deeper.source();
        }
        Self::Transport(why)
    }
}

/// The file with extra certificate authorities is not usable.
#[derive(Debug, thiserror::Error)]
#[error("the certificate authorities in {} are not usable: {reason}", .path.display())]
pub struct CaFileError {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}
