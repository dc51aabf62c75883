//! Two runs, result by result.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::changes::{Baseline, Changes, FLOOR, Side, Transition, TransitionKind, first_difference};
use crate::results::{CaseInfo, CaseResult, RunInfo, RunResults, Selection, Verdict};

/// How many ids a note names.
const NAMED: usize = 3;

/// What has changed from `base`, which was read from `source`, to `new`.
///
/// What only one run has is listed case by case where the other could have had it. A backend that only one of them
/// asked, and cases that the other's selection may have left out, are said once; what fails is listed even then, as
/// the baseline does not excuse it.
pub fn compare(base: &RunResults, new: &RunResults, source: &str, factor: f64) -> Changes {
    let comparison = Comparison::of(base, new);
    let mut compared = 0;
    let mut transitions = Vec::new();
    let mut kept = Uncompared::default();
    for result in comparison.new.in_order() {
        match comparison.base.get(result) {
            Some(before) => {
                compared += 1;
                transitions.extend(changed(before, result, factor));
            }
            None => transitions.extend(comparison.added(result, &mut kept)),
        }
    }
    for result in comparison.base.in_order() {
        if comparison.new.get(result).is_none() {
            transitions.extend(comparison.removed(result, &mut kept));
        }
    }
    // Stable: within a kind the order of the cases stays.
    transitions.sort_by_key(|transition| transition.kind);
    let known: HashSet<&String> = base.deviation_errors.iter().collect();
    let deviation_errors = new.deviation_errors.iter().filter(|error| !known.contains(error));
    Changes {
        baseline: Baseline {
            source: source.to_owned(),
            bncheck: base.run.bncheck.clone(),
            oracle: base.run.oracle.clone(),
            started_unix_ms: base.run.started_unix_ms,
        },
        factor,
        compared,
        transitions,
        deviation_errors: deviation_errors.cloned().collect(),
        notes: comparison.notes(kept),
    }
}

/// The two runs, to be looked up in.
struct Comparison<'a> {
    base: Indexed<'a>,
    new: Indexed<'a>,
    /// Whether the baseline would have taken every case that the new run took.
    base_covers_new: bool,
    /// The other way round.
    new_covers_base: bool,
}

/// What is not compared, to be said once.
#[derive(Default)]
struct Uncompared<'a> {
    /// How many results of backends that only one run asked.
    asked_before: BTreeMap<&'a str, usize>,
    asked_now: BTreeMap<&'a str, usize>,
    /// Cases that the other run's selection leaves out.
    cases_before: HashSet<&'a str>,
    cases_now: HashSet<&'a str>,
    /// How many results the other run may have and does not list.
    listed_before: usize,
    listed_now: usize,
}

impl<'a> Comparison<'a> {
    fn of(base: &'a RunResults, new: &'a RunResults) -> Self {
        Comparison {
            base: Indexed::of(base),
            new: Indexed::of(new),
            base_covers_new: covers(&base.run, &new.run),
            new_covers_base: covers(&new.run, &base.run),
        }
    }

    fn added(&self, result: &'a CaseResult, kept: &mut Uncompared<'a>) -> Option<Transition> {
        if !self.new.run.expects(result.verdict) {
            return Some(transition(TransitionKind::NewlyFailing, None, Some(result)));
        }
        if !self.base.backends.contains(&*result.backend) {
            *kept.asked_now.entry(&result.backend).or_default() += 1;
        } else if !self.base.run.left_out.is_empty() {
            kept.listed_now += 1;
        } else if self.base_covers_new || self.base.cases.contains_key(&*result.case) {
            return Some(transition(TransitionKind::Added, None, Some(result)));
        } else {
            kept.cases_now.insert(&result.case);
        }
        None
    }

