//! How a diagnosis reads.

use bn_harness::diagnosis::measure::{Measurement, Unknown};
use bn_harness::results::{BackendDiagnosis, CaseResult, Explanation, Mistake, Suspicion, Verdict};
use bn_reports::diagnosis::{measured, of_backends, of_case};

fn plain(rendered: &str) -> String {
    let mut text = String::new();
    let mut escaped = false;
    for c in rendered.chars() {
        match c {
            '\u{1b}' => escaped = true,
            'm' if escaped => escaped = false,
            c if !escaped => text.push(c),
            _ => {}
        }
    }
    text
}

fn suspicion(names: &[&str]) -> Suspicion {
    let mistake = |name: &&str| Mistake {
        name: (*name).to_owned(),
        about: format!("what is wrong with {name}"),
        link: (*name == "known").then(|| "https://example.org/1".to_owned()),
    };
    Suspicion { mistakes: names.iter().map(mistake).collect(), explains: 3, contradicted: 0, fit: 0.2 }
}

fn failure(diagnosis: Vec<Suspicion>) -> CaseResult {
    CaseResult {
        case: "a/b".to_owned(),
        backend: "candle".to_owned(),
        verdict: Verdict::Fail,
        reason: None,
        budget_used: None,
        steps: Vec::new(),
        diagnosis,
        micros: 1,
    }
}

#[test]
fn the_likeliest_mistake_is_said_in_words_and_the_others_after_it() {
    let others = ["two", "three", "four", "five"].map(|name| suspicion(&[name]));
    let suspicions = [vec![suspicion(&["known"])], others.to_vec()].concat();
    assert_eq!(
        plain(&of_case(&failure(suspicions))),
        "  likely: what is wrong with known  [known]  https://example.org/1\n  or: what is wrong with two  \
         [two]\n  or: what is wrong with three  [three]\n  or 2 more, in results.json\n"
    );
}

#[test]
fn nothing_is_said_where_nothing_fits() {
    assert_eq!(of_case(&failure(Vec::new())), "");
}

#[test]
fn a_backend_is_told_what_explains_its_failures_and_how_many_were_not_replayed() {
    let explanations = vec![
        Explanation { explains: 12, alike: vec![suspicion(&["one"]), suspicion(&["same"])] },
        Explanation { explains: 3, alike: vec![suspicion(&["first", "second"])] },
    ];
    let backend = |failing, replayed, explanations| BackendDiagnosis {
        backend: "candle".to_owned(),
        failing,
        replayed,
        explanations,
    };
    insta::assert_snapshot!(plain(&of_backends(&[
        backend(154, 20, explanations),
        backend(1, 1, Vec::new())
    ])));
}

#[test]
fn what_is_not_named_is_listed() {
    let unknown = |name: &str, said: &[&str]| Unknown {
        name: name.to_owned(),
        replayed: 4,
        explained: said.len().min(1) * 4,
        said: said.iter().map(ToString::to_string).collect(),
    };
    let unknowns = vec![
        unknown("one", &["one"]),
        unknown("two", &["one", "two"]),
        unknown("a+b", &["b+a"]),
        unknown("lost", &[]),
        unknown("other", &["one"]),
    ];
    insta::assert_snapshot!(plain(&measured(&Measurement { unknowns, duration_ms: 1200 }, None)));
}
