#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| latchkey_fuzz::oracles::cookie_parse::cookie_parse(data));
