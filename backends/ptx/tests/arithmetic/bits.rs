//! Operations on bits.

use crate::Case;
use crate::values::{BITS, INTEGERS, cut, integer, integers, places, width, words};

/// The highest bit that differs from the sign.
fn highest(of: &str, bits: u64) -> Option<u32> {
    let value = integer(of, bits);
    let value = if value < 0 { -value - 1 } else { value };
    value.checked_ilog2()
}

/// A field of bits, with the sign or zeros above it: shifted down as a wide integer, then cut.
fn field(of: &str, value: u64, place: u64, length: u64) -> u64 {
    let (place, length) = (place & 0xff, length & 0xff);
    let down = integer(of, value) >> place.min(127);
    if length == 0 {
        return 0;
    }
    let left = 128 - length.min(128);
    let spread =
        if of.starts_with('s') { down << left >> left } else { ((down as u128) << left >> left) as i128 };
    cut(spread as u64, width(of))
}

fn insert(from: u64, into: u64, place: u32, length: u32, width: u32) -> u64 {
    if place >= width {
        return into;
    }
    let mask = cut(((1u128 << length.min(64)) - 1) as u64, width) << place;
    cut(from << place & mask | into & !mask, width)
}

fn window(name: &str, low: u32, high: u32, by: u32) -> u32 {
    let by = if name.ends_with("clamp") { by.min(32) } else { by % 32 };
    match (name.starts_with('l'), by) {
        (true, 0) | (false, 32) => high,
        (true, 32) | (false, 0) => low,
        (true, by) => high << by | low >> (32 - by),
        (false, by) => low >> by | high << (32 - by),
    }
}

/// The bytes that the nibbles of a selector pick, or their signs.
fn pick(a: u64, b: u64, selector: u64) -> u64 {
    let both = b << 32 | a & 0xffff_ffff;
    (0..4).fold(0, |result, index| {
        let nibble = selector >> (4 * index) & 15;
        let byte = both >> (8 * (nibble % 8)) & 0xff;
        let byte = match (nibble >= 8, byte >= 0x80) {
            (false, _) => byte,
            (true, true) => 0xff,
            (true, false) => 0,
        };
        result | byte << (8 * index)
    })
}

fn table(a: u64, b: u64, c: u64, table: u64) -> u64 {
    (0..32).fold(0, |result, bit| {
        let row = (a >> bit & 1) * 4 + (b >> bit & 1) * 2 + (c >> bit & 1);
        result | (table >> row & 1) << bit
    })
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for of in BITS {
        let width = width(of);
        cases.push(Case::map(&format!("and.{of}"), of, &[of, of], integers, move |[a, b, _]| {
            cut(a & b, width)
        }));
        cases.push(Case::map(&format!("or.{of}"), of, &[of, of], integers, move |[a, b, _]| {
            cut(a | b, width)
        }));
        cases.push(Case::map(&format!("xor.{of}"), of, &[of, of], integers, move |[a, b, _]| {
            cut(a ^ b, width)
        }));
        cases.push(Case::map(&format!("not.{of}"), of, &[of], integers, move |[a, _, _]| cut(!a, width)));
        cases.push(Case::map(&format!("cnot.{of}"), of, &[of], integers, move |[a, _, _]| {
            u64::from(cut(a, width) == 0)
        }));
        cases.push(Case::of_rows(
            &format!("shl.{of}"),
            format!(
                "shl.{of} {}, {}, %r2;\n{}",
                crate::values::register(of, 4),
                crate::values::register(of, 1),
                crate::values::finish(of)
            ),
            places,
            move |[a, b, _]| if b >= u64::from(width) { 0 } else { cut(a << b, width) },
        ));
    }
    for of in BITS.into_iter().chain(INTEGERS) {
        cases.push(Case::of_rows(
            &format!("shr.{of}"),
            format!(
                "shr.{of} {}, {}, %r2;\n{}",
                crate::values::register(of, 4),
                crate::values::register(of, 1),
                crate::values::finish(of)
            ),
            places,
            move |[a, b, _]| cut((integer(of, a) >> b.min(100)) as u64, width(of)),
        ));
    }
    for of in ["b32", "b64"] {
        let width = width(of);
        cases.push(Case::map(&format!("popc.{of}"), "b32", &[of], integers, move |[a, _, _]| {
            (0..width).map(|bit| a >> bit & 1).sum()
        }));
        cases.push(Case::map(&format!("clz.{of}"), "b32", &[of], integers, move |[a, _, _]| {
            u64::from((0..width).rev().take_while(|bit| a >> bit & 1 == 0).count() as u32)
        }));
        cases.push(Case::map(&format!("brev.{of}"), of, &[of], integers, move |[a, _, _]| {
            (0..width).fold(0, |result, bit| result | (a >> bit & 1) << (width - 1 - bit))
        }));
        for (place, length) in
            [(0, 0), (0, 1), (5, 7), (3, 40), (31, 1), (31, 9), (32, 4), (63, 3), (0, 64), (40, 255)]
        {
            let (at, long) = (format!("={place}"), format!("={length}"));
            cases.push(Case::map(
                &format!("bfi.{of}"),
                of,
                &[of, of, &at, &long],
                integers,
                move |[a, b, _]| insert(a, cut(b, width), place, length, width),
            ));
        }
    }
    for of in ["s32", "s64", "u32", "u64"] {
        cases.push(Case::map(&format!("bfind.{of}"), "b32", &[of], integers, move |[a, _, _]| {
            u64::from(highest(of, a).unwrap_or(u32::MAX))
        }));
        cases.push(Case::map(&format!("bfind.shiftamt.{of}"), "b32", &[of], integers, move |[a, _, _]| {
            u64::from(highest(of, a).map_or(u32::MAX, |highest| width(of) - 1 - highest))
        }));
        let body = format!(
            "bfe.{of} {}, {}, %r2, %r3;\n{}",
            crate::values::register(of, 4),
            crate::values::register(of, 1),
            crate::values::finish(of)
        );
        cases.push(Case::of_rows(&format!("bfe.{of}"), body, places, move |[a, b, c]| field(of, a, b, c)));
    }
    for name in ["l.wrap", "l.clamp", "r.wrap", "r.clamp"] {
        let rows = || places().into_iter().map(|[a, b, _]| [a, a >> 32 ^ b << 13, b]).collect::<Vec<_>>();
        cases.push(Case::map(&format!("shf.{name}.b32"), "b32", &["b32"; 3], rows, move |row| {
            let [a, b, c] = row.map(|bits| bits as u32);
            u64::from(window(name, a, b, c))
        }));
    }
    cases.push(Case::map("prmt.b32", "b32", &["b32"; 3], integers, |[a, b, c]| pick(a, b, c)));
    for number in 0..256 {
        let written = format!("={number:#x}");
        let rows =
            || words().iter().map(|&a| [a, a >> 17 ^ a << 3, a >> 32 ^ 0x0f0f_3355]).collect::<Vec<_>>();
        cases.push(Case::map("lop3.b32", "b32", &["b32", "b32", "b32", &written], rows, move |[a, b, c]| {
            table(a, b, c, number)
        }));
    }
    cases
}
