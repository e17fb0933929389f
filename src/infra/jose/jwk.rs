use serde::Serialize;

use crate::infra::secret::Digest;

/// A public key of ours as it stands in the JWK Set ([RFC 7517 §4]).
///
/// [RFC 7517 §4]: https://www.rfc-editor.org/rfc/rfc7517#section-4
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PublicJwk {
    /// Key type.
    pub kty: &'static str,
    /// `sig` or `enc`.
    pub r#use: &'static str,
    /// The one algorithm it is used with.
    pub alg: &'static str,
    /// Its RFC 7638 thumbprint.
    pub kid: String,
    #[serde(flatten)]
    pub params: JwkParams,
}

/// The members that make up a public key, each in base64url ([RFC 7518 §6], [RFC 8037 §2]).
///
/// [RFC 7518 §6]: https://www.rfc-editor.org/rfc/rfc7518#section-6
/// [RFC 8037 §2]: https://www.rfc-editor.org/rfc/rfc8037#section-2
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(untagged)]
pub enum JwkParams {
    /// Modulus and exponent.
    Rsa { n: String, e: String },
    /// A point on a curve.
    Ec { crv: &'static str, x: String, y: String },
    /// A point on an Edwards curve.
    Okp { crv: &'static str, x: String },
}

impl PublicJwk {
    /// `kid` is the thumbprint.
    pub(super) fn new(usage: &'static str, alg: &'static str, numbers: JwkParams) -> Self {
        Self { kty: numbers.kty(), r#use: usage, alg, kid: numbers.thumbprint(), params: numbers }
    }
}

impl JwkParams {
    fn kty(&self) -> &'static str {
        match self {
            Self::Rsa { .. } => "RSA",
            Self::Ec { .. } => "EC",
            Self::Okp { .. } => "OKP",
        }
    }

    /// The thumbprint ([RFC 7638 §3]): SHA-256 over the required members in lexical order.
    ///
    /// [RFC 7638 §3]: https://www.rfc-editor.org/rfc/rfc7638#section-3
    pub fn thumbprint(&self) -> String {
        let canonical = match self {
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
            Self::Ec { crv, x, y } => {
                format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Self::Okp { crv, x } => format!(r#"{{"crv":"{crv}","kty":"OKP","x":"{x}"}}"#),
        };
        Digest::of(canonical.as_bytes()).to_base64url()
    }
}

#[cfg(test)]
mod tests {
    use super::JwkParams;

    #[test]
    fn the_thumbprints_of_the_rfcs_come_out() {
        // RFC 7638 §3.1
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let rsa = JwkParams::Rsa { n: n.into(), e: "AQAB".into() };
        assert_eq!(rsa.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        // RFC 8037 appendix A.3
        let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let okp = JwkParams::Okp { crv: "Ed25519", x: x.into() };
        assert_eq!(okp.thumbprint(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
