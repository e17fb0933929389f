//! The provider's metadata and its keys.

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use super::require;
use crate::support::http::HttpResponse;

/// What every module looks at first.
pub fn read(answer: &HttpResponse) -> Value {
    require("EnsureDiscoveryEndpointResponseStatusCodeIs200", answer.status == 200, answer);
    require("CheckDiscoveryEndpointReturnedJsonContentType", super::is_json(answer), answer);
    let metadata = answer.json();
    for name in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
        require("CheckServerConfiguration", metadata[name].is_string(), name);
    }
    metadata
}

/// The whole of `oidcc-discovery-endpoint-verification`.
pub fn verify(metadata: &Value, issuer: &str, dynamic: bool) {
    require("CheckDiscEndpointIssuer", metadata["issuer"] == issuer, &metadata["issuer"]);
    let url = Url::parse(issuer).expect("CheckDiscEndpointIssuerIsValidUrl");
    let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    require("CheckDiscEndpointIssuerIsValidUrl", url.scheme() == "https" && bare, issuer);
    for (name, value) in metadata.as_object().expect("an object") {
        let kind = KNOWN.iter().find(|(_, names)| names.contains(&name.as_str()));
        let kind = kind.unwrap_or_else(|| panic!("CheckForUnexpectedParameters…: {name}")).0;
        require("ValidateServerMetadataAgainstSchema", is_a(kind, value), (name, value));
        let elsewhere = name.ends_with("_endpoint") && !is_https(value);
        require("CheckDiscEndpointAllEndpointsAreHttps", !elsewhere, (name, value));
    }
    for name in ["userinfo_endpoint", "registration_endpoint", "jwks_uri"] {
        require("CheckDiscEndpoint…", is_https(&metadata[name]), name);
    }
    lists(metadata, dynamic);
    // Objects and ID tokens without a signature are not offered, so the suite skips their modules.
    for name in [
        "id_token_signing_alg_values_supported",
        "userinfo_signing_alg_values_supported",
        "request_object_signing_alg_values_supported",
    ] {
        require("skipped where `none` is not listed", !holds(metadata, name, "none"), name);
    }
}

fn lists(metadata: &Value, dynamic: bool) {
    let required: [(&str, &str, &[&str]); 7] = [
        ("OIDCCCheckDiscEndpointResponseTypesSupported", "response_types_supported", &["code"]),
        (
            "OIDCCCheckDiscEndpointGrantTypesSupported",
            "grant_types_supported",
            &["authorization_code"],
        ),
        ("OIDCCCheckDiscEndpointSubjectTypesSupported", "subject_types_supported", &["public"]),
        (
            "OIDCCCheckDiscEndpointIdTokenSigningAlgValuesSupported",
            "id_token_signing_alg_values_supported",
            &["RS256"],
        ),
        ("CheckDiscEndpointScopesSupportedContainsOpenId", "scopes_supported", &["openid"]),
        ("OIDCCCheckDiscEndpointClaimsSupported", "claims_supported", &["sub"]),
        (
            "CheckDiscEndpointRequestObjectSigningAlgValuesSupported",
            "request_object_signing_alg_values_supported",
            &["RS256"],
        ),
    ];
    for (condition, name, words) in required {
        require(condition, words.iter().all(|word| holds(metadata, name, word)), &metadata[name]);
    }
    if dynamic {
        let name = "response_types_supported";
        let types = ["code", "id_token", "id_token token"];
        let all = types.iter().all(|asked| holds(metadata, name, asked));
        require("OIDCCCheckDiscEndpointResponseTypesSupportedDynamic", all, &metadata[name]);
        let name = "grant_types_supported";
        let implicit = holds(metadata, name, "implicit");
        require("OIDCCCheckDiscEndpointGrantTypesSupportedDynamic", implicit, &metadata[name]);
    }
    for name in ["ui_locales_supported", "claims_locales_supported"] {
        let locales = metadata[name].as_array().map(Vec::as_slice).unwrap_or_default();
        let tag = |locale: &Value| locale.as_str().is_some_and(|it| (2..=3).contains(&it.len()));
        require("CheckDiscEndpointLocales…", locales.iter().all(tag), locales);
    }
    let methods = "code_challenge_methods_supported";
    let condition = "EnsureServerConfigurationCodeChallengeMethodsSupportedIsAnArray";
    require(condition, holds(metadata, methods, "S256"), &metadata[methods]);
}

