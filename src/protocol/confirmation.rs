use serde::{Deserialize, Serialize};

/// The key that tokens are bound to, as in `cnf` ([RFC 7800 §3.1]): a client presenting the token proves that it holds
/// the key.
///
/// [RFC 7800 §3.1]: https://www.rfc-editor.org/rfc/rfc7800#section-3.1
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Confirmation {
    /// The thumbprint of a `DPoP` key ([RFC 9449 §6.1](https://www.rfc-editor.org/rfc/rfc9449#section-6.1)).
    #[serde(rename = "jkt")]
    JwkThumbprint(String),
    /// The digest of a client certificate ([RFC 8705 §3.1](https://www.rfc-editor.org/rfc/rfc8705#section-3.1)).
    #[serde(rename = "x5t#S256")]
    CertificateThumbprint(String),
}
