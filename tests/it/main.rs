//! The one integration test binary: everything is tested from outside, against real sockets.

mod store_conformance;
mod support;
