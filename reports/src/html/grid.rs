//! Cases × backends: the results in their places.

use std::collections::{HashMap, HashSet};

use bn_harness::results::{CaseResult, RunResults};

use super::text::line;

/// The results of a run, in rows of cases and columns of backends.
pub struct Grid<'a> {
    /// The run.
    pub results: &'a RunResults,
    /// The ids of the cases as the page shows them: made harmless, none too long, no two alike.
    pub ids: Vec<String>,
    cells: Vec<Option<&'a CaseResult>>,
}

impl<'a> Grid<'a> {
    /// Puts the results of a run in their places. What is of no case or backend of the run has none.
    pub fn new(results: &'a RunResults) -> Self {
        let columns = results.run.backends.len();
        let mut rows: HashMap<&str, usize> = HashMap::with_capacity(results.cases.len());
        for (row, case) in results.cases.iter().enumerate() {
            rows.entry(&case.id).or_insert(row);
        }
        let mut column_of: HashMap<&str, usize> = HashMap::new();
        for (column, backend) in results.run.backends.iter().enumerate() {
            column_of.entry(&backend.name).or_insert(column);
        }
        let mut cells = vec![None; results.cases.len() * columns];
        for result in &results.results {
            let place = rows.get(&*result.case).zip(column_of.get(&*result.backend));
            if let Some((row, column)) = place {
                cells[row * columns + column].get_or_insert(result);
            }
        }
        Grid { results, ids: ids(results), cells }
    }

    /// How many cases there are.
    pub fn rows(&self) -> usize {
        self.ids.len()
    }

    /// How many backends there are.
    pub fn columns(&self) -> usize {
        self.results.run.backends.len()
    }

    /// What a backend answered to a case, where it was asked.
    pub fn cell(&self, row: usize, column: usize) -> Option<&'a CaseResult> {
        self.cells[row * self.columns() + column]
    }

    /// All of them, row by row.
    pub fn cells(&self) -> impl Iterator<Item = Option<&'a CaseResult>> {
        self.cells.iter().copied()
    }

    /// All of them, column by column.
    pub fn by_column(&self) -> impl Iterator<Item = Option<&'a CaseResult>> {
        (0..self.columns()).flat_map(move |column| (0..self.rows()).map(move |row| self.cell(row, column)))
    }
}

fn ids(results: &RunResults) -> Vec<String> {
    let mut seen: HashSet<String> = HashSet::with_capacity(results.cases.len());
    let mut unique = |id: &str| {
        let shown = line(id).into_owned();
        let mut id = shown.clone();
        let mut number = 2;
        while !seen.insert(id.clone()) {
            id = format!("{shown} ({number})");
            number += 1;
        }
        id
    };
    results.cases.iter().map(|case| unique(&case.id)).collect()
}
