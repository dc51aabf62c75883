//! The pages beside the matrix: the overview, the changes, how to read it all.

use bn_browser::{Page, runs};
use bn_harness::changes;
use bn_harness::results::{FaultMatrix, RunResults, Verdict};

use super::{at, wait_until_ready};

/// The real run with a kill matrix.
pub fn with_faults() -> RunResults {
    let mut run = runs::real();
    run.faults = Some(serde_json::from_value::<FaultMatrix>(serde_json::json!({
        "cases": 78, "suites": ["pitfalls/1-momentum", "pitfalls/2-statistics"], "void": 0,
        "faults": [
            {"name": "biased-running-var", "about": "running_var averages the biased variance", "caught": [31, 4],
             "first": {"case": run.cases[0].id, "step": 2, "action": "forward", "tensors": ["running_var"]}},
            {"name": "momentum-swapped", "about": "momentum weighs the old value", "caught": [12, 0]},
            {"name": "never-noticed", "about": "nothing shows it", "caught": [0, 0]},
        ],
    })).expect("a kill matrix"));
    run
}

/// The real run with its changes since a run in which the first failing case passed, and one that does not pass failed.
pub fn with_changes() -> RunResults {
    let mut run = runs::real();
    let mut base = runs::real();
    let failing = base.results.iter_mut().find(|result| result.verdict == Verdict::Fail).expect("a failure");
    failing.verdict = Verdict::Pass;
    failing.budget_used = Some(0.5);
    let passing = base.results.iter_mut().rfind(|result| result.verdict == Verdict::Pass).expect("a pass");
    passing.verdict = Verdict::Fail;
    passing.budget_used = Some(7.0);
    run.changes = Some(changes::compare(&base, &run, "base/results.json", 2.0));
    run
}

#[test]
fn the_overview_draws_the_whole_run() {
    let page = Page::new();
    page.show(&runs::page(&with_faults()), "#/overview");
    wait_until_ready(&page);
    for figure in ["figure.kappa", "figure.kill-matrix", "figure.times"] {
        page.wait_until_there(&format!("section#overview {figure}"));
        let (width, height): (f64, f64) = page.get(&format!(
            "(({{width, height}}) => [width, height])(document.querySelector('section#overview {figure}').getBoundingClientRect())"
        ));
        assert!(width > 200.0 && height > 50.0, "{figure}: {width} × {height}");
    }
    let kills = page.text("figure.kill-matrix");
    assert!(kills.contains("biased-running-var") && kills.contains("never-noticed"), "{kills}");
    assert!(page.text("figure.times").contains("candle"), "{}", page.text("figure.times"));
    assert_eq!(page.heard().complaints, Vec::<String>::new());
}

#[test]
fn without_a_kill_matrix_the_overview_says_how_to_have_one() {
    let page = at("#/overview");
    page.wait_until_there("section#overview figure.kappa");
    assert!(page.text("section#overview").contains("bncheck faults"), "{}", page.text("section#overview"));
}

#[test]
fn the_changes_name_every_case_that_changed() {
    let run = with_changes();
    let page = Page::new();
    page.show(&runs::page(&run), "#/changes");
    wait_until_ready(&page);
    page.wait_for(
        "the changes are there",
        "document.querySelector('section#changes').innerText.length > 100",
    );
    let text = page.text("section#changes");
    let changes = run.changes.expect("it has changes");
    assert!(changes.transitions.len() >= 2, "{changes:?}");
    for transition in &changes.transitions {
        assert!(text.contains(&transition.case), "{}: {text}", transition.case);
    }
    assert!(text.to_lowercase().contains("newly failing") && text.to_lowercase().contains("fixed"), "{text}");
}

#[test]
fn how_to_read_it_explains_every_verdict_and_the_filter() {
    let page = at("#/how");
    let text = page.text("section#how");
    for verdict in Verdict::ALL {
        assert!(text.contains(verdict.name()), "{verdict}: {text}");
    }
    for word in ["budget used", "κ", "filter", "ulp"] {
        assert!(text.to_lowercase().contains(word), "{word}: {text}");
    }
}
