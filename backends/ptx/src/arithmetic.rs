//! Which operation an opcode and a type name.

use std::cmp::Ordering;

use crate::bits;
use crate::float::{self, Rounding};
use crate::instruction::Type;
use crate::lanes::{CompareFn, LaneFn, Word, lane, lane_compare};

/// The same expression for an integer type given when PTX is decoded.
macro_rules! of_integer {
    ($type:expr, $t:ident => $body:expr) => {
        match $type {
            Type::U16 | Type::B16 => {
                type $t = u16;
                Some($body)
            }
            Type::U32 | Type::B32 => {
                type $t = u32;
                Some($body)
            }
            Type::U64 | Type::B64 => {
                type $t = u64;
                Some($body)
            }
            Type::S16 => {
                type $t = i16;
                Some($body)
            }
            Type::S32 => {
                type $t = i32;
                Some($body)
            }
            Type::S64 => {
                type $t = i64;
                Some($body)
            }
            _ => None,
        }
    };
}

/// The same for the wide types and their double.
macro_rules! of_wide {
    ($type:expr, $t:ident, $w:ident => $body:expr) => {
        match $type {
            Type::U16 => {
                type $t = u16;
                type $w = u32;
                Some($body)
            }
            Type::U32 => {
                type $t = u32;
                type $w = u64;
                Some($body)
            }
            Type::U64 => {
                type $t = u64;
                type $w = u128;
                Some($body)
            }
            Type::S16 => {
                type $t = i16;
                type $w = i32;
                Some($body)
            }
            Type::S32 => {
                type $t = i32;
                type $w = i64;
                Some($body)
            }
            Type::S64 => {
                type $t = i64;
                type $w = i128;
                Some($body)
            }
            _ => None,
        }
    };
}

/// The same for a float type.
macro_rules! of_float {
    ($type:expr, $t:ident => $body:expr) => {
        match $type {
            Type::F32 => {
                type $t = f32;
                Some($body)
            }
            Type::F64 => {
                type $t = f64;
                Some($body)
            }
            _ => None,
        }
    };
}

/// A move.
pub fn copy() -> LaneFn {
    lane!(|a, _, _| a)
}

/// Integer operations without modifiers.
pub fn integer(name: &str, of: Type) -> Option<LaneFn> {
    match name {
        "add" => of_integer!(of, T => lane!(|a, b, _| T::of(a).wrapping_add(T::of(b)).bits())),
        "sub" => of_integer!(of, T => lane!(|a, b, _| T::of(a).wrapping_sub(T::of(b)).bits())),
        "mul.lo" => of_integer!(of, T => lane!(|a, b, _| T::of(a).wrapping_mul(T::of(b)).bits())),
        "mad.lo" => {
            of_integer!(of, T => lane!(|a, b, c| T::of(a).wrapping_mul(T::of(b)).wrapping_add(T::of(c)).bits()))
        }
        "mul.hi" => of_wide!(of, T, W => lane!(|a, b, _| {
            ((W::from(T::of(a)) * W::from(T::of(b))) >> T::BITS) as T as u64 & mask(T::BITS)
        })),
        "mad.hi" => of_wide!(of, T, W => lane!(|a, b, c| {
            let high = ((W::from(T::of(a)) * W::from(T::of(b))) >> T::BITS) as T;
            high.wrapping_add(T::of(c)).bits()
        })),
        "mul.wide" if of.bytes() < 8 => {
            of_wide!(of, T, W => lane!(|a, b, _| (W::from(T::of(a)) * W::from(T::of(b))) as u64 & mask(W::BITS)))
        }
        "mad.wide" if of.bytes() < 8 => of_wide!(of, T, W => lane!(|a, b, c| {
            ((W::from(T::of(a)) * W::from(T::of(b))) as u64).wrapping_add(c) & mask(W::BITS)
        })),
        // A divisor of 0 is a fault before it comes here.
        "div" => {
            of_integer!(of, T => lane!(|a, b, _| if T::of(b) == 0 { 0 } else { T::of(a).wrapping_div(T::of(b)).bits() }))
        }
        "rem" => {
            of_integer!(of, T => lane!(|a, b, _| if T::of(b) == 0 { 0 } else { T::of(a).wrapping_rem(T::of(b)).bits() }))
        }
        "min" => of_integer!(of, T => lane!(|a, b, _| T::of(a).min(T::of(b)).bits())),
        "max" => of_integer!(of, T => lane!(|a, b, _| T::of(a).max(T::of(b)).bits())),
        "neg" if of.is_signed() => {
            of_integer!(of, T => lane!(|a, _, _| (0 as T).wrapping_sub(T::of(a)).bits()))
        }
        "abs" => match of {
            Type::S16 => Some(lane!(|a, _, _| i16::of(a).wrapping_abs().bits())),
            Type::S32 => Some(lane!(|a, _, _| i32::of(a).wrapping_abs().bits())),
            Type::S64 => Some(lane!(|a, _, _| i64::of(a).wrapping_abs().bits())),
            _ => None,
        },
        // A shift is by an unsigned 32-bit number; beyond the width everything is gone.
        "shl" => of_integer!(of, T => lane!(|a, b, _| {
            T::of(a).checked_shl(b as u32).unwrap_or(0).bits()
        })),
        "shr" => of_integer!(of, T => lane!(|a, b, _| {
            #[allow(unused_comparisons, clippy::absurd_extreme_comparisons)]
            let gone = if T::of(a) < 0 { (0 as T).wrapping_sub(1) } else { 0 };
            T::of(a).checked_shr(b as u32).unwrap_or(gone).bits()
        })),
        _ => None,
    }
}

