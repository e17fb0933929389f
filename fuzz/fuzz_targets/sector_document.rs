#![no_main]

libfuzzer_sys::fuzz_target!(
    |data: &[u8]| latchkey_fuzz::oracles::sector_document::sector_document(data)
);
