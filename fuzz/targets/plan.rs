//! libFuzzer's way to `tests/fuzz/targets/plan.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| meridian_fuzz::targets::plan::run(data));
