use serde::{Deserialize, Serialize};

/// The user a token is about: "a locally unique and never reassigned identifier … MUST NOT exceed 255
/// ASCII characters" ([OpenID Connect Core §2]). Ours are version 7 UUIDs, or what the operator chose.
///
/// [OpenID Connect Core §2]: https://openid.net/specs/openid-connect-core-1_0.html#IDToken
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subject(String);

impl Subject {
    /// One to 255 characters of `A-Z a-z 0-9 . _ : @ | -`.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || b"._:@|-".contains(&c);
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.to_owned()))
    }

    /// The value of `sub`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Subject {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("a subject is 1 to 255 characters of A-Z a-z 0-9 . _ : @ | -")
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.0
    }
}
