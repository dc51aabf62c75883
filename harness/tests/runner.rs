//! Runs of cases that nobody holds, and of more cases than results list.

mod common;

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};

use bn_api::Observable;
use bn_api::wire::Stop;
use bn_cases::{Case, Suite};
use bn_harness::deviations::Deviations;
use bn_harness::journal::{InMemory, Journal, JournalError};
use bn_harness::oracle::Oracle;
use bn_harness::results::{RunResults, Verdict};
use bn_harness::runner::{Failed, Keep, Lineup, Listed, NOTABLE, Options, Source, run_on};

use common::{arbiter, changed, each, reference, suite, with_tensor};

/// Cases of a suite over and over again, each made when it is asked for.
struct Made {
    suite: Suite,
    count: usize,
    asked: AtomicUsize,
}

impl Made {
    fn new(text: &str, count: usize) -> Self {
        Made { suite: suite(text), count, asked: AtomicUsize::new(0) }
    }
}

impl Source for Made {
    fn len(&self) -> usize {
        self.count
    }

    fn case(&self, index: usize) -> Cow<'_, Case> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut case = self.suite.cases[index % self.suite.cases.len()].clone();
        case.id = format!("made/{index}");
        Cow::Owned(case)
    }
}

const TWO: &str = "{suite: made, defaults: {input: {shape: [4, 3]}}, cases: [
    {name: right, mode: eval}, {name: wrong, mode: train}]}";

/// Runs with a backend that counts each batch twice.
fn run_with(source: &impl Source, keep: Keep, journal: &mut dyn Journal, stop_after: usize) -> RunResults {
    let backend = || {
        changed(|response| {
            with_tensor(response, Observable::NumBatchesTracked, |count| each(count, |count| 2.0 * count))
        })
    };
    let open = || {
        let (oracle, backends) = (Oracle::Live(reference()), vec![backend()]);
        Ok::<_, Infallible>(Lineup { oracle, arbiter: arbiter(), backends })
    };
    let deviations = [Deviations::default()];
    let (bncheck, flags) = ("test", Vec::new());
    let options = Options { jobs: 2, deviations: &deviations, all: None, bncheck, flags, keep, seed: None };
    let stop = Stop::default();
    let mut progress = |done, _: &[Verdict]| {
        if done >= stop_after {
            stop.now();
        }
    };
    match run_on(source, &open, options, journal, &stop, &mut progress) {
        Ok(results) => results,
        Err(Failed::Open(never)) => match never {},
        Err(Failed::Journal(error)) => panic!("{error}"),
    }
}

fn whole(source: &impl Source, keep: Keep) -> RunResults {
    run_with(source, keep, &mut InMemory::default(), usize::MAX)
}

/// How many results have a verdict, listed or not.
fn count(results: &RunResults, verdict: Verdict) -> usize {
    let listed = results.results.iter().filter(|result| result.verdict == verdict).count();
    listed + results.left_out.count_of(|more| more.verdict == verdict)
}

/// Without what no two runs have in common.
fn without_times(mut results: RunResults) -> RunResults {
    (results.run.started_unix_ms, results.run.duration_ms) = (0, 0);
    results.run.stages = None;
    results.run.memory.clear();
    results.results.iter_mut().for_each(|result| result.micros = 0);
    results.left_out.results.iter_mut().for_each(|more| more.micros = 0);
    results
}

#[test]
fn a_case_is_made_when_it_is_judged_and_judged_as_one_that_is_held() {
    let made = Made::new(TWO, 10);
    let results = whole(&made, Keep::All);
    assert_eq!(
        made.asked.load(Ordering::Relaxed),
        20,
        "once to judge it, and once to say where it is written"
    );
    let held: Vec<Cow<'_, Case>> = (0..10).map(|index| made.case(index)).collect();
    let held: Vec<&Case> = held.iter().map(|case| &**case).collect();
    assert_eq!(without_times(results), without_times(whole(&held, Keep::All)));
}

#[test]
fn what_is_not_listed_is_counted() {
    let made = Made::new(TWO, 2 * NOTABLE + 100);
    let (all, notable) = (whole(&made, Keep::All), whole(&made, Keep::Notable));
    assert!(all.left_out.is_empty());
    for verdict in Verdict::ALL {
        assert_eq!(count(&all, verdict), count(&notable, verdict), "{verdict}");
    }
    assert_eq!(count(&all, Verdict::Fail), NOTABLE + 50);
    assert_eq!(
        (all.case_count(), all.unexpected_count()),
        (notable.case_count(), notable.unexpected_count())
    );
    assert_eq!((notable.cases.len(), notable.left_out.cases), (NOTABLE, NOTABLE + 100));
    assert!(notable.compares() && !notable.as_expected());
    // Those that are listed are the first ones, as they are where all are.
    let failing = all.results.iter().filter(|result| result.verdict == Verdict::Fail);
    let failing: Vec<_> = failing.take(NOTABLE).map(|result| (&result.case, &result.reason)).collect();
    let listed: Vec<_> = notable.results.iter().map(|result| (&result.case, &result.reason)).collect();
    assert_eq!(listed, failing);
    let first = |results: &RunResults| results.cases.iter().find(|case| case.id == "made/1").cloned();
    assert_eq!(first(&all), first(&notable));
    let indices: Vec<String> = {
        let listed = Listed::of(&notable, &made);
        (0..3).map(|index| listed.id(index).into_owned()).collect()
    };
    assert_eq!(indices, ["made/1", "made/3", "made/5"]);
}

#[test]
fn a_run_that_was_stopped_and_gone_on_with_is_the_run() {
    // So many that those which are under way when it is stopped are not all that is left.
    let made = Made::new(TWO, 3_000);
    for keep in [Keep::All, Keep::Notable] {
        let mut journal = InMemory::default();
        for stop_after in [1, 100, 250] {
            let part = run_with(&made, keep, &mut journal, stop_after);
            assert!(part.run.incomplete.is_some());
        }
        let mut rest = run_with(&made, keep, &mut journal, usize::MAX);
        rest.run.incomplete = None;
        assert_eq!(without_times(rest), without_times(whole(&made, keep)));
    }
}

/// A journal that cannot be read again for a case.
struct Unreadable(InMemory);

impl Journal for Unreadable {
    fn put(&mut self, index: usize, line: Vec<u8>) -> Result<(), JournalError> {
        self.0.put(index, if index == 7 { b"{".to_vec() } else { line })
    }

    fn get(&mut self, index: usize) -> Result<Option<Vec<u8>>, JournalError> {
        self.0.get(index)
    }

    fn has(&self, index: usize) -> bool {
        self.0.has(index)
    }
}

#[test]
#[should_panic(expected = "an entry of the journal is damaged")]
fn an_entry_that_is_damaged_is_no_result() {
    run_with(&Made::new(TWO, 10), Keep::Notable, &mut Unreadable(InMemory::default()), usize::MAX);
}
