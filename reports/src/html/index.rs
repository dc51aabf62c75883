//! What the matrix, the filter and the overview need of every case: in columns, so that neighbours pack well.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

use bn_harness::changes::TransitionKind;
use bn_harness::results::Verdict;
use serde::Serialize;

use super::grid::Grid;
use super::pack::{Block, Parts, fronts, json, planes, runs, three_digits};
use super::run;
use super::summary::{glyph, kind_in_words};
use super::text::line;
use crate::terminal::Invocation;

/// The code of a cell without a result; the others are places in [`Verdict::ALL`].
const NOTHING: u8 = 15;

/// What stands in a replay line where the page puts the case's id.
const ID: &str = "ID";

/// What is known before any column is read.
#[derive(Serialize)]
struct Meta<'a> {
    cases: usize,
    backends: Vec<Backend<'a>>,
    verdicts: Vec<&'static str>,
    /// Their signs.
    glyphs: Vec<&'static str>,
    /// Verdicts that a run may have and be as expected.
    expected: Vec<bool>,
    suites: Vec<Cow<'a, str>>,
    /// Sizes of first inputs.
    shapes: Vec<&'a [usize]>,
    /// The line that shows a case again, around its id in quotation marks.
    replay: [String; 2],
    /// The whole line, for cases that are not named by their id.
    replays: BTreeMap<usize, String>,
    /// Cases in a block of details.
    group: usize,
    /// Whether there are blocks of these names.
    has_changes: bool,
    changes_left_out: usize,
    /// Kinds of changes, the worst first, in words.
    kinds: Vec<(TransitionKind, &'static str)>,
    has_faults: bool,
}

#[derive(Serialize)]
struct Backend<'a> {
    name: Cow<'a, str>,
    version: Cow<'a, str>,
    about: Cow<'a, str>,
    /// As an argument that chooses it.
    argument: String,
}

/// The block `index`.
pub fn index(grid: &Grid, invocation: &Invocation, group: usize) -> Block {
    let cases = &grid.results.cases;
    let mut suites = Dictionary::default();
    let of_suite: Vec<usize> = cases.iter().map(|case| suites.place(&*case.suite)).collect();
    let mut shapes = Dictionary::default();
    let of_shape: Vec<usize> = cases.iter().map(|case| shapes.place(&*case.shape)).collect();
    let verdict = |cell: Option<&bn_harness::results::CaseResult>| {
        let place =
            cell.and_then(|result| Verdict::ALL.iter().position(|&verdict| verdict == result.verdict));
        place.map_or(NOTHING, |place| place as u8)
    };
    let verdicts: Vec<u8> = grid.by_column().map(verdict).collect();
    let used: Vec<u16> =
        grid.by_column().map(|cell| three_digits(cell.and_then(|result| result.budget_used))).collect();
    let kappa: Vec<u16> = cases.iter().map(|case| three_digits(case.kappa)).collect();
    let micros: Vec<u16> =
        grid.by_column().map(|cell| three_digits(cell.map(|cell| two_digits(cell.micros)))).collect();
    let (shared, rests) = fronts(grid.ids.iter().map(String::as_str));
    let meta = Meta {
        cases: grid.rows(),
        backends: backends(grid, invocation),
        verdicts: Verdict::ALL.iter().map(|verdict| verdict.name()).collect(),
        glyphs: Verdict::ALL.into_iter().map(glyph).collect(),
        expected: Verdict::ALL.iter().map(|verdict| grid.results.expects(*verdict)).collect(),
        suites: suites.values.into_iter().map(line).collect(),
        shapes: shapes.values,
        replay: around(&invocation.replay(ID, None)),
        replays: replays(grid, invocation),
        group,
        has_changes: grid.results.changes.is_some(),
        changes_left_out: run::changes_left_out(grid),
        kinds: TransitionKind::ALL.into_iter().map(|kind| (kind, kind_in_words(kind))).collect(),
        has_faults: grid.results.faults.is_some(),
    };
    let mut parts = Parts::default();
    parts.add(&json(&meta));
    parts.add(&shared);
    parts.add(rests.as_bytes());
    parts.add(&runs(of_suite));
    parts.add(&verdicts);
    parts.add(&planes(&used));
    parts.add(&planes(&kappa));
    parts.add(&planes(&micros));
    parts.add(&runs(of_shape));
    Block::new("index", parts.bytes())
}

