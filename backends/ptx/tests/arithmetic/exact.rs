//! Exact arithmetic on floats, and its rounding to a format, in integers of any length.

use std::cmp::Ordering;

use num_bigint::{BigInt, BigUint, Sign};

/// A binary format of IEEE 754.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// Bits of all.
    pub width: u32,
    /// Bits of the significand, the hidden one counted.
    pub precision: u32,
    /// The exponent of the last place of subnormal numbers.
    pub least: i64,
    /// The exponent of the last place of the largest numbers.
    pub most: i64,
}

pub const F16: Format = Format { width: 16, precision: 11, least: -24, most: 5 };
pub const BF16: Format = Format { width: 16, precision: 8, least: -133, most: 120 };
pub const F32: Format = Format { width: 32, precision: 24, least: -149, most: 104 };
pub const F64: Format = Format { width: 64, precision: 53, least: -1074, most: 971 };

/// The format of a type's name.
pub fn format(of: &str) -> Format {
    match of {
        "f16" => F16,
        "bf16" => BF16,
        "f32" => F32,
        "f64" => F64,
        _ => panic!("{of} is no float"),
    }
}

/// A number; `more` says that a positive rest below one unit of `n` is left out of the magnitude.
#[derive(Debug, Clone)]
pub struct Exact {
    pub negative: bool,
    pub n: BigUint,
    pub exponent: i64,
    pub more: bool,
}

/// What the bits of a float say.
#[derive(Debug, Clone)]
pub enum Number {
    Nan,
    Infinite(bool),
    Finite(Exact),
}

impl Format {
    fn infinity(self) -> u64 {
        ((self.most - self.least + 2) as u64) << (self.precision - 1)
    }

    fn sign(self, negative: bool) -> u64 {
        u64::from(negative) << (self.width - 1)
    }

    /// The only NaN that is made.
    pub fn nan(self) -> u64 {
        (1 << (self.width - 1)) - 1
    }

    pub fn infinite(self, negative: bool) -> u64 {
        self.sign(negative) | self.infinity()
    }

    pub fn read(self, bits: u64) -> Number {
        let negative = bits >> (self.width - 1) & 1 != 0;
        let magnitude = bits & ((1 << (self.width - 1)) - 1);
        match magnitude.cmp(&self.infinity()) {
            Ordering::Greater => Number::Nan,
            Ordering::Equal => Number::Infinite(negative),
            Ordering::Less => {
                let field = (magnitude >> (self.precision - 1)) as i64;
                let fraction = magnitude & ((1 << (self.precision - 1)) - 1);
                let n = if field == 0 { fraction } else { fraction | 1 << (self.precision - 1) };
                let exponent = self.least + (field - 1).max(0);
                Number::Finite(Exact { negative, n: n.into(), exponent, more: false })
            }
        }
    }

    /// Rounds by `rn`, `rz`, `rm` or `rp`.
    pub fn round(self, exact: &Exact, mode: &str) -> u64 {
        let Exact { negative, n, exponent, more } = exact;
        let sign = self.sign(*negative);
        if n.bits() == 0 {
            assert!(!more, "too few bits to round");
            return sign;
        }
        let unit = (exponent + n.bits() as i64 - i64::from(self.precision)).max(self.least);
        let (mut q, order, inexact) = if unit <= *exponent {
            assert!(!more, "too few bits to round");
            (n << (exponent - unit) as u64, Ordering::Less, false)
        } else {
            let shift = (unit - exponent) as u64;
            let q = n >> shift;
            let rest = n - (&q << shift);
            let half = BigUint::from(1u8) << (shift - 1);
            let order = rest.cmp(&half).then(if *more { Ordering::Greater } else { Ordering::Equal });
            (q, order, *more || rest.bits() > 0)
        };
        let up = match mode {
            "rn" => order.is_gt() || order.is_eq() && q.bit(0),
            "rz" => false,
            "rm" => *negative && inexact,
            "rp" => !*negative && inexact,
            _ => panic!("{mode} is no direction"),
        };
        q += u8::from(up);
        let hidden = BigUint::from(1u8) << (self.precision - 1);
        let bits = if q < hidden {
            q
        } else {
            (BigUint::from((unit - self.least + 1) as u64) << (self.precision - 1)) + q - hidden
        };
        if bits < self.infinity().into() {
            return sign | bits.to_u64_digits().first().copied().unwrap_or(0);
        }
        let away = match mode {
            "rn" => true,
            "rz" => false,
            "rm" => *negative,
            _ => !*negative,
        };
        sign | if away { self.infinity() } else { self.infinity() - 1 }
    }
}

impl Exact {
    pub fn integer(value: i128) -> Exact {
        Exact { negative: value < 0, n: value.unsigned_abs().into(), exponent: 0, more: false }
    }

    fn signed(&self) -> BigInt {
        BigInt::from_biguint(if self.negative { Sign::Minus } else { Sign::Plus }, self.n.clone())
    }

    fn negated(self) -> Exact {
        Exact { negative: !self.negative, ..self }
    }

    /// A sum; when it is 0 the sign is that of both, or the direction's.
    fn plus(&self, other: &Exact, mode: &str) -> Exact {
        let exponent = self.exponent.min(other.exponent);
        let place = |x: &Exact| x.signed() << (x.exponent - exponent) as u64;
        let (sign, n) = (place(self) + place(other)).into_parts();
        let negative = match sign {
            Sign::Minus => true,
            Sign::Plus => false,
            Sign::NoSign if self.negative == other.negative => self.negative,
            Sign::NoSign => mode == "rm",
        };
        Exact { negative, n, exponent, more: false }
    }

