#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::oracles::bootstrap_toml::bootstrap_toml(data));
