//! `oidcc-3rdparty-init-login-certification-test-plan`.

use super::suite::Variant;

modules! {
    Variant::of("code");
    oidcc_3rd_party_init_login,
    oidcc_3rd_party_init_login_nohttps,
}
