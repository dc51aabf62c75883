//! Every opcode by value: integers and bits against Rust's integers, floats against exact arithmetic that is rounded
//! here, loads, stores and what threads do together against what was put in.

// Shifts and masks, as the PTX manual writes them.
#![allow(clippy::precedence, clippy::precedence_bits)]

mod bits;
mod convert;
mod directed;
mod exact;
mod float;
mod integer;
mod memory;
mod predicate;
#[path = "../support/mod.rs"]
mod support;
mod threads;
mod values;

use std::collections::BTreeSet;

/// Operands of an instruction, in 64-bit words.
type Row = [u64; 3];

/// A check of one opcode.
struct Case {
    opcode: String,
    check: Box<dyn Fn()>,
}

impl Case {
    /// Runs a body on rows and compares with what is expected of all of them.
    fn of_all(
        opcode: &str,
        body: String,
        rows: impl Fn() -> Vec<Row> + 'static,
        expected: impl Fn(&[Row]) -> Vec<u64> + 'static,
    ) -> Case {
        assert!(has(&body, opcode), "`{opcode}` is not in its own test:\n{body}");
        let check = move || {
            let rows = rows();
            let (got, expected) = (support::compute(&body, &rows), expected(&rows));
            assert_eq!(got.len(), expected.len());
            for ((row, got), expected) in rows.iter().zip(got).zip(expected) {
                let [a, b, c] = row;
                assert_eq!(got, expected, "{body}: {a:#x} {b:#x} {c:#x} gives {got:#x}, not {expected:#x}");
            }
        };
        Case { opcode: opcode.to_owned(), check: Box::new(check) }
    }

    /// The same, each row for itself.
    fn of_rows(
        opcode: &str,
        body: String,
        rows: impl Fn() -> Vec<Row> + 'static,
        expected: impl Fn(Row) -> u64 + 'static,
    ) -> Case {
        Case::of_all(opcode, body, rows, move |rows| rows.iter().map(|&row| expected(row)).collect())
    }

    /// An instruction of registers only: `to` is a type, `from` are types, or operands as they are written after `=`.
    fn map(
        opcode: &str,
        to: &str,
        from: &[&str],
        rows: impl Fn() -> Vec<Row> + 'static,
        expected: impl Fn(Row) -> u64 + 'static,
    ) -> Case {
        let mut index = 0;
        let operands: Vec<String> = from
            .iter()
            .map(|of| {
                if let Some(written) = of.strip_prefix('=') {
                    return written.to_owned();
                }
                index += 1;
                values::register(of, index)
            })
            .collect();
        let body =
            format!("{opcode} {}, {};\n{}", values::register(to, 4), operands.join(", "), values::finish(to));
        Case::of_rows(opcode, body, rows, expected)
    }

    /// A check that is done in its own way.
    fn special(opcode: &str, check: impl Fn() + 'static) -> Case {
        Case { opcode: opcode.to_owned(), check: Box::new(check) }
    }
}

/// Whether an instruction of the body has this opcode.
fn has(body: &str, opcode: &str) -> bool {
    body.split([';', '\n']).any(|statement| {
        let mut words = statement.split_whitespace().skip_while(|word| word.starts_with('@'));
        words.next() == Some(opcode)
    })
}

fn run(cases: &[Case]) {
    assert!(!cases.is_empty());
    for case in cases {
        (case.check)();
    }
}

macro_rules! subjects {
    ($($test:ident: $subject:ident;)*) => {
        $(
            #[test]
            fn $test() {
                run(&$subject::cases());
            }
        )*

        fn all() -> Vec<Case> {
            let mut all = Vec::new();
            $(all.extend($subject::cases());)*
            all
        }
    };
}

subjects! {
    integers_compute_as_in_rust: integer;
    bits_move_as_in_rust: bits;
    floats_that_do_not_round_compute_as_in_rust: float;
    floats_round_the_exact_result_in_each_direction: directed;
    comparisons_and_predicates_hold_as_in_rust: predicate;
    conversions_round_the_exact_value: convert;
    loads_stores_and_moves_keep_the_bytes: memory;
    threads_go_where_they_are_sent_and_meet: threads;
}

#[test]
fn every_opcode_that_is_understood_has_a_test() {
    let tested: BTreeSet<String> = all().into_iter().map(|case| case.opcode).collect();
    let known: BTreeSet<String> = bn_ptx::opcodes().into_iter().collect();
    let untested: Vec<_> = known.difference(&tested).collect();
    let unknown: Vec<_> = tested.difference(&known).collect();
    assert!(known.len() > 1000, "the list is short: {}", known.len());
    assert!(untested.is_empty(), "{} opcodes have no test: {untested:?}", untested.len());
    assert!(unknown.is_empty(), "tests of opcodes that are not in the list: {unknown:?}");
}
