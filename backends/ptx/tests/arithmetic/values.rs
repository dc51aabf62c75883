//! Types, registers and operands of the tests.

use std::sync::LazyLock;

use crate::Row;

/// The width of a type in bits.
pub fn width(of: &str) -> u32 {
    of.trim_start_matches(|c: char| c.is_ascii_alphabetic()).parse().expect("a type ends with its width")
}

/// The register of a type with a number; 1 to 3 hold the operands, 4 the result.
pub fn register(of: &str, number: usize) -> String {
    let kind = match of {
        "f32" => "f",
        "f64" => "fd",
        "pred" => "p",
        _ => match width(of) {
            8 | 16 => "h",
            32 => "r",
            _ => "rd",
        },
    };
    format!("%{kind}{number}")
}

/// Brings the result from register 4 of a type to `%rd4`.
pub fn finish(of: &str) -> &'static str {
    match of {
        "f32" => "mov.b32 %r4, %f4;\ncvt.u64.u32 %rd4, %r4;",
        "f64" => "mov.b64 %rd4, %fd4;",
        "pred" => "selp.b64 %rd4, 1, 0, %p4;",
        _ => match width(of) {
            8 | 16 => "cvt.u64.u16 %rd4, %h4;",
            32 => "cvt.u64.u32 %rd4, %r4;",
            _ => "",
        },
    }
}

/// The lowest bits.
pub fn cut(bits: u64, width: u32) -> u64 {
    if width == 64 { bits } else { bits & ((1 << width) - 1) }
}

/// The integer that a register's bits are in a type.
pub fn integer(of: &str, bits: u64) -> i128 {
    let (width, bits) = (width(of), cut(bits, width(of)));
    let negative = of.starts_with('s') && bits >> (width - 1) != 0;
    i128::from(bits) - if negative { 1 << width } else { 0 }
}

/// The least and the largest integer of a type.
pub fn limits(of: &str) -> (i128, i128) {
    let width = width(of);
    if of.starts_with('s') { (-(1 << (width - 1)), (1 << (width - 1)) - 1) } else { (0, (1 << width) - 1) }
}

/// The types of integers from 16 bits.
pub const INTEGERS: [&str; 6] = ["s16", "s32", "s64", "u16", "u32", "u64"];
/// The types of bits.
pub const BITS: [&str; 3] = ["b16", "b32", "b64"];
/// The types that floats compute in.
pub const FLOATS: [&str; 2] = ["f32", "f64"];

/// A sequence without a pattern.
pub fn noise(count: usize, seed: u64) -> Vec<u64> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state ^ state >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        })
        .collect()
}

/// Integers of note in every width, and some without a pattern.
pub fn words() -> Vec<u64> {
    let mut list = vec![0, 1, 2, 3, 5, 0x7f, 0x80, 0x81, 0xff, 0x100];
    for width in [16, 32] {
        let top = 1u64 << (width - 1);
        list.extend([top - 1, top, top + 1, 2 * top - 1, 2 * top]);
    }
    list.extend([1 << 63, u64::MAX, i64::MAX as u64, u64::MAX - 1, (1 << 63) + 1, 0x8000_0000_8000_8000]);
    list.extend(noise(40, 1));
    list
}

/// All pairs of a list, with a third of it.
pub fn pairs(list: &[u64]) -> Vec<Row> {
    let mut rows = Vec::new();
    for (i, &a) in list.iter().enumerate() {
        for (j, &b) in list.iter().enumerate() {
            rows.push([a, b, list[(i * 7 + j * 3) % list.len()]]);
        }
    }
    rows
}

/// Pairs of integers.
pub fn integers() -> Vec<Row> {
    static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| pairs(&words()));
    ROWS.clone()
}

