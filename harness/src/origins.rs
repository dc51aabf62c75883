//! Where the cases of a run come from, and what they are, for the results.

use std::collections::{HashMap, HashSet};

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
        suite: case.suite.to_string(),
        name: case.name.to_string(),
        file: case.place.file.to_string(),
        line: case.place.line,
        kappa,
        shape: first_input.unwrap_or_default(),
        fields: case.all_fields(),
        words: case.describe(),
        ordinal: None,
        unrecorded: None,
    }
}

/// The suites of some cases, in their order, each with those of its cases that are among these.
#[derive(Default)]
pub struct Suites {
    list: Vec<SuiteInfo>,
    /// The place of each suite.
    places: HashMap<String, usize>,
    /// The names of the cases in each.
    names: Vec<HashSet<String>>,
}

impl Suites {
    /// Adds the next case.
    pub fn add(&mut self, case: &Case) {
        let next = self.list.len();
        let place = *self.places.entry(case.suite.to_string()).or_insert(next);
        if place == next {
            self.list.push(suite(case));
            self.names.push(HashSet::new());
        }
        let names = &mut self.names[place];
        if !names.contains(&*case.name) {
            names.insert(case.name.to_string());
            self.list[place].written.push(WrittenCase {
                name: case.name.to_string(),
                line: case.written.line,
                about: case.about.as_deref().map(str::to_owned),
                yaml: case.written.yaml.clone(),
            });
        }
    }

    /// All of them.
    pub fn into_list(self) -> Vec<SuiteInfo> {
        self.list
    }
}

fn suite(case: &Case) -> SuiteInfo {
    let story = |story: &Story| StoryInfo {
        formula: story.formula.clone(),
        goes_wrong: story.goes_wrong.clone(),
        right: story.right.clone(),
        documented: story.documented.clone(),
    };
    SuiteInfo {
        name: case.suite.to_string(),
        file: case.place.file.to_string(),
        about: case.suite_about.as_deref().map(str::to_owned),
        story: case.story.as_deref().map(story),
        defaults: case.written.defaults.to_string(),
        written: Vec::new(),
    }
}
