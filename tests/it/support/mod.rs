//! What the tests need around Latchkey.

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
