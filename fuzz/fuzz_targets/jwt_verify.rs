#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::oracles::jwt_verify::jwt_verify(data));
