//! Arithmetic in a type of its own: every operation is rounded once to it.

use bn_api::DType;

/// Computes in `f64` and rounds each result to a narrower type.
///
/// That is what the narrower type's own operation gives: for sums, products, quotients and roots a first rounding to
/// 2p + 2 or more digits does no harm (Figueroa, *When is double rounding innocuous?*, 1995), and `f64` has 53 for the
/// 24 of `f32`, the 11 of `f16` and the 8 of `bf16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arithmetic {
    /// The type that results are rounded to.
    pub dtype: DType,
}

impl Arithmetic {
    /// In single precision.
    pub const SINGLE: Arithmetic = Arithmetic { dtype: DType::F32 };

    /// In double precision.
    pub const DOUBLE: Arithmetic = Arithmetic { dtype: DType::F64 };

    /// A number in this type.
    pub fn round(self, value: f64) -> f64 {
        match self.dtype {
            DType::F64 | DType::I64 => value,
            DType::F32 => f64::from(value as f32),
            half => half.round(value),
        }
    }

    /// a + b.
    pub fn add(self, a: f64, b: f64) -> f64 {
        self.round(a + b)
    }

    /// a - b.
    pub fn sub(self, a: f64, b: f64) -> f64 {
        self.round(a - b)
    }

    /// a · b.
    pub fn mul(self, a: f64, b: f64) -> f64 {
        self.round(a * b)
    }

    /// a / b.
    pub fn div(self, a: f64, b: f64) -> f64 {
        self.round(a / b)
    }

    /// √a.
    pub fn sqrt(self, a: f64) -> f64 {
        self.round(a.sqrt())
    }

    /// a · b + c with one rounding.
    pub fn fma(self, a: f64, b: f64, c: f64) -> f64 {
        match self.dtype {
            DType::F32 => f64::from((a as f32).mul_add(b as f32, c as f32)),
            _ => self.round(a.mul_add(b, c)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_precision_is_that_of_f32() {
        let numbers = [1.0_f32, 0.1, -3.3, 1e-30, 7e30, f32::MIN_POSITIVE / 8.0, 16_777_217.0, f32::INFINITY];
        for a in numbers {
            for b in numbers {
                let [wide_a, wide_b] = [a, b].map(f64::from);
                let s = Arithmetic::SINGLE;
                let same = |got: f64, due: f32| got.to_bits() == f64::from(due).to_bits() || due.is_nan();
                assert!(same(s.add(wide_a, wide_b), a + b), "{a} + {b}");
                assert!(same(s.sub(wide_a, wide_b), a - b), "{a} - {b}");
                assert!(same(s.mul(wide_a, wide_b), a * b), "{a} * {b}");
                assert!(same(s.div(wide_a, wide_b), a / b), "{a} / {b}");
                assert!(same(s.sqrt(wide_a), a.sqrt()), "sqrt {a}");
            }
        }
    }

    #[test]
    fn fusing_rounds_once() {
        let (a, b) = (1.0 + 2.0_f64.powi(-13), 1.0 - 2.0_f64.powi(-13));
        assert_eq!(Arithmetic::SINGLE.fma(a, b, -1.0), -(2.0_f64.powi(-26)));
        assert_eq!(Arithmetic::SINGLE.sub(Arithmetic::SINGLE.mul(a, b), 1.0), 0.0);
    }
}
