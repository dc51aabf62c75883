//! What several runs count and do not list, together.

use std::collections::{HashMap, HashSet};

use crate::merge::Source;
use crate::results::{CaseInfo, LeftOut, Selection};

/// The sums, and a warning where something may be in them twice: who lists nothing of a case cannot say that it is another.
pub fn merge(sources: &[Source], listed: &[CaseInfo], warnings: &mut Vec<String>) -> LeftOut {
    let mut merged = LeftOut::default();
    for source in sources {
        for results in &source.results.left_out.results {
            merged.add_results(results.clone());
        }
    }
    if merged.is_empty() {
        return merged;
    }
    // The same cases on other backends are no other cases.
    let mut selections: Vec<(&[Selection], usize, &LeftOut)> = Vec::new();
    for Source { results, .. } in sources {
        let (selection, count) = (&results.run.selections[..], results.case_count());
        match selections.iter_mut().find(|(known, ..)| !known.is_empty() && *known == selection) {
            Some(known) if known.1 >= count => {}
            Some(known) => *known = (selection, count, &results.left_out),
            None => selections.push((selection, count, &results.left_out)),
        }
    }
    let all = selections.iter().map(|(_, count, _)| count).sum::<usize>();
    merged.cases = all.saturating_sub(listed.len());
    merged.not_recorded = selections.iter().map(|(.., left_out)| left_out.not_recorded).sum();
    merged.other_form = selections.iter().map(|(.., left_out)| left_out.other_form).sum();
    warnings.extend(overlaps(sources));
    merged
}

/// Runs of which one lists not all results of a suite and a backend, and the other has some of them as well.
fn overlaps(sources: &[Source]) -> Option<String> {
    for (place, one) in sources.iter().enumerate() {
        let not_listed: HashSet<(&str, &str)> = names(one).collect();
        for (other_place, other) in sources.iter().enumerate() {
            if other_place == place || are_other_parts(one, other) {
                continue;
            }
            let of_other = &other.results;
            let suites: HashMap<&str, &str> =
                of_other.cases.iter().map(|case| (case.id.as_str(), case.suite.as_str())).collect();
            let listed = of_other
                .results
                .iter()
                .filter_map(|result| Some((*suites.get(result.case.as_str())?, result.backend.as_str())));
            if let Some((suite, backend)) = names(other).chain(listed).find(|name| not_listed.contains(name))
            {
                return Some(format!(
                    "{} does not list all results of {backend} in {suite}, and {} has some as well: what is in both is counted twice",
                    one.name, other.name
                ));
            }
        }
    }
    None
}

/// The suites and backends of which a run does not list all results.
fn names(source: &Source) -> impl Iterator<Item = (&str, &str)> {
    source.results.left_out.results.iter().map(|results| (results.suite.as_str(), results.backend.as_str()))
}

/// Whether two runs are different parts of one selection, which have no case in common.
fn are_other_parts(one: &Source, other: &Source) -> bool {
    let ([one], [other]) = (&one.results.run.selections[..], &other.results.run.selections[..]) else {
        return false;
    };
    let whole = |selection: &Selection| Selection { part: None, ..selection.clone() };
    one.part != other.part
        && one.part.map(|part| part.of) == other.part.map(|part| part.of)
        && whole(one) == whole(other)
}
