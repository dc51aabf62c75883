//! The four element types of the format, and correctly rounded conversion into them.

use half::{bf16, f16};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

/// An element type. `f16` is IEEE binary16, `bf16` is bfloat16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// IEEE binary16: 11 significant bits, up to 65504.
    F16,
    /// bfloat16: 8 significant bits, the range of `f32`.
    Bf16,
    /// IEEE binary32.
    F32,
    /// IEEE binary64.
    F64,
    /// 64-bit signed integers: for `num_batches_tracked`, and inputs that are refused.
    #[schemars(skip)]
    I64,
}

impl DType {
    /// The floating-point types, narrowest first.
    pub const FLOATS: [DType; 4] = [DType::F16, DType::Bf16, DType::F32, DType::F64];

    /// Bytes of one element.
    #[inline]
    pub const fn size(self) -> usize {
        match self {
            DType::F16 | DType::Bf16 => 2,
            DType::F32 => 4,
            DType::F64 | DType::I64 => 8,
        }
    }

    /// The name used in case files, ids and reports.
    pub const fn name(self) -> &'static str {
        match self {
            DType::F16 => "f16",
            DType::Bf16 => "bf16",
            DType::F32 => "f32",
            DType::F64 => "f64",
            DType::I64 => "i64",
        }
    }

    /// Whether this is a floating-point type.
    #[inline]
    pub const fn is_float(self) -> bool {
        !matches!(self, DType::I64)
    }

    /// Whether this is one of the two 16-bit floating-point types.
    #[inline]
    pub const fn is_half(self) -> bool {
        matches!(self, DType::F16 | DType::Bf16)
    }

    /// Bits of the significand, the hidden one included: `u = 2^-precision` is the unit roundoff.
    #[inline]
    pub const fn precision(self) -> i32 {
        match self {
            DType::F16 => 11,
            DType::Bf16 => 8,
            DType::F32 => 24,
            DType::F64 => 53,
            DType::I64 => 63,
        }
    }

    /// The unit roundoff `u` of round-to-nearest (Higham 2002, §2.1): half the gap between 1 and the next
    /// number.
    #[inline]
    pub const fn unit_roundoff(self) -> f64 {
        power_of_two(-self.precision())
    }

    /// The smallest positive subnormal number.
    #[inline]
    pub const fn smallest_subnormal(self) -> f64 {
        match self {
            DType::F16 => power_of_two(-24),
            DType::Bf16 => power_of_two(-133),
            DType::F32 => power_of_two(-149),
            DType::F64 => f64::from_bits(1),
            DType::I64 => 1.0,
        }
    }

    /// The largest finite number.
    #[inline]
    pub fn max_finite(self) -> f64 {
        match self {
            DType::F16 => f16::MAX.to_f64(),
            DType::Bf16 => bf16::MAX.to_f64(),
            DType::F32 => f64::from(f32::MAX),
            DType::F64 => f64::MAX,
            DType::I64 => i64::MAX as f64,
        }
    }

    /// Whether `value` rounded to this type is infinite: what lies half way between the largest number and the next one
    /// that there would be is.
    #[inline]
    pub fn rounds_to_infinity(self, value: f64) -> bool {
        const F16_END: f64 = 65_520.0;
        const BF16_END: f64 = f64::from_bits(0x47ef_f000_0000_0000);
        const F32_END: f64 = f64::from_bits(0x47ef_ffff_f000_0000);
        match self {
            DType::F16 => value.abs() >= F16_END,
            DType::Bf16 => value.abs() >= BF16_END,
            DType::F32 => value.abs() >= F32_END,
            DType::F64 => value.is_infinite(),
            DType::I64 => false,
        }
    }

    /// `value` rounded to this type, to nearest, ties to even, in one rounding, as its bit pattern in the
    /// low bits. For `I64` the value is truncated.
    #[inline]
    pub fn bits_of(self, value: f64) -> u64 {
        match self {
            DType::F16 => u64::from(f16::from_f32(round_to_odd(value)).to_bits()),
            DType::Bf16 => u64::from(bf16::from_f32(round_to_odd(value)).to_bits()),
            DType::F32 => u64::from((value as f32).to_bits()),
            DType::F64 => value.to_bits(),
            DType::I64 => (value as i64) as u64,
        }
    }

    /// The number that a bit pattern of this type stands for, exactly (`I64`: to 53 bits).
    #[inline]
    pub fn value_of(self, bits: u64) -> f64 {
        match self {
            DType::F16 => f16::from_bits(bits as u16).to_f64(),
            DType::Bf16 => bf16::from_bits(bits as u16).to_f64(),
            DType::F32 => f64::from(f32::from_bits(bits as u32)),
            DType::F64 => f64::from_bits(bits),
            DType::I64 => (bits as i64) as f64,
        }
    }

    /// `value` rounded to this type and back.
    #[inline]
    pub fn round(self, value: f64) -> f64 {
        match self {
            DType::F64 => value,
            DType::F32 => f64::from(value as f32),
            _ => self.value_of(self.bits_of(value)),
        }
    }

    /// How many representable numbers lie between two bit patterns of this type; `None` when one is a NaN.
    /// Zero of either sign counts as the same number.
    pub fn ulps_between(self, a: u64, b: u64) -> Option<u64> {
        if self.value_of(a).is_nan() || self.value_of(b).is_nan() {
            return None;
        }
        let (a, b) = (self.ordinal(a), self.ordinal(b));
        u64::try_from((a - b).abs()).ok()
    }

    /// A bit pattern as an integer that grows with the number it stands for.
    fn ordinal(self, bits: u64) -> i128 {
        if self == DType::I64 {
            return i128::from(bits as i64);
        }
        let sign_bit = 1u64 << (self.size() * 8 - 1);
        let magnitude = i128::from(bits & (sign_bit - 1));
        if bits & sign_bit == 0 { magnitude } else { -magnitude }
    }
}

