//! The kill matrix on a terminal.

use bn_api::{Observable, TensorName};
use bn_harness::faults::{Catch, FaultRun, KillMatrix, VoidCase};
use bn_reports::faults::matrix;

fn catch(case: &str, step: usize, action: &str, tensors: &[Observable], error: bool) -> Catch {
    let tensors = tensors.iter().map(|tensor| TensorName::from(*tensor)).collect();
    Catch { case: case.to_owned(), step, action: action.to_owned(), tensors, error }
}

fn fault(name: &str, caught_by: Vec<Catch>) -> FaultRun {
    FaultRun { name: name.to_owned(), about: format!("what is wrong with {name}"), caught_by }
}

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

#[test]
fn survivors_stand_out_and_lonely_cases_are_named() {
    let [first, second] = ["a/first[dtype=f32]", "a/second"];
    let of_two = vec![
        catch(first, 2, "forward", &[Observable::Output, Observable::RunningVar], false),
        catch(second, 3, "backward", &[Observable::GradInput], false),
    ];
    let found = KillMatrix {
        cases: vec![first.to_owned(), second.to_owned(), "a/void".to_owned()],
        faults: vec![
            fault("caught-twice", of_two),
            fault("never-caught", Vec::new()),
            fault("caught-once", vec![catch(second, 1, "train", &[], true)]),
        ],
        void: vec![VoidCase { case: "a/void".to_owned(), reason: "the oracle gave no answer".to_owned() }],
        duration_ms: 12_340,
    };
    insta::assert_snapshot!(plain(&matrix(&found)));
}

#[test]
fn nothing_run_is_not_success() {
    let none =
        KillMatrix { cases: vec!["a/b".to_owned()], faults: Vec::new(), void: Vec::new(), duration_ms: 0 };
    assert!(!none.as_expected());
    assert!(plain(&matrix(&none)).ends_with("\nno fault was run\n"));
}
