//! What the integration tests stand on: a real server in this process, and the parties around it.
//!
//! # How to write a test
//!
//! ```text
//! async fn a_code_is_redeemed_once(server: TestServer) {
//!     let shop = server.relying_party("shop").await;             // a registered confidential client
//!     let ada = server.browser("ada");                           // cookies, redirects, forms
//!     let request = shop.authorization_request("openid");        // with PKCE; `.with(name, value)` changes it
//!     let code = ada.authorize(&request.url()).await.code();     // signs in and consents where it is asked to
//!     shop.redeem(&code, &request).await.success_json();
//!     server.advance_time(Duration::from_secs(5));               // time moves by hand only
//!     let again = shop.redeem(&code, &request).await.error();
//!     assert_eq!(again, (400, "invalid_grant".to_owned()));
//! }
//!
//! on_every_store!(a_code_is_redeemed_once);                      // in memory, in a file, in Redis
//! ```
//!
//! - A file of `tests/it` is one subject, with its `mod` line in `main.rs`. A test's name is a sentence.
//! - `on_every_store!(&[("NAME", "value")]; a, b)` sets variables; `on_every_backend!` is for scenarios that start
//!   their servers themselves, from a [`Backend`](test_server::Backend).
//! - The users `ada`, who has every claim, and `bob` are there, with [`PASSWORD`](test_server::PASSWORD).
//! - `server.failing_store()` makes the store fail ([`failing_store`]), `server.start_another()` puts a second server
//!   on the same store, `server.restart()` starts it again on what is stored.
//! - `server.run_operation(…)` is what an operator does with the command line.
//! - Hosts of clients are [`mock_client_host`] (documents and keys) and [`logout_receiver`] (back-channel logout).
//! - Redis as such, sentinels and clusters are in [`redis`] and [`topologies`]; `tests/faults` uses them, too.

pub mod backends;
pub mod browser;
pub mod failing_store;
pub mod http;
pub mod logout_receiver;
pub mod mock_client_host;
pub mod redis;
pub mod relying_party;
pub mod test_server;
pub mod topologies;
