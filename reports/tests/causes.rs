//! Which results come from the same cause.

mod a_run;

use a_run::{a_run, failing};
use bn_harness::results::{Mistake, RunResults, Suspicion, Verdict};
use bn_reports::causes;

/// What is wrong, and in how many cases.
fn told(run: &RunResults) -> Vec<(String, usize)> {
    causes::of(run).into_iter().map(|cause| (cause.what.clone(), cause.cases())).collect()
}

fn one_backend(reasons: &[&str]) -> RunResults {
    let name = |name: &str, number: usize| format!("{name}-{number}");
    failing(1, reasons.len(), name, |case| reasons[case].to_owned())
}

fn suspicion(names: &[&str]) -> Suspicion {
    let mistake =
        |name: &&str| Mistake { name: (*name).to_owned(), about: format!("it is {name}"), link: None };
    Suspicion { mistakes: names.iter().map(mistake).collect(), explains: 1, contradicted: 0, fit: 0.5 }
}

#[test]
fn the_same_words_are_one_cause_whatever_their_numbers() {
    let run = one_backend(&["killed by 9 after 31 s", "another", "killed by 11 after 4 s\nits last words"]);
    assert_eq!(told(&run), [("killed by 9 after 31 s".to_owned(), 2), ("another".to_owned(), 1)]);
}

#[test]
fn another_verdict_and_another_backend_are_other_causes() {
    let mut run = one_backend(&["the same", "the same", "the same"]);
    run.results[1].verdict = Verdict::Crash;
    run.results[2].backend = "another".to_owned();
    let same = || ("the same".to_owned(), 1);
    assert_eq!(told(&run), [same(), same(), same()]);
}

#[test]
fn an_oracle_in_doubt_is_no_backends_cause() {
    let causes = a_run();
    let causes = causes::of(&causes);
    let doubt = causes.iter().find(|cause| cause.verdict() == Verdict::Suspect).expect("there is one");
    assert_eq!((doubt.backend, doubt.cases(), doubt.results.len()), (None, 1, 3));
}

#[test]
fn a_diagnosis_is_a_cause_by_the_mistakes_it_names() {
    let mut run = one_backend(&["the same", "the same", "the same", "the same"]);
    run.results[0].diagnosis = vec![suspicion(&["eps-1"])];
    run.results[1].diagnosis = vec![suspicion(&["eps-2"]), suspicion(&["eps-1"])];
    run.results[2].diagnosis = vec![suspicion(&["eps-2", "other"])];
    assert_eq!(
        told(&run),
        [
            ("it is eps-1 [eps-1]".to_owned(), 1),
            ("it is eps-2 [eps-2]".to_owned(), 1),
            ("it is eps-2 [eps-2] and it is other [other]".to_owned(), 1),
            ("the same".to_owned(), 1),
        ]
    );
    // What explains the most of the backend's failures comes before what is the likeliest for one case.
    let mut diagnosis = a_run().diagnoses.remove(0);
    diagnosis.backend.clone_from(&run.results[0].backend);
    diagnosis.explanations[0].alike = vec![suspicion(&["eps-1"]), suspicion(&["eps-3"])];
    run.diagnoses = vec![diagnosis];
    assert_eq!(told(&run)[0], ("it is eps-1 [eps-1], or another that cannot be told from it".to_owned(), 2));
}
