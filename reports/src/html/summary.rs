//! What is read of a run without a script: who was judged, and what came of it.

use bn_harness::changes::{Changes, TransitionKind};
use bn_harness::results::{
    BackendDiagnosis, CaseInfo, CaseResult, Explanation, RunResults, Suspicion, Verdict,
};

use super::grid::Grid;
use super::text::{line, passage};
use crate::causes;
use crate::tally::{Tally, date, not_listed, outcome, unrecorded};
use crate::terminal::{Invocation, budget_used, place, thousands};

/// How many results that are not as expected are listed.
const LISTED: usize = 50;

/// How many causes are.
const CAUSES: usize = 20;

/// How many mistakes that cannot be told apart are.
const ALIKE: usize = 3;

/// The top of the page.
#[derive(Debug)]
pub struct Summary {
    pub is_as_expected: bool,
    pub outcome: String,
    pub cases: String,
    pub facts: Vec<(&'static str, String)>,
    pub incomplete: Option<String>,
    /// What is counted and not listed; empty where everything is listed.
    pub not_listed: String,
    pub verdicts: Vec<Mark>,
    pub backends: Vec<Row>,
    pub deviation_errors: Vec<String>,
    pub unexpected: Vec<Unexpected>,
    /// How many more there are.
    pub more: usize,
    pub causes: Vec<Cause>,
    pub more_causes: usize,
    pub diagnoses: Vec<Diagnosis>,
    pub changes: Option<Change>,
}

/// A verdict: its word, its sign, and how often it was given.
#[derive(Debug)]
pub struct Mark {
    pub name: &'static str,
    pub glyph: &'static str,
    pub count: String,
    pub is_none: bool,
}

/// A backend.
#[derive(Debug)]
pub struct Row {
    pub name: String,
    pub version: String,
    pub about: String,
    pub counts: Vec<Mark>,
    pub used: String,
}

/// A result that is not as expected.
#[derive(Debug)]
pub struct Unexpected {
    pub verdict: Mark,
    pub backend: String,
    pub case: String,
    pub place: String,
    pub what: String,
    pub replay: String,
}

/// Why several are.
#[derive(Debug)]
pub struct Cause {
    pub verdict: Mark,
    pub backend: Option<String>,
    pub what: String,
    pub results: String,
}

/// What mistakes a backend seems to make.
#[derive(Debug)]
pub struct Diagnosis {
    pub backend: String,
    pub replayed: String,
    pub explanations: Vec<Explained>,
}

/// One of them, or several that cannot be told apart.
#[derive(Debug)]
pub struct Explained {
    pub share: String,
    pub alike: Vec<Vec<Mistake>>,
    pub more: usize,
}

/// A known mistake.
#[derive(Debug)]
pub struct Mistake {
    pub name: String,
    pub about: String,
    /// Where it has been made; only what a browser may follow.
    pub link: Option<String>,
}

/// What has changed since a baseline.
#[derive(Debug)]
pub struct Change {
    pub is_no_worse: bool,
    pub baseline: String,
    pub counts: Vec<(&'static str, String)>,
    pub notes: Vec<String>,
    pub deviation_errors: Vec<String>,
}

impl Summary {
    /// Of a run.
    pub fn new(grid: &Grid, invocation: &Invocation) -> Self {
        let results = grid.results;
        let shown = Tally::of_run(results).shown();
        let causes = causes::of(results);
        let by_id = causes::by_id(results);
        Summary {
            is_as_expected: results.as_expected(),
            outcome: capitalised(&outcome(results, |unexpected| thousands(unexpected as u64))),
            cases: format!(
                "{} × {} against {}",
                counted(results.case_count(), "case"),
                counted(results.run.backends.len(), "backend"),
                line(&results.run.oracle)
            ),
            facts: facts(results),
            incomplete: results.run.incomplete.as_deref().map(|why| passage(why).into_owned()),
            not_listed: capitalised(&not_listed(results, |count| thousands(count as u64)).join("; ")),
            verdicts: shown.iter().map(|&verdict| mark(verdict, 0)).collect(),
            backends: backends(grid, &shown),
            deviation_errors: results
                .deviation_errors
                .iter()
                .map(|error| passage(error).into_owned())
                .collect(),
            unexpected: results
                .unexpected()
                .take(LISTED)
                .map(|result| unexpected(result, by_id.get(&*result.case).copied(), invocation))
                .collect(),
            more: (results.unexpected().count().saturating_sub(LISTED))
                .saturating_add(results.unexpected_not_listed()),
            more_causes: causes.len().saturating_sub(CAUSES),
            causes: causes.into_iter().take(CAUSES).map(|cause| of_cause(&cause)).collect(),
            diagnoses: results.diagnoses.iter().map(diagnosis).collect(),
            changes: results.changes.as_ref().map(change),
        }
    }