    fn removed(&self, result: &'a CaseResult, kept: &mut Uncompared<'a>) -> Option<Transition> {
        if !self.new.backends.contains(&*result.backend) {
            *kept.asked_before.entry(&result.backend).or_default() += 1;
        } else if !self.new.run.left_out.is_empty() {
            kept.listed_before += 1;
        } else if self.new_covers_base {
            return Some(transition(TransitionKind::Removed, Some(result), None));
        } else {
            kept.cases_before.insert(&result.case);
        }
        None
    }

    fn notes(&self, kept: Uncompared<'_>) -> Vec<String> {
        let mut notes = Vec::new();
        let (base, new) = (&self.base.run.run, &self.new.run.run);
        if let Some(why) = &new.incomplete {
            notes.push(format!("this run is not whole: {why}"));
        }
        if base.oracle != new.oracle {
            notes.push(format!("the baseline was judged by {}, this run by {}", base.oracle, new.oracle));
        }
        for column in &new.backends {
            let before = base.backends.iter().find(|before| before.name == column.name);
            if let Some(before) = before.filter(|before| before.version != column.version) {
                let (name, now) = (&column.name, &column.version);
                notes.push(format!("{name} is {now}, in the baseline {}", before.version));
            }
        }
        notes.extend(self.not_listed(&kept));
        let other = self.rewritten();
        if let [first, ..] = &other[..] {
            let named = if other.len() > NAMED { format!("{first} and others") } else { other.join(", ") };
            notes.push(format!(
                "{} asked otherwise than in the baseline: {named}",
                counted(other.len(), "case")
            ));
        }
        for (backend, count) in kept.asked_now {
            let count = counted(count, "result");
            notes.push(format!("{backend} was not asked in the baseline: {count} are not compared"));
        }
        for (backend, count) in kept.asked_before {
            let count = counted(count, "result");
            notes.push(format!("{backend} was asked in the baseline only: {count} are not compared"));
        }
        if !kept.cases_before.is_empty() {
            let count = counted(kept.cases_before.len(), "case");
            notes.push(format!("this run chose among the baseline's cases: {count} of it are not compared"));
        }
        if !kept.cases_now.is_empty() {
            let count = counted(kept.cases_now.len(), "case");
            notes.push(format!("the baseline is of a choice of cases: {count} of this run are not compared"));
        }
        notes
    }

    /// What is only counted in one of the runs cannot be compared case by case.
    fn not_listed(&self, kept: &Uncompared<'_>) -> Vec<String> {
        let mut notes = Vec::new();
        for (who, run) in [("the baseline", self.base.run), ("this run", self.new.run)] {
            if !run.left_out.is_empty() {
                let (all, left_out) = (counted(run.case_count(), "case"), run.left_out.cases);
                notes.push(format!(
                    "of its {all} {who} counts {left_out} without listing them: they are not compared"
                ));
            }
        }
        for (count, one, other) in
            [(kept.listed_before, "the baseline", "this run"), (kept.listed_now, "this run", "the baseline")]
        {
            if count > 0 {
                let results = counted(count, "result");
                notes.push(format!("{results} that {one} lists and {other} does not are not compared"));
            }
        }
        notes
    }

    /// Cases that are written differently.
    fn rewritten(&self) -> Vec<String> {
        let differs = |case: &&CaseInfo| {
            let before = self.base.cases.get(&*case.id);
            before.is_some_and(|before| {
                !before.words.is_empty() && !case.words.is_empty() && before.words != case.words
            })
        };
        self.new.run.cases.iter().filter(differs).map(|case| case.id.clone()).collect()
    }
}

/// A run, to be looked up in.
struct Indexed<'a> {
    run: &'a RunResults,
    by_name: HashMap<(&'a str, &'a str), &'a CaseResult>,
    backends: HashSet<&'a str>,
    cases: HashMap<&'a str, &'a CaseInfo>,
}

impl<'a> Indexed<'a> {
    fn of(run: &'a RunResults) -> Self {
        Indexed {
            run,
            by_name: run.results.iter().map(|result| (name(result), result)).collect(),
            backends: run.run.backends.iter().map(|column| column.name.as_str()).collect(),
            cases: run.cases.iter().map(|case| (case.id.as_str(), case)).collect(),
        }
    }

