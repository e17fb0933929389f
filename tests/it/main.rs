//! The one integration test binary: everything is tested from outside, against real sockets.

mod architecture;
mod authorize;
mod clients;
mod code_flow;
mod introspect_revoke;
mod logs;
mod metrics;
mod native_apps;
mod outages;
mod private_key_jwt;
mod program;
mod races;
mod readme;
mod refresh_model;
mod refresh_table;
mod registration;
mod registration_gate;
mod secure;
mod serving;
mod sessions;
mod store_conformance;
mod stored;
mod support;
mod throttling;
mod token;