    /// Bytes that it takes in the page at most, about.
    pub fn size(&self) -> usize {
        // Texts are escaped: a byte may become five.
        let rows =
            self.unexpected.iter().map(|one| 800 + 4 * (one.what.len() + one.case.len())).sum::<usize>();
        let causes = self.causes.iter().map(|cause| 400 + 2 * cause.what.len()).sum::<usize>();
        let errors = self.deviation_errors.iter().map(|error| 100 + 2 * error.len()).sum::<usize>();
        rows + causes + errors + 4000 * self.backends.len() + 4000 * self.diagnoses.len()
    }
}

fn mark(verdict: Verdict, count: usize) -> Mark {
    Mark { name: verdict.name(), glyph: glyph(verdict), count: thousands(count as u64), is_none: count == 0 }
}

/// The sign of a verdict, so that colour is never needed to tell one from another.
pub fn glyph(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Fail => "✗",
        Verdict::Known => "≈",
        Verdict::Fixed => "↑",
        Verdict::Unsupported => "–",
        Verdict::Error => "!",
        Verdict::Crash => "‼",
        Verdict::Timeout => "◷",
        Verdict::Suspect => "?",
        Verdict::Vacuous => "∅",
    }
}

fn counted(number: usize, what: &str) -> String {
    format!("{} {what}{}", thousands(number as u64), if number == 1 { "" } else { "s" })
}

/// With a capital letter, as a heading begins.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn facts(results: &RunResults) -> Vec<(&'static str, String)> {
    let run = &results.run;
    let machine = &run.machine;
    let time = date(run.started_unix_ms);
    let mut facts = vec![
        ("Oracle", line(&run.oracle).into_owned()),
        ("bncheck", line(&run.bncheck).into_owned()),
        ("Machine", format!("{} {}", line(&machine.os), line(&machine.arch))),
        ("CPU", machine.cpu.as_deref().map_or_else(|| "not known".to_owned(), |cpu| line(cpu).into_owned())),
        ("Threads", thousands(machine.threads as u64)),
        ("In flight", counted(run.jobs, "case")),
        ("Seed", run.seed.map_or_else(|| "those of the cases".to_owned(), |seed| seed.to_string())),
        ("Command line", line(&format!("bncheck {}", run.flags.join(" "))).trim().to_owned()),
        ("Began", time.map_or_else(String::new, |time| time.format("%Y-%m-%d %H:%M:%S UTC").to_string())),
        ("Took", format!("{:.1} s", run.duration_ms as f64 / 1000.0)),
    ];
    let alone = unrecorded(results, |count| thousands(count as u64));
    if !alone.is_empty() {
        facts.push(("Not recorded", alone.join("; ")));
    }
    if !run.parts.is_empty() {
        let of = |part: &bn_harness::results::PartInfo| {
            format!("{} ({})", line(&part.source), counted(part.results, "result"))
        };
        facts.push(("Merged from", run.parts.iter().map(of).collect::<Vec<_>>().join(", ")));
    }
    facts
}

fn backends(grid: &Grid, shown: &[Verdict]) -> Vec<Row> {
    // Of a result that is there twice the matrix has the first, and so has this.
    let tally = Tally::of(grid.cells().flatten()).with(&grid.results.left_out);
    let row = |backend: &bn_harness::results::BackendColumn| Row {
        name: line(&backend.name).into_owned(),
        version: line(&backend.version).into_owned(),
        about: line(&backend.about).into_owned(),
        counts: shown.iter().map(|&verdict| mark(verdict, tally.count(&backend.name, verdict))).collect(),
        used: tally.used(&backend.name).map_or_else(|| "–".to_owned(), budget_used),
    };
    grid.results.run.backends.iter().map(row).collect()
}

