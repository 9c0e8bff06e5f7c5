//! libFuzzer's way to `tests/fuzz/targets/startup.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| meridian_fuzz::targets::startup::run(data));
