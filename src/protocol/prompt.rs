use serde::{Deserialize, Serialize};

/// Which prompts the client requests ([OpenID Connect Core §3.1.2.1]).
///
/// [OpenID Connect Core §3.1.2.1]: https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Prompt {
    /// No page may be shown.
    pub none: bool,
    /// Sign in again, even when signed in.
    pub login: bool,
    /// Ask for consent, even when given.
    pub consent: bool,
    /// Let the user choose an account.
    pub select_account: bool,
}

/// `none` beside another value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PromptError;

impl Prompt {
    /// Parses the space-delimited list. Unknown values are ignored: "not returning errors
    /// for not-understood values will help facilitate phasing in extensions" (§3.1.2.1).
    pub fn parse(text: &str) -> Result<Self, PromptError> {
        let mut prompt = Self::default();
        let words = || text.split(' ').filter(|word| !word.is_empty());
        for word in words() {
            match &*word.to_ascii_lowercase() {
                "none" => prompt.none = true,
                "login" => prompt.login = true,
                "consent" => prompt.consent = true,
                "select_account" => prompt.select_account = true,
                _ => {}
            }
        }
        // "If this parameter contains none with any other value, an error is returned."
        let alone = words().all(|word| word.eq_ignore_ascii_case("none"));
        if prompt.none && !alone { Err(PromptError) } else { Ok(prompt) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_stands_alone_and_of_unknown_words_nothing_follows() {
        assert!(Prompt::parse("none").unwrap().none);
        let both = Prompt::parse("login create consent").unwrap();
        assert!(both.login && both.consent && !both.none);
        assert!(Prompt::parse("LOGIN").unwrap().login);
        assert_eq!(Prompt::parse("sometimes"), Ok(Prompt::default()));
        for bad in ["none login", "none consent", "create none"] {
            assert_eq!(Prompt::parse(bad), Err(PromptError), "{bad}");
        }
    }
}
