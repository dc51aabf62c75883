//! libFuzzer's way to [`bn_fuzz::targets::suite`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bn_fuzz::targets::suite::suite(data));
