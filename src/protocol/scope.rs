use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A set of scope tokens ([RFC 6749 §3.3]). Order and repetition carry no meaning, so neither is kept.
///
/// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(BTreeSet<String>);

/// The text is not a scope: it has a character outside NQCHAR, or, in a request or registration, more than 1024
/// characters or 50 tokens.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "a scope is at most 50 words of printable ASCII without quotes and backslashes, 1024 characters in all"
)]
pub struct ScopeError;

impl Scope {
    /// The standard scopes of [OpenID Connect Core §5.4] and §11, and `groups`, which no standard has but
    /// which is as common: what a client may request if its registration names no scope.
    ///
    /// [OpenID Connect Core §5.4]: https://openid.net/specs/openid-connect-core-1_0.html#ScopeClaims
    pub const STANDARD: [&str; 7] =
        ["openid", "profile", "email", "address", "phone", "groups", "offline_access"];

    /// All of [`Self::STANDARD`].
    pub fn standard() -> Self {
        Self(Self::STANDARD.map(str::to_owned).into())
    }

    /// `openid` alone.
    pub fn openid() -> Self {
        Self::from_iter(["openid"])
    }

    /// Whether the token is one of the set.
    pub fn contains(&self, token: &str) -> bool {
        self.0.contains(token)
    }

    /// Whether every token is also in `other`.
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// Whether there is no token at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The tokens in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).cloned().collect())
    }

    /// The tokens in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// The same set without `token`.
    #[must_use]
    pub fn without(mut self, token: &str) -> Self {
        self.0.remove(token);
        self
    }

    /// The tokens in byte order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl<'a> FromIterator<&'a str> for Scope {
    /// Each item must be one valid token.
    fn from_iter<T: IntoIterator<Item = &'a str>>(tokens: T) -> Self {
        Self(tokens.into_iter().map(str::to_owned).collect())
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    /// Parses the scope of a request or a registration. The limits are those that the previous release has when it
    /// reads a stored record.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > 1024 {
            return Err(ScopeError);
        }
        let scope = Self::parse_unlimited(text)?;
        if scope.0.len() > 50 { Err(ScopeError) } else { Ok(scope) }
    }
}

impl Scope {
    fn parse_unlimited(text: &str) -> Result<Self, ScopeError> {
        // %x21 / %x23-5B / %x5D-7E
        let nqchar = |c: u8| (0x21..=0x7E).contains(&c) && c != b'"' && c != b'\\';
        let tokens = text.split(' ').filter(|token| !token.is_empty());
        let token = |token: &str| token.bytes().all(nqchar).then(|| token.to_owned());
        tokens.map(token).collect::<Option<_>>().map(Self).ok_or(ScopeError)
    }
}

impl TryFrom<String> for Scope {
    type Error = ScopeError;

    /// Parses a stored scope, without a limit: what a user has consented to grows over time.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse_unlimited(&text)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tokens: Vec<_> = self.0.iter().map(String::as_str).collect();
        f.write_str(&tokens.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_enforced() {
        for bad in ["open\"id", "a\\b", "a\tb", "caf\u{e9}", "a\nb"] {
            assert_eq!(bad.parse::<Scope>(), Err(ScopeError), "{bad:?}");
        }
        assert_eq!("b a  b ".parse::<Scope>().unwrap().to_string(), "a b");
    }

    #[test]
    fn what_is_asked_for_has_a_limit_and_what_is_written_is_read_again() {
        let words = |n: usize| (0..n).map(|n| format!("s{n:03}")).collect::<Vec<_>>().join(" ");
        let most: Scope = words(50).parse().unwrap();
        assert_eq!(words(51).parse::<Scope>(), Err(ScopeError));
        assert_eq!("x".repeat(1025).parse::<Scope>(), Err(ScopeError));
        let all = most.union(&"x".repeat(1024).parse().unwrap());
        let written = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Scope>(&written).ok(), Some(all));
    }
}
