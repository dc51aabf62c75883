//! How often is a known mistake named when it is run as if unknown?
//!
//! Its answers are moved within the budget first, as those of another program with the same mistake would be: what is
//! measured is not whether the same code gives the same bits.

use std::time::Instant;

use bn_cases::Case;
use serde::Serialize;

use super::{Lineup, Question};
use crate::faults::KillMatrix;
use crate::results::Suspicion;

/// How far the answers are moved, in budgets.
const BLUR: f64 = 0.5;

/// How many suspects that cannot be told apart may be listed beside the right one.
pub const LISTED: usize = 5;

/// The share that must be named right.
pub const WANTED: f64 = 0.95;

/// How well mistakes are told.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measurement {
    /// The unknowns, in their order; those that no case catches are left out.
    pub unknowns: Vec<Unknown>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// What was said of one unknown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Unknown {
    /// Its name: the mistake's, or those of two with a `+` between.
    pub name: String,
    /// How many of its failures were replayed.
    pub replayed: usize,
    /// How many of them the first explanation explains.
    pub explained: usize,
    /// The first explanation's suspects, the closest first.
    pub said: Vec<String>,
}

impl Unknown {
    /// Whether it is named first, or among the few that cannot be told from the first.
    pub fn is_right(&self) -> bool {
        self.said.iter().take(LISTED).any(|name| same(name, &self.name))
    }
}

impl Measurement {
    /// The unknowns that are named right.
    pub fn right(&self) -> usize {
        self.unknowns.iter().filter(|unknown| unknown.is_right()).count()
    }

    /// The same as a share of all.
    pub fn share(&self) -> f64 {
        self.right() as f64 / self.unknowns.len().max(1) as f64
    }

    /// Whether enough are named right.
    pub fn as_expected(&self) -> bool {
        !self.unknowns.is_empty() && self.share() >= WANTED
    }

    /// Those named right and alone.
    pub fn alone(&self) -> usize {
        self.unknowns.iter().filter(|unknown| unknown.is_right() && unknown.said.len() == 1).count()
    }
}

/// Diagnoses everyone in a kill matrix by what the catalogue of `open`'s lineups has. The patients of these are the
/// faults of the matrix in its order, and `cases` are its cases.
///
/// # Errors
/// When no lineup can be had.
pub fn measure<E: Send>(
    matrix: &KillMatrix,
    cases: &[&Case],
    open: &(dyn Fn() -> Result<Lineup, E> + Sync),
    jobs: usize,
) -> Result<Measurement, E> {
    let started = Instant::now();
    let is_void = |case: &Case| matrix.void.iter().any(|void| void.case == case.id);
    let (mut failing, mut passing) = (Vec::new(), Vec::new());
    for fault in &matrix.faults {
        let mut caught = fault.caught_by.iter().map(|catch| catch.case.as_str()).peekable();
        let (mut fails, mut passes) = (Vec::new(), Vec::new());
        for (number, case) in cases.iter().enumerate() {
            if caught.next_if_eq(&case.id.as_str()).is_some() {
                fails.push(number);
            } else if !is_void(case) {
                passes.push(number);
            }
        }
        failing.push(fails);
        passing.push(passes);
    }
    let question = Question { cases, failing, passing, blur: BLUR, jobs, declared: &|_, _, _| {} };
    let found = question.examine(open)?;
    let mut unknowns = Vec::new();
    for (fault, evidence) in matrix.faults.iter().zip(&found).filter(|(fault, _)| !fault.caught_by.is_empty())
    {
        let first = evidence.explanations().into_iter().next();
        unknowns.push(Unknown {
            name: fault.name.clone(),
            replayed: evidence.failures.len(),
            explained: first.as_ref().map_or(0, |first| first.explains),
            said: first.iter().flat_map(|first| &first.alike).map(name).collect(),
        });
    }
    Ok(Measurement { unknowns, duration_ms: started.elapsed().as_millis() as u64 })
}

/// Whether two names mean the same mistakes, in either order.
fn same(one: &str, other: &str) -> bool {
    one == other || one.split_once('+').is_some_and(|(a, b)| other == format!("{b}+{a}"))
}

/// The name of a mistake, or of two.
pub fn name(suspicion: &Suspicion) -> String {
    let names: Vec<&str> = suspicion.mistakes.iter().map(|mistake| mistake.name.as_str()).collect();
    names.join("+")
}
