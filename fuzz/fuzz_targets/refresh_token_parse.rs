#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    latchkey_fuzz::oracles::refresh_token_parse::refresh_token_parse(data)
});
