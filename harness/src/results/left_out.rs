//! What a large run counts and does not list.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CaseInfo, CaseResult, RunResults, Unrecorded, Verdict, is_zero};

/// Cases of a run that are not in its lists, where it had too many of them. What is not as expected is listed; of that
/// alone which is the same verdict on the same backend over and over again, all but the first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOut {
    /// How many cases.
    pub cases: usize,
    /// How many of them are not in the recording that was the oracle.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub not_recorded: usize,
    /// How many of them are in it in another form.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub other_form: usize,
    /// How many results of each suite, backend and verdict.
    pub results: Vec<LeftOutResults>,
}

/// Results of one suite, backend and verdict that are not listed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeftOutResults {
    /// The suite.
    pub suite: String,
    /// The backend.
    pub backend: String,
    /// The verdict.
    pub verdict: Verdict,
    /// How many.
    pub count: usize,
    /// The largest budget that any of them used.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub budget_used: Option<f64>,
    /// How long the backend took over all of them, in microseconds.
    #[serde(default)]
    pub micros: u64,
}

impl LeftOut {
    /// Whether everything is listed.
    pub fn is_empty(&self) -> bool {
        self.cases == 0 && self.results.is_empty()
    }

    /// Counts a case and its results.
    pub fn add(&mut self, case: &CaseInfo, results: &[CaseResult]) {
        self.cases += 1;
        match case.unrecorded {
            None => {}
            Some(Unrecorded::NotRecorded) => self.not_recorded += 1,
            Some(Unrecorded::OtherForm) => self.other_form += 1,
        }
        for result in results {
            self.add_results(LeftOutResults {
                suite: case.suite.clone(),
                backend: result.backend.clone(),
                verdict: result.verdict,
                count: 1,
                budget_used: result.budget_used,
                micros: result.micros,
            });
        }
    }

    /// Adds results to those of their suite, backend and verdict.
    pub fn add_results(&mut self, more: LeftOutResults) {
        let same = |known: &&mut LeftOutResults| {
            known.verdict == more.verdict && known.backend == more.backend && known.suite == more.suite
        };
        match self.results.iter_mut().find(same) {
            None => self.results.push(more),
            Some(known) => {
                known.count = known.count.saturating_add(more.count);
                known.micros = known.micros.saturating_add(more.micros);
                known.budget_used = match (known.budget_used, more.budget_used) {
                    (Some(one), Some(other)) => Some(one.max(other)),
                    (one, other) => one.or(other),
                };
            }
        }
    }

    /// How many results.
    pub fn count(&self) -> usize {
        self.count_of(|_| true)
    }

    /// How many results of which this is true.
    pub fn count_of(&self, of: impl Fn(&LeftOutResults) -> bool) -> usize {
        self.results.iter().filter(|results| of(results)).map(|results| results.count).sum()
    }

    /// How many cases were judged by the arbiter alone, for this reason.
    pub fn unrecorded(&self, why: Unrecorded) -> usize {
        match why {
            Unrecorded::NotRecorded => self.not_recorded,
            Unrecorded::OtherForm => self.other_form,
        }
    }
}

impl RunResults {
    /// How many cases were run, those that are not listed among them.
    pub fn case_count(&self) -> usize {
        self.cases.len().saturating_add(self.left_out.cases)
    }

    /// How many results are not as expected, those that are not listed among them.
    pub fn unexpected_count(&self) -> usize {
        self.unexpected().count().saturating_add(self.unexpected_not_listed())
    }

    /// How many results are not as expected, and not listed.
    pub fn unexpected_not_listed(&self) -> usize {
        self.left_out.count_of(|more| !self.expects(more.verdict))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(suite: &str, verdict: Verdict, budget_used: Option<f64>) -> LeftOutResults {
        let (suite, backend) = (suite.to_owned(), "b".to_owned());
        LeftOutResults { suite, backend, verdict, count: 2, budget_used, micros: 3 }
    }

    #[test]
    fn results_are_counted_by_suite_backend_and_verdict() {
        let mut left_out = LeftOut::default();
        assert!(left_out.is_empty());
        for more in [
            results("s", Verdict::Pass, Some(0.25)),
            results("s", Verdict::Fail, None),
            results("s", Verdict::Pass, Some(0.5)),
            results("t", Verdict::Pass, None),
        ] {
            left_out.add_results(more);
        }
        assert_eq!(left_out.results.len(), 3);
        let first = &left_out.results[0];
        assert_eq!((first.count, first.budget_used, first.micros), (4, Some(0.5), 6));
        assert_eq!((left_out.count(), left_out.count_of(|more| more.suite == "t")), (8, 2));
    }
}
