//! What a CI step shows as its summary.

mod a_run;

use a_run::{a_run, failing};
use bn_harness::results::RunResults;
use bn_reports::markdown;

#[test]
fn a_run_with_a_result_of_every_kind() {
    insta::assert_snapshot!(markdown::summary(&a_run()));
}

#[test]
fn all_as_expected_is_short() {
    let mut run = a_run();
    run.deviation_errors.clear();
    run.changes = None;
    run.results.retain(|result| result.verdict.is_expected());
    insta::assert_snapshot!(markdown::summary(&run));
}

#[test]
fn what_is_missing_is_said_first() {
    let mut run = a_run();
    run.results.truncate(1);
    run.deviation_errors.clear();
    run.run.incomplete = Some("the run is still going on".to_owned());
    let text = markdown::summary(&run);
    assert!(
        text.starts_with(
            "## bncheck: not all of the run\n\n**Incomplete:** `the run is still going on`\n\n| backend"
        ),
        "{text}"
    );
}

/// How many results are listed, and how many are said not to be.
fn listed(text: &str) -> (usize, usize) {
    let left_out = text.lines().find_map(|line| line.split_once(" more results, not listed here"));
    (text.matches(" replay ").count(), left_out.map_or(0, |(count, _)| count.parse().expect("a number")))
}

fn assert_is_small_and_counts_all(why: &str, run: &RunResults) {
    let text = markdown::summary(run);
    assert!(text.len() < markdown::LIMIT, "{why}: {} bytes", text.len());
    let (listed, left_out) = listed(&text);
    assert_eq!(listed + left_out, run.results.len(), "{why}: {listed} listed");
    assert!(listed > 0, "{why}: none listed");
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count(), "{why}");
    assert_eq!(text.matches("```").count() % 2, 0, "{why}");
}

#[test]
fn it_is_small_whatever_fails_and_says_how_much_is_left_out() {
    let long = |name: &str, number: usize| format!("{name}-{number}-{}", "long".repeat(60));
    let words = |number: usize| {
        let letter = |place: u32| char::from(b'a' + (number / 26_usize.pow(place) % 26) as u8);
        format!("{}{}{}{} is wrong", letter(0), letter(1), letter(2), letter(3))
    };
    let one_cause = failing(5, 50_000, long, |_| "the same".to_owned());
    assert_is_small_and_counts_all("one cause", &one_cause);
    assert_is_small_and_counts_all("a cause a case", &failing(5, 50_000, long, words));
    assert_is_small_and_counts_all("many backends", &failing(3000, 3, long, words));
}

#[test]
fn texts_of_bytes_that_grow_leave_it_small() {
    let wide = |name: &str, number: usize| format!("{name}-{number}-{}", "\u{10fffe}".repeat(290));
    let mut run = failing(60, 60, wide, |number| wide("reason", number));
    run.deviation_errors = (0..60).map(|number| wide("wrong", number)).collect();
    let mut changes = a_run().changes.expect("changes");
    let one = changes.transitions[0].clone();
    changes.transitions = (0..200)
        .map(|number| {
            let mut transition = one.clone();
            transition.case = wide("case", number);
            transition.backend = wide("backend", number);
            transition
        })
        .collect();
    run.changes = Some(changes);
    let text = markdown::summary(&run);
    assert!(text.len() < markdown::LIMIT, "{} bytes", text.len());
    assert!(text.len() > markdown::LIMIT / 2, "{} bytes", text.len());
}
