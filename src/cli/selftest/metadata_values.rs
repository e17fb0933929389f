//! What the metadata's members may hold.

use super::context::TestContext;
use super::report::{CheckResult, Findings, fail, must, printable, should, skip, warn};

/// Nothing to judge without a document.
fn require_document(context: &TestContext) -> CheckResult {
    if context.discovery.is_some() { Ok(()) } else { Err(skip("there is no discovery document")) }
}

/// Every known member has its type, and a list has something in it: one with nothing is left out
/// ([RFC 8414 §3.2](https://www.rfc-editor.org/rfc/rfc8414#section-3.2)).
pub(super) fn types(context: &TestContext) -> CheckResult {
    require_document(context)?;
    let mut findings = Findings::default();
    for (name, value) in context.metadata.iter() {
        let fits = if URL_MEMBERS.contains(&&**name) {
            value.as_str().is_some_and(|text| text.parse::<url::Url>().is_ok())
        } else if LIST_MEMBERS.contains(&&**name) {
            let words = value.as_array().map(Vec::as_slice).unwrap_or_default();
            !words.is_empty()
                && words.iter().all(|word| word.as_str().is_some_and(|word| !word.is_empty()))
        } else if BOOLEAN_MEMBERS.contains(&&**name) {
            value.is_boolean()
        } else {
            *name != "signed_metadata" || value.is_string()
        };
        if !fits {
            findings.fail(format!("{name} has the wrong type or is empty"));
        }
    }
    findings.result()
}

pub(super) fn unknown(context: &TestContext) -> CheckResult {
    require_document(context)?;
    let known = |name: &str| {
        name == "signed_metadata"
            || [URL_MEMBERS, LIST_MEMBERS, BOOLEAN_MEMBERS].iter().any(|it| it.contains(&name))
    };
    let strange: Vec<String> =
        context.metadata.keys().filter(|name| !known(name)).map(|name| printable(name)).collect();
    should(strange.is_empty(), || format!("members no standard knows: {}", strange.join(", ")))
}

/// RS256 has to be among the algorithms ([Discovery §3]).
///
/// [Discovery §3]: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
pub(super) fn signing_algorithms(context: &TestContext) -> CheckResult {
    require_document(context)?;
    let name = "id_token_signing_alg_values_supported";
    must(context.metadata.lists(name, "RS256"), || format!("{name} has no RS256"))?;
    should(!context.metadata.lists(name, "none"), || format!("{name} has none"))
}

pub(super) fn subject_types(context: &TestContext) -> CheckResult {
    require_document(context)?;
    let types = context.metadata.list("subject_types_supported");
    let known = types.iter().all(|it| matches!(*it, "public" | "pairwise"));
    must(known && !types.is_empty(), || "it is not public, pairwise or both".to_owned())
}

pub(super) fn scopes(context: &TestContext) -> CheckResult {
    require_document(context)?;
    let name = "scopes_supported";
    should(context.metadata.contains_key(name), || format!("there is no {name}"))?;
    let scopes = context.metadata.list(name);
    must(scopes.contains(&"openid"), || format!("{name} has no openid"))?;
    let token = |it: &&&str| it.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b));
    must(scopes.iter().filter(token).count() == scopes.len(), || {
        format!("{name} has something that is no scope (RFC 6749 §3.3)")
    })
}

/// What is offered fits what can be asked for.
pub(super) fn response_types(context: &TestContext) -> CheckResult {
    require_document(context)?;
    let types = context.metadata.list("response_types_supported");
    let mut findings = Findings::default();
    for word in types.iter().flat_map(|it| it.split(' ')) {
        if !matches!(word, "code" | "token" | "id_token" | "none") {
            findings.fail(format!("{} is no response type", printable(word)));
        }
    }
    if !types.contains(&"code") {
        findings.warn("the authorization code flow is not offered");
    }
    // Left out, it means authorization_code and implicit.
    if context.metadata.contains_key("grant_types_supported") {
        let grant = |name| context.metadata.lists("grant_types_supported", name);
        let front = types.iter().any(|it| it.split(' ').any(|word| word.contains("token")));
        if types.contains(&"code") && !grant("authorization_code") {
            findings.fail("code is offered, but not the grant type authorization_code");
        }
        if front && !grant("implicit") {
            findings
                .fail("tokens from the authorization endpoint, but not the grant type implicit");
        }
    }
    findings.result()
}