    fn get(&self, result: &CaseResult) -> Option<&'a CaseResult> {
        self.by_name.get(&name(result)).copied()
    }

    /// Its results; of two with the same name the later.
    fn in_order(&self) -> impl Iterator<Item = &'a CaseResult> {
        let last = |result: &&CaseResult| self.get(result).is_some_and(|kept| std::ptr::eq(kept, *result));
        self.run.results.iter().filter(last)
    }
}

fn name(result: &CaseResult) -> (&str, &str) {
    (&result.case, &result.backend)
}

/// Whether a run would have taken every case that another took, had it been there; where nothing is known of either,
/// yes.
fn covers(one: &RunInfo, other: &RunInfo) -> bool {
    let unknown = one.selections.is_empty() || other.selections.is_empty();
    let taken = |wanted: &Selection| one.selections.iter().any(|selection| takes_all_of(selection, wanted));
    one.incomplete.is_none() && (unknown || other.selections.iter().all(taken))
}

fn takes_all_of(one: &Selection, other: &Selection) -> bool {
    one.suites == other.suites
        && (one.filter.is_empty() || one.filter == other.filter)
        && (one.tier == "full" || one.tier == other.tier)
        && (one.part.is_none() || one.part == other.part)
        && match (one.random, other.random) {
            (None, None) => true,
            (Some(one), Some(other)) => one.seed == other.seed && one.cases >= other.cases,
            _ => false,
        }
}

/// The change from one result to another of the same case and backend, if there is one.
fn changed(before: &CaseResult, after: &CaseResult, factor: f64) -> Option<Transition> {
    let kind = if before.verdict == after.verdict {
        change_of_budget(before, after, factor)?
    } else {
        match (before.verdict.is_expected(), after.verdict) {
            (true, verdict) if !verdict.is_expected() => TransitionKind::NewlyFailing,
            (false, Verdict::Pass) => TransitionKind::Fixed,
            _ => TransitionKind::OtherVerdict,
        }
    };
    Some(transition(kind, Some(before), Some(after)))
}

/// Whether much more of the budget is used, or much less. What was measured on one side only is another verdict in
/// all but name.
fn change_of_budget(before: &CaseResult, after: &CaseResult, factor: f64) -> Option<TransitionKind> {
    let at_least = |used: f64| used.max(FLOOR);
    match (measured(before), measured(after)) {
        (Some(before), Some(after)) if at_least(after) > factor * at_least(before) => {
            Some(TransitionKind::BudgetUp)
        }
        (Some(before), Some(after)) if at_least(before) > factor * at_least(after) => {
            Some(TransitionKind::BudgetDown)
        }
        (Some(alone), None) | (None, Some(alone)) if alone > FLOOR => Some(TransitionKind::OtherVerdict),
        _ => None,
    }
}

/// The budget used; JSON knows none that is not finite.
fn measured(result: &CaseResult) -> Option<f64> {
    result.budget_used.filter(|used| used.is_finite())
}

fn transition(kind: TransitionKind, before: Option<&CaseResult>, after: Option<&CaseResult>) -> Transition {
    let side = |result: &CaseResult| Side { verdict: result.verdict, budget_used: measured(result) };
    let wrong = [after, before].into_iter().flatten().find(|result| !result.verdict.is_expected());
    let names = after.or(before).map(name).unwrap_or_default();
    let says =
        matches!(kind, TransitionKind::NewlyFailing | TransitionKind::Fixed | TransitionKind::OtherVerdict);
    Transition {
        case: names.0.to_owned(),
        backend: names.1.to_owned(),
        kind,
        before: before.map(side),
        after: after.map(side),
        difference: wrong.filter(|_| says).and_then(first_difference),
    }
}

/// "1 case", "2 cases".
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
