//! What came of the methods that are known to be sound, for a terminal.

use std::fmt::Write as _;

use bn_harness::sound::{Alarm, SoundResults, Use};

use crate::style::{BOLD, DIM, harmless, one_line};
use crate::terminal;

/// How many cases with false alarms are shown in full.
const SHOWN: usize = 20;

/// A table of the methods, the largest budgets used, and every false alarm with its case.
pub fn human(results: &SoundResults) -> String {
    let mut text = String::new();
    let width = results.methods.iter().map(|method| method.name.len()).max().unwrap_or_default().max(6);
    let _ = writeln!(text, "{BOLD}{:width$}  judged  alarms  largest budget used{BOLD:#}", "method");
    for method in &results.methods {
        let largest = method.uses.iter().max_by(|one, other| one.used.total_cmp(&other.used));
        let largest = largest.map_or_else(|| "none".to_owned(), used);
        let (judged, alarms) = (method.judged, method.alarms);
        let _ = writeln!(text, "{:width$}  {judged:>6}  {alarms:>6}  {largest}", one_line(&method.name));
    }
    let _ = writeln!(text, "\n{BOLD}the largest budgets used, by tensor and type{BOLD:#}");
    for (method, largest) in results.largest() {
        let _ = writeln!(text, "{:width$}  {}", one_line(method), used(largest));
    }
    alarms(&mut text, results);
    let (alarms, cases, methods) = (results.alarms.len(), results.cases, results.methods.len());
    let _ = writeln!(text, "\n{alarms} of {cases} cases have false alarms, {methods} methods");
    text
}

/// Every false alarm with its case.
pub(crate) fn alarms(text: &mut String, results: &SoundResults) {
    for case in results.alarms.iter().take(SHOWN) {
        let _ = writeln!(text, "\n{BOLD}{}{BOLD:#}", one_line(&case.case));
        for one in &case.alarms {
            let _ = writeln!(text, "  {}", alarm(one));
        }
        if let Some(yaml) = &case.yaml {
            let _ = write!(text, "{DIM}{}{DIM:#}", harmless(yaml));
        }
    }
    if results.alarms.len() > SHOWN {
        let _ =
            writeln!(text, "\n{} more cases with false alarms: --format json", results.alarms.len() - SHOWN);
    }
}

fn used(largest: &Use) -> String {
    let Use { tensor, dtype, used, case, step, .. } = largest;
    format!("{:>5}  {tensor} {dtype}, step {step} of {}", terminal::budget_used(*used), one_line(case))
}

fn alarm(alarm: &Alarm) -> String {
    let Alarm { method, step, action, tensor, budget_used, worst, note } = alarm;
    let mut line = format!("{}: step {step}, {}", one_line(method), one_line(action));
    if let Some(tensor) = tensor {
        let _ = write!(line, ": {tensor}");
    }
    if let Some(used) = budget_used {
        let _ = write!(line, " uses {} of its budget", terminal::budget_used(*used));
    }
    if let Some(worst) = worst {
        let _ = write!(
            line,
            " at {:?}, {} is due, {} came",
            worst.index, worst.expected.decimal, worst.got.decimal
        );
        if let Some(budget) = worst.budget {
            let _ = write!(line, ", the budget is {budget:e}");
        }
    }
    if let Some(note) = note {
        let _ = write!(line, " ({})", one_line(note));
    }
    line
}
