//! Where the cases of a run come from, and what they are, for the results.

use bn_cases::Case;
use bn_cases::case::{Action, Story};

use crate::results::{CaseInfo, StoryInfo, SuiteInfo, WrittenCase};

/// A case; `kappa` is the largest `|mean| / sqrt(var + eps)` of any channel.
pub fn case(case: &Case, kappa: Option<f64>) -> CaseInfo {
    let first_input = case.script.iter().find_map(|action| match action {
        Action::Forward { input, .. } => Some(input.tensor.shape.clone()),
        _ => None,
    });
    CaseInfo {
        id: case.id.clone(),
        suite: case.suite.clone(),
        name: case.name.clone(),
        file: case.place.file.clone(),
        line: case.place.line,
        kappa,
        shape: first_input.unwrap_or_default(),
        fields: case.all_fields(),
        words: case.describe(),
        ordinal: None,
        unrecorded: None,
    }
}

/// The suites of these cases, in their order, each with those of its cases that are among these.
pub fn suites(cases: &[&Case]) -> Vec<SuiteInfo> {
    let mut suites: Vec<SuiteInfo> = Vec::new();
    for case in cases {
        let known = suites.iter().position(|suite| suite.name == case.suite);
        let known = known.unwrap_or_else(|| {
            suites.push(suite(case));
            suites.len() - 1
        });
        let written = &mut suites[known].written;
        if !written.iter().any(|written| written.name == case.name) {
            written.push(WrittenCase {
                name: case.name.clone(),
                line: case.written.line,
                about: case.spec.about.clone(),
                yaml: case.written.yaml.clone(),
            });
        }
    }
    suites
}

fn suite(case: &Case) -> SuiteInfo {
    let story = |story: &Story| StoryInfo {
        formula: story.formula.clone(),
        goes_wrong: story.goes_wrong.clone(),
        right: story.right.clone(),
        documented: story.documented.clone(),
    };
    SuiteInfo {
        name: case.suite.clone(),
        file: case.place.file.clone(),
        about: case.suite_about.clone(),
        story: case.story.as_deref().map(story),
        defaults: case.written.defaults.to_string(),
        written: Vec::new(),
    }
}
