use std::collections::{BTreeMap, BTreeSet};
/// The most parameters a request may have; one with more is refused before any is interpreted.
const MAX_PARAMS: usize = 100;

/// Request parameters. No value is empty, and each name is there once, except those that may be repeated.
#[derive(Clone, Debug, Default)]
pub struct Params(BTreeMap<String, Vec<String>>);

/// Why a query or a form could not be read.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ParamsError {
    /// A percent sign without two hex digits, or bytes that are not UTF-8.
    #[error("a parameter is not valid percent-encoded UTF-8")]
    Encoding,
    /// The same name twice, where it may be there once.
    #[error("{} is repeated", printable(.0))]
    Repeated(String),
    /// More than 100 parameters.
    #[error("there are more than 100 parameters")]
    TooMany,
}

/// The parameters of an authorization request as far as they can be parsed. With a malformed request the error still
/// has to be sent to the `redirect_uri` with the `state` ([RFC 6749 §4.1.2.1]).
///
/// [RFC 6749 §4.1.2.1]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1
#[derive(Clone, Debug, Default)]
pub struct LenientParams {
    /// The parameters that could be read and have one value.
    pub params: Params,
    /// The first error.
    pub error: Option<ParamsError>,
    unreadable: BTreeSet<String>,
}

impl LenientParams {
    /// Parses the parameters that `is_known` accepts. All others "MUST [be] ignore[d]" ([RFC 6749 §3.1]), also if they
    /// are repeated or cannot be read.
    ///
    /// [RFC 6749 §3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-3.1
    pub fn parse(text: &[u8], is_known: impl Fn(&str) -> bool) -> Self {
        let mut came = Self::default();
        let mut count = 0;
        for (name, value) in raw_pairs(text) {
            let Some(name) = percent_decode(name).ok().filter(|name| is_known(name)) else {
                continue;
            };
            count += 1;
            if count > MAX_PARAMS {
                came.error.get_or_insert(ParamsError::TooMany);
            }
            match percent_decode(value) {
                Ok(value) => came.params.0.entry(name).or_default().push(value),
                Err(malformed) => {
                    came.error.get_or_insert(malformed);
                    came.unreadable.insert(name);
                }
            }
        }
        let repeated: Vec<_> = came.params.repeated().map(str::to_owned).collect();
        for name in repeated {
            // With the same value twice the meaning is still clear.
            let values = came.params.0.entry(name.clone()).or_default();
            values.dedup();
            if values.len() > 1 {
                came.unreadable.insert(name.clone());
            }
            came.error.get_or_insert(ParamsError::Repeated(name));
        }
        for name in &came.unreadable {
            came.params.0.remove(name);
        }
        came.params.drop_empty();
        came
    }

    /// Whether the parameter was sent, but could not be read or has several values.
    pub fn is_unreadable(&self, name: &str) -> bool {
        self.unreadable.contains(name)
    }
}

impl From<Params> for LenientParams {
    fn from(params: Params) -> Self {
        Self { params, ..Self::default() }
    }
}

impl Params {
    /// Reads `application/x-www-form-urlencoded` text: a query string or a form body.
    ///
    /// Stricter than the WHATWG parser, which replaces what it cannot decode: such a request is refused.
    pub fn parse(text: &[u8]) -> Result<Self, ParamsError> {
        let mut pairs = Vec::new();
        for (name, value) in raw_pairs(text) {
            if pairs.len() == MAX_PARAMS {
                return Err(ParamsError::TooMany);
            }
            pairs.push((percent_decode(name)?, percent_decode(value)?));
        }
        Self::collect(pairs)
    }

    /// "Parameters sent without a value MUST be treated as if they were omitted … [and] MUST NOT be
    /// included more than once" ([RFC 6749 §3.1]).
    ///
    /// Exceptions, which may have several values: `resource` ([RFC 8707 §2]), and in a token exchange `audience`
    /// ([RFC 8693 §2.1]).
    ///
    /// [RFC 6749 §3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-3.1
    /// [RFC 8707 §2]: https://www.rfc-editor.org/rfc/rfc8707#section-2
    /// [RFC 8693 §2.1]: https://www.rfc-editor.org/rfc/rfc8693#section-2.1
    pub fn collect(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, ParamsError> {
        let mut params = Self::default();
        for (name, value) in pairs {
            params.0.entry(name).or_default().push(value);
        }
        if let Some(name) = params.repeated().next() {
            return Err(ParamsError::Repeated(name.to_owned()));
        }
        params.drop_empty();
        Ok(params)
    }

    /// The names that are repeated and must not be.
    fn repeated(&self) -> impl Iterator<Item = &str> {
        let exchange = self.0.get("grant_type").is_some_and(|it| *it == [TOKEN_EXCHANGE]);
        let may_repeat = move |name: &str| name == "resource" || exchange && name == "audience";
        let several = self.0.iter().filter(|(_, values)| values.len() > 1);
        several.map(|(name, _)| name.as_str()).filter(move |name| !may_repeat(name))
    }

    fn drop_empty(&mut self) {
        self.0.retain(|_, values| {
            values.retain(|value| !value.is_empty());
            !values.is_empty()
        });
    }

    /// The first value of `name`; never empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// Every value of `name` in the order sent; none is empty.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.get(name).into_iter().flatten().map(String::as_str)
    }

    /// Every name and value, in name order.
    pub fn iter<'a>(&'a self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let each = |(name, values): (&'a String, &'a Vec<String>)| {
            values.iter().map(move |value| (name.as_str(), value.as_str()))
        };
        self.0.iter().flat_map(each)
    }

    /// The same parameters without `name`.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.remove(name);
        self
    }

    /// Only the parameters whose name `wanted` accepts.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|name, _| wanted(name));
        self
    }

    /// Writes the parameters back as a query string.
    pub fn to_query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.iter());
        query.finish()
    }
}