/// Integers, with a place and a length in bits.
pub fn places() -> Vec<Row> {
    let mut rows = Vec::new();
    for (i, &a) in words().iter().enumerate() {
        for b in (0..70).chain([255, 256, 257, u64::from(u32::MAX)]) {
            rows.push([a, b, (b * 5 + i as u64 * 11) % 75]);
        }
    }
    rows
}

/// Floats of note in a type: zeros, ones, limits, halves of last places, and some of any size.
pub fn floats(of: &str) -> Vec<u64> {
    let mut list = Vec::new();
    let noise = noise(60, 7);
    if of == "f64" {
        let unit = f64::EPSILON;
        for x in [
            0.0,
            5e-324,
            1e-323,
            f64::MIN_POSITIVE,
            f64::MIN_POSITIVE.next_down(),
            1e-300,
            1e-290,
            1e-160,
            unit / 2.0,
            unit / 4.0,
            0.1,
            1.0 / 3.0,
            0.5,
            1.0,
            1.0 + unit,
            1.0 - unit / 2.0,
            1.5,
            2.0,
            2.5,
            3.0,
            1e10,
            9_007_199_254_740_993.0,
            1e160,
            1e300,
            f64::MAX / 2.0,
            f64::MAX,
            f64::MAX.next_down(),
            f64::INFINITY,
            2f64.powi(969),
            2f64.powi(970),
            2f64.powi(971),
            2f64.powi(970).next_down(),
            2f64.powi(970).next_up(),
            1.7e308,
            2f64.powi(1023),
            2f64.powi(-1022) * 1.75,
            2f64.powi(-537),
            2f64.powi(512),
        ] {
            list.extend([x.to_bits(), (-x).to_bits()]);
        }
        list.extend([f64::NAN.to_bits(), 0xfff0_0000_0000_0001]);
        list.extend(&noise[..20]);
        // Near 1, so that sums cancel.
        list.extend(noise[20..30].iter().map(|bits| bits & 0xbfff_ffff_ffff_ffff | 0x3ff0_0000_0000_0000));
    } else {
        let unit = f32::EPSILON;
        for x in [
            0.0,
            1e-45,
            3e-45,
            f32::MIN_POSITIVE,
            f32::MIN_POSITIVE.next_down(),
            1e-30,
            unit / 2.0,
            unit / 4.0,
            0.1,
            1.0 / 3.0,
            0.5,
            1.0,
            1.0 + unit,
            1.0 - unit / 2.0,
            1.5,
            2.0,
            2.5,
            3.0,
            1e10,
            16_777_215.0,
            1e30,
            f32::MAX / 2.0,
            f32::MAX,
            f32::MAX.next_down(),
            f32::INFINITY,
            2f32.powi(102),
            2f32.powi(103),
            2f32.powi(104),
            2f32.powi(103).next_down(),
            2f32.powi(103).next_up(),
            2f32.powi(127),
            2f32.powi(-126) * 1.75,
            2f32.powi(-75),
            2f32.powi(64),
        ] {
            list.extend([u64::from(x.to_bits()), u64::from((-x).to_bits())]);
        }
        list.extend([u64::from(f32::NAN.to_bits()), 0xff80_0001]);
        list.extend(noise[..20].iter().map(|bits| bits >> 32));
        list.extend(noise[20..30].iter().map(|bits| (bits & 0xbfff_ffff | 0x3f80_0000) & 0xffff_ffff));
    }
    list
}

/// Pairs of floats; the third is such that a product and it nearly cancel in every other row.
pub fn float_rows(of: &str) -> Vec<Row> {
    let mut rows = pairs(&floats(of));
    for (index, [a, b, c]) in rows.iter_mut().enumerate() {
        let near = if of == "f64" {
            (-(f64::from_bits(*a) * f64::from_bits(*b))).to_bits()
        } else {
            u64::from((-(f32::from_bits(*a as u32) * f32::from_bits(*b as u32))).to_bits())
        };
        match index % 4 {
            1 => *c = near,
            3 => *c = near ^ 1,
            _ => {}
        }
    }
    rows
}
