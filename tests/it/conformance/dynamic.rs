//! `oidcc-dynamic-certification-test-plan`, for every response type: its clients prove themselves with a
//! key (`private_key_jwt`).

use super::suite::Variant;

/// What is tried with every response type.
macro_rules! dynamic_plan {
    ($response_type:literal $(; $($more:ident),+)?) => {
        modules! {
            super::Variant::of($response_type).by("private_key_jwt");
            oidcc_idtoken_rs256,
            oidcc_ensure_redirect_uri_in_authorization_request,
            oidcc_redirect_uri_query_ok,
            oidcc_redirect_uri_query_mismatch,
            oidcc_redirect_uri_query_added,
            oidcc_redirect_uri_regfrag,
            oidcc_server,
            oidcc_registration_logo_uri,
            oidcc_registration_policy_uri,
            oidcc_registration_tos_uri,
            oidcc_registration_jwks_uri,
            oidcc_registration_sector_uri,
            oidcc_registration_sector_bad,
            oidcc_request_uri_signed_rs256,
            $($($more),+)?
        }
    };
}

mod code {
    dynamic_plan! {
        "code";
        oidcc_discovery_endpoint_verification,
        oidcc_server_rotate_keys,
        oidcc_userinfo_rs256,
        oidcc_refresh_token_rp_key_rotation,
        oidcc_refresh_token,
        oidcc_ensure_client_assertion_with_iss_aud_succeeds
    }
}

mod id_token {
    dynamic_plan! { "id_token" }
}

mod id_token_token {
    dynamic_plan! { "id_token token"; oidcc_userinfo_rs256 }
}

mod code_id_token {
    dynamic_plan! {
        "code id_token";
        oidcc_userinfo_rs256,
        oidcc_refresh_token_rp_key_rotation,
        oidcc_refresh_token,
        oidcc_ensure_client_assertion_with_iss_aud_succeeds
    }
}

mod code_token {
    dynamic_plan! {
        "code token";
        oidcc_userinfo_rs256,
        oidcc_refresh_token_rp_key_rotation,
        oidcc_refresh_token,
        oidcc_ensure_client_assertion_with_iss_aud_succeeds
    }
}

mod code_id_token_token {
    dynamic_plan! {
        "code id_token token";
        oidcc_userinfo_rs256,
        oidcc_refresh_token_rp_key_rotation,
        oidcc_refresh_token,
        oidcc_ensure_client_assertion_with_iss_aud_succeeds
    }
}
