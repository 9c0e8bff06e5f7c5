//! libFuzzer's way to `tests/fuzz/targets/scram.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| meridian_fuzz::targets::scram::run(data));
