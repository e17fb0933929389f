//! The one integration test binary: everything is tested from outside, against real sockets.

mod architecture;
mod authorize;
mod clients;
mod code_flow;
mod cors;
mod introspect_revoke;
mod logs;
mod metrics;
mod people;
mod races;
mod readme;
mod refresh_model;
mod registration;
mod response_types;
mod serving;
mod store_conformance;
mod support;
mod token;
