//! libFuzzer's way to [`bn_fuzz::targets::whole_case`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bn_fuzz::targets::whole_case::whole_case(data));
