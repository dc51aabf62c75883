//! Results as `JUnit`'s XML, which CI systems read: a suite for each backend, and in it a test for each case.

use std::collections::HashMap;
use std::time::Duration;

use anstream::adapter::strip_str;
use bn_harness::results::{CaseInfo, CaseResult, LeftOutResults, RunResults, Verdict};
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};
use thiserror::Error;

use crate::causes;
use crate::style::{one_line, passage};
use crate::tally::date;
use crate::terminal::{self, Invocation, place};

/// How many failures of a backend are told in full; of the others what differs first, where it is written and how to
/// see it again.
const IN_FULL: usize = 500;

/// The suite of what is wrong with the run and not with a backend.
const OF_THE_RUN: &str = "bncheck";

/// The results could not be written as XML.
#[derive(Debug, Error)]
#[error("cannot write the results as JUnit's XML: {0}")]
pub struct JunitError(#[from] SerializeError);

/// The results as `JUnit`'s XML.
///
/// What is declared and what a backend cannot express is skipped, with the reason; what is not as expected is a
/// failure, or an error where there is no answer to judge or no oracle to judge it by. What is counted and not listed is in
/// the numbers of its suite, and a property says how much it is. A suite of its own holds what is
/// wrong with the run as a whole, as a declared deviation that must go: where [`RunResults::as_expected`] does not hold,
/// something fails here.
///
/// # Errors
/// When the XML cannot be written.
pub fn to_string(results: &RunResults) -> Result<String, JunitError> {
    let mut report = Report::new("bncheck");
    report.set_time(Duration::from_millis(results.run.duration_ms));
    let suites = Suites { cases: causes::by_id(results), invocation: Invocation::of(results), results };
    report.add_test_suites(suites.of_backends());
    report.add_test_suites(suites.of_the_run());
    Ok(report.to_string()?)
}

struct Suites<'a> {
    results: &'a RunResults,
    cases: HashMap<&'a str, &'a CaseInfo>,
    invocation: Invocation,
}

