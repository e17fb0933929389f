use serde::{Deserialize, Serialize};

/// What the client wants the person to be asked ([OpenID Connect Core §3.1.2.1]).
///
/// [OpenID Connect Core §3.1.2.1]: https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Prompt {
    /// Nothing may be shown.
    pub none: bool,
    /// Sign in again, even when signed in.
    pub login: bool,
    /// Ask for consent, even when given.
    pub consent: bool,
    /// Let the person choose who to be.
    pub select_account: bool,
}

/// An unknown value, or `none` beside another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownPrompt;

impl Prompt {
    /// Reads the space-delimited list.
    pub fn parse(text: &str) -> Result<Self, UnknownPrompt> {
        let mut prompt = Self::default();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            match word {
                "none" => prompt.none = true,
                "login" => prompt.login = true,
                "consent" => prompt.consent = true,
                "select_account" => prompt.select_account = true,
                _ => return Err(UnknownPrompt),
            }
        }
        // "If this parameter contains none with any other value, an error is returned."
        let others = prompt.login || prompt.consent || prompt.select_account;
        if prompt.none && others { Err(UnknownPrompt) } else { Ok(prompt) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_stands_alone_and_unknown_words_are_refused() {
        assert!(Prompt::parse("none").unwrap().none);
        let both = Prompt::parse("login consent").unwrap();
        assert!(both.login && both.consent && !both.none);
        for bad in ["none login", "none consent", "sometimes", "LOGIN"] {
            assert_eq!(Prompt::parse(bad), Err(UnknownPrompt), "{bad}");
        }
    }
}
