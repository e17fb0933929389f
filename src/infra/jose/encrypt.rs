use std::fmt;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents,
};
use serde_json::{Value, json};

use super::content_encryption;
use super::ecdh_es::{self, PartyInfo, derive_key};
use crate::infra::secret::{base64url, from_base64url};
use crate::protocol::algorithms::{ContentEncryption, KeyManagement};

/// A client's public key, to encrypt for it.
pub struct RecipientKey {
    pub(super) kid: Option<String>,
    key: RecipientPublicKey,
}

enum RecipientPublicKey {
    Rsa(OaepPublicEncryptingKey),
    /// An uncompressed point.
    P256(Vec<u8>),
}

/// Encryption for a recipient failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("nothing could be encrypted for this key")]
pub struct EncryptionError;

impl RecipientKey {
    /// The first key of a JWK Set that can be used with `alg`: keys with `use: enc` first, then those without `use`.
    pub fn select(set: &Value, alg: KeyManagement) -> Option<Self> {
        let keys = set.get("keys")?.as_array()?;
        let meant = |key: &&Value| key.get("use").is_some_and(|usage| usage == "enc");
        let open = |key: &&Value| {
            key.get("use").is_none() && key.get("alg").is_none_or(|it| it == alg.as_str())
        };
        let ordered = keys.iter().filter(meant).chain(keys.iter().filter(open));
        ordered.into_iter().find_map(|key| Self::from_jwk(key, alg))
    }

    fn from_jwk(jwk: &Value, alg: KeyManagement) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        if jwk.get("alg").is_some_and(|only| only != alg.as_str()) {
            return None;
        }
        let number = |name: &str| from_base64url(text(name)?);
        let key = match alg {
            KeyManagement::RsaOaep256 if text("kty")? == "RSA" => {
                parse_rsa(&number("n")?, &number("e")?)?
            }
            KeyManagement::EcdhEs | KeyManagement::EcdhEsA128Kw | KeyManagement::EcdhEsA256Kw
                if text("crv")? == "P-256" =>
            {
                RecipientPublicKey::P256(uncompressed_point(&number("x")?, &number("y")?)?)
            }
            KeyManagement::RsaOaep256
            | KeyManagement::EcdhEs
            | KeyManagement::EcdhEsA128Kw
            | KeyManagement::EcdhEsA256Kw => return None,
        };
        Some(Self { kid: text("kid").map(str::to_owned), key })
    }
}

/// 2048 to 8192 bits; the library refuses the rest.
fn parse_rsa(n: &[u8], e: &[u8]) -> Option<RecipientPublicKey> {
    let components = PublicKeyComponents { n, e };
    let der: PublicKeyX509Der<'_> = components.as_der().ok()?;
    let key = PublicEncryptingKey::from_der(der.as_ref()).ok()?;
    OaepPublicEncryptingKey::new(key).ok().map(RecipientPublicKey::Rsa)
}

/// The coordinates as one uncompressed point ([SEC 1 §2.3.3](https://www.secg.org/sec1-v2.pdf)).
pub(super) fn uncompressed_point(x: &[u8], y: &[u8]) -> Option<Vec<u8>> {
    (x.len() == 32 && y.len() == 32).then(|| [&[4], x, y].concat())
}

/// Encrypts for one recipient, as a compact JWE ([RFC 7516 §3.1]). `cty` is `JWT` if the
/// payload is a signed token ([RFC 7519 §5.2]).
///
/// [RFC 7516 §3.1]: https://www.rfc-editor.org/rfc/rfc7516#section-3.1
/// [RFC 7519 §5.2]: https://www.rfc-editor.org/rfc/rfc7519#section-5.2
pub fn encrypt(
    payload: &[u8],
    alg: KeyManagement,
    enc: ContentEncryption,
    recipient: &RecipientKey,
    cty: Option<&str>,
) -> Result<String, EncryptionError> {
    let mut header = json!({"alg": alg.as_str(), "enc": enc.as_str()});
    for (name, value) in [("kid", recipient.kid.as_deref()), ("cty", cty)] {
        if let Some(value) = value {
            header[name] = value.into();
        }
    }
    let (key, encrypted_key) = match &recipient.key {
        RecipientPublicKey::Rsa(public) => wrap_for_rsa(public, enc),
        RecipientPublicKey::P256(point) => agree_for_p256(point, (alg, enc), &mut header),
    }
    .ok_or(EncryptionError)?;
    let header = base64url(header.to_string().as_bytes());
    let sealed = content_encryption::encrypt(enc, &key, header.as_bytes(), payload)
        .ok_or(EncryptionError)?;
    let pieces = [&encrypted_key[..], &sealed.iv, &sealed.ciphertext, &sealed.tag].map(base64url);
    Ok(format!("{header}.{}", pieces.join(".")))
}

fn wrap_for_rsa(
    public: &OaepPublicEncryptingKey,
    enc: ContentEncryption,
) -> Option<(content_encryption::ContentKey, Vec<u8>)> {
    let key = content_encryption::new_key(enc);
    let mut encrypted = vec![0; public.ciphertext_size()];
    public.encrypt(&OAEP_SHA256_MGF1SHA256, &key, &mut encrypted, None).ok()?;
    Some((key, encrypted))
}

fn agree_for_p256(
    point: &[u8],
    (alg, enc): (KeyManagement, ContentEncryption),
    header: &mut Value,
) -> Option<(content_encryption::ContentKey, Vec<u8>)> {
    let ephemeral = PrivateKey::generate(&ECDH_P256).ok()?;
    let agreed = derive_key(&ephemeral, point, (alg, enc), &PartyInfo::default())?;
    let public = ephemeral.compute_public_key().ok()?;
    let (x, y) = public.as_ref().get(1..)?.split_at_checked(32)?;
    header["epk"] = json!({"kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y)});
    if alg == KeyManagement::EcdhEs {
        return Some((agreed, Vec::new()));
    }
    let key = content_encryption::new_key(enc);
    let wrapped = ecdh_es::wrap_key(&agreed, &key)?;
    Some((key, wrapped))
}

impl fmt::Debug for RecipientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecipientKey({:?})", self.kid)
    }
}
