//! What has changed between two runs, as text for a terminal.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use bn_harness::changes::{Changes, Side, Transition, TransitionKind};
use bn_harness::results::{LeftOut, RunResults, Verdict};

use crate::style::{BOLD, DIM, of, one_line, paint};
use crate::tally::date;
use crate::terminal::{Invocation, budget_used, count, thousands};

/// How many changes of a kind are listed, where not all are asked for.
pub const LISTED: usize = 20;

/// How much is shown.
#[derive(Debug, Clone)]
pub struct Shown {
    /// How many changes of a kind; nothing for all of them.
    pub limit: Option<usize>,
    /// What to type to see all.
    pub all: String,
}

/// The changes, those to the worse first, then what they come to.
pub fn text(changes: &Changes, shown: &Shown, invocation: &Invocation) -> String {
    let mut text = String::new();
    for kind in TransitionKind::ALL {
        let listed: Vec<&Transition> = changes.of_kind(kind).collect();
        if listed.is_empty() {
            continue;
        }
        let entries = match kind {
            TransitionKind::Added | TransitionKind::Removed => by_case(&listed),
            _ => listed.iter().map(|transition| entry(transition, invocation)).collect(),
        };
        let heading =
            format!("{}, {}", heading(kind, changes.factor), amount(kind, listed.len(), entries.len()));
        text += &group(&heading, &entries, shown);
    }
    if !changes.deviation_errors.is_empty() {
        let entries: Vec<String> =
            changes.deviation_errors.iter().map(|error| format!("  {}\n", one_line(error))).collect();
        text += &group(&format!("Newly wrong declared deviations, {}", entries.len()), &entries, shown);
    }
    for note in &changes.notes {
        let _ = writeln!(text, "note: {}", one_line(note));
    }
    if !changes.notes.is_empty() {
        text.push('\n');
    }
    text + &outcome(changes)
}

/// The results that are newly failing, as a run of their own: for renderings that show what fails.
pub fn newly_failing(results: &RunResults) -> RunResults {
    let none = Vec::new();
    let transitions = results.changes.as_ref().map_or(&none, |changes| &changes.transitions);
    let failing: HashSet<(&str, &str)> = transitions
        .iter()
        .filter(|transition| transition.kind == TransitionKind::NewlyFailing)
        .map(|transition| (transition.case.as_str(), transition.backend.as_str()))
        .collect();
    let mut kept = results.clone();
    kept.left_out = LeftOut::default();
    kept.results.retain(|result| failing.contains(&(result.case.as_str(), result.backend.as_str())));
    kept.deviation_errors =
        results.changes.as_ref().map(|changes| changes.deviation_errors.clone()).unwrap_or_default();
    kept
}

fn group(heading: &str, entries: &[String], shown: &Shown) -> String {
    let mut text = format!("{BOLD}{heading}{BOLD:#}\n");
    let limit = shown.limit.unwrap_or(usize::MAX);
    text.extend(entries.iter().take(limit).map(String::as_str));
    if entries.len() > limit {
        let _ = writeln!(text, "  {DIM}… and {} more: {}{DIM:#}", entries.len() - limit, shown.all);
    }
    text.push('\n');
    text
}

fn heading(kind: TransitionKind, factor: f64) -> String {
    match kind {
        TransitionKind::NewlyFailing => "Newly failing".to_owned(),
        TransitionKind::Fixed => "Fixed".to_owned(),
        TransitionKind::OtherVerdict => "Another verdict".to_owned(),
        TransitionKind::BudgetUp => format!("Budget used, up by more than {factor} times"),
        TransitionKind::BudgetDown => format!("Budget used, down by more than {factor} times"),
        TransitionKind::Added => "Added".to_owned(),
        TransitionKind::Removed => "Removed".to_owned(),
    }
}

/// Results, and of what is listed by case the cases.
fn amount(kind: TransitionKind, results: usize, entries: usize) -> String {
    match kind {
        TransitionKind::Added | TransitionKind::Removed => count(entries, "case"),
        _ => results.to_string(),
    }
}

