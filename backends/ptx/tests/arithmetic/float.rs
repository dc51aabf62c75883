//! Operations on floats that do not round.

use std::cmp::Ordering;

use crate::Case;
use crate::exact::{Number, format};
use crate::values::{FLOATS, cut, float_rows, width};

/// A total order that holds −0 below +0: of a sign and a magnitude.
fn key(of: &str, bits: u64) -> i128 {
    let magnitude = i128::from(cut(bits, width(of) - 1));
    if bits >> (width(of) - 1) & 1 != 0 { -1 - magnitude } else { magnitude }
}

/// The smaller or the larger one; a number rather than NaN, unless NaN is wanted.
fn extreme(of: &str, bits: [u64; 2], wanted: Ordering, nan: bool) -> u64 {
    let [a, b] = bits.map(|bits| cut(bits, width(of)));
    let none = |bits: u64| matches!(format(of).read(bits), Number::Nan);
    match (none(a), none(b)) {
        (first, second) if first && (second || nan) || second && nan => format(of).nan(),
        (false, true) => a,
        (false, false) if key(of, a).cmp(&key(of, b)) == wanted => a,
        _ => b,
    }
}

/// Whether `testp` says yes.
fn is(of: &str, name: &str, bits: u64) -> bool {
    let number = format(of).read(cut(bits, width(of)));
    let normal = |number: &Number| match number {
        Number::Finite(exact) => exact.n.bits() == u64::from(format(of).precision),
        _ => false,
    };
    match name {
        "finite" => matches!(number, Number::Finite(_)),
        "infinite" => matches!(number, Number::Infinite(_)),
        "number" => !matches!(number, Number::Nan),
        "notanumber" => matches!(number, Number::Nan),
        "normal" => normal(&number),
        _ => matches!(&number, Number::Finite(exact) if exact.n.bits() > 0 && !normal(&number)),
    }
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for of in FLOATS {
        let rows = move || float_rows(of);
        let sign = 1u64 << (width(of) - 1);
        for (name, wanted) in [("min", Ordering::Less), ("max", Ordering::Greater)] {
            cases.push(Case::map(&format!("{name}.{of}"), of, &[of, of], rows, move |[a, b, _]| {
                extreme(of, [a, b], wanted, false)
            }));
            if of == "f32" {
                cases.push(Case::map(&format!("{name}.NaN.f32"), of, &[of, of], rows, move |[a, b, _]| {
                    extreme(of, [a, b], wanted, true)
                }));
            }
        }
        // Bits are kept, of NaN as well.
        cases.push(Case::map(&format!("neg.{of}"), of, &[of], rows, move |[a, _, _]| {
            if a & sign == 0 { a | sign } else { a - sign }
        }));
        cases.push(Case::map(&format!("abs.{of}"), of, &[of], rows, move |[a, _, _]| {
            if a & sign == 0 { a } else { a - sign }
        }));
        cases.push(Case::map(&format!("copysign.{of}"), of, &[of, of], rows, move |[a, b, _]| {
            if a & sign == b & sign { b } else { b ^ sign }
        }));
        for name in ["finite", "infinite", "number", "notanumber", "normal", "subnormal"] {
            let opcode = format!("testp.{name}.{of}");
            cases.push(Case::map(&opcode, "pred", &[of], rows, move |[a, _, _]| u64::from(is(of, name, a))));
        }
    }
    cases
}
