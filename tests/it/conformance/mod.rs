//! What the OpenID Foundation's conformance suite asks of a provider, module by module: one test for each
//! module of each plan, under the module's own name, run as the suite runs it: an https issuer, clients that
//! register as its clients do, a clean browser, no PKCE, states of 128 characters.
//!
//! | file | plan |
//! |---|---|
//! | `config.rs` | `oidcc-config-certification-test-plan`, and the files in `conformance/` |
//! | `basic.rs` | `oidcc-basic-…`, `oidcc-formpost-basic-…`, each with dynamic and static clients |
//! | `implicit.rs` | `oidcc-implicit-…`, `oidcc-formpost-implicit-…` |
//! | `hybrid.rs` | `oidcc-hybrid-…`, `oidcc-formpost-hybrid-…` |
//! | `dynamic.rs` | `oidcc-dynamic-…`, for every response type |
//! | `third_party_login.rs` | `oidcc-3rdparty-init-login-…` |
//!
//! `plans.rs` says which modules a plan has, `modules/` what they do, `checks/` what is looked at in every
//! one of them. The suite skips, and so do we, what is about ID tokens and request objects without a
//! signature, since `none` is not offered (`oidcc-idtoken-unsigned`, `oidcc-request-uri-unsigned`,
//! `oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported`,
//! `oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported`,
//! `oidcc-ensure-request-object-with-redirect-uri`).

#[macro_use]
mod plans;

mod basic;
mod checks;
mod client;
mod config;
mod dynamic;
mod hybrid;
mod implicit;
mod key;
mod modules;
mod suite;
mod third_party_login;
