//! The fuzz targets of `tests/fuzz/targets`, for libFuzzer: `make fuzz TARGET=frames SECONDS=600`.
//!
//! A workspace of its own, because libFuzzer wants a nightly compiler and the tests of Meridian do not. Not here: the
//! targets themselves, which the ordinary tests run too.

#[path = "../../tests/fuzz/targets/mod.rs"]
pub mod targets;
