//! Comparisons, predicates and selections.

use std::cmp::Ordering;

use crate::exact::{Number, format};
use crate::values::{BITS, FLOATS, INTEGERS, cut, finish, float_rows, integer, integers, register, width};
use crate::{Case, Row};

/// How two numbers compare, or not.
fn order(of: &str, a: u64, b: u64) -> Option<Ordering> {
    if !of.starts_with('f') {
        return Some(integer(of, a).cmp(&integer(of, b)));
    }
    let [a, b] = [a, b].map(|bits| cut(bits, width(of)));
    let nan = |bits: u64| matches!(format(of).read(bits), Number::Nan);
    // Signs and magnitudes as integers; the zeros are one.
    let key = |bits: u64| {
        let magnitude = i128::from(cut(bits, width(of) - 1));
        if bits >> (width(of) - 1) == 0 { magnitude } else { -magnitude }
    };
    (!nan(a) && !nan(b)).then(|| key(a).cmp(&key(b)))
}

fn holds(name: &str, order: Option<Ordering>) -> bool {
    use Ordering::{Equal, Greater, Less};
    match (name, order) {
        ("num", order) => order.is_some(),
        ("nan", order) => order.is_none(),
        ("equ" | "neu" | "ltu" | "leu" | "gtu" | "geu", None) => true,
        (_, None) => false,
        ("eq" | "equ", Some(order)) => order == Equal,
        ("ne" | "neu", Some(order)) => order != Equal,
        ("lt" | "ltu" | "lo", Some(order)) => order == Less,
        ("le" | "leu" | "ls", Some(order)) => order != Greater,
        ("gt" | "gtu" | "hi", Some(order)) => order == Greater,
        ("ge" | "geu" | "hs", Some(order)) => order != Less,
        _ => panic!("{name} is no comparison"),
    }
}

fn combine(logic: &str, a: bool, c: bool) -> bool {
    match logic {
        "" => a,
        ".and" => a && c,
        ".or" => a || c,
        _ => a != c,
    }
}

fn compare(cases: &mut Vec<Case>, name: &'static str, of: &'static str) {
    let rows = move || -> Vec<Row> {
        let mut rows = if of.starts_with('f') { float_rows(of) } else { integers() };
        // Equal ones as well, and the third odd and even.
        for index in 0..rows.len() / 5 {
            rows[index * 5][1] = rows[index * 5][0];
            rows[index * 5][2] ^= 1;
        }
        rows
    };
    for logic in ["", ".and", ".or", ".xor"] {
        let (a, b) = (register(of, 1), register(of, 2));
        let (with, negated) = if logic.is_empty() { ("", "") } else { (", %p3", ", !%p3") };
        let begin = "and.b64 %rd5, %rd3, 1;\nsetp.ne.u64 %p3, %rd5, 0;\n";
        let opcode = format!("setp.{name}{logic}.{of}");
        let body = format!(
            "{begin}{opcode} %p1|%p2, {a}, {b}{with};\n{opcode} %p4, {a}, {b}{negated};\nselp.b64 %rd4, 1, 0, %p1;\n\
             selp.b64 %rd5, 2, 0, %p2;\nor.b64 %rd4, %rd4, %rd5;\nselp.b64 %rd5, 4, 0, %p4;\nor.b64 %rd4, %rd4, %rd5;"
        );
        cases.push(Case::of_rows(&opcode, body, rows, move |[a, b, c]| {
            let (plain, c) = (holds(name, order(of, a, b)), c & 1 != 0);
            u64::from(combine(logic, plain, c))
                + 2 * u64::from(combine(logic, !plain, c))
                + 4 * u64::from(combine(logic, plain, !c))
        }));
        for to in ["u32", "s32", "f32"] {
            let opcode = format!("set.{name}{logic}.{to}.{of}");
            let body = format!("{begin}{opcode} {}, {a}, {b}{with};\n{}", register(to, 4), finish(to));
            cases.push(Case::of_rows(&opcode, body, rows, move |[a, b, c]| {
                let yes = if to == "f32" { u64::from(1f32.to_bits()) } else { 0xffff_ffff };
                if combine(logic, holds(name, order(of, a, b)), c & 1 != 0) { yes } else { 0 }
            }));
        }
    }
}

type Holds = fn(bool, bool) -> bool;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for of in BITS {
        for name in ["eq", "ne"] {
            compare(&mut cases, name, of);
        }
    }
    for of in INTEGERS {
        for name in ["eq", "ne", "lt", "le", "gt", "ge"] {
            compare(&mut cases, name, of);
        }
        if of.starts_with('u') {
            for name in ["lo", "ls", "hi", "hs"] {
                compare(&mut cases, name, of);
            }
        }
    }
    for of in FLOATS {
        for name in
            ["eq", "ne", "lt", "le", "gt", "ge", "equ", "neu", "ltu", "leu", "gtu", "geu", "num", "nan"]
        {
            compare(&mut cases, name, of);
        }
    }
    let begin = "and.b64 %rd5, %rd1, 1;\nsetp.ne.u64 %p1, %rd5, 0;\nand.b64 %rd5, %rd2, 1;\nsetp.ne.u64 %p2, %rd5, 0;\n";
    let logic: [(&str, &str, Holds); 6] = [
        ("and.pred", "%p1, %p2", |a, b| a && b),
        ("or.pred", "%p1, !%p2", |a, b| a || !b),
        ("xor.pred", "%p1, %p2", |a, b| a != b),
        ("not.pred", "%p1", |a, _| !a),
        ("mov.pred", "%p2", |_, b| b),
        ("mov.pred", "!%p2", |_, b| !b),
    ];
    for (opcode, operands, expected) in logic {
        let body = format!("{begin}{opcode} %p4, {operands};\n{}", finish("pred"));
        cases.push(Case::of_rows(opcode, body, integers, move |[a, b, _]| {
            u64::from(expected(a & 1 != 0, b & 1 != 0))
        }));
    }
    for of in BITS.into_iter().chain(INTEGERS).chain(FLOATS) {
        let (to, a, b) = (register(of, 4), register(of, 1), register(of, 2));
        for (sign, negated) in [("", false), ("!", true)] {
            let body =
                format!("setp.lt.s64 %p1, %rd3, 0;\nselp.{of} {to}, {a}, {b}, {sign}%p1;\n{}", finish(of));
            cases.push(Case::of_rows(&format!("selp.{of}"), body, integers, move |[a, b, c]| {
                cut(if ((c as i64) < 0) == negated { b } else { a }, width(of))
            }));
        }
    }
    cases
}
