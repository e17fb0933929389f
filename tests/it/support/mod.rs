//! What the tests need around Latchkey.

pub mod redis;