/// `grant_type` of a token exchange (RFC 8693 §2.1).
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// The names and values of a query string or a form, not decoded yet.
fn raw_pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pieces = text.split(|&byte| byte == b'&').filter(|piece| !piece.is_empty());
    pieces.map(|piece| {
        let middle = piece.iter().position(|&byte| byte == b'=').unwrap_or(piece.len());
        (&piece[..middle], piece.get(middle + 1..).unwrap_or_default())
    })
}

/// Decodes one form-urlencoded name or value, strictly.
///
/// Also what client ids and secrets in a Basic header go through ([RFC 6749 §2.3.1]).
///
/// [RFC 6749 §2.3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
pub fn percent_decode(text: &[u8]) -> Result<String, ParamsError> {
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
                    return Err(ParamsError::Encoding);
                };
                high << 4 | low
            }
            other => other,
        });
    }
    String::from_utf8(decoded).map_err(|_| ParamsError::Encoding)
}

/// A name made of letters as ours are; any other is not repeated in the error.
fn printable(name: &str) -> &str {
    let is_word = name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_');
    if is_word { name } else { "a parameter" }
}

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
            assert_eq!(refused.unwrap_err(), ParamsError::Repeated("client_id".into()));
        }
    }

    #[test]
    fn what_may_be_repeated_is_kept_whole_and_in_order() {
        let params = Params::parse(b"resource=b&scope=s&resource=&resource=a&resource=b").unwrap();
        assert_eq!(params.all("resource").collect::<Vec<_>>(), ["b", "a", "b"]);
        assert_eq!(params.get("resource"), Some("b"));
        assert_eq!(params.to_query(), "resource=b&resource=a&resource=b&scope=s");
        assert_eq!(params.without("resource").to_query(), "scope=s");
        let exchange = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange";
        for (request, fine) in [
            (format!("{exchange}&audience=a&audience=b"), true),
            ("grant_type=refresh_token&audience=a&audience=b".to_owned(), false),
            ("audience=a&audience=b".to_owned(), false),
            (format!("{exchange}&{exchange}&audience=a&audience=b"), false),
            (format!("{exchange}&scope=a&scope=b"), false),
        ] {
            assert_eq!(Params::parse(request.as_bytes()).is_ok(), fine, "{request}");
        }
    }

    #[test]
    fn what_cannot_be_decoded_is_refused() {
        for text in ["a=%", "a=%4", "a=%zz", "a=%ff", "%c3=1"] {
            assert_eq!(
                Params::parse(text.as_bytes()).unwrap_err(),
                ParamsError::Encoding,
                "{text}"
            );
        }
        let params = Params::parse("a=%C3%A9+b%3D".as_bytes()).unwrap();
        assert_eq!(params.get("a"), Some("é b="));
    }

    #[test]
    fn of_a_request_with_a_fault_what_says_one_thing_is_still_known() {
        let known = |name: &str| ["a", "b", "state", "resource"].contains(&name);
        for (text, params, fault, lost) in [
            ("a=1&state=s", "a=1&state=s", None, &[][..]),
            ("a=1&a=2&state=s", "state=s", Some(ParamsError::Repeated("a".into())), &["a"]),
            ("a=1&a=1&b=", "a=1", Some(ParamsError::Repeated("a".into())), &[]),
            ("a=1&a=", "", Some(ParamsError::Repeated("a".into())), &["a"]),
            ("state=%ff&a=1", "a=1", Some(ParamsError::Encoding), &["state"]),
            ("state=s&state=%zz&b=1", "b=1", Some(ParamsError::Encoding), &["state"]),
            ("a=%&a=1&b=2&b=3", "", Some(ParamsError::Encoding), &["a", "b"]),
            ("resource=x&resource=y", "resource=x&resource=y", None, &[]),
            // What means nothing here cannot be wrong.
            ("x=1&x=2&%ff=1&y=%zz&a=1", "a=1", None, &[]),
        ] {
            let came = LenientParams::parse(text.as_bytes(), known);
            assert_eq!((came.params.to_query().as_str(), came.error), (params, fault), "{text}");
            assert!(came.unreadable.iter().eq(lost), "{text}: {:?}", came.unreadable);
        }
        let many = |count: usize| [&"resource=r&".repeat(count), "state=s"].concat();
        assert_eq!(LenientParams::parse(many(99).as_bytes(), known).error, None);
        let many = LenientParams::parse(many(100).as_bytes(), known);
        assert_eq!((many.error, many.params.get("state")), (Some(ParamsError::TooMany), Some("s")));
        assert_eq!(LenientParams::parse("x=1&".repeat(9_000).as_bytes(), known).error, None);
    }

    #[test]
    fn the_hundred_and_first_parameter_is_too_many() {
        let text =
            |count: usize| (0..count).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert!(Params::parse(text(100).as_bytes()).is_ok());
        assert_eq!(Params::parse(text(101).as_bytes()).unwrap_err(), ParamsError::TooMany);
    }

    proptest::proptest! {
        #[test]
        fn reading_what_was_written_gives_the_same(pairs in proptest::collection::btree_map(".+", ".+", 0..8)) {
            let params = Params::collect(pairs.clone()).unwrap();
            let again = Params::parse(params.to_query().as_bytes()).unwrap();
            let once = pairs.into_iter().map(|(name, value)| (name, vec![value])).collect();
            assert_eq!(again.0, once);
        }
    }
}
