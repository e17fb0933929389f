//! `oidcc-hybrid-certification-test-plan` and `oidcc-formpost-hybrid-certification-test-plan`.
//!
//! `code token` has no ID token in the answer, so it needs no nonce; what is the same for all three response
//! types is tried with the first.

use super::suite::Variant;

const CODE_ID_TOKEN: Variant = Variant::of("code id_token");
const CODE_TOKEN: Variant = Variant::of("code token");
const CODE_ID_TOKEN_TOKEN: Variant = Variant::of("code id_token token");

macro_rules! hybrid_plans {
    ($change:ident $(; $signature:ident)?) => {
        mod code_id_token {
            use super::*;
            with_code_modules! {
                $change(CODE_ID_TOKEN);
                oidcc_response_type_missing,
                oidcc_ensure_request_without_nonce_fails,
                oidcc_alternate_happy_flow,
                oidcc_ensure_request_with_valid_pkce_succeeds
                $(, $signature)?
            }
        }

        mod code_token {
            use super::*;
            with_code_modules! {
                $change(CODE_TOKEN);
                oidcc_ensure_request_without_nonce_succeeds_for_code_flow
                $(, $signature)?
            }
        }

        mod code_id_token_token {
            use super::*;
            with_code_modules! {
                $change(CODE_ID_TOKEN_TOKEN);
                oidcc_ensure_request_without_nonce_fails
                $(, $signature)?
            }
        }
    };
}

mod dynamic_client {
    use super::*;
    const fn as_it_is(variant: Variant) -> Variant {
        variant
    }
    hybrid_plans! { as_it_is; oidcc_idtoken_signature }
}

mod static_client {
    use super::*;
    const fn declared(variant: Variant) -> Variant {
        variant.static_client()
    }
    hybrid_plans! { declared }
}

mod form_post {
    use super::*;

    mod dynamic_client {
        use super::*;
        const fn by_form(variant: Variant) -> Variant {
            variant.form_post()
        }
        hybrid_plans! { by_form; oidcc_idtoken_signature }
    }

    mod static_client {
        use super::*;
        const fn declared_by_form(variant: Variant) -> Variant {
            variant.form_post().static_client()
        }
        hybrid_plans! { declared_by_form }
    }
}
