//! Rounding in a direction.
//!
//! The nearest result comes from the hardware; whether the exact one lies above or below it is found in integers, and
//! then it is moved by one place where the direction asks for it.

use std::cmp::Ordering;

/// A direction of rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, ties to even: `.rn`.
    Nearest,
    /// Towards zero: `.rz`.
    Zero,
    /// Down: `.rm`.
    Down,
    /// Up: `.rp`.
    Up,
}

impl Rounding {
    /// By its modifier.
    pub fn named(name: &str) -> Option<Rounding> {
        match name {
            "rn" => Some(Rounding::Nearest),
            "rz" => Some(Rounding::Zero),
            "rm" => Some(Rounding::Down),
            "rp" => Some(Rounding::Up),
            _ => None,
        }
    }
}

/// A float that can be moved by one place.
pub trait Float: Copy + PartialOrd + Into<f64> {
    /// The next one below.
    fn below(self) -> Self;
    /// The next one above.
    fn above(self) -> Self;
    /// The same magnitude, sign cleared or set.
    fn with_sign(self, negative: bool) -> Self;
}

macro_rules! float {
    ($t:ty) => {
        impl Float for $t {
            fn below(self) -> Self {
                self.next_down()
            }
            fn above(self) -> Self {
                self.next_up()
            }
            fn with_sign(self, negative: bool) -> Self {
                self.copysign(if negative { -1.0 } else { 1.0 })
            }
        }
    };
}
float!(f32);
float!(f64);

/// The result in a direction, from the nearest one and how the exact one compares with it.
pub fn towards<F: Float>(nearest: F, exact: Ordering, rounding: Rounding) -> F {
    let negative = nearest.into().is_sign_negative();
    let moved = match (rounding, exact) {
        (Rounding::Nearest, _) | (_, Ordering::Equal) => return nearest,
        (Rounding::Down, Ordering::Less) => nearest.below(),
        (Rounding::Up, Ordering::Greater) => nearest.above(),
        (Rounding::Zero, order) if negative == order.is_gt() => {
            if negative {
                nearest.above()
            } else {
                nearest.below()
            }
        }
        _ => return nearest,
    };
    // A step to zero keeps the sign that the exact result has.
    if moved.into() == 0.0 { moved.with_sign(negative) } else { moved }
}

/// |x| = mantissa · 2^exponent, of a finite x.
fn parts(x: f64) -> (u128, i32) {
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32;
    let fraction = u128::from(bits & ((1 << 52) - 1));
    if exponent == 0 { (fraction, -1074) } else { (fraction | 1 << 52, exponent - 1075) }
}

/// Compares a·2^i with b·2^j.
fn compare((a, i): (u128, i32), (b, j): (u128, i32)) -> Ordering {
    if a == 0 || b == 0 {
        return a.cmp(&b);
    }
    let (up, down) = (a.leading_zeros() as i32, b.leading_zeros() as i32);
    (i - up).cmp(&(j - down)).then_with(|| (a << up).cmp(&(b << down)))
}

fn times((a, i): (u128, i32), (b, j): (u128, i32)) -> (u128, i32) {
    (a * b, i + j)
}

fn signed(order: Ordering, negative: bool) -> Ordering {
    if negative { order.reverse() } else { order }
}

/// How a·b compares with `nearest`.
pub fn product(a: f64, b: f64, nearest: f64) -> Ordering {
    if !a.is_finite() || !b.is_finite() || a == 0.0 || b == 0.0 {
        return Ordering::Equal;
    }
    let order = if nearest.is_infinite() {
        Ordering::Less
    } else {
        compare(times(parts(a), parts(b)), parts(nearest))
    };
    signed(order, nearest.is_sign_negative())
}

/// How a/b compares with `nearest`.
pub fn quotient(a: f64, b: f64, nearest: f64) -> Ordering {
    if !a.is_finite() || !b.is_finite() || a == 0.0 || b == 0.0 {
        return Ordering::Equal;
    }
    let order = if nearest.is_infinite() {
        Ordering::Less
    } else {
        compare(parts(a), times(parts(nearest), parts(b)))
    };
    signed(order, nearest.is_sign_negative())
}

/// How the root of a compares with `nearest`.
pub fn root(a: f64, nearest: f64) -> Ordering {
    if !a.is_finite() || a <= 0.0 {
        return Ordering::Equal;
    }
    compare(parts(a), times(parts(nearest), parts(nearest)))
}

/// How a + b compares with `nearest`, which may be a single-precision number.
pub fn sum(a: f64, b: f64, nearest: f64) -> Ordering {
    if !a.is_finite() || !b.is_finite() {
        return Ordering::Equal;
    }
    if nearest.is_infinite() {
        return signed(Ordering::Less, nearest < 0.0);
    }
    // Halved, nothing overflows; what halving loses is below the last place of any sum that large.
    let halve = a.abs() > 1e300 || b.abs() > 1e300;
    let (a, b, nearest) = if halve && a.abs().min(b.abs()) > 1e-290 {
        (a / 2.0, b / 2.0, nearest / 2.0)
    } else {
        (a, b, nearest)
    };
    // Knuth's TwoSum: high + low = a + b exactly.
    let high = a + b;
    let part = high - a;
    let low = (a - (high - part)) + (b - part);
    high.partial_cmp(&nearest)
        .unwrap_or(Ordering::Equal)
        .then_with(|| low.partial_cmp(&0.0).unwrap_or(Ordering::Equal))
}

/// The sum in a direction. A sum of exactly 0 of operands that are not both zeros of one sign is −0 downwards.
macro_rules! sum_towards {
    ($name:ident, $t:ty) => {
        #[allow(clippy::cast_lossless)]
        pub fn $name(a: $t, b: $t, rounding: Rounding) -> $t {
            let nearest = a + b;
            if nearest == 0.0
                && rounding == Rounding::Down
                && (a != 0.0 || a.is_sign_positive() != b.is_sign_positive())
            {
                return -0.0;
            }
            towards(nearest, sum(a as f64, b as f64, nearest as f64), rounding)
        }
    };
}
sum_towards!(sum_f32, f32);
sum_towards!(sum_f64, f64);

/// How an integer compares with `nearest`, its conversion.
pub fn integer(value: i128, nearest: f64) -> Ordering {
    if nearest.is_infinite() {
        return signed(Ordering::Less, nearest < 0.0);
    }
    signed(compare((value.unsigned_abs(), 0), parts(nearest)), value < 0)
}

/// To an integer as a float, `.rni`, `.rzi`, `.rmi` and `.rpi`.
pub fn whole(x: f64, rounding: Rounding) -> f64 {
    match rounding {
        Rounding::Nearest => x.round_ties_even(),
        Rounding::Zero => x.trunc(),
        Rounding::Down => x.floor(),
        Rounding::Up => x.ceil(),
    }
}
