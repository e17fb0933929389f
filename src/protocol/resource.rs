//! Resource indicators ([RFC 8707]): the identifiers of the APIs that a token is requested for.
//!
//! [RFC 8707]: https://www.rfc-editor.org/rfc/rfc8707

use url::Url;

use super::{ErrorCode, OAuthError, Params};

/// The most APIs that one request may name.
const MAX_RESOURCES: usize = 20;
const MAX_IDENTIFIER_LEN: usize = 2_048;

/// Whether the text can be the identifier of an API: "an absolute URI, as specified by Section 4.3 of RFC3986
/// … The URI MUST NOT include a fragment component" ([RFC 8707 §2]).
///
/// [RFC 8707 §2]: https://www.rfc-editor.org/rfc/rfc8707#section-2
pub fn is_identifier(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&c);
    text.len() <= MAX_IDENTIFIER_LEN && text.bytes().all(allowed) && Url::parse(text).is_ok()
}

/// The APIs that a request names, each once, in the order of the request.
pub fn asked(params: &Params) -> Result<Vec<String>, OAuthError> {
    let mut asked: Vec<String> = Vec::new();
    for text in params.all("resource") {
        if !is_identifier(text) {
            return Err(invalid("resource is not an absolute URI without a fragment (RFC 8707 2)"));
        }
        if !asked.iter().any(|held| held == text) {
            asked.push(text.to_owned());
        }
    }
    if asked.len() > MAX_RESOURCES {
        return Err(invalid("resource is there more than 20 times"));
    }
    Ok(asked)
}

/// The same identifier with a trailing slash added or removed: a common mistake.
pub fn with_toggled_slash(text: &str) -> String {
    text.strip_suffix('/').map_or_else(|| format!("{text}/"), str::to_owned)
}

const fn invalid(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidTarget, description)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_an_absolute_uri_without_a_fragment() {
        for good in [
            "https://api.example",
            "https://api.example/",
            "urn:example:api",
            "https://a.example/b?c=d",
        ] {
            assert!(is_identifier(good), "{good}");
        }
        let long = format!("https://api.example/{}", "x".repeat(MAX_IDENTIFIER_LEN));
        for bad in [
            "",
            "api",
            "/api",
            "//api.example",
            "https://a.example/#b",
            "https://a.example/ b",
            &long,
        ] {
            assert!(!is_identifier(bad), "{bad}");
        }
    }

    #[test]
    fn every_value_is_looked_at_and_each_counts_once() {
        let read = |text: &str| asked(&Params::parse(text.as_bytes()).unwrap());
        assert_eq!(read("scope=a").unwrap(), [""; 0]);
        assert_eq!(read("resource=b:1&resource=a:1&resource=b:1").unwrap(), ["b:1", "a:1"]);
        assert_eq!(read("resource=a:1&resource=b").unwrap_err().code, ErrorCode::InvalidTarget);
        let many = |most: usize| (0..most).map(|n| format!("resource=a:{n}")).collect::<Vec<_>>();
        assert!(read(&many(MAX_RESOURCES).join("&")).is_ok());
        assert!(read(&many(MAX_RESOURCES + 1).join("&")).is_err());
    }
}