/// Whether the list has the word.
pub fn holds(metadata: &Value, name: &str, word: &str) -> bool {
    metadata[name].as_array().is_some_and(|list| list.iter().any(|it| it == word))
}

/// The key set of a provider (`ValidateJwksSequence`).
pub fn jwks(answer: &HttpResponse) -> Value {
    require("FetchServerKeys", answer.status == 200, answer);
    let jwks = answer.json();
    let keys = jwks["keys"].as_array().expect("ValidateServerJWKs");
    let mut names = BTreeSet::new();
    for key in keys {
        let private = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];
        let public = private.iter().all(|part| key.get(part).is_none());
        require("EnsureServerJwksDoesNotContainPrivateOrSymmetricKeys", public, keys.len());
        let kid = key["kid"].as_str().expect("CheckForKeyIdInServerJWKs");
        require("CheckDistinctKeyIdValueInServerJWKs", names.insert(kid), kid);
        let consistent = ["sig", "enc"].iter().any(|usage| key["use"] == *usage);
        require("ValidateServerJWKs", consistent && key["alg"].is_string(), key);
    }
    let rs256 = |key: &Value| key["kty"] == "RSA" && key["alg"] == "RS256" && key["use"] == "sig";
    require("ValidateServerJWKs", keys.iter().any(rs256), keys);
    jwks
}

fn is_https(value: &Value) -> bool {
    value.as_str().is_some_and(|url| url.starts_with("https://"))
}

#[derive(Clone, Copy)]
enum Kind {
    Flag,
    List,
    Uri,
}

fn is_a(kind: Kind, value: &Value) -> bool {
    match kind {
        Kind::Flag => value.is_boolean(),
        Kind::List => value
            .as_array()
            .is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_string)),
        Kind::Uri => value.as_str().is_some_and(|url| Url::parse(url).is_ok()),
    }
}

/// What the suite knows, of what a provider such as this may say; anything else is a warning there.
const KNOWN: [(Kind, &[&str]); 3] = [
    (
        Kind::Uri,
        &[
            "issuer",
            "authorization_endpoint",
            "token_endpoint",
            "userinfo_endpoint",
            "jwks_uri",
            "registration_endpoint",
            "introspection_endpoint",
            "revocation_endpoint",
            "end_session_endpoint",
            "check_session_iframe",
            "device_authorization_endpoint",
            "pushed_authorization_request_endpoint",
            "service_documentation",
            "op_policy_uri",
            "op_tos_uri",
        ],
    ),
    (
        Kind::Flag,
        &[
            "claims_parameter_supported",
            "request_parameter_supported",
            "request_uri_parameter_supported",
            "require_request_uri_registration",
            "require_pushed_authorization_requests",
            "require_signed_request_object",
            "authorization_response_iss_parameter_supported",
            "frontchannel_logout_supported",
            "frontchannel_logout_session_supported",
            "backchannel_logout_supported",
            "backchannel_logout_session_supported",
            "tls_client_certificate_bound_access_tokens",
        ],
    ),
    (
        Kind::List,
        &[
            "scopes_supported",
            "response_types_supported",
            "response_modes_supported",
            "grant_types_supported",
            "subject_types_supported",
            "id_token_signing_alg_values_supported",
            "id_token_encryption_alg_values_supported",
            "id_token_encryption_enc_values_supported",
            "userinfo_signing_alg_values_supported",
            "userinfo_encryption_alg_values_supported",
            "userinfo_encryption_enc_values_supported",
            "request_object_signing_alg_values_supported",
            "request_object_encryption_alg_values_supported",
            "request_object_encryption_enc_values_supported",
            "authorization_signing_alg_values_supported",
            "authorization_encryption_alg_values_supported",
            "authorization_encryption_enc_values_supported",
            "token_endpoint_auth_methods_supported",
            "token_endpoint_auth_signing_alg_values_supported",
            "introspection_endpoint_auth_methods_supported",
            "introspection_endpoint_auth_signing_alg_values_supported",
            "introspection_signing_alg_values_supported",
            "introspection_encryption_alg_values_supported",
            "introspection_encryption_enc_values_supported",
            "revocation_endpoint_auth_methods_supported",
            "revocation_endpoint_auth_signing_alg_values_supported",
            "dpop_signing_alg_values_supported",
            "code_challenge_methods_supported",
            "claims_supported",
            "claims_locales_supported",
            "claim_types_supported",
            "acr_values_supported",
            "display_values_supported",
            "prompt_values_supported",
            "ui_locales_supported",
        ],
    ),
];
