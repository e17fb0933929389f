//! What the metadata's members may hold.

use serde_json::Value;

use super::report::{Findings, Verdict, fail, must, plain, should, skip, warn};
use super::trial::Trial;

/// Nothing to judge without a document.
fn there(trial: &Trial) -> Verdict {
    if trial.discovery.is_some() { Ok(()) } else { Err(skip("there is no discovery document")) }
}

/// Every known member has its type, and a list has something in it: one with nothing is left out
/// ([RFC 8414 §3.2](https://www.rfc-editor.org/rfc/rfc8414#section-3.2)).
pub(super) fn types(trial: &Trial) -> Verdict {
    there(trial)?;
    let mut findings = Findings::default();
    for (name, value) in &trial.metadata {
        let fits = if ADDRESSES.contains(&&**name) {
            value.as_str().is_some_and(|text| text.parse::<url::Url>().is_ok())
        } else if LISTS.contains(&&**name) {
            let words = value.as_array().map(Vec::as_slice).unwrap_or_default();
            !words.is_empty()
                && words.iter().all(|word| word.as_str().is_some_and(|word| !word.is_empty()))
        } else if FLAGS.contains(&&**name) {
            value.is_boolean()
        } else {
            *name != "signed_metadata" || value.is_string()
        };
        if !fits {
            findings.wrong(format!("{name} has the wrong type or is empty"));
        }
    }
    findings.verdict()
}

pub(super) fn unknown(trial: &Trial) -> Verdict {
    there(trial)?;
    let known = |name: &str| {
        name == "signed_metadata" || [ADDRESSES, LISTS, FLAGS].iter().any(|it| it.contains(&name))
    };
    let strange: Vec<String> =
        trial.metadata.keys().filter(|name| !known(name)).map(|name| plain(name)).collect();
    should(strange.is_empty(), || format!("members no standard knows: {}", strange.join(", ")))
}

/// RS256 has to be among the algorithms ([Discovery §3]).
///
/// [Discovery §3]: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
pub(super) fn signing_algorithms(trial: &Trial) -> Verdict {
    there(trial)?;
    let name = "id_token_signing_alg_values_supported";
    must(trial.lists(name, "RS256"), || format!("{name} has no RS256"))?;
    should(!trial.lists(name, "none"), || format!("{name} has none"))
}

pub(super) fn subject_types(trial: &Trial) -> Verdict {
    there(trial)?;
    let types = trial.list("subject_types_supported");
    let known = types.iter().all(|it| matches!(*it, "public" | "pairwise"));
    must(known && !types.is_empty(), || "it is not public, pairwise or both".to_owned())
}

pub(super) fn scopes(trial: &Trial) -> Verdict {
    there(trial)?;
    let name = "scopes_supported";
    should(trial.metadata.contains_key(name), || format!("there is no {name}"))?;
    let scopes = trial.list(name);
    must(scopes.contains(&"openid"), || format!("{name} has no openid"))?;
    let token = |it: &&&str| it.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\".contains(&b));
    must(scopes.iter().filter(token).count() == scopes.len(), || {
        format!("{name} has something that is no scope (RFC 6749 §3.3)")
    })
}

/// What is offered fits what can be asked for.
pub(super) fn response_types(trial: &Trial) -> Verdict {
    there(trial)?;
    let types = trial.list("response_types_supported");
    let mut findings = Findings::default();
    for word in types.iter().flat_map(|it| it.split(' ')) {
        if !matches!(word, "code" | "token" | "id_token" | "none") {
            findings.wrong(format!("{} is no response type", plain(word)));
        }
    }
    if !types.contains(&"code") {
        findings.doubtful("the authorization code flow is not offered");
    }
    // Left out, it means authorization_code and implicit.
    if trial.metadata.contains_key("grant_types_supported") {
        let grant = |name| trial.lists("grant_types_supported", name);
        let front = types.iter().any(|it| it.split(' ').any(|word| word.contains("token")));
        if types.contains(&"code") && !grant("authorization_code") {
            findings.wrong("code is offered, but not the grant type authorization_code");
        }
        if front && !grant("implicit") {
            findings
                .wrong("tokens from the authorization endpoint, but not the grant type implicit");
        }
    }
    findings.verdict()
}

/// JWT client authentication needs its algorithms named, and `none` is not one of them
/// ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
pub(super) fn client_authentication(trial: &Trial) -> Verdict {
    there(trial)?;
    let mut findings = Findings::default();
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = trial.list_of(endpoint, "auth_methods_supported");
        let algorithms = trial.list_of(endpoint, "auth_signing_alg_values_supported");
        let by_jwt =
            methods.iter().any(|it| matches!(*it, "private_key_jwt" | "client_secret_jwt"));
        if by_jwt && algorithms.is_empty() {
            findings
                .wrong(format!("{endpoint}_endpoint_auth_signing_alg_values_supported is missing"));
        }
        if algorithms.contains(&"none") {
            findings.wrong(format!("{endpoint}_endpoint: assertions may be signed with none"));
        }
        if endpoint == "introspection" && methods.contains(&"none") {
            findings.wrong("introspection without client authentication is advertised");
        }
    }
    findings.verdict()
}

pub(super) fn pkce(trial: &Trial) -> Verdict {
    there(trial)?;
    let name = "code_challenge_methods_supported";
    should(trial.metadata.contains_key(name), || format!("there is no {name}"))?;
    must(trial.lists(name, "S256"), || format!("{name} has no S256"))?;
    should(!trial.lists(name, "plain"), || format!("{name} has plain"))
}

/// `en`, `de-CH`, `zh-Hant-TW`.
pub(super) fn locales(trial: &Trial) -> Verdict {
    there(trial)?;
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
        if let Some(bad) = trial.list(name).into_iter().find(|it| !tag(it)) {
            return Err(fail(format!("{name} has {}, which is no language tag", plain(bad))));
        }
    }
    Ok(())
}

/// A list that names something twice was put together by accident.
pub(super) fn repetitions(trial: &Trial) -> Verdict {
    there(trial)?;
    for (name, value) in &trial.metadata {
        let words = value.as_array().map(Vec::as_slice).unwrap_or_default();
        if (1..words.len()).any(|at| words.get(..at).is_some_and(|it| it.contains(&words[at]))) {
            return Err(warn(format!("{} names something twice", plain(name))));
        }
    }
    Ok(())
}

impl Trial {
    fn list_of(&self, endpoint: &str, name: &str) -> Vec<&str> {
        let whole = format!("{endpoint}_endpoint_{name}");
        let words = self.metadata.get(&whole).and_then(Value::as_array);
        words.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

#[rustfmt::skip]
const ADDRESSES: &[&str] = &[
    "issuer", "authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri",
    "registration_endpoint", "introspection_endpoint", "revocation_endpoint", "end_session_endpoint",
    "check_session_iframe", "service_documentation", "op_policy_uri", "op_tos_uri",
    "pushed_authorization_request_endpoint", "device_authorization_endpoint",
    "backchannel_authentication_endpoint",
];

#[rustfmt::skip]
const LISTS: &[&str] = &[
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
const FLAGS: &[&str] = &[
    "claims_parameter_supported", "request_parameter_supported", "request_uri_parameter_supported",
    "require_request_uri_registration", "require_signed_request_object",
    "require_pushed_authorization_requests", "authorization_response_iss_parameter_supported",
    "tls_client_certificate_bound_access_tokens", "frontchannel_logout_supported",
    "frontchannel_logout_session_supported", "backchannel_logout_supported",
    "backchannel_logout_session_supported", "backchannel_user_code_parameter_supported",
    "native_sso_supported", "client_id_metadata_document_supported",
];
