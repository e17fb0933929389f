//! Infrastructure: bytes, time, sockets and the store, without a word of OAuth.

pub mod client_ip;
pub mod clock;
pub mod jose;
pub mod outbound;
pub mod password;
pub mod random;
pub mod secret;
pub mod secret_key;
pub mod store;