const fn mask(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// Operations on bits, of `.b16`, `.b32`, `.b64` (and the signs of `bfe` and `bfind`).
pub fn bitwise(name: &str, of: Type) -> Option<LaneFn> {
    match name {
        "and" => Some(lane!(|a, b, _| a & b)),
        "or" => Some(lane!(|a, b, _| a | b)),
        "xor" => Some(lane!(|a, b, _| a ^ b)),
        "not" => of_integer!(of, T => lane!(|a, _, _| (!T::of(a)).bits())),
        "cnot" => Some(lane!(|a, _, _| u64::from(a == 0))),
        "popc" => Some(lane!(|a, _, _| u64::from(a.count_ones()))),
        "clz" => of_integer!(of, T => lane!(|a, _, _| u64::from(T::of(a).leading_zeros()))),
        "brev" => of_integer!(of, T => lane!(|a, _, _| T::of(a).reverse_bits().bits())),
        "bfind" | "bfind.shiftamt" => bfind(of, name == "bfind.shiftamt"),
        "bfe" => match of {
            Type::U32 => Some(lane!(|a, b, c| bits::extract(a, b, c, 32, false))),
            Type::S32 => Some(lane!(|a, b, c| bits::extract(a, b, c, 32, true))),
            Type::U64 => Some(lane!(|a, b, c| bits::extract(a, b, c, 64, false))),
            Type::S64 => Some(lane!(|a, b, c| bits::extract(a, b, c, 64, true))),
            _ => None,
        },
        "prmt" => Some(lane!(|a, b, c| u64::from(bits::permute(a as u32, b as u32, c as u32)))),
        "shf.l.wrap" => {
            Some(lane!(|a, b, c| u64::from(bits::funnel(a as u32, b as u32, c as u32, true, false))))
        }
        "shf.l.clamp" => {
            Some(lane!(|a, b, c| u64::from(bits::funnel(a as u32, b as u32, c as u32, true, true))))
        }
        "shf.r.wrap" => {
            Some(lane!(|a, b, c| u64::from(bits::funnel(a as u32, b as u32, c as u32, false, false))))
        }
        "shf.r.clamp" => {
            Some(lane!(|a, b, c| u64::from(bits::funnel(a as u32, b as u32, c as u32, false, true))))
        }
        _ => None,
    }
}

fn bfind(of: Type, shift: bool) -> Option<LaneFn> {
    macro_rules! find {
        ($t:ty, $shift:expr) => {
            lane!(|a, _, _| {
                let value = <$t>::of(a);
                #[allow(unused_comparisons, clippy::absurd_extreme_comparisons)]
                let value = if value < 0 { !value } else { value };
                if value == 0 {
                    0xffff_ffff
                } else if $shift {
                    u64::from(value.leading_zeros())
                } else {
                    u64::from(<$t>::BITS - 1 - value.leading_zeros())
                }
            })
        };
    }
    Some(match (of, shift) {
        (Type::U32, false) => find!(u32, false),
        (Type::U32, true) => find!(u32, true),
        (Type::S32, false) => find!(i32, false),
        (Type::S32, true) => find!(i32, true),
        (Type::U64, false) => find!(u64, false),
        (Type::U64, true) => find!(u64, true),
        (Type::S64, false) => find!(i64, false),
        (Type::S64, true) => find!(i64, true),
        _ => return None,
    })
}

/// Float operations that round, by direction.
pub fn rounded(name: &str, of: Type, rounding: Rounding) -> Option<LaneFn> {
    match (name, rounding) {
        ("add", Rounding::Nearest) => of_float!(of, T => lane!(|a, b, _| (T::of(a) + T::of(b)).bits())),
        ("sub", Rounding::Nearest) => of_float!(of, T => lane!(|a, b, _| (T::of(a) - T::of(b)).bits())),
        ("mul", Rounding::Nearest) => of_float!(of, T => lane!(|a, b, _| (T::of(a) * T::of(b)).bits())),
        ("div", Rounding::Nearest) => of_float!(of, T => lane!(|a, b, _| (T::of(a) / T::of(b)).bits())),
        ("fma", Rounding::Nearest) => {
            of_float!(of, T => lane!(|a, b, c| T::of(a).mul_add(T::of(b), T::of(c)).bits()))
        }
        ("sqrt", Rounding::Nearest) => of_float!(of, T => lane!(|a, _, _| T::of(a).sqrt().bits())),
        ("rcp", Rounding::Nearest) => of_float!(of, T => lane!(|a, _, _| (1.0 / T::of(a)).bits())),
        (_, Rounding::Nearest) => None,
        (_, Rounding::Zero) => directed::<0>(name, of),
        (_, Rounding::Down) => directed::<1>(name, of),
        (_, Rounding::Up) => directed::<2>(name, of),
    }
}

const fn direction<const D: u8>() -> Rounding {
    match D {
        0 => Rounding::Zero,
        1 => Rounding::Down,
        _ => Rounding::Up,
    }
}

/// The directions, as functions without captures.
fn directed<const D: u8>(name: &str, of: Type) -> Option<LaneFn> {
    macro_rules! run {
        ($f:expr) => {{
            fn run<const D: u8>(
                a: &crate::lanes::Lanes,
                b: &crate::lanes::Lanes,
                c: &crate::lanes::Lanes,
                d: &mut crate::lanes::Lanes,
                mask: u32,
            ) {
                crate::lanes::apply(a, b, c, d, mask, $f);
            }
            run::<D> as LaneFn
        }};
    }
    macro_rules! both {
        ($a:ident, $b:ident, $nearest:expr, $order:path) => {
            of_float!(of, T => run!(|$a, $b, _| {
                let ($a, $b) = (T::of($a), T::of($b));
                let nearest = $nearest;
                let order = $order(f64::from($a), f64::from($b), f64::from(nearest));
                float::towards(nearest, order, direction::<D>()).bits()
            }))
        };
    }
    match (name, of) {
        ("add", Type::F32) => {
            Some(run!(|a, b, _| float::sum_f32(f32::of(a), f32::of(b), direction::<D>()).bits()))
        }
        ("add", Type::F64) => {
            Some(run!(|a, b, _| float::sum_f64(f64::of(a), f64::of(b), direction::<D>()).bits()))
        }
        ("sub", Type::F32) => {
            Some(run!(|a, b, _| float::sum_f32(f32::of(a), -f32::of(b), direction::<D>()).bits()))
        }
        ("sub", Type::F64) => {
            Some(run!(|a, b, _| float::sum_f64(f64::of(a), -f64::of(b), direction::<D>()).bits()))
        }
        ("mul", _) => both!(a, b, a * b, float::product),
        ("div", _) => both!(a, b, a / b, float::quotient),
        ("sqrt", _) => of_float!(of, T => run!(|a, _, _| {
            let a = T::of(a);
            let nearest = a.sqrt();
            float::towards(nearest, float::root(f64::from(a), f64::from(nearest)), direction::<D>()).bits()
        })),
        ("rcp", _) => of_float!(of, T => run!(|a, _, _| {
            let a = T::of(a);
            let nearest = 1.0 / a;
            float::towards(nearest, float::quotient(1.0, f64::from(a), f64::from(nearest)), direction::<D>()).bits()
        })),
        _ => None,
    }
}

/// Float operations that do not round. `min` and `max` hold −0 below +0 and prefer a number to NaN.
pub fn unrounded(name: &str, of: Type) -> Option<LaneFn> {
    match name {
        "min" => of_float!(of, T => lane!(|a, b, _| {
            let (a, b) = (T::of(a), T::of(b));
            if a.is_nan() || (a == b && b.is_sign_negative()) || b < a { b.bits() } else { a.bits() }
        })),
        "max" => of_float!(of, T => lane!(|a, b, _| {
            let (a, b) = (T::of(a), T::of(b));
            if a.is_nan() || (a == b && b.is_sign_positive()) || b > a { b.bits() } else { a.bits() }
        })),
        "min.NaN" if of == Type::F32 => Some(lane!(|a, b, _| {
            let (a, b) = (f32::of(a), f32::of(b));
            if a.is_nan() || b.is_nan() {
                f32::NAN.bits()
            } else if (a == b && b.is_sign_negative()) || b < a {
                b.bits()
            } else {
                a.bits()
            }
        })),
        "max.NaN" if of == Type::F32 => Some(lane!(|a, b, _| {
            let (a, b) = (f32::of(a), f32::of(b));
            if a.is_nan() || b.is_nan() {
                f32::NAN.bits()
            } else if (a == b && b.is_sign_positive()) || b > a {
                b.bits()
            } else {
                a.bits()
            }
        })),
        "neg" => match of {
            Type::F32 => Some(lane!(|a, _, _| a ^ 1 << 31)),
            Type::F64 => Some(lane!(|a, _, _| a ^ 1 << 63)),
            _ => None,
        },
        "abs" => match of {
            Type::F32 => Some(lane!(|a, _, _| a & 0x7fff_ffff)),
            Type::F64 => Some(lane!(|a, _, _| a & (u64::MAX >> 1))),
            _ => None,
        },
        // The sign of the first operand on the magnitude of the second.
        "copysign" => match of {
            Type::F32 => Some(lane!(|a, b, _| a & 1 << 31 | b & 0x7fff_ffff)),
            Type::F64 => Some(lane!(|a, b, _| a & 1 << 63 | b & (u64::MAX >> 1))),
            _ => None,
        },
        _ => None,
    }
}

/// Comparisons of `setp` and `set`.
pub fn comparison(name: &str, of: Type) -> Option<CompareFn> {
    if of.is_float() {
        return match name {
            "eq" => of_float!(of, T => lane_compare!(|a, b| T::of(a) == T::of(b))),
            "ne" => of_float!(of, T => lane_compare!(|a, b| T::of(a) < T::of(b) || T::of(a) > T::of(b))),
            "lt" => of_float!(of, T => lane_compare!(|a, b| T::of(a) < T::of(b))),
            "le" => of_float!(of, T => lane_compare!(|a, b| T::of(a) <= T::of(b))),
            "gt" => of_float!(of, T => lane_compare!(|a, b| T::of(a) > T::of(b))),
            "ge" => of_float!(of, T => lane_compare!(|a, b| T::of(a) >= T::of(b))),
            "equ" => of_float!(of, T => lane_compare!(|a, b| {
                T::of(a) == T::of(b) || T::of(a).is_nan() || T::of(b).is_nan()
            })),
            "neu" => of_float!(of, T => lane_compare!(|a, b| T::of(a) != T::of(b))),
            "ltu" => {
                of_float!(of, T => lane_compare!(|a, b| T::of(a).partial_cmp(&T::of(b)).is_none_or(Ordering::is_lt)))
            }
            "leu" => {
                of_float!(of, T => lane_compare!(|a, b| T::of(a).partial_cmp(&T::of(b)).is_none_or(Ordering::is_le)))
            }
            "gtu" => {
                of_float!(of, T => lane_compare!(|a, b| T::of(a).partial_cmp(&T::of(b)).is_none_or(Ordering::is_gt)))
            }
            "geu" => {
                of_float!(of, T => lane_compare!(|a, b| T::of(a).partial_cmp(&T::of(b)).is_none_or(Ordering::is_ge)))
            }
            "num" => of_float!(of, T => lane_compare!(|a, b| !T::of(a).is_nan() && !T::of(b).is_nan())),
            "nan" => of_float!(of, T => lane_compare!(|a, b| T::of(a).is_nan() || T::of(b).is_nan())),
            _ => None,
        };
    }
    let bits = matches!(of, Type::B16 | Type::B32 | Type::B64);
    match name {
        "eq" => of_integer!(of, T => lane_compare!(|a, b| T::of(a) == T::of(b))),
        "ne" => of_integer!(of, T => lane_compare!(|a, b| T::of(a) != T::of(b))),
        _ if bits => None,
        "lt" => of_integer!(of, T => lane_compare!(|a, b| T::of(a) < T::of(b))),
        "le" => of_integer!(of, T => lane_compare!(|a, b| T::of(a) <= T::of(b))),
        "gt" => of_integer!(of, T => lane_compare!(|a, b| T::of(a) > T::of(b))),
        "ge" => of_integer!(of, T => lane_compare!(|a, b| T::of(a) >= T::of(b))),
        _ if of.is_signed() => None,
        "lo" => comparison("lt", of),
        "ls" => comparison("le", of),
        "hi" => comparison("gt", of),
        "hs" => comparison("ge", of),
        _ => None,
    }
}

/// `testp`: what kind of number it is.
pub fn test(name: &str, of: Type) -> Option<CompareFn> {
    match name {
        "finite" => of_float!(of, T => lane_compare!(|a, _| T::of(a).is_finite())),
        "infinite" => of_float!(of, T => lane_compare!(|a, _| T::of(a).is_infinite())),
        "number" => of_float!(of, T => lane_compare!(|a, _| !T::of(a).is_nan())),
        "notanumber" => of_float!(of, T => lane_compare!(|a, _| T::of(a).is_nan())),
        "normal" => of_float!(of, T => lane_compare!(|a, _| T::of(a).is_normal())),
        "subnormal" => of_float!(of, T => lane_compare!(|a, _| T::of(a).is_subnormal())),
        _ => None,
    }
}
