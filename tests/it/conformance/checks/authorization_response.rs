//! What comes back to the redirect URI.

use super::{entropy, is_plain, require};
use crate::conformance::client::Callback;
use crate::conformance::suite::Suite;
use crate::support::relying_party::AuthorizationRequest;

pub fn success(callback: &Callback, request: &AuthorizationRequest, suite: &Suite) {
    let variant = suite.variant;
    let error = callback.get("error");
    require("CheckIfAuthorizationEndpointError", error.is_none(), &callback.params);
    let front = variant.has("id_token") || variant.has("token");
    let expected = match (variant.form_post, front) {
        (true, _) => "form_post",
        (false, true) => "fragment",
        (false, false) => "query",
    };
    require("CheckMatchingCallbackParameters", callback.mode == expected, callback.mode);
    common(callback, request, suite);
    for (name, word) in [("code", "code"), ("access_token", "token"), ("id_token", "id_token")] {
        let there = callback.get(name).is_some();
        require("CheckAuthorizationResponseParameters", there == variant.has(word), name);
    }
    if let Some(code) = callback.get("code") {
        require("EnsureMinimumAuthorizationCodeLength", code.len() >= 16, code);
        require("EnsureMinimumAuthorizationCodeEntropy", entropy(code) > 96.0, code);
    }
    if let Some(token) = callback.get("access_token") {
        let kind = callback.get("token_type").unwrap_or_default();
        require("CheckTokenTypeIsBearer", kind.eq_ignore_ascii_case("bearer"), kind);
        require("EnsureMinimumAccessTokenEntropy", entropy(token) > 96.0, token);
        let expires_in = callback.get("expires_in").and_then(|it| it.parse::<u64>().ok());
        require("ValidateExpiresIn", expires_in.is_some_and(|it| it > 0), expires_in);
    }
}

/// An error, and which.
pub fn error(callback: &Callback, request: &AuthorizationRequest, suite: &Suite) -> String {
    let error = callback.get("error").unwrap_or_default();
    let condition = "EnsureErrorFromAuthorizationEndpointResponse";
    require(condition, !error.is_empty() && is_plain(error), &callback.params);
    let described = callback.get("error_description").is_none_or(is_plain);
    let condition = "ValidateErrorDescriptionFromAuthorizationEndpointResponseError";
    require(condition, described, &callback.params);
    let allowed = ["error", "error_description", "error_uri", "state", "session_state", "iss"];
    let strange = callback.params.keys().find(|name| !allowed.contains(&name.as_str()));
    let condition = "CheckForUnexpectedParametersInErrorResponseFromAuthorizationEndpoint";
    require(condition, strange.is_none(), strange);
    let (variant, asked) = (suite.variant, request.get("response_type"));
    let front = variant.has("id_token") || variant.has("token");
    let expected = match (request.get("response_mode"), asked, front) {
        (Some("form_post"), _, _) => "form_post",
        // Nothing says otherwise, so it is OAuth's own.
        (_, None, _) | (_, Some(_), false) => "query",
        (_, Some(_), true) => "fragment",
    };
    require("RejectErrorInUrlQuery", callback.mode == expected, callback.mode);
    common(callback, request, suite);
    error.to_owned()
}

fn common(callback: &Callback, request: &AuthorizationRequest, suite: &Suite) {
    let state = callback.get("state");
    require("CheckMatchingStateParameter", state == request.get("state"), state);
    let iss = callback.get("iss");
    let promised = &suite.metadata["authorization_response_iss_parameter_supported"];
    require("ValidateIssInAuthorizationResponse", *promised == true, promised);
    require("ValidateIssInAuthorizationResponse", iss == Some(suite.provider.issuer()), iss);
}
