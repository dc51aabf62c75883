//! What mistakes failures come from, as text for a terminal.

use std::fmt::Write as _;

use bn_harness::diagnosis::measure::{LISTED, Measurement, Unknown};
use bn_harness::results::{BackendDiagnosis, CaseResult, Explanation, Mistake, Suspicion, Verdict};

use crate::style::{BOLD, DIM, of, one_line, paint};

/// How many suspects of one case are shown.
const SHOWN: usize = 3;

/// The lines below a failing case: `likely: …`, then `or: …`. Nothing where nothing reproduces it.
pub fn of_case(result: &CaseResult) -> String {
    let mut text = String::new();
    for (place, suspicion) in result.diagnosis.iter().take(SHOWN).enumerate() {
        let word = if place == 0 { "likely" } else { "or" };
        let _ = writeln!(text, "  {word}: {}", sentence(suspicion));
    }
    let more = result.diagnosis.len().saturating_sub(SHOWN);
    if more > 0 {
        let _ = writeln!(text, "  {DIM}or {more} more, in results.json{DIM:#}");
    }
    text
}

/// What is said of each backend that fails: how many failures were replayed, and what explains them.
pub fn of_backends(diagnoses: &[BackendDiagnosis]) -> String {
    let mut text = String::new();
    for of_backend in diagnoses {
        let BackendDiagnosis { backend, failing, replayed, explanations } = of_backend;
        let _ = write!(text, "{BOLD}{}{BOLD:#}: {replayed} of ", one_line(backend));
        let _ = writeln!(
            text,
            "{failing} failing case{} replayed against the known mistakes{}",
            if *failing == 1 { "" } else { "s" },
            if replayed < failing { "; the others are not diagnosed, they are too many" } else { "" },
        );
        if explanations.is_empty() {
            let _ = writeln!(text, "  none of them, and no two, reproduce any");
        }
        for (place, explanation) in explanations.iter().enumerate() {
            text += &explanation_text(explanation, *replayed, place > 0);
        }
    }
    text
}

fn explanation_text(explanation: &Explanation, replayed: usize, further: bool) -> String {
    let explains = explanation.explains;
    let share = if further { format!("{explains} more") } else { format!("{explains} of {replayed}") };
    let mut text = String::new();
    for (place, suspicion) in explanation.alike.iter().take(LISTED).enumerate() {
        let lead = if place == 0 { format!("explains {share}") } else { "  or".to_owned() };
        let _ = writeln!(text, "  {lead}: {}", sentence(suspicion));
    }
    let more = explanation.alike.len().saturating_sub(LISTED);
    if more > 0 {
        let _ = writeln!(text, "    {DIM}or {more} more, in results.json{DIM:#}");
    }
    text
}

/// What is wrong, its name, and where it has been made.
fn sentence(suspicion: &Suspicion) -> String {
    let one = |mistake: &Mistake| {
        let link = mistake.link.as_ref().map(|link| format!("  {}", one_line(link))).unwrap_or_default();
        format!("{}  {DIM}[{}]{link}{DIM:#}", one_line(&mistake.about), one_line(&mistake.name))
    };
    suspicion.mistakes.iter().map(one).collect::<Vec<_>>().join("\n    and: ")
}

/// How many unknown mistakes are named right, and those that are not.
pub fn measured(singles: &Measurement, pairs: Option<&Measurement>) -> String {
    let mut text = String::new();
    for unknown in singles.unknowns.iter().filter(|unknown| !unknown.is_right()) {
        text += &missed(unknown);
    }
    if let Some(pairs) = pairs {
        for unknown in pairs.unknowns.iter().filter(|unknown| !unknown.is_right()) {
            text += &missed(unknown);
        }
        let _ = writeln!(text, "\npairs: {}", total(pairs));
    }
    let _ = writeln!(text, "\n{}", total(singles));
    let (verdict, line) = if singles.as_expected() {
        (Verdict::Pass, "enough are named right")
    } else {
        (Verdict::Fail, "too few are named right")
    };
    text + &paint(of(verdict), line) + "\n"
}

fn missed(unknown: &Unknown) -> String {
    let mut said = unknown.said.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    let more = unknown.said.len().saturating_sub(LISTED);
    if more > 0 {
        let _ = write!(said, " and {more} more");
    }
    let Unknown { name, explained, replayed, .. } = unknown;
    let word = paint(of(Verdict::Fail), "not named");
    if said.is_empty() {
        return format!("{word}  {BOLD}{name}{BOLD:#}: nothing explains any of its {replayed} cases\n");
    }
    format!("{word}  {BOLD}{name}{BOLD:#}, but {said}, explaining {explained} of {replayed} cases\n")
}

fn total(measured: &Measurement) -> String {
    let (right, all, alone) = (measured.right(), measured.unknowns.len(), measured.alone());
    format!(
        "{right} of {all} unknown mistakes named right ({:.1} %), {alone} of them alone, the others among up to \
         {LISTED} that cannot be told apart; {DIM}{:.1} s{DIM:#}",
        100.0 * measured.share(),
        measured.duration_ms as f64 / 1000.0,
    )
}
