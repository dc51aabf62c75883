//! Numbers with few digits, from the whole range and crowded about its landmarks.

use bn_cases::DType;
use proptest::prelude::*;

/// Above zero: mostly near 1, now and then anywhere in the range of `f64`. Each has at most three digits, so
/// that a case stays readable.
pub fn magnitude() -> BoxedStrategy<f64> {
    prop_oneof![
        8 => prop::sample::select(vec![1.0, 2.0, 0.5, 3.0, 10.0, 0.1, 100.0, 0.25]),
        6 => (-6..=7i32, 100..1000u32).prop_map(|(decade, digits)| scaled(digits, decade)),
        2 => prop::sample::select(vec![1e3, 1e4, 1e5, 1e7, 1e-3, 1e-6, 1e-8, 2048.0, 256.0, 4096.0]),
        1 => (-45..=38i32, 100..1000u32).prop_map(|(decade, digits)| scaled(digits, decade)),
        1 => prop::sample::select(vec![1e19, 1e18, 1e-19, 1e-20, 1e-38, 1e-40, 3e38, 1e150, 1e-160, 1e300]),
    ]
    .boxed()
}

/// The same with a sign, and zero.
pub fn signed() -> BoxedStrategy<f64> {
    prop_oneof![
        1 => Just(0.0),
        6 => magnitude(),
        4 => magnitude().prop_map(|magnitude| -magnitude),
    ]
    .boxed()
}

/// `digits` as 1.00 to 9.99 times a power of ten.
fn scaled(digits: u32, decade: i32) -> f64 {
    let text = format!("{digits}e{}", decade - 2);
    text.parse().unwrap_or(1.0)
}

/// Rounded to three digits.
pub fn short(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

/// `value`, or the nearest number to it that is at most `share` of the dtype's largest and does not round to
/// zero; of integers a whole one.
pub fn fit(value: f64, dtype: DType, share: f64) -> f64 {
    let largest = dtype.max_finite() * share;
    if value.abs() > largest {
        largest.copysign(value)
    } else if value != 0.0 && dtype.round(value) == 0.0 {
        dtype.smallest_subnormal().copysign(value)
    } else if dtype.is_float() {
        value
    } else {
        dtype.round(value)
    }
}
