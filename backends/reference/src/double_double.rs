//! Numbers of twice the precision of `f64`: the arithmetic of the [`Arbiter`](crate::Arbiter).
//!
//! A number is the unevaluated sum of two `f64`, the first of which is that sum rounded, and so carries about 106 bits
//! in the exponents of `f64`. With u = 2⁻⁵³, the relative errors of the operations are at most
//!
//! | operation | bound | algorithm |
//! |---|---|---|
//! | `+`, `-` | 3 u² + 13 u³ | `AccurateDWPlusDW` (6 of \[J\]) |
//! | `*` | 5 u² | `DWTimesDW3` (12 of \[J\]) |
//! | `/` | 9.8 u² | `DWDivDW3` (18 of \[J\]) |
//! | `sqrt` | 25/8 u² | `SQRTDWtoDW` (8 of \[L\]) |
//!
//! as long as no error term falls below the normal numbers: `tests/double_double.rs` compares them with exact rational
//! numbers. What is infinite, NaN or zero is what `f64` makes of it, sign and all.
//!
//! Addition, subtraction and multiplication are those of [`twofloat`]. Its division rounds the product of which
//! Algorithm 18 needs the exact remainder, and is no better than that of `f64` (off by 9·10¹⁵ u², version 0.8.4); its
//! square root has no proven bound, measures 7 u², and loses the small numbers; of infinities it makes NaN, and
//! compares all of them as equal; zeros lose their sign. These are written here.
//!
//! - \[J\] M. Joldes, J.-M. Muller, V. Popescu, *Tight and rigorous error bounds for basic building blocks of
//!   double-word arithmetic*, ACM TOMS 44(2), 2017.
//! - \[L\] V. Lefèvre, N. Louvet, J.-M. Muller, J. Picot, L. Rideau, *Accurate calculation of Euclidean norms using
//!   double-word arithmetic*, ACM TOMS 49(1), 2023.

mod float;

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, AddAssign, Div, DivAssign, Mul, MulAssign, Neg, Rem, RemAssign, Sub, SubAssign};

use ndarray::{NdFloat, ScalarOperand};
use num_traits::{Num, NumCast, One, ToPrimitive, Zero};
use twofloat::TwoFloat;

/// A number of about 106 bits.
#[derive(Debug, Clone, Copy)]
pub struct DoubleDouble(TwoFloat);

impl DoubleDouble {
    /// The exact sum of two numbers, as long as it does not overflow.
    pub fn sum_of(a: f64, b: f64) -> Self {
        settled(a + b, TwoFloat::new_add(a, b))
    }

    /// The number rounded to `f64`.
    pub fn high(self) -> f64 {
        self.0.hi()
    }

    /// What rounding to `f64` leaves; nothing of what is infinite or NaN.
    pub fn low(self) -> f64 {
        self.0.lo()
    }

    /// Square root: negative numbers have none, and that of -0 is -0, as in `f64`.
    fn root(self) -> Self {
        let plain = self.high().sqrt();
        if !plain.is_finite() || plain == 0.0 {
            return plain.into();
        }
        if self.high() < power_of_two(-900) {
            // The remainder of the root's square may lie below the normal numbers.
            let root = Self(self.0 * power_of_two(200)).root();
            return Self(root.0 * power_of_two(-100));
        }
        let square_off_by = (-plain).mul_add(plain, self.high()) + self.low();
        Self(TwoFloat::new_add(plain, square_off_by / (2.0 * plain)))
    }
}

/// One of the normal numbers.
const fn power_of_two(exponent: i16) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

/// What `f64` makes of it where that is infinite, NaN or zero, or where only the longer number overflows on the way.
fn settled(plain: f64, long: TwoFloat) -> DoubleDouble {
    if !plain.is_finite() || !long.hi().is_finite() || !long.lo().is_finite() {
        plain.into()
    } else if long.hi() == 0.0 {
        if plain == 0.0 { plain.into() } else { 0.0.into() }
    } else {
        DoubleDouble(long)
    }
}

