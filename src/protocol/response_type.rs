use super::string_enum::string_enum;

string_enum! {
    /// What an authorization response contains ([OAuth 2.0 Multiple Response Types]).
    ///
    /// [OAuth 2.0 Multiple Response Types]: https://openid.net/specs/oauth-v2-multiple-response-types-1_0.html
    ResponseType {
        /// An authorization code and nothing else.
        Code = "code",
        /// An ID token (implicit).
        IdToken = "id_token",
        /// An ID token and an access token (implicit).
        IdTokenToken = "id_token token",
        /// A code and an ID token (hybrid).
        CodeIdToken = "code id_token",
        /// A code and an access token (hybrid).
        CodeToken = "code token",
        /// All three (hybrid).
        CodeIdTokenToken = "code id_token token",
        /// Only whether the user agreed (§4 there).
        None = "none",
    }
}

impl ResponseType {
    /// Parses the values in any order: "the order of values does not matter" ([RFC 6749 §3.1.1]).
    ///
    /// [RFC 6749 §3.1.1]: https://www.rfc-editor.org/rfc/rfc6749#section-3.1.1
    pub fn parse_unordered(text: &str) -> Option<Self> {
        let words = |text: &'static str| text.split(' ');
        let asked: Vec<&str> = text.split(' ').collect();
        let same = |it: &Self| {
            words(it.as_str()).count() == asked.len()
                && words(it.as_str()).all(|word| asked.contains(&word))
        };
        Self::ALL.iter().copied().find(same)
    }

    /// Whether a code is issued.
    pub const fn has_code(self) -> bool {
        match self {
            Self::Code | Self::CodeIdToken | Self::CodeToken | Self::CodeIdTokenToken => true,
            Self::IdToken | Self::IdTokenToken | Self::None => false,
        }
    }

    /// Whether an ID token goes through the browser.
    pub const fn has_id_token(self) -> bool {
        match self {
            Self::IdToken | Self::IdTokenToken | Self::CodeIdToken | Self::CodeIdTokenToken => true,
            Self::Code | Self::CodeToken | Self::None => false,
        }
    }

    /// Whether an access token goes through the browser.
    pub const fn has_token(self) -> bool {
        match self {
            Self::IdTokenToken | Self::CodeToken | Self::CodeIdTokenToken => true,
            Self::Code | Self::IdToken | Self::CodeIdToken | Self::None => false,
        }
    }

    /// Whether any token goes through the browser: implicit and hybrid.
    pub const fn is_front_channel(self) -> bool {
        self.has_id_token() || self.has_token()
    }
}

#[cfg(test)]
mod tests {
    use super::ResponseType;

    #[test]
    fn the_order_of_the_words_does_not_matter_and_nothing_else_is_forgiven() {
        for (text, read) in [
            ("token id_token", Some(ResponseType::IdTokenToken)),
            ("token code id_token", Some(ResponseType::CodeIdTokenToken)),
            ("code", Some(ResponseType::Code)),
            ("none", Some(ResponseType::None)),
            ("none code", None),
            ("code code", None),
            ("code code id_token", None),
            ("code  id_token", None),
            ("token", None),
            ("CODE", None),
            ("", None),
        ] {
            assert_eq!(ResponseType::parse_unordered(text), read, "{text}");
        }
    }
}
