//! Which modules a plan has.

/// A test for each module, with its own suite.
macro_rules! modules {
    ($variant:expr; $($module:ident),+ $(,)?) => {
        $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $module() {
            let suite = $crate::conformance::suite::Suite::begin($variant).await;
            $crate::conformance::modules::$module(&suite).await;
            suite.ends().await;
        })+
    };
}

/// What is in the plans of every response type, and more.
macro_rules! with_common_modules {
    ($variant:expr; $($more:ident),+ $(,)?) => {
        modules! {
            $variant;
            oidcc_server,
            oidcc_scope_profile,
            oidcc_scope_email,
            oidcc_scope_address,
            oidcc_scope_phone,
            oidcc_scope_all,
            oidcc_display_page,
            oidcc_display_popup,
            oidcc_prompt_login,
            oidcc_prompt_none_not_logged_in,
            oidcc_prompt_none_logged_in,
            oidcc_max_age_1,
            oidcc_max_age_10000,
            oidcc_ensure_request_with_unknown_parameter_succeeds,
            oidcc_id_token_hint,
            oidcc_login_hint,
            oidcc_ui_locales,
            oidcc_claims_locales,
            oidcc_ensure_request_with_acr_values_succeeds,
            oidcc_ensure_registered_redirect_uri,
            oidcc_claims_essential,
            $($more),+
        }
    };
}

/// And what is in those of every response type with a code.
macro_rules! with_code_modules {
    ($variant:expr; $($more:ident),+ $(,)?) => {
        with_common_modules! {
            $variant;
            oidcc_userinfo_get,
            oidcc_userinfo_post_header,
            oidcc_userinfo_post_body,
            oidcc_codereuse,
            oidcc_codereuse_30seconds,
            oidcc_refresh_token,
            $($more),+
        }
        modules! { $variant.by("client_secret_post"); oidcc_server_client_secret_post }
    };
}

/// Basic; with static clients there is nothing more.
macro_rules! basic_plan {
    ($variant:expr $(; $($more:ident),+)?) => {
        with_code_modules! {
            $variant;
            oidcc_response_type_missing,
            oidcc_ensure_request_without_nonce_succeeds_for_code_flow,
            oidcc_alternate_happy_flow,
            oidcc_ensure_post_request_succeeds,
            oidcc_ensure_request_with_valid_pkce_succeeds,
            $($($more),+)?
        }
    };
}

/// Implicit, by response type.
macro_rules! implicit_plan {
    ($variant:expr $(; $($more:ident),+)?) => {
        with_common_modules! {
            $variant;
            oidcc_ensure_request_without_nonce_fails,
            oidcc_alternate_happy_flow,
            $($($more),+)?
        }
    };
}
