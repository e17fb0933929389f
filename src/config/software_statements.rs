//! The issuers whose software statements are accepted.

use std::fmt;
use std::path::PathBuf;

use super::parser::ConfigParser;

/// An issuer of software statements ([RFC 7591 §2.3](https://www.rfc-editor.org/rfc/rfc7591#section-2.3)).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SoftwareStatementIssuer {
    /// `iss` of the statements.
    pub issuer: String,
    /// Where its public keys are.
    pub keys: SoftwareStatementKeys,
}

/// A JWK Set.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SoftwareStatementKeys {
    /// To be fetched from this URL.
    Url(String),
    /// In this file.
    File(PathBuf),
}

impl fmt::Display for SoftwareStatementIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.keys {
            SoftwareStatementKeys::Url(url) => write!(f, "{}={url}", self.issuer),
            SoftwareStatementKeys::File(path) => write!(f, "{}={}", self.issuer, path.display()),
        }
    }
}

pub(super) fn issuers(parser: &mut ConfigParser<'_>) -> Vec<SoftwareStatementIssuer> {
    let expected = "issuer=keys, where keys is the https URL or the path of a JWK Set";
    parser.list("SOFTWARE_STATEMENT_ISSUERS", expected, read)
}

fn read(text: &str) -> Option<SoftwareStatementIssuer> {
    let (issuer, keys) = text.split_once('=')?;
    let (issuer, keys) = (issuer.trim(), keys.trim());
    let whole = !issuer.is_empty() && !keys.is_empty();
    let keys = match keys.split_once("://") {
        Some(("https", _)) => SoftwareStatementKeys::Url(keys.to_owned()),
        Some(_) => return None,
        None => SoftwareStatementKeys::File(keys.into()),
    };
    whole.then(|| SoftwareStatementIssuer { issuer: issuer.to_owned(), keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_comes_with_a_file_or_an_https_address() {
        for good in ["https://trust.example=https://trust.example/jwks?a=b", "bank=keys/bank.json"]
        {
            assert_eq!(read(good).map(|it| it.to_string()).as_deref(), Some(good));
        }
        for bad in ["https://trust.example", "=keys.json", "a=", "a=http://trust.example/jwks"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
