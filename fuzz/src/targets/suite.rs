//! The reader of case files: whatever a file says, it is read or refused, in little time and memory.

use std::collections::HashSet;

use bn_api::Request;
use bn_cases::case::Action;
use bn_cases::{Case, Filter, Problems, load_str};
use bn_harness::runner::step_names;

/// Of how many cases of a file everything is looked at.
const CASES: usize = 4;

/// How many elements the tensors of a case may have that are generated here.
const ELEMENTS: usize = 2048;

/// Reads a file and looks at what it says.
///
/// # Panics
/// When that goes wrong.
pub fn suite(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    match load_str("fuzzed.yaml", &text) {
        Ok(suite) => {
            let ids: HashSet<&str> = suite.cases.iter().map(|case| case.id.as_str()).collect();
            assert_eq!(ids.len(), suite.cases.len(), "ids are unique");
            assert!(!suite.cases.is_empty(), "a suite has cases");
            suite.cases.iter().take(CASES).for_each(look_at);
        }
        Err(problems) => refused(&text, &problems),
    }
}

/// Every problem says something, and points into the file where it points.
fn refused(text: &str, problems: &Problems) {
    assert!(!problems.problems.is_empty(), "what is refused has a reason");
    for problem in &problems.problems {
        assert!(!problem.message.is_empty(), "a problem says what is wrong");
        if let Some((line, _)) = problem.line_and_column() {
            assert!(line <= text.lines().count() + 1, "{problem} is in line {line}");
        }
    }
}

/// What reports, filters and backends ask of a case.
fn look_at(case: &Case) {
    let filter = Filter::parse([case.id.as_str()], &[case]).expect("an id is a filter");
    assert!(filter.matches(case), "the filter {} finds its case", case.id);
    let spec = case.spec();
    assert_eq!(spec.seed, case.seed, "the fields are read again as they were");
    assert!(!case.describe().is_empty() && !case.all_fields().is_empty(), "a case can be shown");
    assert_eq!(step_names(case).len(), case.script.len() + 1, "each step has a name");
    if elements(case) > ELEMENTS {
        return;
    }
    let request = Request::from_case(case);
    assert_eq!(request.actions.len(), case.script.len(), "each step is asked");
    for (action, asked) in case.script.iter().zip(&request.actions) {
        if let (Action::Forward { input, .. }, Action::Forward { input: made, .. }) = (action, asked) {
            assert_eq!(made.tensor.shape(), input.tensor.shape, "an input has its shape");
            assert_eq!(made.tensor.dtype(), input.tensor.dtype, "an input has its type");
        }
    }
}

/// The elements of all tensors of a case.
fn elements(case: &Case) -> usize {
    let count = |shape: &[usize]| shape.iter().fold(1usize, |count, &size| count.saturating_mul(size));
    let mut elements: usize = 0;
    for layer in &*case.layers {
        elements = elements.saturating_add(layer.features.saturating_mul(4));
    }
    for action in &*case.script {
        action.map(&mut |tensor| elements = elements.saturating_add(count(&tensor.shape)));
    }
    elements
}
