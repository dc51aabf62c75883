//! Declared deviations that are themselves wrong, once all is run.

use std::collections::HashSet;

use super::{Options, Source};
use crate::results::{BackendColumn, Undecided};

/// Entries that cover nothing, and entries of which every case was run and none needed them; then those of which some
/// cases were run and not all; those that are run are among all. `needed` are those that some case needed, each by its
/// backend's column and its own number; of a backend that is not `present`, as it expressed no case, none is missed.
pub(super) fn deviation_errors(
    cases: &(impl Source + ?Sized),
    backends: &[BackendColumn],
    options: &Options<'_>,
    needed: &HashSet<(usize, usize)>,
    present: &HashSet<usize>,
) -> (Vec<String>, Vec<Undecided>) {
    let (mut errors, mut undecided) = (Vec::new(), Vec::new());
    let Some(all) = options.all else { return (errors, undecided) };
    for (column, (backend, deviations)) in backends.iter().zip(options.deviations).enumerate() {
        errors.extend(deviations.check(&backend.name, all));
        if !present.contains(&column) {
            continue;
        }
        for (number, entry) in deviations.entries.iter().enumerate() {
            let run = (0..cases.len()).filter(|index| entry.covers(&cases.case(*index))).count();
            if run == 0 {
                continue;
            }
            let needed = needed.contains(&(column, number));
            let covered = all.iter().filter(|case| entry.covers(case)).count();
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
