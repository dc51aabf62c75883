//! What a run comes to: the table of verdicts, and the sentence below it.

use std::collections::HashMap;

use bn_harness::results::{CaseResult, LeftOut, RunResults, Unrecorded, Verdict};
use chrono::{DateTime, Utc};

/// How often each backend has each verdict, and how close it comes to the line.
#[derive(Debug, Default)]
pub(crate) struct Tally<'a> {
    counts: HashMap<(&'a str, Verdict), usize>,
    used: HashMap<&'a str, f64>,
}

impl<'a> Tally<'a> {
    /// Counts results.
    pub fn of(results: impl IntoIterator<Item = &'a CaseResult>) -> Self {
        let mut tally = Tally::default();
        for result in results {
            *tally.counts.entry((&result.backend, result.verdict)).or_default() += 1;
            if let (Verdict::Pass, Some(share)) = (result.verdict, result.budget_used) {
                let most = tally.used.entry(&result.backend).or_insert(share);
                *most = most.max(share);
            }
        }
        tally
    }

    /// Counts all results of a run, those that are not listed among them.
    pub fn of_run(results: &'a RunResults) -> Self {
        Tally::of(&results.results).with(&results.left_out)
    }

    /// Adds results that are not listed.
    pub fn with(mut self, left_out: &'a LeftOut) -> Self {
        for more in &left_out.results {
            *self.counts.entry((&more.backend, more.verdict)).or_default() += more.count;
            if let (Verdict::Pass, Some(share)) = (more.verdict, more.budget_used) {
                let most = self.used.entry(&more.backend).or_insert(share);
                *most = most.max(share);
            }
        }
        self
    }

    /// How often a backend has a verdict.
    pub fn count(&self, backend: &str, verdict: Verdict) -> usize {
        self.counts.get(&(backend, verdict)).copied().unwrap_or(0)
    }

    /// The largest share of a budget that a backend uses and passes with; nothing where it passes nothing.
    pub fn used(&self, backend: &str) -> Option<f64> {
        self.used.get(backend).copied()
    }

    /// The columns of the table: the verdicts that any result has, and `pass`.
    pub fn shown(&self) -> Vec<Verdict> {
        let is_shown = |verdict: &Verdict| {
            *verdict == Verdict::Pass || self.counts.keys().any(|(_, counted)| counted == verdict)
        };
        Verdict::ALL.into_iter().filter(is_shown).collect()
    }
}

/// What came of a run, in a few words; `number` writes how many results are not as expected.
pub(crate) fn outcome(results: &RunResults, number: impl FnOnce(usize) -> String) -> String {
    let unexpected = results.unexpected_count() + results.deviation_errors.len();
    match unexpected {
        // So it can only be with a part of a run: the others may have compared something.
        _ if results.as_expected() && !results.compares() => "nothing was compared in this part".to_owned(),
        _ if results.as_expected() => "all as expected".to_owned(),
        0 if results.run.incomplete.is_some() => "not all of the run".to_owned(),
        0 => "nothing was compared".to_owned(),
        unexpected => format!("{} not as expected", number(unexpected)),
    }
}

/// How many cases were judged by the arbiter alone, as the recorded oracle says nothing of them, a sentence for each
/// reason; `number` writes how many.
pub(crate) fn unrecorded(results: &RunResults, number: impl Fn(usize) -> String) -> Vec<String> {
    let listed = |why| results.cases.iter().filter(|case| case.unrecorded == Some(why)).count();
    let of = |why| listed(why) + results.left_out.unrecorded(why);
    let sentence = |why| {
        let (plural, reason) = match (of(why), why) {
            (0, _) => return None,
            (1, Unrecorded::NotRecorded) => ("case is", "it is not in the recording"),
            (1, Unrecorded::OtherForm) => {
                ("case is", "it was recorded in another form: `bncheck record` records it anew")
            }
            (_, Unrecorded::NotRecorded) => ("cases are", "they are not in the recording"),
            (_, Unrecorded::OtherForm) => {
                ("cases are", "they were recorded in another form: `bncheck record` records them anew")
            }
        };
        Some(format!("{} {plural} judged by the arbiter alone: {reason}", number(of(why))))
    };
    [Unrecorded::NotRecorded, Unrecorded::OtherForm].into_iter().filter_map(sentence).collect()
}

/// That cases are counted and not listed, a sentence each for what is as expected and what is not; `number` writes how many.
pub(crate) fn not_listed(results: &RunResults, number: impl Fn(usize) -> String) -> Vec<String> {
    let left_out = &results.left_out;
    let mut sentences = Vec::new();
    if left_out.cases > 0 {
        let cases = if left_out.cases == 1 { "case is" } else { "cases are" };
        sentences.push(format!("{} {cases} counted and not listed", number(left_out.cases)));
    }
    let unexpected = results.unexpected_not_listed();
    if unexpected > 0 {
        let results = if unexpected == 1 { "result" } else { "results" };
        let number = number(unexpected);
        sentences
            .push(format!("{number} {results} of these are not as expected, like those that are listed"));
    }
    sentences
}

/// The time that lies so many milliseconds after the beginning of 1970, where a calendar has it.
pub(crate) fn date(unix_ms: u64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(i64::try_from(unix_ms).ok()?)
}