fn unexpected(result: &CaseResult, case: Option<&CaseInfo>, invocation: &Invocation) -> Unexpected {
    Unexpected {
        verdict: mark(result.verdict, 1),
        backend: line(&result.backend).into_owned(),
        case: line(&result.case).into_owned(),
        place: case.map(place).unwrap_or_default(),
        what: line(&causes::difference(result)).into_owned(),
        replay: invocation.replay(&result.case, Some(&result.backend)),
    }
}

fn of_cause(cause: &causes::Cause) -> Cause {
    let (results, cases) = (cause.results.len(), cause.cases());
    Cause {
        verdict: mark(cause.verdict(), results),
        backend: cause.backend.map(|backend| line(backend).into_owned()),
        what: line(&cause.what).into_owned(),
        results: if results == cases {
            counted(cases, "case")
        } else {
            format!("{} of {}", counted(results, "result"), counted(cases, "case"))
        },
    }
}

fn diagnosis(of: &BackendDiagnosis) -> Diagnosis {
    let replayed = format!(
        "{} of {} replayed against the known mistakes{}{}",
        thousands(of.replayed as u64),
        counted(of.failing, "failing case"),
        if of.replayed < of.failing { "; the others are not diagnosed, they are too many" } else { "" },
        if of.explanations.is_empty() { ". None of them, and no two, reproduce any." } else { "" },
    );
    let explained = |(place, explanation): (usize, &Explanation)| Explained {
        share: match place {
            0 => format!("{} of {}", explanation.explains, of.replayed),
            _ => format!("{} more", explanation.explains),
        },
        alike: explanation.alike.iter().take(ALIKE).map(mistakes).collect(),
        more: explanation.alike.len().saturating_sub(ALIKE),
    };
    Diagnosis {
        backend: line(&of.backend).into_owned(),
        replayed,
        explanations: of.explanations.iter().enumerate().map(explained).collect(),
    }
}

fn mistakes(suspicion: &Suspicion) -> Vec<Mistake> {
    let mistake = |mistake: &bn_harness::results::Mistake| Mistake {
        name: line(&mistake.name).into_owned(),
        about: line(&mistake.about).into_owned(),
        link: mistake
            .link
            .as_deref()
            .map(|link| line(link).into_owned())
            .filter(|link| may_be_followed(link)),
    };
    suspicion.mistakes.iter().map(mistake).collect()
}

/// Whether a link leads to the web: others may run something.
fn may_be_followed(link: &str) -> bool {
    link.starts_with("https://") || link.starts_with("http://")
}

/// A kind of change in words.
pub fn kind_in_words(kind: TransitionKind) -> &'static str {
    match kind {
        TransitionKind::NewlyFailing => "newly failing",
        TransitionKind::Fixed => "fixed",
        TransitionKind::OtherVerdict => "another verdict",
        TransitionKind::BudgetUp => "more of the budget used",
        TransitionKind::BudgetDown => "less of the budget used",
        TransitionKind::Added => "added",
        TransitionKind::Removed => "removed",
    }
}

fn change(changes: &Changes) -> Change {
    let count = |kind: TransitionKind| {
        let count = changes.of_kind(kind).count();
        (count > 0).then(|| (kind_in_words(kind), thousands(count as u64)))
    };
    Change {
        is_no_worse: changes.is_no_worse(),
        baseline: format!(
            "{} (bncheck {}, {}): {} compared",
            line(&changes.baseline.source),
            line(&changes.baseline.bncheck),
            line(&changes.baseline.oracle),
            counted(changes.compared, "result")
        ),
        counts: TransitionKind::ALL.into_iter().filter_map(count).collect(),
        notes: changes.notes.iter().map(|note| passage(note).into_owned()).collect(),
        deviation_errors: changes.deviation_errors.iter().map(|error| passage(error).into_owned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_the_web_are_followed() {
        assert!(may_be_followed("https://example.org/a"));
        for link in
            ["javascript:alert(1)", " https://example.org", "data:text/html,x", "file:///etc/passwd", ""]
        {
            assert!(!may_be_followed(link), "{link}");
        }
    }
}
