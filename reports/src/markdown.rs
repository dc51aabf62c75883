//! Results as Markdown, for the summary of a CI step: verdicts, causes, and the failing cases with their replay lines.

pub(crate) mod text;

use std::collections::HashMap;
use std::fmt::Write as _;

use bn_harness::changes::{Changes, Side, TransitionKind};
use bn_harness::results::{BackendColumn, CaseInfo, CaseResult, RunResults, Verdict};

use crate::causes::{self, Cause};
use crate::style::one_line;
use crate::tally::{Tally, not_listed, outcome, unrecorded};
use crate::terminal::{Invocation, budget_used, count, place};
use text::{Page, code, html};

/// What a summary has in bytes at most; GitHub refuses one of a mebibyte.
pub const LIMIT: usize = 900_000;

/// Rows of a table, and entries of a list, at most.
const ROWS: usize = 50;

/// Bytes for what says how much is left out.
const NOTES: usize = 2000;

/// Bytes of one cause with one case at least.
const SMALLEST: usize = 100;

/// The last entry of a list that has more.
const MORE: &str = "- … and {} more\n";

/// Cases of one cause at most.
const CASES: usize = 100;

/// The results as a summary of less than [`LIMIT`] bytes. What does not fit is counted.
pub fn summary(results: &RunResults) -> String {
    let causes = causes::of(results);
    let mut page = Page::of(LIMIT - NOTES);
    page.push(&heading(results));
    verdicts(&mut page, results);
    page.push(&about(results));
    if let Some(changes) = &results.changes {
        since_the_baseline(&mut page, changes);
    }
    if !results.deviation_errors.is_empty() {
        page.push("\n### Declared deviations that are wrong\n\n");
        let lines = results.deviation_errors.iter().map(|error| format!("- {}\n", code(error)));
        page.list(results.deviation_errors.len(), lines, MORE);
    }
    let cases = causes::by_id(results);
    if !causes.is_empty() {
        table_of_causes(&mut page, &causes, &cases);
        failing_cases(&mut page, results, &causes, &cases);
    }
    if page.is_full() {
        page.note("\nThis is not all of it: a summary has its limit. The rest is in `results.json`.\n");
    }
    page.into_text()
}

fn heading(results: &RunResults) -> String {
    let outcome = outcome(results, |unexpected| unexpected.to_string());
    let mut text = format!("## bncheck: {outcome}\n\n");
    if let Some(why) = &results.run.incomplete {
        let _ = writeln!(text, "**Incomplete:** {}\n", code(why));
    }
    text
}

/// The verdicts of each backend.
fn verdicts(page: &mut Page, results: &RunResults) {
    let tally = Tally::of_run(results);
    let shown = tally.shown();
    let names: Vec<&str> = shown.iter().map(|verdict| verdict.name()).collect();
    page.push(&format!("| backend | {} | budget used | version |\n", names.join(" | ")));
    page.push(&format!("|:---|{}---:|:---|\n", "---:|".repeat(shown.len())));
    let row = |backend: &BackendColumn| {
        let name = backend.name.as_str();
        let cell = |verdict: &Verdict| match tally.count(name, *verdict) {
            0 => "0".to_owned(),
            count if results.expects(*verdict) => count.to_string(),
            count => format!("**{count}**"),
        };
        let cells: Vec<String> = shown.iter().map(cell).collect();
        let used = tally.used(name).map_or_else(|| "–".to_owned(), budget_used);
        format!("| {} | {} | {used} | {} |\n", code(name), cells.join(" | "), code(&backend.version))
    };
    let backends = &results.run.backends;
    let more = format!("| … and {{}} more |{}\n", " |".repeat(shown.len() + 2));
    page.list(backends.len(), backends.iter().map(row), &more);
}

/// What was run, where and how.
fn about(results: &RunResults) -> String {
    let run = &results.run;
    let machine = &run.machine;
    let mut text = format!(
        "\n{} × {} against {} in {:.1} s, {} at a time; bncheck {} on {}",
        count(results.case_count(), "case"),
        count(run.backends.len(), "backend"),
        code(&run.oracle),
        run.duration_ms as f64 / 1000.0,
        run.jobs,
        code(&run.bncheck),
        code(&format!("{} {}", machine.os, machine.arch)),
    );
    if let Some(cpu) = &machine.cpu {
        let _ = write!(text, ", {}", code(cpu));
    }
    let _ = write!(text, ", {}", count(machine.threads, "thread"));
    if let Some(seed) = run.seed {
        let _ = write!(text, "; seed {seed}");
    }
    let _ = writeln!(text, "; called with {}", code(&run.flags.join(" ")));
    for sentence in not_listed(results, |count| count.to_string()) {
        let _ = writeln!(text, "\n{sentence}");
    }
    for alone in unrecorded(results, |count| count.to_string()) {
        let _ = writeln!(text, "\n{alone}");
    }
    text
}

