//! libFuzzer's way to [`bn_fuzz::targets::frames`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bn_fuzz::targets::frames::frames(data));
