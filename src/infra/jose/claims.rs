//! Reads claims of a verified JWT with the type they must have. A claim of another type is an error, not an absent
//! claim.

use serde_json::{Map, Value};

/// A claim has the wrong type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClaimTypeError;

/// A string claim.
pub fn text<'a>(
    claims: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a str>, ClaimTypeError> {
    match claims.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(ClaimTypeError),
    }
}

/// A `NumericDate` in whole seconds.
pub fn seconds(claims: &Map<String, Value>, name: &str) -> Result<Option<u64>, ClaimTypeError> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match (value.as_u64(), value.as_f64()) {
            (Some(seconds), _) => Ok(Some(seconds)),
            // RFC 7519 §2 allows fractions; some clients write 1700000000.0 or with milliseconds.
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
            (None, Some(number)) if (0.0..1e15).contains(&number) => Ok(Some(number as u64)),
            (None, _) => Err(ClaimTypeError),
        },
    }
}

/// The audiences, one or several ([RFC 7519 §4.1.3](https://www.rfc-editor.org/rfc/rfc7519#section-4.1.3)).
pub fn audience(claims: &Map<String, Value>) -> Result<Vec<&str>, ClaimTypeError> {
    match claims.get("aud") {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one]),
        Some(Value::Array(several)) => {
            several.iter().map(|one| one.as_str().ok_or(ClaimTypeError)).collect()
        }
        Some(_) => Err(ClaimTypeError),
    }
}
