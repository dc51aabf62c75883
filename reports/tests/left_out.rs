//! Runs of so many cases that results list some and count the others: every report counts all, and says so.

mod a_run;

use a_run::a_run;
use bn_harness::results::{LeftOut, LeftOutResults, RandomCases, RunResults, Selection, Verdict};
use bn_reports::terminal::{self, Invocation};
use bn_reports::{github, html, json, junit, markdown, scoreboard};

/// The run with a result of every kind, and a hundred thousand cases that are not listed: most pass, some fail.
fn counted() -> RunResults {
    let mut run = a_run();
    let backend = run.run.backends[0].name.clone();
    let more = |verdict, count| LeftOutResults {
        suite: "a/large-suite".to_owned(),
        backend: backend.clone(),
        verdict,
        count,
        budget_used: Some(0.875),
        micros: 1_000_000,
    };
    let results = vec![more(Verdict::Pass, 99_000), more(Verdict::Fail, 1000)];
    run.left_out = LeftOut { cases: 100_000, not_recorded: 0, other_form: 0, results };
    run
}

/// Without styles.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn the_terminal_counts_them_and_says_that_they_are_not_listed() {
    let (listed, run) = (a_run(), counted());
    let text = plain(&terminal::run(&run, &Invocation::default()));
    let unexpected = listed.unexpected().count() + 1000 + run.deviation_errors.len();
    for part in [
        format!("\n{} cases × ", listed.cases.len() + 100_000),
        "\n100000 cases are counted and not listed\n".to_owned(),
        "\n1000 results of these are not as expected, like those that are listed\n".to_owned(),
        format!("\n{unexpected} not as expected\n"),
    ] {
        assert!(text.contains(&part), "no `{part}` in\n{text}");
    }
    let row = text.lines().find(|line| line.starts_with(&run.run.backends[0].name)).expect("a row");
    let passing =
        listed.of_backend(&run.run.backends[0].name).filter(|it| it.verdict == Verdict::Pass).count();
    assert_eq!(row.split_whitespace().nth(1), Some(&*(passing + 99_000).to_string()), "{row}");
    assert!(!plain(&terminal::run(&listed, &Invocation::default())).contains("listed"));
}

#[test]
fn so_do_markdown_the_page_and_the_scoreboard() {
    let run = counted();
    let text = markdown::summary(&run);
    assert!(text.contains("\n100000 cases are counted and not listed\n"), "{text}");
    let page = html::page(&run).html;
    let note = "<p class=\"note\" role=\"note\">100,000 cases are counted and not listed; 1,000 results of these are not as \
                expected, like those that are listed: the matrix below has the others.</p>";
    assert!(page.contains(note), "{}", &page[..20_000.min(page.len())]);
    assert!(!html::page(&a_run()).html.contains("the matrix below has the others"));
    let board = scoreboard::markdown(&run);
    assert!(board.contains("| `a/large-suite` | 99000/100000 · 1000 **wrong** |"), "{board}");
    assert!(
        board.contains("\n100000 results are counted and not listed: their reasons are not among these.\n")
    );
}

#[test]
fn junit_has_them_in_its_numbers_and_says_how_many_they_are() {
    let tests = |run: &RunResults| {
        let text = junit::to_string(run).expect("XML");
        let number = |name: &str| -> usize {
            let (_, rest) = text.split_once(&format!(" {name}=\"")).expect("an attribute");
            rest.split_once('"').expect("its end").0.parse().expect("a number")
        };
        (number("tests"), number("failures"), text)
    };
    let ((tests_listed, failures_listed, _), (all, failures, text)) = (tests(&a_run()), tests(&counted()));
    assert_eq!((all, failures), (tests_listed + 100_000, failures_listed + 1000));
    for property in ["pass, a/large-suite\" value=\"99000\"", "fail, a/large-suite\" value=\"1000\""] {
        assert!(text.contains(&format!("<property name=\"not listed: {property}")), "{property}");
    }
}

#[test]
fn annotations_say_what_fails_and_is_not_listed() {
    let text = github::annotations(&counted());
    assert!(text.contains("title=1000 results not as expected and not listed::"), "{text}");
    assert!(text.lines().count() <= github::SHOWN, "{text}");
}

#[test]
fn they_are_read_back_also_of_a_file_that_is_cut_off() {
    let run = counted();
    let text = json::to_string(&run);
    assert_eq!(serde_json::from_str::<RunResults>(&text).expect("JSON"), run);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("results.json");
    let end = text.find("\"results\": [\n").expect("the list") + 13;
    std::fs::write(&file, &text[..end]).expect("written");
    let reading = bn_reports::read::read(&file).expect("something is left");
    assert!(reading.is_damaged);
    assert_eq!(reading.results.left_out, run.left_out);
}

#[test]
fn that_a_case_by_chance_proves_nothing_is_no_failure() {
    let mut run = a_run();
    let vacuous = run.results.iter().filter(|result| result.verdict == Verdict::Vacuous).count();
    let before = run.unexpected_count();
    assert!(vacuous > 0);
    run.run.seed = Some(7);
    let random = Some(RandomCases { cases: 3, seed: 7 });
    let of_suites = Selection {
        suites: Vec::new(),
        filter: Vec::new(),
        tier: "full".to_owned(),
        part: None,
        random: None,
    };
    run.run.selections = vec![Selection { random, ..of_suites.clone() }];
    assert_eq!(run.unexpected_count(), before - vacuous);
    let text = junit::to_string(&run).expect("XML");
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("type=\"vacuous\"")).collect();
    assert_eq!(lines.len(), vacuous, "{text}");
    assert!(lines.iter().all(|line| line.contains("<skipped ")), "{lines:?}");
    assert!(plain(&terminal::summary(&run)).contains("\nthe cases are made by chance, of seed 7\n"));
    run.run.selections.push(of_suites);
    assert_eq!(run.unexpected_count(), before, "among cases of suites it may be one of these");
}
