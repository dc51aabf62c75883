//! The blocks that belong to the whole run: its suites as they are written, what has changed since a baseline, the kill
//! matrix of the known mistakes.

use std::borrow::Cow;
use std::collections::HashMap;

use bn_harness::changes::{Side, TransitionKind};
use bn_harness::results::{FaultMatrix, FirstCatch, StoryInfo, SuiteInfo, Verdict};
use serde::Serialize;

use super::grid::Grid;
use super::pack::Block;
use super::steps::round;
use super::text::{document, line, passage};

#[derive(Serialize)]
struct Suite<'a> {
    name: Cow<'a, str>,
    file: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    story: Option<Story<'a>>,
    defaults: Cow<'a, str>,
    written: Vec<Written<'a>>,
}

#[derive(Serialize)]
struct Story<'a> {
    formula: Cow<'a, str>,
    goes_wrong: Cow<'a, str>,
    right: Cow<'a, str>,
    documented: Vec<Cow<'a, str>>,
}

#[derive(Serialize)]
struct Written<'a> {
    name: Cow<'a, str>,
    line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    about: Option<Cow<'a, str>>,
    yaml: Cow<'a, str>,
}

/// The block `suites`: everything as it is written.
pub fn written(grid: &Grid) -> Block {
    let suites: Vec<Suite> = grid.results.suites.iter().map(suite).collect();
    Block::of_json("suites", &suites)
}

fn suite(suite: &SuiteInfo) -> Suite<'_> {
    let written = suite.written.iter().map(|case| Written {
        name: line(&case.name),
        line: case.line,
        about: case.about.as_deref().map(passage),
        yaml: document(&case.yaml),
    });
    Suite {
        name: line(&suite.name),
        file: line(&suite.file),
        about: suite.about.as_deref().map(passage),
        story: suite.story.as_ref().map(story),
        defaults: document(&suite.defaults),
        written: written.collect(),
    }
}

fn story(story: &StoryInfo) -> Story<'_> {
    Story {
        formula: passage(&story.formula),
        goes_wrong: passage(&story.goes_wrong),
        right: passage(&story.right),
        documented: story.documented.iter().map(|link| passage(link)).collect(),
    }
}

#[derive(Serialize)]
struct Changed<'a> {
    kind: TransitionKind,
    /// The number of the case; nothing where it has gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<usize>,
    /// Its id, where it has gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<Cow<'a, str>>,
    backend: Cow<'a, str>,
    before: Option<SideOf>,
    after: Option<SideOf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
struct SideOf {
    verdict: Verdict,
    budget_used: Option<f64>,
}

/// The most changes that the page lists.
const LISTED: usize = 20_000;

/// How many changes the page has no room for.
pub fn changes_left_out(grid: &Grid) -> usize {
    grid.results.changes.as_ref().map_or(0, |changes| changes.transitions.len().saturating_sub(LISTED))
}

/// The blocks `transitions` and `faults`, where the run has them.
pub fn blocks(grid: &Grid) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(changes) = &grid.results.changes {
        let rows: HashMap<&str, usize> =
            grid.results.cases.iter().enumerate().map(|(row, case)| (&*case.id, row)).collect();
        let side = |side: Side| SideOf { verdict: side.verdict, budget_used: side.budget_used.map(round) };
        let changed = changes.transitions.iter().take(LISTED).map(|change| {
            let row = rows.get(&*change.case).copied();
            Changed {
                kind: change.kind,
                row,
                case: row.is_none().then(|| line(&change.case)),
                backend: line(&change.backend),
                before: change.before.map(side),
                after: change.after.map(side),
                difference: change.difference.as_deref().map(passage),
            }
        });
        blocks.push(Block::of_json("transitions", &changed.collect::<Vec<_>>()));
    }
    if let Some(faults) = &grid.results.faults {
        blocks.push(Block::of_json("faults", &harmless(faults)));
    }
    blocks
}

/// The kill matrix with no text that is more than text.
fn harmless(faults: &FaultMatrix) -> FaultMatrix {
    let owned = |text: &String| line(text).into_owned();
    let mut faults = faults.clone();
    faults.suites = faults.suites.iter().map(owned).collect();
    for fault in &mut faults.faults {
        fault.name = owned(&fault.name);
        fault.about = passage(&fault.about).into_owned();
        if let Some(FirstCatch { case, action, tensors, .. }) = &mut fault.first {
            *case = owned(case);
            *action = owned(action);
            *tensors = tensors.iter().map(owned).collect();
        }
    }
    faults
}
