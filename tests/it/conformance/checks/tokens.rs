//! Answers of the token endpoint.

use serde_json::Value;

use super::{entropy, is_json, is_plain, require};
use crate::support::http::HttpResponse;

/// Tokens; gives them.
pub fn success(answer: &HttpResponse) -> Value {
    require("CheckTokenEndpointHttpStatus200", answer.status == 200, answer);
    require("CheckTokenEndpointReturnedJsonContentType", is_json(answer), answer);
    let body = answer.json();
    require("CheckIfTokenEndpointResponseError", body.get("error").is_none(), &body);
    let kind = body["token_type"].as_str().unwrap_or_default();
    require("CheckTokenTypeIsBearer", kind.eq_ignore_ascii_case("bearer"), kind);
    let token = body["access_token"].as_str().expect("CheckForAccessTokenValue");
    opaque("AccessToken", token);
    let expires_in = body["expires_in"].as_u64();
    require("ValidateExpiresIn", expires_in.is_some_and(|it| it > 0), expires_in);
    require("ExtractIdTokenFromTokenResponse", body["id_token"].is_string(), &body);
    if let Some(token) = body.get("refresh_token") {
        opaque("RefreshToken", token.as_str().expect("CheckForRefreshTokenValue"));
    }
    // Looked at by the suite after a refresh only.
    let kept = answer.header("cache-control").unwrap_or_default();
    require("CheckTokenEndpointCacheHeaders", kept.contains("no-store"), kept);
    body
}

fn opaque(what: &str, token: &str) {
    require(&format!("EnsureMinimum{what}Entropy"), entropy(token) > 96.0, token);
    let printable = token.bytes().all(|c| (0x20..=0x7e).contains(&c));
    require(&format!("Ensure{what}ContainsAllowedCharactersOnly"), printable, token);
}

/// 400, or 401 for a client that is not believed; gives the code.
pub fn error(answer: &HttpResponse) -> String {
    require("CheckTokenEndpointReturnedJsonContentType", is_json(answer), answer);
    let (status, code) = answer.error();
    let condition = "CheckErrorFromTokenEndpointResponseErrorInvalidClientOrInvalidRequest";
    require(condition, !code.is_empty() && is_plain(&code), answer);
    let good = status == 400 || (status == 401 && code == "invalid_client");
    require("CheckTokenEndpointHttpStatus400", good, answer);
    let description = answer.json()["error_description"].as_str().map(str::to_owned);
    let condition = "CheckErrorDescriptionFromTokenEndpointResponseErrorContainsCRLFTAB";
    require(condition, description.as_deref().is_none_or(is_plain), description);
    code
}

/// `CheckTokenEndpointHttpStatus400` and `CheckErrorFromTokenEndpointResponseErrorInvalidGrant`
pub fn invalid_grant(answer: &HttpResponse) {
    let code = error(answer);
    require(
        "CheckErrorFromTokenEndpointResponseErrorInvalidGrant",
        code == "invalid_grant",
        answer,
    );
    require("CheckTokenEndpointHttpStatus400", answer.status == 400, answer);
}
