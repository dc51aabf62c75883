//! Kernels with a mistake on purpose, in the place of the committed ones and under the host code that users run: each is
//! reported with what it did wrong and the line of the source that did it. The same runs without a mistake are clean.
//!
//! The mistakes are in `backends/cuda/toolkit/src/planted.rs`; `just ptx` makes the files here of them and of the kernels as
//! they are.

mod expectation;
mod launcher;
mod lines;
mod run;

use std::collections::BTreeSet;

use crate::expectation::{Expectation, planted};
use crate::launcher::Report;
use crate::lines::{Place, places};
use crate::run::run;

/// What a report says: its kind, the line of the PTX, and the places in the source that the line is of.
struct Found {
    kind: String,
    line: Option<usize>,
    places: Vec<Place>,
}

impl Found {
    /// Of a report of this run.
    fn new(expectation: &Expectation, report: &Report) -> Result<Found, String> {
        let fault = match report {
            Report::Unwritten(_) => {
                return Ok(Found { kind: "Unwritten".to_owned(), line: None, places: Vec::new() });
            }
            Report::Fault(fault) => fault,
        };
        let text = expectation.text_of(&fault.kernel);
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let instruction = words(text.lines().nth(fault.line - 1).unwrap_or_default());
        if instruction != words(&fault.instruction) {
            return Err(format!(
                "line {} of the PTX is `{instruction}`, and not that of: {fault}",
                fault.line
            ));
        }
        let places = places(text, fault.line);
        let first =
            fault.source.as_ref().map(|source| Place { file: source.file.clone(), line: source.line });
        if first.as_ref() != places.first() {
            return Err(format!(
                "the PTX gives {places:?} for line {}, and not {first:?}: {fault}",
                fault.line
            ));
        }
        Ok(Found { kind: format!("{:?}", fault.kind), line: Some(fault.line), places })
    }
}

/// What is wrong with the report of a planted mistake; else a line of the table.
fn judge(expectation: &Expectation) -> Result<String, String> {
    let report = run(&expectation.run, Some(expectation)).ok_or("nothing is reported")?;
    let found = Found::new(expectation, &report)?;
    let named = found.places.iter().find(|place| expectation.at.contains(place));
    if !expectation.faults.contains(&found.kind) {
        return Err(format!("not one of {:?} but {}: {report}", expectation.faults, found.kind));
    }
    let Some(line) = found.line else {
        return Ok(format!("{:<20} {:>5}  {}", found.kind, "", report));
    };
    let place = named
        .ok_or_else(|| format!("not at one of {:?} but at {:?}: {report}", expectation.at, found.places))?;
    Ok(format!("{:<20} {line:>5}  {place}", found.kind))
}

#[test]
fn every_planted_mistake_is_reported_with_its_kind_and_line() {
    let all = planted();
    assert!(all.len() >= 20, "there are {} planted mistakes only", all.len());
    let mut failures = Vec::new();
    for expectation in &all {
        match judge(expectation) {
            Ok(row) => println!("{:<44} {row}", expectation.name),
            Err(why) => failures.push(format!("{}: {why}", expectation.name)),
        }
    }
    println!("{} of {} caught", all.len() - failures.len(), all.len());
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), all.len(), failures.join("\n"));
}

#[test]
fn the_same_runs_without_a_mistake_are_clean() {
    let runs: BTreeSet<String> = planted().into_iter().map(|expectation| expectation.run).collect();
    for words in runs {
        if let Some(report) = run(&words, None) {
            panic!("{words}: {report}");
        }
    }
}

#[test]
fn a_report_of_another_kind_or_line_is_not_taken() {
    let mut one = planted()
        .into_iter()
        .find(|planted| planted.name == "statistics_one_vector_too_far")
        .expect("it is there");
    assert!(judge(&one).is_ok());
    one.at[0].line += 1;
    assert!(judge(&one).is_err_and(|why| why.starts_with("not at one of")));
    one.at[0].line -= 1;
    one.faults = vec!["Race".to_owned()];
    assert!(judge(&one).is_err_and(|why| why.starts_with("not one of")));
    one.run = one.run.replace("acc32", "acc64");
    assert_eq!(judge(&one), Err("nothing is reported".to_owned()), "another kernel, without the mistake");
}
