//! The kill matrix as text for a terminal.

use std::fmt::Write as _;

use bn_harness::faults::{Catch, FaultRun, KillMatrix};
use bn_harness::results::Verdict;

use crate::style::{BOLD, DIM, of, one_line, paint};

/// For each fault what catches it, for each case the faults that it alone catches, and the totals.
pub fn matrix(matrix: &KillMatrix) -> String {
    let mut text = String::new();
    for fault in &matrix.faults {
        let name = &fault.name;
        match &fault.caught_by[..] {
            [] => {
                let word = paint(of(Verdict::Fail), "SURVIVES");
                let _ = writeln!(text, "{word}  {BOLD}{name}{BOLD:#}: {}", one_line(&fault.about));
            }
            [first, ..] => {
                let word = paint(of(Verdict::Pass), "caught  ");
                let _ = writeln!(
                    text,
                    "{word}  {BOLD}{name}{BOLD:#} by {}, first: {}",
                    cases(fault.caught_by.len()),
                    shown(first)
                );
            }
        }
    }
    let indispensable = matrix.indispensable();
    if !indispensable.is_empty() {
        let _ = writeln!(text, "\n{BOLD}Cases that alone catch a fault{BOLD:#}");
    }
    for (case, faults) in &indispensable {
        let _ = writeln!(text, "  {}: {}", one_line(case), faults.join(", "));
    }
    if !matrix.void.is_empty() {
        let _ = writeln!(text, "\n{BOLD}Cases that prove nothing{BOLD:#}");
    }
    for void in &matrix.void {
        let _ = writeln!(text, "  {}: {}", one_line(&void.case), one_line(&void.reason));
    }
    let survivors: Vec<&FaultRun> = matrix.survivors().collect();
    let _ = writeln!(
        text,
        "\n{} {}, {} caught, {} survive{}; {}, {} of them alone with a fault{}; {DIM}{:.1} s{DIM:#}",
        matrix.faults.len(),
        if matrix.faults.len() == 1 { "fault" } else { "faults" },
        matrix.faults.len() - survivors.len(),
        survivors.len(),
        if survivors.len() == 1 { "s" } else { "" },
        cases(matrix.cases.len()),
        indispensable.len(),
        if matrix.void.is_empty() { String::new() } else { format!(", {} void", matrix.void.len()) },
        matrix.duration_ms as f64 / 1000.0,
    );
    let (verdict, line) = match (matrix.as_expected(), matrix.faults.is_empty(), survivors.is_empty()) {
        (true, ..) => (Verdict::Pass, "every fault is caught"),
        (_, true, _) => (Verdict::Fail, "no fault was run"),
        (_, _, true) => (Verdict::Fail, "cases that prove nothing must be mended"),
        _ => (Verdict::Fail, "a fault survives: the cases have a hole"),
    };
    text + &paint(of(verdict), line) + "\n"
}

fn cases(count: usize) -> String {
    if count == 1 { "1 case".to_owned() } else { format!("{count} cases") }
}

/// Where a case shows a fault: `ID step 2 forward: running_var`.
fn shown(catch: &Catch) -> String {
    let error = catch.error.then(|| "error".to_owned());
    let what: Vec<String> = error.into_iter().chain(catch.tensors.iter().map(ToString::to_string)).collect();
    format!("{} step {} {}: {}", one_line(&catch.case), catch.step, catch.action, what.join(", "))
}