impl Suites<'_> {
    fn of_backends(&self) -> Vec<TestSuite> {
        // Not the list of backends alone: no result may be missing here.
        let mut names: Vec<&str> = Vec::new();
        let mut by_backend: HashMap<&str, Vec<&CaseResult>> = HashMap::new();
        for name in self.results.run.backends.iter().map(|backend| backend.name.as_str()) {
            if by_backend.insert(name, Vec::new()).is_none() {
                names.push(name);
            }
        }
        for more in &self.results.left_out.results {
            by_backend.entry(&more.backend).or_insert_with(|| {
                names.push(&more.backend);
                Vec::new()
            });
        }
        for result in &self.results.results {
            let of_backend = by_backend.entry(&result.backend).or_insert_with(|| {
                names.push(&result.backend);
                Vec::new()
            });
            of_backend.push(result);
        }
        names.into_iter().map(|name| self.of_backend(name, &by_backend[name])).collect()
    }

    fn of_backend(&self, name: &str, results: &[&CaseResult]) -> TestSuite {
        let mut suite = self.suite(name);
        let column = self.results.run.backends.iter().find(|column| column.name == name);
        if let Some(column) = column {
            suite.add_property(("version", one_line(&column.version).as_str()));
        }
        let not_listed = || self.results.left_out.results.iter().filter(|more| more.backend == name);
        let micros = results.iter().map(|result| result.micros).chain(not_listed().map(|more| more.micros));
        suite.set_time(Duration::from_micros(micros.fold(0, u64::saturating_add)));
        let mut failures = 0;
        for result in results {
            failures += usize::from(!self.results.expects(result.verdict));
            suite.add_test_case(self.test(result, failures <= IN_FULL));
        }
        for more in not_listed() {
            self.count(&mut suite, more);
        }
        suite
    }

    fn test(&self, result: &CaseResult, in_full: bool) -> TestCase {
        let case = self.cases.get(result.case.as_str()).copied();
        let mut test = TestCase::new(one_line(&result.case), self.status(case, result, in_full));
        test.set_classname(one_line(case.map_or("", |case| &case.suite)));
        test.set_time(Duration::from_micros(result.micros));
        test
    }

    fn status(&self, case: Option<&CaseInfo>, result: &CaseResult, in_full: bool) -> TestCaseStatus {
        let kind = match self.kind_of(result.verdict) {
            Kind::Passed => return TestCaseStatus::success(),
            Kind::Skipped => {
                let mut status = TestCaseStatus::skipped();
                let reason = result.reason.as_deref().unwrap_or("no reason is given");
                status.set_type(result.verdict.name()).set_message(one_line(reason.trim()));
                return status;
            }
            Kind::Wrong(kind) => kind,
        };
        let body = if in_full {
            strip_str(&terminal::mismatch_of(case, result, &self.invocation)).to_string()
        } else {
            let place = case.map(|case| place(case) + "\n").unwrap_or_default();
            format!("{place}replay: {}\n", self.invocation.replay(&result.case, Some(&result.backend)))
        };
        wrong(kind, result.verdict.name(), &one_line(&causes::difference(result)), &body)
    }

    fn kind_of(&self, verdict: Verdict) -> Kind {
        match verdict {
            Verdict::Pass => Kind::Passed,
            verdict if self.results.expects(verdict) => Kind::Skipped,
            Verdict::Error | Verdict::Crash | Verdict::Timeout | Verdict::Suspect => {
                Kind::Wrong(NonSuccessKind::Error)
            }
            _ => Kind::Wrong(NonSuccessKind::Failure),
        }
    }

    /// Adds results that are not listed to the numbers of their suite, and says how many they are.
    fn count(&self, suite: &mut TestSuite, more: &LeftOutResults) {
        suite.tests += more.count;
        match self.kind_of(more.verdict) {
            Kind::Passed => {}
            Kind::Skipped => suite.skipped += more.count,
            Kind::Wrong(NonSuccessKind::Failure) => suite.failures += more.count,
            Kind::Wrong(NonSuccessKind::Error) => suite.errors += more.count,
        }
        let what = format!("not listed: {}, {}", more.verdict, one_line(&more.suite));
        suite.add_property((what.as_str(), more.count.to_string().as_str()));
    }

    /// Nothing where nothing is wrong.
    fn of_the_run(&self) -> Option<TestSuite> {
        let mut suite = self.suite(OF_THE_RUN);
        let mut add = |class: &str, name: String, status: TestCaseStatus| {
            let mut test = TestCase::new(name, status);
            test.set_classname(class);
            suite.add_test_case(test);
        };
        for error in &self.results.deviation_errors {
            let status = wrong(NonSuccessKind::Failure, "deviation", &one_line(error), &passage(error));
            add("deviations", one_line(error), status);
        }
        let mut of_the_run = |name: &str, why: &str| {
            add("run", name.to_owned(), wrong(NonSuccessKind::Error, "run", &one_line(why), &passage(why)));
        };
        if let Some(why) = &self.results.run.incomplete {
            of_the_run("all of the run is here", why);
        } else if self.results.deviation_errors.is_empty()
            && self.results.unexpected_count() == 0
            && !self.results.as_expected()
        {
            of_the_run("something was compared", "no case was answered by any backend");
        }
        (suite.tests > 0).then_some(suite)
    }

    /// A suite without tests, with what the run says of itself.
    fn suite(&self, name: &str) -> TestSuite {
        let run = &self.results.run;
        let mut suite = TestSuite::new(one_line(name));
        if let Some(began) = date(run.started_unix_ms) {
            suite.set_timestamp(began);
        }
        let machine = &run.machine;
        for (name, value) in [
            ("bncheck", Some(one_line(&run.bncheck))),
            ("oracle", Some(one_line(&run.oracle))),
            ("flags", Some(one_line(&run.flags.join(" ")))),
            ("seed", run.seed.map(|seed| seed.to_string())),
            ("os", Some(one_line(&machine.os))),
            ("arch", Some(one_line(&machine.arch))),
            ("cpu", machine.cpu.as_deref().map(one_line)),
            ("threads", Some(machine.threads.to_string())),
            ("jobs", Some(run.jobs.to_string())),
        ] {
            if let Some(value) = value {
                suite.add_property((name, value.as_str()));
            }
        }
        suite
    }
}

/// What a verdict is to `JUnit`.
enum Kind {
    Passed,
    Skipped,
    Wrong(NonSuccessKind),
}

fn wrong(kind: NonSuccessKind, class: &str, message: &str, body: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(class).set_message(message).set_description(body);
    status
}
