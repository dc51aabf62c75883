//! The rest of what `ndarray` demands of a number. Of it the formulas use the root alone; the others are those of
//! [`twofloat`] as they are, and no claim is made of their accuracy.

use std::num::FpCategory;

use num_traits::{Float, One, Zero};
use twofloat::TwoFloat;

use super::{DoubleDouble, settled};

macro_rules! as_twofloat_has_it {
    ($($name:ident)*) => {$(
        fn $name(self) -> Self {
            settled(self.high().$name(), self.0.$name())
        }
    )*};
    (of two: $($name:ident)*) => {$(
        fn $name(self, other: Self) -> Self {
            settled(self.high().$name(other.high()), self.0.$name(other.0))
        }
    )*};
}

impl Float for DoubleDouble {
    as_twofloat_has_it! {
        floor ceil round trunc fract exp exp2 ln log2 log10 cbrt sin cos tan asin acos atan exp_m1 ln_1p sinh cosh tanh
        asinh acosh atanh
    }

    as_twofloat_has_it! { of two: powf log hypot atan2 }

    fn sqrt(self) -> Self {
        self.root()
    }

    fn nan() -> Self {
        f64::NAN.into()
    }

    fn infinity() -> Self {
        f64::INFINITY.into()
    }

    fn neg_infinity() -> Self {
        f64::NEG_INFINITY.into()
    }

    fn neg_zero() -> Self {
        (-0.0).into()
    }

    fn min_value() -> Self {
        DoubleDouble(TwoFloat::MIN)
    }

    fn max_value() -> Self {
        DoubleDouble(TwoFloat::MAX)
    }

    fn min_positive_value() -> Self {
        f64::MIN_POSITIVE.into()
    }

    /// Twice u².
    fn epsilon() -> Self {
        (0.5 * f64::EPSILON * f64::EPSILON).into()
    }

    fn is_nan(self) -> bool {
        self.high().is_nan()
    }

    fn is_infinite(self) -> bool {
        self.high().is_infinite()
    }

    fn is_finite(self) -> bool {
        self.high().is_finite()
    }

    fn is_normal(self) -> bool {
        self.high().is_normal()
    }

    fn classify(self) -> FpCategory {
        self.high().classify()
    }

    fn abs(self) -> Self {
        if self.is_sign_negative() { -self } else { self }
    }

    fn signum(self) -> Self {
        self.high().signum().into()
    }

    fn is_sign_positive(self) -> bool {
        self.high().is_sign_positive()
    }

    fn is_sign_negative(self) -> bool {
        self.high().is_sign_negative()
    }

    /// In two roundings.
    fn mul_add(self, factor: Self, summand: Self) -> Self {
        self * factor + summand
    }

    fn recip(self) -> Self {
        Self::one() / self
    }

    fn powi(self, exponent: i32) -> Self {
        settled(self.high().powi(exponent), self.0.powi(exponent))
    }

    fn max(self, other: Self) -> Self {
        if self >= other || other.is_nan() { self } else { other }
    }

    fn min(self, other: Self) -> Self {
        if self <= other || other.is_nan() { self } else { other }
    }

    fn abs_sub(self, other: Self) -> Self {
        if self <= other { Self::zero() } else { self - other }
    }

    fn sin_cos(self) -> (Self, Self) {
        (self.sin(), self.cos())
    }

    /// That of the number rounded to `f64`.
    fn integer_decode(self) -> (u64, i16, i8) {
        self.high().integer_decode()
    }
}
