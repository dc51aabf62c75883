//! Arithmetic of integers, in 128 bits.

use crate::values::{INTEGERS, cut, integer, integers, width};
use crate::{Case, Row};

type Compute = fn(i128, i128, i128, u32) -> i128;

/// The upper half of a product of this width.
fn high(a: i128, b: i128, width: u32) -> i128 {
    // Two numbers below 2^64 that are not negative reach into the sign.
    if a >= 0 && b >= 0 { ((a as u128 * b as u128) >> width) as i128 } else { a * b >> width }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let operations: [(&str, usize, Compute); 10] = [
        ("add", 2, |a, b, _, _| a + b),
        ("sub", 2, |a, b, _, _| a - b),
        ("div", 2, |a, b, _, _| a / b),
        ("rem", 2, |a, b, _, _| a % b),
        ("min", 2, |a, b, _, _| a.min(b)),
        ("max", 2, |a, b, _, _| a.max(b)),
        ("mul.lo", 2, |a, b, _, _| a.wrapping_mul(b)),
        ("mul.hi", 2, |a, b, _, width| high(a, b, width)),
        ("mad.lo", 3, |a, b, c, _| a.wrapping_mul(b).wrapping_add(c)),
        ("mad.hi", 3, |a, b, c, width| high(a, b, width) + c),
    ];
    let signed: [(&str, usize, Compute); 2] = [("neg", 1, |a, _, _, _| -a), ("abs", 1, |a, _, _, _| a.abs())];
    for of in INTEGERS {
        let more = if of.starts_with('s') { &signed[..] } else { &[] };
        for &(name, operands, compute) in operations.iter().chain(more) {
            let rows = move || {
                let divides = matches!(name, "div" | "rem");
                let fits = |row: &Row| !divides || integer(of, row[1]) != 0;
                integers().into_iter().filter(fits).collect::<Vec<_>>()
            };
            cases.push(Case::map(&format!("{name}.{of}"), of, &vec![of; operands], rows, move |row| {
                let [a, b, c] = row.map(|bits| integer(of, bits));
                cut(compute(a, b, c, width(of)) as u64, width(of))
            }));
        }
        if width(of) < 64 {
            let wide = if width(of) == 32 { "b64" } else { "b32" };
            cases.push(Case::map(&format!("mul.wide.{of}"), wide, &[of, of], integers, move |[a, b, _]| {
                cut((integer(of, a) * integer(of, b)) as u64, width(wide))
            }));
            cases.push(Case::map(&format!("mad.wide.{of}"), wide, &[of, of, wide], integers, move |row| {
                let product = integer(of, row[0]) * integer(of, row[1]);
                cut((product + i128::from(row[2])) as u64, width(wide))
            }));
        }
    }
    cases
}
