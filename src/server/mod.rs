//! The process: listeners, TLS, connections, the middleware around every endpoint, background tasks, start and stop.

pub mod allowed_hosts;
mod banner;
mod body_buffering;
mod concurrency_limit;
mod connection;
mod connection_limit;
pub mod control;
pub mod demo;
mod demo_app;
mod error_response;
pub mod event_writer;
pub mod issuer_redirect;
pub mod layers;
pub mod logging;
pub mod logout_worker;
pub mod maintenance;
pub mod process;
mod response_format;
mod response_headers;
pub mod routes;
pub mod run;
pub mod serve;
pub mod store_metrics;
pub mod tls;
