//! What the page of a case needs, in blocks of [`GROUP`] cases that are read when one of them is opened.
//!
//! What passes says so in few bytes: the results of several backends have compared the same tensors, so that is told
//! once, and of each step a result has one byte, the largest share of its budget. Everything else is told in full.

use std::borrow::Cow;
use std::collections::HashMap;

use bn_harness::results::{CaseResult, Suspicion, Verdict};
use serde::Serialize;

use super::grid::Grid;
use super::index::Dictionary;
use super::pack::{Block, Parts, json, share};
use super::steps::{Mistake, Step, round, step};
use super::text::{document, line, passage};

/// Cases in a block.
pub const GROUP: usize = 256;

/// How much is told of results that are not as expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// All steps.
    Everything,
    /// The first step that differs, and in it the tensors that do, of results after the first [`FIRST`] of a backend
    /// in a suite.
    FirstDifference,
    /// No steps of these, and no cases in words.
    NoSteps,
}

/// How many results of a backend in a suite are told in full, whatever the depth.
pub const FIRST: usize = 20;

#[derive(Serialize)]
struct Group<'a> {
    /// Lines of cases in words, each once.
    lines: Vec<Cow<'a, str>>,
    cases: Vec<CaseDetails<'a>>,
    /// Steps of passing results without their shares of the budget, each once.
    steps: Vec<Step<'a>>,
    /// Lists of these.
    scripts: Vec<Vec<usize>>,
    /// Each suspected mistake once.
    mistakes: Vec<Mistake<'a>>,
    /// Case by case and backend by backend.
    results: Vec<Told<'a>>,
}

#[derive(Serialize)]
struct CaseDetails<'a> {
    name: Cow<'a, str>,
    file: Cow<'a, str>,
    line: usize,
    words: Vec<usize>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Told<'a> {
    /// There is no result.
    Nothing,
    /// It passes: the number of its list of steps.
    Script(usize),
    Whole(Box<Whole<'a>>),
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Step<'a>>,
    /// Why these are not all of its steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    diagnosis: Vec<Suspected>,
}

#[derive(Serialize)]
struct Suspected {
    /// Places in the block's list.
    mistakes: Vec<usize>,
    explains: usize,
    contradicted: usize,
    fit: f64,
}

/// The blocks of details, `d0` and so on, and how many results are not told in full.
pub fn details(grid: &Grid, depth: Depth) -> (Vec<Block>, usize) {
    let mut teller = Teller { depth, told: HashMap::new(), shortened: 0 };
    let groups = grid.rows().div_ceil(GROUP);
    let blocks = (0..groups).map(|group| teller.group(grid, group)).collect();
    (blocks, teller.shortened)
}

struct Teller {
    depth: Depth,
    /// How many results of a backend in a suite have been told in full.
    told: HashMap<(String, usize), usize>,
    shortened: usize,
}

impl Teller {
    fn group(&mut self, grid: &Grid, number: usize) -> Block {
        let rows = number * GROUP..grid.rows().min((number + 1) * GROUP);
        let mut lines = Dictionary::default();
        let mut passing = Passing::default();
        let mut mistakes = Vec::new();
        let mut cases = Vec::new();
        let mut results = Vec::new();
        for row in rows {
            let case = &grid.results.cases[row];
            let words = if self.depth == Depth::NoSteps { "" } else { &case.words };
            cases.push(CaseDetails {
                name: line(&case.name),
                file: line(&case.file),
                line: case.line,
                words: words.lines().map(|line| lines.place(line)).collect(),
            });
            passing.next_case();
            for column in 0..grid.columns() {
                results.push(match grid.cell(row, column) {
                    None => Told::Nothing,
                    Some(result) if is_plain_pass(result) => Told::Script(passing.add(result)),
                    Some(result) => {
                        Told::Whole(Box::new(self.whole(result, &case.suite, column, &mut mistakes)))
                    }
                });
            }
        }
        let lines = lines.values.into_iter().map(document).collect();
        let Passing { steps, scripts, shares, .. } = passing;
        let mut parts = Parts::default();
        parts.add(&json(&Group { lines, cases, steps, scripts, mistakes, results }));
        parts.add(&shares);
        Block::new(format!("d{number}"), parts.bytes())
    }

