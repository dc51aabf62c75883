//! Declared deviations that are themselves wrong, once all is run.

use std::collections::HashSet;

use bn_cases::Case;

use super::Options;
use crate::results::{BackendColumn, Undecided};

/// Entries that cover nothing, and entries of which every case was run and none needed them; then those of which some
/// cases were run and not all. `needed` are those that some case needed, each by its backend's column and its own number;
/// of a backend that is not `present`, as it expressed no case, none is missed.
pub(super) fn deviation_errors(
    cases: &[&Case],
    backends: &[BackendColumn],
    options: &Options<'_>,
    needed: &HashSet<(usize, usize)>,
    present: &HashSet<usize>,
) -> (Vec<String>, Vec<Undecided>) {
    let (mut errors, mut undecided) = (Vec::new(), Vec::new());
    let Some(all) = options.all else { return (errors, undecided) };
    let was_run: HashSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    for (column, (backend, deviations)) in backends.iter().zip(options.deviations).enumerate() {
        errors.extend(deviations.check(&backend.name, all));
        if !present.contains(&column) {
            continue;
        }
        for (number, entry) in deviations.entries.iter().enumerate() {
            let covered = || all.iter().filter(|case| entry.covers(case));
            let run = covered().filter(|case| was_run.contains(case.id.as_str())).count();
            if run == 0 {
                continue;
            }
            let needed = needed.contains(&(column, number));
            let covered = covered().count();
            // What none of these cases needs, another one may that was not run.
            if run < covered {
                let (backend, name) = (backend.name.clone(), entry.name.clone());
                undecided.push(Undecided { backend, name, covered, run, needed });
            } else if !needed {
                errors.push(not_needed(&backend.name, &entry.name));
            }
        }
    }
    (errors, undecided)
}

/// What is said of a declared deviation that no case needs.
pub(crate) fn not_needed(backend: &str, name: &str) -> String {
    format!("{backend}: no case needs the declared deviation `{name}`; take it out")
}