    fn times(&self, other: &Exact) -> Exact {
        Exact {
            negative: self.negative != other.negative,
            n: &self.n * &other.n,
            exponent: self.exponent + other.exponent,
            more: false,
        }
    }

    fn over(&self, other: &Exact) -> Exact {
        let shift = 160 + other.n.bits();
        let above = &self.n << shift;
        let n = &above / &other.n;
        Exact {
            negative: self.negative != other.negative,
            more: &n * &other.n != above,
            n,
            exponent: self.exponent - other.exponent - shift as i64,
        }
    }

    fn root(&self) -> Exact {
        let shift = 320 + (self.exponent & 1) as u64;
        let square = &self.n << shift;
        let n = square.sqrt();
        Exact {
            negative: self.negative,
            more: &n * &n != square,
            n,
            exponent: (self.exponent - shift as i64) / 2,
        }
    }

    /// To an integer in a direction, the sign kept.
    pub fn whole(&self, mode: &str) -> Exact {
        if self.exponent >= 0 {
            return self.clone();
        }
        let shift = -self.exponent as u64;
        let mut n = &self.n >> shift;
        let rest = &self.n - (&n << shift);
        let up = match mode {
            "rni" => {
                let order = rest.cmp(&(BigUint::from(1u8) << (shift - 1)));
                order.is_gt() || order.is_eq() && n.bit(0)
            }
            "rzi" => false,
            "rmi" => self.negative && rest.bits() > 0,
            "rpi" => !self.negative && rest.bits() > 0,
            _ => panic!("{mode} is no direction"),
        };
        n += u8::from(up);
        Exact { negative: self.negative, n, exponent: 0, more: false }
    }

    /// A whole number within limits.
    pub fn within(&self, least: i128, most: i128) -> i128 {
        assert!(self.exponent >= 0, "it is not whole");
        // Anything as long is beyond all limits.
        if self.n.bits() > 0 && self.n.bits() as i64 + self.exponent > 100 {
            return if self.negative { least } else { most };
        }
        let magnitude = &self.n << self.exponent as u64;
        let magnitude = i128::try_from(magnitude).expect("at most 100 bits");
        (if self.negative { -magnitude } else { magnitude }).clamp(least, most)
    }

    /// Cut to [0, 1].
    pub fn saturated(self) -> Exact {
        let zero = BigUint::default();
        if self.negative {
            return Exact { negative: false, n: zero, exponent: 0, more: false };
        }
        if self.n.bits() as i64 + self.exponent > 0 && self.n.bits() > 0 {
            return Exact { negative: false, n: 1u8.into(), exponent: 0, more: false };
        }
        self
    }
}

/// An operation with an operand that is no finite number, or a division by 0: as Rust computes, in any direction.
fn special(format: Format, result: f64) -> u64 {
    if result.is_nan() {
        return format.nan();
    }
    assert!(result.is_infinite() || result == 0.0, "{result} is not special");
    let sign = format.sign(result.is_sign_negative());
    if result == 0.0 { sign } else { sign | format.infinity() }
}

fn approximately(format: Format, bits: u64) -> f64 {
    if format == F64 { f64::from_bits(bits) } else { f64::from(f32::from_bits(bits as u32)) }
}

/// An operation of f32 or f64.
pub fn compute(name: &str, format: Format, mode: &str, [a, b, c]: [u64; 3]) -> u64 {
    let cut = |bits: u64| if format.width == 64 { bits } else { bits & 0xffff_ffff };
    let [a, b, c] = [cut(a), cut(b), cut(c)];
    let [x, y, z] = [a, b, c].map(|bits| approximately(format, bits));
    let finite = |bits: u64| match format.read(bits) {
        Number::Finite(exact) => Some(exact),
        _ => None,
    };
    let exact = match name {
        "add" | "sub" => {
            let (Some(p), Some(q)) = (finite(a), finite(b)) else {
                return special(format, if name == "add" { x + y } else { x - y });
            };
            p.plus(&if name == "add" { q } else { q.negated() }, mode)
        }
        "mul" => {
            let (Some(p), Some(q)) = (finite(a), finite(b)) else { return special(format, x * y) };
            p.times(&q)
        }
        "div" => {
            let (Some(p), Some(q)) = (finite(a), finite(b).filter(|q| q.n.bits() > 0)) else {
                return special(format, x / y);
            };
            p.over(&q)
        }
        "rcp" => {
            let Some(q) = finite(a).filter(|q| q.n.bits() > 0) else { return special(format, 1.0 / x) };
            Exact::integer(1).over(&q)
        }
        "sqrt" => {
            let Some(p) = finite(a).filter(|p| !p.negative || p.n.bits() == 0) else {
                return special(format, x.sqrt());
            };
            p.root()
        }
        "fma" => {
            let (Some(p), Some(q), Some(r)) = (finite(a), finite(b), finite(c)) else {
                return special(format, x.mul_add(y, z));
            };
            p.times(&q).plus(&r, mode)
        }
        _ => panic!("{name} is no operation"),
    };
    format.round(&exact, mode)
}