/// What has changed since a baseline.
fn since_the_baseline(page: &mut Page, changes: &Changes) {
    let baseline = &changes.baseline;
    let counted = TransitionKind::ALL.into_iter().map(|kind| (changes.of_kind(kind).count(), kind));
    let counts: Vec<String> = counted
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| format!("{count} {}", in_words(kind, changes.factor)))
        .collect();
    let counts = if counts.is_empty() { "nothing has changed".to_owned() } else { counts.join(", ") };
    page.push("\n### Since the baseline\n\n");
    page.push(&format!(
        "{}, bncheck {}; {} compared: {counts}\n",
        code(&baseline.source),
        code(&baseline.bncheck),
        count(changes.compared, "result")
    ));
    if !changes.notes.is_empty() {
        page.push("\n");
        page.list(changes.notes.len(), changes.notes.iter().map(|note| format!("- {}\n", code(note))), MORE);
    }
    for kind in [TransitionKind::NewlyFailing, TransitionKind::Fixed, TransitionKind::OtherVerdict] {
        let of_kind: Vec<_> = changes.of_kind(kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        page.push(&format!("\n{} {}:\n\n", of_kind.len(), in_words(kind, changes.factor)));
        let lines = of_kind.iter().map(|change| {
            let verdict = |side: Option<Side>| side.map_or("not there", |side| side.verdict.name());
            let (before, after) = (verdict(change.before), verdict(change.after));
            format!("- {} {}: {before} → {after}\n", code(&change.backend), code(&change.case))
        });
        page.list(of_kind.len(), lines, MORE);
    }
}

fn in_words(kind: TransitionKind, factor: f64) -> String {
    match kind {
        TransitionKind::NewlyFailing => "newly failing".to_owned(),
        TransitionKind::Fixed => "fixed".to_owned(),
        TransitionKind::OtherVerdict => "with another verdict".to_owned(),
        TransitionKind::BudgetUp => format!("with the budget used up by more than {factor} times"),
        TransitionKind::BudgetDown => format!("with the budget used down by more than {factor} times"),
        TransitionKind::Added => "added".to_owned(),
        TransitionKind::Removed => "removed".to_owned(),
    }
}

fn table_of_causes(page: &mut Page, causes: &[Cause], cases: &HashMap<&str, &CaseInfo>) {
    page.push(
        "\n### Causes\n\n| cases | verdict | backend | cause | first at |\n|---:|:---|:---|:---|:---|\n",
    );
    let rows = causes.iter().map(|cause| {
        let backend = cause.backend.map_or_else(|| "any".to_owned(), code);
        let first = cause.results.first().and_then(|first| cases.get(first.case.as_str()));
        let place = first.map_or_else(|| "–".to_owned(), |case| code(&place(case)));
        format!("| {} | {} | {backend} | {} | {place} |\n", cause.cases(), cause.verdict(), code(&cause.what))
    });
    page.list(causes.len(), rows, "| … and {} more | | | | |\n");
}

/// The failing cases by cause, each behind a line that opens.
fn failing_cases(page: &mut Page, results: &RunResults, causes: &[Cause], cases: &HashMap<&str, &CaseInfo>) {
    let invocation = Invocation::of(results);
    page.push("\n### Cases\n\n");
    let mut left_out = 0;
    for cause in causes {
        // Without room for the smallest of them, none need be written to see it.
        if !page.has_room(SMALLEST) {
            left_out += cause.results.len();
            continue;
        }
        let block = details(cause, cases, &invocation, |bytes| page.has_room(bytes));
        let listed = block.as_ref().map_or(0, |(_, listed)| *listed);
        left_out += cause.results.len() - listed;
        if let Some((block, _)) = block {
            page.push(&block);
        }
    }
    if left_out > 0 {
        let results = count(left_out, "more result");
        page.note(&format!("{results}, not listed here: all of them are in `results.json`.\n"));
    }
}

/// The cases of one cause, as many as have room, and how many these are; nothing where none has.
fn details(
    cause: &Cause,
    cases: &HashMap<&str, &CaseInfo>,
    invocation: &Invocation,
    has_room: impl Fn(usize) -> bool,
) -> Option<(String, usize)> {
    const END: &str = "```\n\n</details>\n\n";
    const REST: usize = 50;
    let who = cause.backend.map_or_else(String::new, |backend| html(backend) + " ");
    let what = format!("{} in {}: {}", cause.verdict(), count(cause.cases(), "case"), html(&cause.what));
    let mut block = format!("<details>\n<summary>{who}{what}</summary>\n\n```sh\n");
    let mut listed = 0;
    for result in cause.results.iter().take(CASES) {
        let entry = entry(result, cases.get(result.case.as_str()).copied(), invocation);
        if !has_room(block.len() + entry.len() + REST + END.len()) {
            break;
        }
        block += &entry;
        listed += 1;
    }
    let more = cause.results.len() - listed;
    if more > 0 {
        let _ = writeln!(block, "# … and {more} more");
    }
    (listed > 0).then(|| (block + END, listed))
}

/// What differs first and where it is written, as a comment, and the line that shows it again.
fn entry(result: &CaseResult, case: Option<&CaseInfo>, invocation: &Invocation) -> String {
    let place = case.map(|case| format!("{}  ", place(case))).unwrap_or_default();
    let replay = invocation.replay(&result.case, Some(&result.backend));
    format!("# {place}{}\n{replay}\n", one_line(&causes::difference(result)))
}
