#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    latchkey_fuzz::oracles::redirect_register::redirect_register(data)
});
