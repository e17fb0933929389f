//! The JOSE algorithms that metadata can name ([RFC 7518]).
//!
//! [RFC 7518]: https://www.rfc-editor.org/rfc/rfc7518

use super::string_enum::string_enum;

string_enum! {
    /// Signatures with a key pair ([RFC 7518 §3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1)).
    ClientAlg {
        /// RSASSA-PKCS1-v1_5 with SHA-256
        Rs256 = "RS256",
        /// RSASSA-PSS with SHA-256
        Ps256 = "PS256",
        /// ECDSA with P-256 and SHA-256
        Es256 = "ES256",
        /// Ed25519 (RFC 8037)
        EdDsa = "EdDSA",
    }
}

string_enum! {
    /// How a client assertion is signed: with the client's key, or with a secret we share with it.
    AssertionAlg {
        /// RSASSA-PKCS1-v1_5 with SHA-256
        Rs256 = "RS256",
        /// RSASSA-PSS with SHA-256
        Ps256 = "PS256",
        /// ECDSA with P-256 and SHA-256
        Es256 = "ES256",
        /// Ed25519 (RFC 8037)
        EdDsa = "EdDSA",
        /// HMAC with SHA-256, for `client_secret_jwt`
        Hs256 = "HS256",
    }
}

impl AssertionAlg {
    /// The same algorithm of a key pair; `None` for HMAC.
    pub const fn signature_alg(self) -> Option<ClientAlg> {
        match self {
            Self::Rs256 => Some(ClientAlg::Rs256),
            Self::Ps256 => Some(ClientAlg::Ps256),
            Self::Es256 => Some(ClientAlg::Es256),
            Self::EdDsa => Some(ClientAlg::EdDsa),
            Self::Hs256 => None,
        }
    }
}

string_enum! {
    /// How the key of an encrypted JWT is agreed on ([RFC 7518 §4.1](https://www.rfc-editor.org/rfc/rfc7518#section-4.1)).
    KeyManagement {
        /// RSAES-OAEP with SHA-256 and MGF1 with SHA-256
        RsaOaep256 = "RSA-OAEP-256",
        /// Elliptic curve Diffie-Hellman, ephemeral and static, the agreed key used directly
        EcdhEs = "ECDH-ES",
        /// The same, the agreed key wrapping the content's (128 bits)
        EcdhEsA128Kw = "ECDH-ES+A128KW",
        /// The same with 256 bits
        EcdhEsA256Kw = "ECDH-ES+A256KW",
    }
}

string_enum! {
    /// How the content of an encrypted JWT is sealed ([RFC 7518 §5.1](https://www.rfc-editor.org/rfc/rfc7518#section-5.1)).
    ContentEncryption {
        /// AES-CBC with a 128-bit key, and HMAC-SHA-256 over it: the default of client registration
        A128CbcHs256 = "A128CBC-HS256",
        /// AES-GCM with a 128-bit key
        A128Gcm = "A128GCM",
        /// AES-GCM with a 256-bit key
        A256Gcm = "A256GCM",
    }
}
