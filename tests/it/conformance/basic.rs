//! `oidcc-basic-certification-test-plan` and `oidcc-formpost-basic-certification-test-plan`.

use super::suite::Variant;

const CODE: Variant = Variant::of("code");

mod dynamic_client {
    basic_plan! { super::CODE; oidcc_idtoken_signature }
}

mod static_client {
    basic_plan! { super::CODE.static_client() }
}

mod form_post {
    mod dynamic_client {
        basic_plan! { super::super::CODE.form_post(); oidcc_idtoken_signature }
    }

    mod static_client {
        basic_plan! { super::super::CODE.form_post().static_client() }
    }
}
