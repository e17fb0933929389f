//! The oracles of `tests/oracles/`, for libFuzzer; `tests/it/fuzz_corpus.rs` runs the same ones.

#[path = "../../tests/oracles/mod.rs"]
pub mod oracles;
