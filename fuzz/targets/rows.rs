//! libFuzzer's way to `tests/fuzz/targets/rows.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| meridian_fuzz::targets::rows::run(data));
