//! What the tests need around Latchkey.

pub mod backing;
pub mod browser;
pub mod ears;
pub mod elsewhere;
pub mod faults;
pub mod house;
pub mod redis;
pub mod relying_party;
pub mod topologies;
pub mod wire;
