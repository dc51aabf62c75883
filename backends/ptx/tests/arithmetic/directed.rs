//! Operations that round, against the exact result.

use crate::Case;
use crate::exact::{compute, format};
use crate::values::{FLOATS, float_rows};

fn case(opcode: &str, name: &'static str, of: &'static str, mode: &'static str, operands: usize) -> Case {
    let rows = move || float_rows(of);
    Case::map(opcode, of, &vec![of; operands], rows, move |row| compute(name, format(of), mode, row))
}

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for of in FLOATS {
        for mode in ["rn", "rz", "rm", "rp"] {
            for (name, operands) in [("add", 2), ("sub", 2), ("mul", 2), ("div", 2), ("rcp", 1), ("sqrt", 1)]
            {
                cases.push(case(&format!("{name}.{mode}.{of}"), name, of, mode, operands));
            }
        }
        for name in ["add", "sub", "mul"] {
            cases.push(case(&format!("{name}.{of}"), name, of, "rn", 2));
        }
        cases.push(case(&format!("fma.rn.{of}"), "fma", of, "rn", 3));
    }
    cases
}

#[test]
fn the_exact_rounding_agrees_with_rust_to_the_nearest() {
    for row in float_rows("f64") {
        let [a, b, c] = row.map(f64::from_bits);
        for (name, result) in [("add", a + b), ("mul", a * b), ("div", a / b), ("fma", a.mul_add(b, c))] {
            let expected = if result.is_nan() { format("f64").nan() } else { result.to_bits() };
            assert_eq!(compute(name, format("f64"), "rn", row), expected, "{name} {a:e} {b:e} {c:e}");
        }
    }
}
