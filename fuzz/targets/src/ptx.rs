//! libFuzzer's way to [`bn_fuzz::targets::ptx`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bn_fuzz::targets::ptx::ptx(data));