fn entry(transition: &Transition, invocation: &Invocation) -> String {
    let Transition { case, backend, kind, before, after, difference } = transition;
    let (case_shown, backend_shown) = (one_line(case), one_line(backend));
    let mut text = String::new();
    if matches!(kind, TransitionKind::BudgetUp | TransitionKind::BudgetDown) {
        let times =
            ratio(*before, *after).map(|times| format!("  {DIM}× {times}{DIM:#}")).unwrap_or_default();
        let (before, after) = (used(*before), used(*after));
        let _ = writeln!(text, "  {before} -> {after}{times}  {BOLD}{backend_shown}{BOLD:#}  {case_shown}");
        return text;
    }
    let was = match (before, after) {
        (Some(before), Some(after)) if before.verdict == after.verdict => {
            format!("budget used {} -> {}", used(Some(*before)), used(Some(*after)))
        }
        (Some(before), _) => format!("was {}", before.verdict),
        (None, _) => "is new".to_owned(),
    };
    let verdict = after.or(*before).map_or(Verdict::Error, |side| side.verdict);
    let verdict = paint(of(verdict), verdict.name());
    let _ = writeln!(text, "  {verdict}  {BOLD}{backend_shown}{BOLD:#}  {case_shown}  {DIM}{was}{DIM:#}");
    if let Some(difference) = difference {
        let _ = writeln!(text, "    {}", one_line(difference));
    }
    if *kind == TransitionKind::NewlyFailing {
        let _ = writeln!(text, "    replay: {}", invocation.replay(case, Some(backend)));
    }
    text
}

/// A line for each case, with the verdicts on it.
fn by_case(transitions: &[&Transition]) -> Vec<String> {
    let mut cases: Vec<(&str, BTreeMap<Verdict, usize>)> = Vec::new();
    for transition in transitions {
        if cases.last().is_none_or(|(case, _)| *case != transition.case) {
            cases.push((&transition.case, BTreeMap::new()));
        }
        let side = transition.after.or(transition.before);
        if let (Some((_, verdicts)), Some(side)) = (cases.last_mut(), side) {
            *verdicts.entry(side.verdict).or_default() += 1;
        }
    }
    let line = |(case, verdicts): &(&str, BTreeMap<Verdict, usize>)| {
        let verdicts: Vec<String> =
            verdicts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        format!("  {}  {DIM}{}{DIM:#}\n", one_line(case), verdicts.join(", "))
    };
    cases.iter().map(line).collect()
}

fn used(side: Option<Side>) -> String {
    side.and_then(|side| side.budget_used).map_or_else(|| "not measured".to_owned(), budget_used)
}

/// By how much the larger budget used is the larger.
fn ratio(before: Option<Side>, after: Option<Side>) -> Option<String> {
    let (before, after) = (before?.budget_used?, after?.budget_used?);
    let times = if after > before { after / before } else { before / after };
    times.is_finite().then(|| budget_used(times))
}

fn outcome(changes: &Changes) -> String {
    let baseline = &changes.baseline;
    let began = date(baseline.started_unix_ms);
    let began = began.map(|began| format!(", {}", began.format("%Y-%m-%d %H:%M UTC"))).unwrap_or_default();
    let source = format!("{} (bncheck {}{began})", one_line(&baseline.source), one_line(&baseline.bncheck));
    if changes.compared == 0 {
        let nothing = paint(of(Verdict::Fail), "nothing was compared");
        return format!("{nothing}: this run has no result in common with {source}\n");
    }
    let compared = thousands(changes.compared as u64);
    let number = |kind| changes.of_kind(kind).count();
    let wrong = changes.deviation_errors.len();
    let parts = [
        (number(TransitionKind::NewlyFailing), "newly failing"),
        (wrong, if wrong == 1 { "newly wrong deviation" } else { "newly wrong deviations" }),
        (number(TransitionKind::Fixed), "fixed"),
        (number(TransitionKind::OtherVerdict), "of another verdict"),
        (number(TransitionKind::BudgetUp), "with more of the budget used"),
        (number(TransitionKind::BudgetDown), "with less of the budget used"),
        (number(TransitionKind::Added), "added"),
        (number(TransitionKind::Removed), "removed"),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", thousands(*count as u64)))
        .collect();
    let (verdict, line) = match (changes.is_no_worse(), said.is_empty()) {
        (true, true) => (Verdict::Pass, "nothing has changed".to_owned()),
        (true, false) => (Verdict::Pass, format!("nothing newly failing; {}", said.join(", "))),
        (false, _) => (Verdict::Fail, said.join(", ")),
    };
    format!("{compared} results compared with {source}\n{}\n", paint(of(verdict), &line))
}
