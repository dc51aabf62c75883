//! libFuzzer's way to [`bn_fuzz::targets::budgets`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| bn_fuzz::targets::budgets::budgets(data));