    fn whole<'a>(
        &mut self,
        result: &'a CaseResult,
        suite: &str,
        column: usize,
        mistakes: &mut Vec<Mistake<'a>>,
    ) -> Whole<'a> {
        let all = || result.steps.iter().map(step);
        let (steps, cut) = if result.steps.is_empty() || self.is_told_in_full(suite, column) {
            (all().collect(), None)
        } else {
            self.shortened += 1;
            match self.depth {
                Depth::NoSteps => (Vec::new(), Some("none")),
                _ => (all().find_map(Step::difference).into_iter().collect(), Some("first")),
            }
        };
        let suspected = |suspicion: &'a Suspicion| {
            let place = |mistake| {
                let mistake = Mistake::of(mistake);
                mistakes.iter().position(|known| *known == mistake).unwrap_or_else(|| {
                    mistakes.push(mistake);
                    mistakes.len() - 1
                })
            };
            Suspected {
                mistakes: suspicion.mistakes.iter().map(place).collect(),
                explains: suspicion.explains,
                contradicted: suspicion.contradicted,
                fit: round(suspicion.fit),
            }
        };
        Whole {
            reason: result.reason.as_deref().map(passage),
            steps,
            cut,
            diagnosis: result.diagnosis.iter().map(suspected).collect(),
        }
    }

    fn is_told_in_full(&mut self, suite: &str, column: usize) -> bool {
        if self.depth == Depth::Everything {
            return true;
        }
        let told = self.told.entry((suite.to_owned(), column)).or_default();
        *told += 1;
        *told <= FIRST
    }
}

fn is_plain_pass(result: &CaseResult) -> bool {
    result.verdict == Verdict::Pass && result.reason.is_none() && result.diagnosis.is_empty()
}

/// What passing results of a block have compared.
#[derive(Default)]
struct Passing<'a> {
    steps: Vec<Step<'a>>,
    /// Of each step, its place.
    places: HashMap<Vec<u8>, usize>,
    scripts: Vec<Vec<usize>>,
    /// Of each list of steps, its place.
    script_places: HashMap<Vec<usize>, usize>,
    /// Results of the case at hand, and the places of their lists: those of the next backend are mostly alike.
    latest: Vec<(&'a CaseResult, usize)>,
    /// Largest shares of the budget, step by step.
    shares: Vec<u8>,
}

impl<'a> Passing<'a> {
    fn next_case(&mut self) {
        self.latest.clear();
    }

    fn add(&mut self, result: &'a CaseResult) -> usize {
        for step in &result.steps {
            let used = step.tensors.iter().filter_map(|tensor| tensor.budget_used).reduce(f64::max);
            self.shares.push(share(used));
        }
        if let Some((_, script)) = self.latest.iter().find(|(other, _)| have_same_steps(other, result)) {
            return *script;
        }
        let script: Vec<usize> =
            result.steps.iter().map(|one| self.place(step(one).without_shares())).collect();
        let next = self.scripts.len();
        let place = *self.script_places.entry(script.clone()).or_insert(next);
        if place == next {
            self.scripts.push(script);
        }
        self.latest.push((result, place));
        place
    }

    fn place(&mut self, step: Step<'a>) -> usize {
        let next = self.steps.len();
        let place = *self.places.entry(json(&step)).or_insert(next);
        if place == next {
            self.steps.push(step);
        }
        place
    }
}

/// Whether two results differ in nothing but how much of their budgets they use.
fn have_same_steps(one: &CaseResult, other: &CaseResult) -> bool {
    one.steps.len() == other.steps.len()
        && one.steps.iter().zip(&other.steps).all(|(one, other)| {
            one.step == other.step
                && one.action == other.action
                && one.error == other.error
                && one.tensors.len() == other.tensors.len()
                && one.tensors.iter().zip(&other.tensors).all(|(one, other)| {
                    one.tensor == other.tensor
                        && one.verdict == other.verdict
                        && one.total == other.total
                        && one.mismatched == other.mismatched
                        && one.note == other.note
                        && one.worst.is_none()
                        && other.worst.is_none()
                })
        })
}