fn backends<'a>(grid: &Grid<'a>, invocation: &Invocation) -> Vec<Backend<'a>> {
    let plain = invocation.replay(ID, None);
    let column = |backend: &'a bn_harness::results::BackendColumn| {
        // The line with the backend is the one without it and one argument more, before `--suites`.
        let whole = invocation.replay(ID, Some(&backend.name));
        let [head, tail] = around(&plain);
        let argument = whole.strip_prefix(&format!("{head}'{ID}'")).and_then(|rest| rest.strip_suffix(&tail));
        Backend {
            name: line(&backend.name),
            version: line(&backend.version),
            about: line(&backend.about),
            argument: argument.unwrap_or_default().trim().to_owned(),
        }
    };
    grid.results.run.backends.iter().map(column).collect()
}

/// What stands before and after the id.
fn around(line: &str) -> [String; 2] {
    let (head, tail) = line.split_once(&format!("'{ID}'")).unwrap_or((line, ""));
    [head.to_owned(), tail.to_owned()]
}

/// The lines of cases that are not replayed by their id as the page shows it.
fn replays(grid: &Grid, invocation: &Invocation) -> BTreeMap<usize, String> {
    let cases = grid.results.cases.iter().zip(&grid.ids).enumerate();
    let odd = cases.filter(|(_, (case, shown))| case.id != **shown);
    odd.map(|(row, (case, _))| (row, invocation.replay(&case.id, None))).collect()
}

/// To two digits: times vary by more from run to run.
fn two_digits(micros: u64) -> f64 {
    let mut unit = 1;
    while micros / unit >= 100 {
        unit *= 10;
    }
    (micros as f64 / unit as f64).round() * unit as f64
}

/// A field of the cases.
#[derive(Default)]
struct Column<'a> {
    values: Dictionary<&'a str>,
    /// Which case has which of them.
    of_cases: Vec<(usize, usize)>,
}

/// The block `fields`: the values of every field that a filter may ask for, each path with its column.
pub fn fields(grid: &Grid) -> Block {
    let cases = &grid.results.cases;
    let mut paths: Dictionary<&str> = Dictionary::default();
    let mut columns: Vec<Column> = Vec::new();
    for (row, case) in cases.iter().enumerate() {
        for (path, value) in &case.fields {
            let place = paths.place(path);
            if place == columns.len() {
                columns.push(Column::default());
            }
            let Column { values, of_cases } = &mut columns[place];
            of_cases.push((row, values.place(value)));
        }
    }
    let names: Vec<(Cow<str>, Vec<Cow<str>>)> = paths
        .values
        .iter()
        .zip(&columns)
        .map(|(path, column)| (line(path), column.values.values.iter().map(|value| line(value)).collect()))
        .collect();
    let mut parts = Parts::default();
    parts.add(&json(&names));
    for Column { of_cases, .. } in &columns {
        // 0 stands for no value.
        let mut codes = vec![0; cases.len()];
        for &(row, value) in of_cases {
            codes[row] = value + 1;
        }
        parts.add(&runs(codes));
    }
    Block::new("fields", parts.bytes())
}

/// Values in the order in which they first come, each once.
pub struct Dictionary<T> {
    /// The values.
    pub values: Vec<T>,
    places: HashMap<T, usize>,
}

impl<T> Default for Dictionary<T> {
    fn default() -> Self {
        Dictionary { values: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Copy + Eq + Hash> Dictionary<T> {
    /// The place of a value, which is added where it is new.
    pub fn place(&mut self, value: T) -> usize {
        let next = self.values.len();
        let place = *self.places.entry(value).or_insert(next);
        if place == next {
            self.values.push(value);
        }
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_two_digits() {
        assert_eq!([0, 99, 104, 1250, 98_765].map(two_digits), [0.0, 99.0, 100.0, 1300.0, 99_000.0]);
    }

    #[test]
    fn a_replay_line_is_put_together_from_its_parts() {
        let invocation = Invocation {
            program: "bncheck".to_owned(),
            suites: vec!["a b".to_owned()],
            ..Invocation::default()
        };
        let [head, tail] = around(&invocation.replay(ID, None));
        assert_eq!(format!("{head}'x/y[z=1]'{tail}"), invocation.replay("x/y[z=1]", None));
    }
}