/// Reads one of [`DType::FLOATS`]: what case files may say.
pub(crate) fn float_dtype<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DType, D::Error> {
    String::deserialize(deserializer).and_then(|word| named(&word))
}

/// The same where the field may be left out or null.
pub(crate) fn optional_float_dtype<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<DType>, D::Error> {
    Option::<String>::deserialize(deserializer)?.map(|word| named(&word)).transpose()
}

/// Reads any of the five types, where the field may be left out or null.
pub(crate) fn optional_dtype<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DType>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        Some(word) if word == DType::I64.name() => Ok(Some(DType::I64)),
        word => word.map(|word| named(&word)).transpose(),
    }
}

fn named<E: serde::de::Error>(word: &str) -> Result<DType, E> {
    const NAMES: &[&str] = &["f16", "bf16", "f32", "f64"];
    let found = DType::FLOATS.into_iter().find(|dtype| dtype.name() == word);
    found.ok_or_else(|| E::unknown_variant(word, NAMES))
}

impl std::fmt::Display for DType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// One of the normal numbers of `f64`.
const fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// `value` as an `f32`, rounded toward zero with the last bit set where anything was lost.
///
/// Rounding such a number again to at most 22 bits gives the same as rounding the original once (Boldo and
/// Melquiond 2008), which `value as f32` followed by a second rounding does not. The `half` crate's own
/// conversion from `f64` drops the lower 32 bits instead, and takes some ties the wrong way.
#[inline]
fn round_to_odd(value: f64) -> f32 {
    let nearest = value as f32;
    if f64::from(nearest) == value || value.is_nan() {
        return nearest;
    }
    let away = f64::from(nearest).abs() > value.abs();
    let truncated = if away { nearest.to_bits() - 1 } else { nearest.to_bits() };
    f32::from_bits(truncated | 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_number_survives_the_way_through_f64() {
        for bits in 0..=u16::MAX {
            for dtype in [DType::F16, DType::Bf16] {
                let value = dtype.value_of(u64::from(bits));
                if !value.is_nan() {
                    assert_eq!(dtype.bits_of(value), u64::from(bits), "{dtype} {bits:#06x}");
                }
            }
        }
    }

    #[test]
    fn a_number_just_above_a_tie_rounds_up_and_the_tie_itself_to_even() {
        for dtype in [DType::F16, DType::Bf16] {
            for bits in [0x3c00u64, 0x3c01, 0x0001, 0x0400, 0x3f80, 0x5555] {
                let (low, high) = (dtype.value_of(bits), dtype.value_of(bits + 1));
                let tie = f64::midpoint(low, high);
                let even = if bits.is_multiple_of(2) { bits } else { bits + 1 };
                assert_eq!(dtype.bits_of(tie), even, "{dtype} {bits:#x}");
                assert_eq!(dtype.bits_of(tie.next_up()), bits + 1, "{dtype} {bits:#x}");
                assert_eq!(dtype.bits_of(tie.next_down()), bits, "{dtype} {bits:#x}");
                assert_eq!(dtype.bits_of(-tie.next_up()), (bits + 1) | 0x8000, "{dtype} {bits:#x}");
            }
        }
    }

    #[test]
    fn overflow_rounds_to_infinity_at_the_half_way_point() {
        assert_eq!(DType::F16.round(65519.999), 65504.0);
        assert_eq!(DType::F16.round(65520.0), f64::INFINITY);
        assert_eq!(DType::Bf16.round(f64::MAX), f64::INFINITY);
        assert_eq!(DType::F32.round(-1e39), f64::NEG_INFINITY);
    }

    #[test]
    fn what_rounds_to_infinity_is_known_without_rounding() {
        for dtype in DType::FLOATS {
            let largest = dtype.max_finite();
            let half_way = largest + largest * dtype.unit_roundoff();
            let ends = [0.0, 1.0, largest, half_way, half_way.next_down(), half_way.next_up(), f64::MAX];
            for value in ends.into_iter().chain([f64::INFINITY, f64::NAN]) {
                for value in [value, -value] {
                    let infinite = dtype.round(value).is_infinite();
                    assert_eq!(dtype.rounds_to_infinity(value), infinite, "{dtype} {value:e}");
                }
            }
        }
    }

    #[test]
    fn the_constants_of_each_type_are_powers_of_two() {
        for (dtype, subnormal) in [(DType::F16, -24), (DType::Bf16, -133), (DType::F32, -149)] {
            assert_eq!(dtype.smallest_subnormal(), 2f64.powi(subnormal));
            assert_eq!(dtype.unit_roundoff(), 2f64.powi(-dtype.precision()));
        }
        assert_eq!(DType::F64.unit_roundoff(), 0.5 * f64::EPSILON);
    }

    #[test]
    fn ulps_are_counted_across_zero() {
        let bits = |v: f64| DType::F32.bits_of(v);
        assert_eq!(DType::F32.ulps_between(bits(0.0), bits(-0.0)), Some(0));
        assert_eq!(DType::F32.ulps_between(1, 0x8000_0001), Some(2));
        assert_eq!(DType::F32.ulps_between(bits(1.0), bits(f64::NAN)), None);
    }
}
