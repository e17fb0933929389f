use super::Confirmation;
use super::string_enum::string_enum;

string_enum! {
    /// How an access token is presented ([RFC 6749 §7.1](https://www.rfc-editor.org/rfc/rfc6749#section-7.1)):
    /// `token_type` in responses, and the scheme of the `Authorization` header.
    TokenType {
        /// Any holder may use it ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)).
        Bearer = "Bearer",
    }
}

string_enum! {
    /// The `typ` header of a JWT access token.
    AccessTokenTyp {
        /// [RFC 9068 §2.1](https://www.rfc-editor.org/rfc/rfc9068#section-2.1): nothing else passes for it.
        AtJwt = "at+jwt",
        /// For APIs whose library refuses `at+jwt`.
        Jwt = "JWT",
    }
}

impl TokenType {
    /// The type of a token that is bound to this key, if to any. No type there is has a proof of a key yet, so all are
    /// [`Bearer`](Self::Bearer).
    pub const fn of(_bound_to: Option<&Confirmation>) -> Self {
        Self::Bearer
    }

    /// Whether this is the scheme of an `Authorization` header; its case does not matter (RFC 9110 §11.1).
    pub fn is_scheme(self, scheme: &str) -> bool {
        scheme.eq_ignore_ascii_case(self.as_str())
    }

    /// A `WWW-Authenticate` challenge with these parameters (RFC 6750 §3).
    pub fn challenge(self, params: &[(&str, &str)]) -> String {
        let params: Vec<_> =
            params.iter().map(|(name, value)| format!(r#"{name}="{value}""#)).collect();
        format!("{} {}", self.as_str(), params.join(", ")).trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_the_scheme_and_quotes_its_parameters() {
        assert_eq!(TokenType::Bearer.challenge(&[]), "Bearer");
        let several = [("error", "insufficient_scope"), ("scope", "openid email")];
        let expected = r#"Bearer error="insufficient_scope", scope="openid email""#;
        assert_eq!(TokenType::Bearer.challenge(&several), expected);
        assert!(TokenType::Bearer.is_scheme("bEARER") && !TokenType::Bearer.is_scheme("DPoP"));
    }
}
