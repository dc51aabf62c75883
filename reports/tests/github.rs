//! What GitHub shows beside the lines of suites.

mod a_run;

use a_run::{a_run, failing};
use bn_harness::results::RunResults;
use bn_reports::github;

#[test]
fn a_run_with_a_result_of_every_kind() {
    insta::assert_snapshot!(github::annotations(&a_run()));
}

#[test]
fn the_table_of_verdicts_follows() {
    let run = a_run();
    let text = github::run(&run);
    let table = text.strip_prefix(&github::annotations(&run)).expect("the annotations first");
    assert_eq!(table, bn_reports::terminal::summary(&run));
}

#[test]
fn nothing_is_said_where_all_is_as_expected() {
    let mut run = a_run();
    run.deviation_errors.clear();
    run.results.retain(|result| result.verdict.is_expected());
    assert_eq!(github::annotations(&run), "");
    run.run.incomplete = Some("the file ends in the middle of line 7".to_owned());
    assert_eq!(
        github::annotations(&run),
        "::error title=the run is incomplete::the file ends in the middle of line 7\n"
    );
    run.run.incomplete = None;
    run.results.clear();
    assert_eq!(
        github::annotations(&run),
        "::error title=nothing was compared::no case was answered by any backend\n"
    );
}

fn numbered(name: &str, number: usize) -> String {
    format!("{name}-{number}")
}

const WORDS: [&str; 13] = [
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "more",
];

/// Each of so many causes, the first of two cases more than the others.
fn with_causes(count: usize) -> RunResults {
    failing(1, count + 2, numbered, |case| WORDS[case.saturating_sub(2)].to_owned())
}

#[test]
fn ten_causes_are_shown_and_of_more_the_last_says_how_many() {
    let lines = |run: &RunResults| github::annotations(run).lines().map(str::to_owned).collect::<Vec<_>>();
    let ten = lines(&with_causes(10));
    assert_eq!(ten.len(), 10);
    assert_eq!(
        ten[0],
        "::error file=file.yaml-0,line=1,title=backend-0%3A fail in 3 cases::one%0Afirst in suite/case-0%0A\
         replay: bncheck replay 'suite/case-0' --backend backend-0 --suites 'my suites'"
    );
    let more = lines(&with_causes(13));
    assert_eq!(more[..9], ten[..9]);
    assert_eq!(
        more[9..],
        ["::error title=4 more causes::4 further results, all of them in summary.md and results.json"]
    );
    // What is wrong with the run takes its place.
    let mut run = with_causes(10);
    run.deviation_errors = (0..7).map(|number| numbered("wrong", number)).collect();
    let beside = lines(&run);
    assert_eq!(beside.len(), 10);
    assert_eq!(
        beside[0],
        "::error title=7 wrong declared deviations::wrong-0%0Awrong-1%0Awrong-2%0Awrong-3%0Awrong-4%0Aand 2 more"
    );
    assert!(beside[9].starts_with("::error title=2 more causes::2 further results"), "{}", beside[9]);
}
