//! `oidcc-implicit-certification-test-plan` and `oidcc-formpost-implicit-certification-test-plan`.
//!
//! Where there is an access token, the userinfo modules are run too; a request without a response type is
//! tried once for both.

use super::suite::Variant;

const ID_TOKEN: Variant = Variant::of("id_token");
const ID_TOKEN_TOKEN: Variant = Variant::of("id_token token");

macro_rules! implicit_plans {
    ($id_token:expr, $id_token_token:expr $(; $signature:ident)?) => {
        mod id_token {
            use super::*;
            implicit_plan! { $id_token $(; $signature)? }
        }

        mod id_token_token {
            use super::*;
            implicit_plan! {
                $id_token_token;
                oidcc_userinfo_get,
                oidcc_userinfo_post_header,
                oidcc_userinfo_post_body,
                oidcc_response_type_missing
                $(, $signature)?
            }
        }
    };
}

mod dynamic_client {
    use super::{ID_TOKEN, ID_TOKEN_TOKEN};
    implicit_plans! { ID_TOKEN, ID_TOKEN_TOKEN; oidcc_idtoken_signature }
}

mod static_client {
    use super::{ID_TOKEN, ID_TOKEN_TOKEN};
    implicit_plans! { ID_TOKEN.static_client(), ID_TOKEN_TOKEN.static_client() }
}

mod form_post {
    mod dynamic_client {
        use super::super::{ID_TOKEN, ID_TOKEN_TOKEN};
        implicit_plans! { ID_TOKEN.form_post(), ID_TOKEN_TOKEN.form_post(); oidcc_idtoken_signature }
    }

    mod static_client {
        use super::super::{ID_TOKEN, ID_TOKEN_TOKEN};
        implicit_plans! {
            ID_TOKEN.form_post().static_client(), ID_TOKEN_TOKEN.form_post().static_client()
        }
    }
}
