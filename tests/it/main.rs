//! The one integration test binary: everything is tested from outside, against real sockets.

mod architecture;
mod authorize;
mod clients;
mod code_flow;
mod introspect_revoke;
mod logout;
mod logs;
mod races;
mod readme;
mod refresh_model;
mod registration;
mod serving;
mod store_conformance;
mod support;
mod token;
