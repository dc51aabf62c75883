//! `cvt` between all types.

use std::cmp::Ordering;

use half::{bf16, f16};

use crate::float::{self, Rounding};
use crate::instruction::Type;
use crate::lanes::{LaneFn, Word, lane};

/// A number on its way from one type to another.
#[derive(Clone, Copy)]
enum Value {
    Integer(i128),
    Float(f64),
}

/// The conversion `cvt.{rounding}{.sat}.{to}.{from}`, if PTX has it. The result is given with the sign spread to 64
/// bits where `to` has one; the caller cuts it to the register.
pub fn conversion(to: Type, from: Type, modifiers: &[&str]) -> Option<(Conversion, Option<LaneFn>)> {
    let mut saturate = false;
    let mut rounding = None;
    let mut to_whole = None;
    for modifier in modifiers {
        match *modifier {
            "sat" if !saturate => saturate = true,
            "rni" | "rzi" | "rmi" | "rpi" if to_whole.is_none() => to_whole = Rounding::named(&modifier[..2]),
            other if rounding.is_none() => rounding = Some(Rounding::named(other)?),
            _ => return None,
        }
    }
    let (int_to, int_from) = (!to.is_float(), !from.is_float());
    // What PTX demands and forbids.
    let allowed = match (int_to, int_from) {
        (true, true) => rounding.is_none() && to_whole.is_none(),
        (true, false) => rounding.is_none() && to_whole.is_some(),
        (false, true) => rounding.is_some() && to_whole.is_none(),
        (false, false) if to == from => rounding.is_none(),
        (false, false) => rounding.is_some() == (to.bytes() < from.bytes()) && to_whole.is_none(),
    };
    if !allowed {
        return None;
    }
    if matches!(to, Type::F16 | Type::Bf16) && rounding.is_some_and(|r| r != Rounding::Nearest) {
        return None;
    }
    // From double to half would round twice; no kernel of ours asks for it.
    if to == Type::Bf16 && from != Type::F32 || (from == Type::Bf16 && to != Type::F32) {
        return None;
    }
    if to == Type::F16 && from == Type::F64 && saturate {
        return None;
    }
    if to == Type::Pred || from == Type::Pred || is_bits(to) || is_bits(from) {
        return None;
    }
    let rounding = rounding.or(to_whole).unwrap_or(Rounding::Nearest);
    let how = Conversion { to, from, rounding, whole: to_whole.is_some(), saturate };
    Some((how, quick(how)))
}

fn is_bits(of: Type) -> bool {
    matches!(of, Type::B8 | Type::B16 | Type::B32 | Type::B64)
}

/// A conversion.
#[derive(Debug, Clone, Copy)]
pub struct Conversion {
    to: Type,
    from: Type,
    rounding: Rounding,
    /// To a whole number.
    whole: bool,
    saturate: bool,
}

impl Conversion {
    /// Of a register's bits.
    pub fn of(self, bits: u64) -> u64 {
        self.write(read(self.from, bits))
    }
}

fn read(from: Type, bits: u64) -> Value {
    match from {
        Type::U8 => Value::Integer(i128::from(bits as u8)),
        Type::U16 => Value::Integer(i128::from(bits as u16)),
        Type::U32 => Value::Integer(i128::from(bits as u32)),
        Type::U64 => Value::Integer(i128::from(bits)),
        Type::S8 => Value::Integer(i128::from(bits as i8)),
        Type::S16 => Value::Integer(i128::from(bits as i16)),
        Type::S32 => Value::Integer(i128::from(bits as i32)),
        Type::S64 => Value::Integer(i128::from(bits as i64)),
        Type::F16 => Value::Float(f64::from(f16::from_bits(bits as u16))),
        Type::Bf16 => Value::Float(f64::from(bf16::from_bits(bits as u16))),
        Type::F32 => Value::Float(f64::from(f32::of(bits))),
        _ => Value::Float(f64::of(bits)),
    }
}

fn limits(to: Type) -> (i128, i128) {
    let bits = to.bytes() * 8;
    if to.is_signed() { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) } else { (0, (1 << bits) - 1) }
}

