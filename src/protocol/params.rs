use std::collections::BTreeMap;
use std::fmt;

/// The most parameters one request may carry; more is refused before they are looked at.
const MOST: usize = 100;

/// Request parameters, each present at most once and never empty.
#[derive(Clone, Debug, Default)]
pub struct Params(BTreeMap<String, String>);

/// Why a query or a form could not be read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Malformed {
    /// A percent sign without two hex digits, or bytes that are not UTF-8.
    Encoding,
    /// The same name twice.
    Repeated(String),
    /// More than 100 parameters.
    TooMany,
}

impl Params {
    /// Reads `application/x-www-form-urlencoded` text: a query string or a form body.
    ///
    /// Stricter than the WHATWG parser, which replaces what it cannot read: a request that says
    /// something undecodable is refused, not guessed at.
    pub fn parse(text: &[u8]) -> Result<Self, Malformed> {
        let pieces = text.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty());
        let mut pairs = Vec::new();
        for piece in pieces {
            if pairs.len() == MOST {
                return Err(Malformed::TooMany);
            }
            let middle = piece.iter().position(|&byte| byte == b'=').unwrap_or(piece.len());
            let value = piece.get(middle + 1..).unwrap_or_default();
            pairs.push((decode(&piece[..middle])?, decode(value)?));
        }
        Self::collect(pairs)
    }

    /// "Parameters sent without a value MUST be treated as if they were omitted … [and] MUST NOT be
    /// included more than once" ([RFC 6749 §3.1]).
    ///
    /// [RFC 6749 §3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-3.1
    pub fn collect(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Malformed> {
        let mut params = BTreeMap::new();
        for (name, value) in pairs {
            // `resource` may be repeated (RFC 8707 §2); nothing here reads it yet.
            if params.insert(name.clone(), value).is_some() && name != "resource" {
                return Err(Malformed::Repeated(name));
            }
        }
        params.retain(|_, value| !value.is_empty());
        Ok(Self(params))
    }

    /// The value under `name`; never empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Every name and value, in name order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The same parameters without `name`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Those whose name is wanted.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|name, _| wanted(name));
        self
    }

    /// Writes the parameters back as a query string.
    pub fn to_query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.0);
        query.finish()
    }
}

/// Decodes one form-urlencoded name or value, strictly.
///
/// Also what client ids and secrets in a Basic header go through ([RFC 6749 §2.3.1]).
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub fn decode(text: &[u8]) -> Result<String, Malformed> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || {
                    let &byte = rest.next()?;
                    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
                };
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(Malformed::Encoding);
                };
                high << 4 | low
            }
            other => other,
        });
    }
    String::from_utf8(decoded).map_err(|_| Malformed::Encoding)
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encoding => f.write_str("a parameter is not valid percent-encoded UTF-8"),
            Self::Repeated(_) => f.write_str("a parameter is repeated"),
            Self::TooMany => f.write_str("there are more than 100 parameters"),
        }
    }
}

impl std::error::Error for Malformed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_an_absent_parameter() {
        let params = Params::parse(b"scope=&state=s&bare").unwrap();
        assert_eq!((params.get("scope"), params.get("state")), (None, Some("s")));
        assert_eq!(params.get("bare"), None);
    }

    #[test]
    fn a_repeated_parameter_is_refused_even_when_empty() {
        for second in ["a", "b", ""] {
            let refused = Params::parse(format!("client_id=a&client_id={second}").as_bytes());
            assert_eq!(refused.unwrap_err(), Malformed::Repeated("client_id".into()));
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%ff", "%c3=1"] {
            assert_eq!(Params::parse(text.as_bytes()).unwrap_err(), Malformed::Encoding, "{text}");
        }
        let params = Params::parse("a=%C3%A9+b%3D".as_bytes()).unwrap();
        assert_eq!(params.get("a"), Some("é b="));
    }

    #[test]
    fn the_hundred_and_first_parameter_is_too_many() {
        let text =
            |count: usize| (0..count).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert!(Params::parse(text(100).as_bytes()).is_ok());
        assert_eq!(Params::parse(text(101).as_bytes()).unwrap_err(), Malformed::TooMany);
    }

    proptest::proptest! {
        #[test]
        fn reading_what_was_written_gives_the_same(pairs in proptest::collection::btree_map(".+", ".+", 0..8)) {
            let params = Params::collect(pairs.clone()).unwrap();
            let again = Params::parse(params.to_query().as_bytes()).unwrap();
            assert_eq!(again.0, pairs);
        }
    }
}
