//! The words for encrypted tokens ([RFC 7518 §4.1, §5.1]): how the key gets to its recipient, and what
//! the content is encrypted with.
//!
//! [RFC 7518 §4.1, §5.1]: https://www.rfc-editor.org/rfc/rfc7518#section-4.1

use super::wire::wire_words;

wire_words! {
    /// How the content's key gets to the recipient, `alg` of a JWE.
    EncryptionAlg {
        /// RSAES-OAEP with SHA-256 ([RFC 7518 §4.3](https://www.rfc-editor.org/rfc/rfc7518#section-4.3)).
        RsaOaep256 = "RSA-OAEP-256",
        /// Agreed on with an ephemeral key ([RFC 7518 §4.6](https://www.rfc-editor.org/rfc/rfc7518#section-4.6)).
        EcdhEs = "ECDH-ES",
        /// The same, and the agreed key wraps the content's.
        EcdhEsA128Kw = "ECDH-ES+A128KW",
        /// The same with a longer key.
        EcdhEsA256Kw = "ECDH-ES+A256KW",
    }
}

wire_words! {
    /// What the content is encrypted with, `enc` of a JWE ([RFC 7518 §5.3](https://www.rfc-editor.org/rfc/rfc7518#section-5.3)).
    ContentEncryption {
        /// AES-CBC with a key of 128 bits, and HMAC-SHA-256 over it: the default of client registration.
        A128CbcHs256 = "A128CBC-HS256",
        /// AES in Galois/Counter Mode with a key of 128 bits.
        A128Gcm = "A128GCM",
        /// The same with 256 bits.
        A256Gcm = "A256GCM",
    }
}