impl Conversion {
    fn write(self, value: Value) -> u64 {
        if !self.to.is_float() {
            return self.write_integer(value);
        }
        let rounding = self.rounding;
        let x = match value {
            Value::Integer(value) if self.to == Type::F32 => {
                let nearest = value as f32;
                f64::from(float::towards(nearest, float::integer(value, f64::from(nearest)), rounding))
            }
            Value::Integer(value) if self.to == Type::F64 => {
                let nearest = value as f64;
                float::towards(nearest, float::integer(value, nearest), rounding)
            }
            // To half: 2^17 is infinity already, and all below it is exact in double precision.
            Value::Integer(value) => value.clamp(-(1 << 17), 1 << 17) as f64,
            Value::Float(x) if self.whole => float::whole(x, rounding),
            Value::Float(x) => x,
        };
        let x = match (self.saturate, x.is_nan()) {
            (false, _) => x,
            (true, true) => 0.0,
            (true, false) => x.clamp(0.0, 1.0) + 0.0,
        };
        match self.to {
            Type::F16 | Type::Bf16 if x.is_nan() => 0x7fff,
            Type::F16 => u64::from(half(x).to_bits()),
            // From f32 only, so nothing is rounded twice.
            Type::Bf16 => u64::from(bf16::from_f32(x as f32).to_bits()),
            Type::F32 => {
                let nearest = x as f32;
                let order = x.partial_cmp(&f64::from(nearest)).unwrap_or(Ordering::Equal);
                float::towards(nearest, order, rounding).bits()
            }
            _ => x.bits(),
        }
    }

    fn write_integer(self, value: Value) -> u64 {
        let (least, most) = limits(self.to);
        match value {
            // Integers are cut, unless they are saturated.
            Value::Integer(value) if self.saturate => value.clamp(least, most) as u64,
            Value::Integer(value) => match self.to {
                Type::U8 => u64::from(value as u8),
                Type::U16 => u64::from(value as u16),
                Type::U32 => u64::from(value as u32),
                Type::S8 => value as i8 as u64,
                Type::S16 => value as i16 as u64,
                Type::S32 => value as i32 as u64,
                _ => value as u64,
            },
            // Floats are clamped in any case. Of NaN the PTX manual says, under `cvt`: the highest bit alone where the
            // source is f64 or the result has 64 bits, and 0 elsewhere.
            Value::Float(x) if x.is_nan() && (self.from == Type::F64 || self.to.bytes() == 8) => {
                if self.to.is_signed() { least as u64 } else { 1 << (self.to.bytes() * 8 - 1) }
            }
            Value::Float(x) if x.is_nan() => 0,
            Value::Float(x) => (float::whole(x, self.rounding) as i128).clamp(least, most) as u64,
        }
    }
}

/// To half precision, rounded once. By way of f32, where all that is cut off is kept in the last bit: the conversion
/// from f64 in `half` 2.7 does not look at the lower 32 bits.
fn half(x: f64) -> f16 {
    let nearest = x as f32;
    let order = x.partial_cmp(&f64::from(nearest)).unwrap_or(Ordering::Equal);
    let cut = float::towards(nearest, order, Rounding::Zero);
    f16::from_f32(f32::from_bits(cut.to_bits() | u32::from(order.is_ne())))
}

/// The same for the conversions that kernels do all the time.
fn quick(how: Conversion) -> Option<LaneFn> {
    if how.saturate {
        return None;
    }
    Some(match (how.to, how.from, how.rounding) {
        (Type::F32, Type::F16, _) => lane!(|a, _, _| f32::from(f16::from_bits(a as u16)).bits()),
        (Type::F32, Type::Bf16, _) => lane!(|a, _, _| f32::from(bf16::from_bits(a as u16)).bits()),
        (Type::F64, Type::F32, _) => lane!(|a, _, _| f64::from(f32::of(a)).bits()),
        (Type::F32, Type::F64, Rounding::Nearest) if !how.whole => {
            lane!(|a, _, _| (f64::of(a) as f32).bits())
        }
        (Type::U64 | Type::S64, Type::U32, _) => lane!(|a, _, _| u64::from(a as u32)),
        (Type::U32 | Type::S32, Type::U64 | Type::S64, _) => lane!(|a, _, _| u64::from(a as u32)),
        (Type::S64 | Type::U64, Type::S32, _) => lane!(|a, _, _| i64::from(a as i32) as u64),
        (Type::F32, Type::U32, Rounding::Nearest) => lane!(|a, _, _| (a as u32 as f32).bits()),
        (Type::F64, Type::U32, _) => lane!(|a, _, _| f64::from(a as u32).bits()),
        _ => return None,
    })
}
