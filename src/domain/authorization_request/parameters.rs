use crate::protocol::{ErrorCode, OAuthError, Params};

/// The longest query of a request, in bytes and without `id_token_hint`: what is stored of it.
pub const MAX_QUERY_LEN: usize = 8 * 1024;

/// Every parameter of an authorization request that is read here, if only to be refused.
///
/// "The authorization server MUST ignore unrecognized request parameters" ([RFC 6749 §3.1]), so the
/// others are not stored: an unauthenticated browser could store anything here.
///
/// [RFC 6749 §3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-3.1
#[rustfmt::skip]
const PARAMETERS: [&str; 22] = [
    "acr_values", "claims", "claims_locales", "client_id", "code_challenge", "code_challenge_method",
    "display", "id_token_hint", "login_hint", "max_age", "nonce", "prompt", "redirect_uri",
    "registration", "request", "request_uri", "resource", "response_mode", "response_type", "scope",
    "state", "ui_locales",
];

/// Whether a parameter of this name is read.
pub fn is_known(name: &str) -> bool {
    PARAMETERS.contains(&name)
}

/// The query that is stored, so that the request can be started again: without the `id_token_hint`, which is an ID
/// token. A query longer than [`MAX_QUERY_LEN`] is refused.
pub fn to_query(params: &Params) -> Result<String, OAuthError> {
    let query = params.clone().without("id_token_hint").to_query();
    if query.len() > MAX_QUERY_LEN {
        let text = "the parameters of the request are longer than 8 KiB altogether";
        return Err(OAuthError::new(ErrorCode::InvalidRequest, text));
    }
    Ok(query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_kept_up_to_eight_kibibytes_and_the_hint_is_not_counted() {
        let request = |letters: usize| {
            let text = format!("id_token_hint={}&state={}", "h".repeat(9_000), "s".repeat(letters));
            to_query(&Params::parse(text.as_bytes()).unwrap())
        };
        let most = MAX_QUERY_LEN - "state=".len();
        assert_eq!(request(most).map(|query| query.len()), Ok(MAX_QUERY_LEN));
        assert_eq!(request(most + 1).unwrap_err().code, ErrorCode::InvalidRequest);
        // Written out, each of these is three characters.
        let wide = Params::parse(format!("state={}", "(".repeat(most / 2)).as_bytes()).unwrap();
        assert!(to_query(&wide).is_err());
    }
}