/// x / y.
fn quotient(x: TwoFloat, y: TwoFloat) -> TwoFloat {
    // Where the inverse is none of the normal numbers, that of a number nearer to 1 is.
    let nearer = match y.hi().abs() {
        large if large > power_of_two(1000) => power_of_two(-200),
        small if small < power_of_two(-1000) => power_of_two(200),
        _ => 1.0,
    };
    let (x, y) = (x * nearer, y * nearer);
    let inverse = y.hi().recip();
    // Exactly what the rounded inverse is off by.
    let off_by = (-y.hi()).mul_add(inverse, 1.0);
    let off_by = TwoFloat::new_add(off_by, -(y.lo() * inverse));
    x * (off_by * inverse + inverse)
}

impl From<f64> for DoubleDouble {
    fn from(value: f64) -> Self {
        DoubleDouble(TwoFloat::from_f64(value))
    }
}

impl Add for DoubleDouble {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        settled(self.high() + other.high(), self.0 + other.0)
    }
}

impl Sub for DoubleDouble {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        settled(self.high() - other.high(), self.0 - other.0)
    }
}

impl Mul for DoubleDouble {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        settled(self.high() * other.high(), self.0 * other.0)
    }
}

impl Div for DoubleDouble {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        settled(self.high() / other.high(), quotient(self.0, other.0))
    }
}

impl Rem for DoubleDouble {
    type Output = Self;

    fn rem(self, other: Self) -> Self {
        settled(self.high() % other.high(), self.0 % other.0)
    }
}

impl Neg for DoubleDouble {
    type Output = Self;

    fn neg(self) -> Self {
        DoubleDouble(-self.0)
    }
}

macro_rules! assigning {
    ($($operator:ident $assign:ident $operation:ident;)*) => {$(
        impl $operator for DoubleDouble {
            fn $assign(&mut self, other: Self) {
                *self = self.$operation(other);
            }
        }
    )*};
}

assigning! {
    AddAssign add_assign add;
    SubAssign sub_assign sub;
    MulAssign mul_assign mul;
    DivAssign div_assign div;
    RemAssign rem_assign rem;
}

impl PartialEq for DoubleDouble {
    fn eq(&self, other: &Self) -> bool {
        (self.high(), self.low()) == (other.high(), other.low())
    }
}

impl PartialOrd for DoubleDouble {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.high(), self.low()).partial_cmp(&(other.high(), other.low()))
    }
}

impl Zero for DoubleDouble {
    fn zero() -> Self {
        0.0.into()
    }

    fn is_zero(&self) -> bool {
        self.high() == 0.0
    }
}

impl One for DoubleDouble {
    fn one() -> Self {
        1.0.into()
    }
}

impl Num for DoubleDouble {
    type FromStrRadixErr = <f64 as Num>::FromStrRadixErr;

    fn from_str_radix(text: &str, radix: u32) -> Result<Self, Self::FromStrRadixErr> {
        f64::from_str_radix(text, radix).map(Into::into)
    }
}

impl ToPrimitive for DoubleDouble {
    fn to_i64(&self) -> Option<i64> {
        self.0.to_i64()
    }

    fn to_u64(&self) -> Option<u64> {
        self.0.to_u64()
    }

    /// The nearest.
    fn to_f64(&self) -> Option<f64> {
        Some(self.high())
    }
}

impl NumCast for DoubleDouble {
    /// By way of `f64`.
    fn from<T: ToPrimitive>(number: T) -> Option<Self> {
        number.to_f64().map(Into::into)
    }
}

impl ScalarOperand for DoubleDouble {}
impl NdFloat for DoubleDouble {}

impl fmt::Display for DoubleDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::LowerExp for DoubleDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::LowerExp::fmt(&self.0, f)
    }
}

impl fmt::UpperExp for DoubleDouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::UpperExp::fmt(&self.0, f)
    }
}
