//! Answers of the registration endpoint.

use serde_json::Value;

use super::{is_json, is_plain, require};
use crate::support::http::HttpResponse;

/// A registration; gives what was registered.
pub fn accepted(answer: &HttpResponse, request: &Value) -> Value {
    require("EnsureHttpStatusCodeIs201", answer.status == 201, answer);
    require("EnsureContentTypeJson", is_json(answer), answer);
    let client = answer.json();
    require("ExtractDynamicRegistrationResponse", client["client_id"].is_string(), &client);
    let secret = client.get("client_secret").is_some();
    let until = client.get("client_secret_expires_at");
    let condition = "EnsureDynamicRegistrationEndpointResponseContainsClientSecretExpiresAt";
    require(condition, !secret || until.is_some_and(Value::is_u64), until);
    let place = client["registration_client_uri"].as_str().unwrap_or_default();
    require("VerifyClientManagementCredentials", place.starts_with("https://"), place);
    let token = client["registration_access_token"].is_string();
    require("VerifyClientManagementCredentials", token, token);
    for (name, value) in request.as_object().expect("an object") {
        require("what was registered", client[name] == *value, (name, &client[name]));
    }
    client
}

/// A refusal; gives its code.
pub fn refused(answer: &HttpResponse) -> String {
    require("EnsureHttpStatusCodeIs400", answer.status == 400, answer);
    require("EnsureContentTypeJson", is_json(answer), answer);
    let code = answer.error().1;
    require(
        "CheckErrorFromDynamicRegistrationEndpoint",
        !code.is_empty() && is_plain(&code),
        answer,
    );
    code
}