/// JWT client authentication needs its algorithms named, and `none` is not one of them
/// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
pub(super) fn client_authentication(context: &TestContext) -> CheckResult {
    require_document(context)?;
    let mut findings = Findings::default();
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = context.metadata.list_of(endpoint, "auth_methods_supported");
        let algorithms = context.metadata.list_of(endpoint, "auth_signing_alg_values_supported");
        let by_jwt =
            methods.iter().any(|it| matches!(*it, "private_key_jwt" | "client_secret_jwt"));
        if by_jwt && algorithms.is_empty() {
            findings
                .fail(format!("{endpoint}_endpoint_auth_signing_alg_values_supported is missing"));
        }
        if algorithms.contains(&"none") {
            findings.fail(format!("{endpoint}_endpoint: assertions may be signed with none"));
        }
        if endpoint == "introspection" && methods.contains(&"none") {
            findings.fail("introspection without client authentication is advertised");
        }
    }
    findings.result()
}

pub(super) fn pkce(context: &TestContext) -> CheckResult {
    require_document(context)?;
    let name = "code_challenge_methods_supported";
    should(context.metadata.contains_key(name), || format!("there is no {name}"))?;
    must(context.metadata.lists(name, "S256"), || format!("{name} has no S256"))?;
    should(!context.metadata.lists(name, "plain"), || format!("{name} has plain"))
}

/// `en`, `de-CH`, `zh-Hant-TW`.
pub(super) fn locales(context: &TestContext) -> CheckResult {
    require_document(context)?;
    let tag = |it: &str| {
        let mut parts = it.split('-');
        let first = parts.next().unwrap_or_default();
        (2..=8).contains(&first.len())
            && first.bytes().all(|byte| byte.is_ascii_alphabetic())
            && parts.all(|part| {
                (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
            })
    };
    for name in ["ui_locales_supported", "claims_locales_supported"] {
        if let Some(bad) = context.metadata.list(name).into_iter().find(|it| !tag(it)) {
            return Err(fail(format!("{name} has {}, which is no language tag", printable(bad))));
        }
    }
    Ok(())
}

/// A list that names something twice was put together by accident.
pub(super) fn repetitions(context: &TestContext) -> CheckResult {
    require_document(context)?;
    for (name, value) in context.metadata.iter() {
        let words = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if (1..words.len()).any(|at| words.get(..at).is_some_and(|it| it.contains(&words[at]))) {
            return Err(warn(format!("{} names something twice", printable(name))));
        }
    }
    Ok(())
}

#[rustfmt::skip]
const URL_MEMBERS: &[&str] = &[
    "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri",
    "registration_endpoint", "introspection_endpoint", "revocation_endpoint", "end_session_endpoint",
    "check_session_iframe", "service_documentation", "op_policy_uri", "op_tos_uri",
    "pushed_authorization_request_endpoint", "device_authorization_endpoint",
    "backchannel_authentication_endpoint",
];

#[rustfmt::skip]
const LIST_MEMBERS: &[&str] = &[
    "scopes_supported", "response_types_supported", "response_modes_supported",
    "grant_types_supported", "acr_values_supported", "subject_types_supported",
    "id_token_signing_alg_values_supported", "id_token_encryption_alg_values_supported",
    "id_token_encryption_enc_values_supported", "userinfo_signing_alg_values_supported",
    "userinfo_encryption_alg_values_supported", "userinfo_encryption_enc_values_supported",
    "request_object_signing_alg_values_supported", "request_object_encryption_alg_values_supported",
    "request_object_encryption_enc_values_supported", "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported", "revocation_endpoint_auth_methods_supported",
    "revocation_endpoint_auth_signing_alg_values_supported",
    "introspection_endpoint_auth_methods_supported",
    "introspection_endpoint_auth_signing_alg_values_supported",
    "introspection_signing_alg_values_supported", "introspection_encryption_alg_values_supported",
    "introspection_encryption_enc_values_supported", "display_values_supported",
    "prompt_values_supported", "claim_types_supported", "claims_supported",
    "claims_locales_supported", "ui_locales_supported", "code_challenge_methods_supported",
    "authorization_signing_alg_values_supported", "authorization_encryption_alg_values_supported",
    "authorization_encryption_enc_values_supported", "dpop_signing_alg_values_supported",
    "authorization_details_types_supported", "protected_resources",
    "backchannel_token_delivery_modes_supported",
    "backchannel_authentication_request_signing_alg_values_supported",
];

#[rustfmt::skip]
const BOOLEAN_MEMBERS: &[&str] = &[
    "claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported",
    "require_request_uri_registration", "require_signed_request_object",
    "require_pushed_authorization_requests", "authorization_response_iss_parameter_supported",
    "tls_client_certificate_bound_access_tokens", "frontchannel_logout_supported",
    "frontchannel_logout_session_supported", "backchannel_logout_supported",
    "backchannel_logout_session_supported", "backchannel_user_code_parameter_supported",
    "native_sso_supported", "client_id_metadata_document_supported",
];
