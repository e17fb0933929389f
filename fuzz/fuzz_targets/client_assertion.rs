#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    latchkey_fuzz::oracles::client_assertion::client_assertion(data)
});
