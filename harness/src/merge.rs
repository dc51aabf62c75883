//! Several runs made into one: parts of the same run, or the same cases on other backends.

mod diagnoses;
mod left_out;
mod parts;

use std::collections::{HashMap, HashSet};

use crate::album::{Album, take_down};
use crate::results::{BackendColumn, CaseInfo, CaseResult, RunInfo, RunResults, SCHEMA_VERSION, SuiteInfo};

use parts::Parts;

/// How many ids a warning names.
const NAMED: usize = 3;

/// A run to be merged with others.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Where it is from.
    pub name: String,
    /// What it is.
    pub results: RunResults,
}

/// Several runs as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// All cases on all backends.
    pub results: RunResults,
    /// How many results there were more than once: of each the last one is kept.
    pub replaced: usize,
    /// What does not fit together: a sentence each.
    pub warnings: Vec<String>,
}

/// Makes one run of several. Cases and backends are those of any; of a result that there is more than once, the last
/// one is kept. A run that is left alone stays as it is; of none nothing comes.
pub fn merge(mut sources: Vec<Source>) -> Option<Merged> {
    if sources.len() < 2 {
        let results = sources.pop()?.results;
        return Some(Merged { results, replaced: 0, warnings: Vec::new() });
    }
    let mut warnings = different_versions(&sources);
    let parts = Parts::of(&sources);
    let backends = columns(&sources, &mut warnings);
    let cases = cases(&sources, &mut warnings);
    let suites = suites(&sources, &cases);
    let (mut results, replaced) = results(&sources, &cases, &backends);
    thin_out(&mut results, &cases);
    let left_out = left_out::merge(&sources, &cases, &mut warnings);
    if sources.iter().any(|source| source.results.changes.is_some()) {
        warnings
            .push("what has changed in the parts is left out: compare the whole with a baseline".to_owned());
    }
    let diagnoses = diagnoses::merge(&sources, &backends, &results, &left_out);
    let mut deviation_errors = deviation_errors(&sources);
    // Of cases that were run twice nobody can say how many there were.
    let undecided = if replaced == 0 { parts.decide(&mut deviation_errors) } else { Vec::new() };
    let faults = sources.iter().rev().find_map(|source| source.results.faults.clone());
    let run = RunInfo { undecided, ..parts.info(&sources, backends) };
    let results = RunResults {
        schema_version: SCHEMA_VERSION,
        run,
        suites,
        left_out,
        cases,
        results,
        deviation_errors,
        diagnoses,
        faults,
        changes: None,
    };
    Some(Merged { results, replaced, warnings })
}

/// What judged, and was judged by, that is not of one version.
fn different_versions(sources: &[Source]) -> Vec<String> {
    let differs = |what: &str, of: &dyn Fn(&RunInfo) -> &String| {
        let all: Vec<(&Source, &String)> =
            sources.iter().map(|source| (source, of(&source.results.run))).collect();
        let (first, one) = all[0];
        let (other, another) = all.iter().find(|(_, another)| *another != one)?;
        Some(format!("{} has {what} {one}, {} has {another}", first.name, other.name))
    };
    let bncheck = differs("bncheck", &|run| &run.bncheck);
    let oracle = differs("the oracle", &|run| &run.oracle);
    bncheck.into_iter().chain(oracle).collect()
}

/// The backends, in the order in which they first appear.
fn columns(sources: &[Source], warnings: &mut Vec<String>) -> Vec<BackendColumn> {
    let mut columns: Vec<BackendColumn> = Vec::new();
    for column in sources.iter().flat_map(|source| &source.results.run.backends) {
        match columns.iter_mut().find(|known| known.name == column.name) {
            None => columns.push(column.clone()),
            Some(known) if !one_of(&known.version, &column.version) => {
                known.version = format!("{} and {}", known.version, column.version);
                warnings.push(format!("{} is of several versions: {}", known.name, known.version));
            }
            Some(_) => {}
        }
    }
    columns
}

/// Whether a version is among those that are joined already.
fn one_of(joined: &str, version: &str) -> bool {
    joined.split(" and ").any(|known| known == version)
}

/// The cases, in the order of the suites where that is known of all, else in that of the runs.
fn cases(sources: &[Source], warnings: &mut Vec<String>) -> Vec<CaseInfo> {
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut cases: Vec<CaseInfo> = Vec::new();
    for source in sources {
        let mut other = Vec::new();
        for case in &source.results.cases {
            if let Some(&place) = places.get(case.id.as_str()) {
                if is_other(&cases[place], case) {
                    other.push(case.id.as_str());
                }
                cases[place] = case.clone();
            } else {
                places.insert(&case.id, cases.len());
                cases.push(case.clone());
            }
        }
        if !other.is_empty() {
            let named = other.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            let (count, more) = (other.len(), if other.len() > NAMED { ", …" } else { "" });
            let cases = if count == 1 { "case is" } else { "cases are" };
            warnings.push(format!(
                "{count} {cases} written otherwise in {}, whose text is kept: {named}{more}",
                source.name
            ));
        }
    }
    if same_suites(sources) && cases.iter().all(|case| case.ordinal.is_some()) {
        cases.sort_by_key(|case| case.ordinal);
    }
    cases
}

/// Whether a case is not the one that it was: another text, or in another place.
fn is_other(one: &CaseInfo, other: &CaseInfo) -> bool {
    one.file != other.file || one.line != other.line || one.words != other.words
}

/// Whether all runs have read the same suites, so that the places of cases among all of them are of one list.
fn same_suites(sources: &[Source]) -> bool {
    let mut selections = sources.iter().flat_map(|source| &source.results.run.selections);
    let all_known = sources.iter().all(|source| !source.results.run.selections.is_empty());
    let first = selections.next();
    all_known && first.is_some_and(|first| selections.all(|selection| selection.suites == first.suites))
}

/// The suites, in the order of their first cases, each with the written cases of all runs, in the order of the file.
fn suites(sources: &[Source], cases: &[CaseInfo]) -> Vec<SuiteInfo> {
    let mut suites: Vec<SuiteInfo> = Vec::new();
    for suite in sources.iter().flat_map(|source| &source.results.suites) {
        let Some(known) = suites.iter_mut().find(|known| known.name == suite.name) else {
            suites.push(suite.clone());
            continue;
        };
        let mut written = std::mem::take(&mut known.written);
        for case in &suite.written {
            match written.iter_mut().find(|known| known.name == case.name) {
                Some(known) => *known = case.clone(),
                None => written.push(case.clone()),
            }
        }
        written.sort_by_key(|case| case.line);
        *known = SuiteInfo { written, ..suite.clone() };
    }
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (place, case) in cases.iter().enumerate() {
        places.entry(&case.suite).or_insert(place);
    }
    suites.sort_by_key(|suite| places.get(suite.name.as_str()).copied().unwrap_or(usize::MAX));
    suites
}

/// The results by case and backend, and how many were replaced by later ones.
fn results(sources: &[Source], cases: &[CaseInfo], backends: &[BackendColumn]) -> (Vec<CaseResult>, usize) {
    let mut latest: HashMap<(&str, &str), &CaseResult> = HashMap::new();
    let mut replaced = 0;
    for source in sources {
        let mut own = HashSet::new();
        for result in &source.results.results {
            let name = (result.case.as_str(), result.backend.as_str());
            // Within one file a name is not to be there twice; where it is, that is no second run.
            let is_first = own.insert(name);
            replaced += usize::from(latest.insert(name, result).is_some() && is_first);
        }
    }
    let mut results: Vec<CaseResult> = Vec::with_capacity(latest.len());
    for case in cases {
        for backend in backends {
            results.extend(latest.remove(&(case.id.as_str(), backend.name.as_str())).cloned());
        }
    }
    // What is listed nowhere stays, at the end, as it was in its file.
    let left = sources.iter().flat_map(|source| &source.results.results).filter(|result| {
        latest
            .get(&(result.case.as_str(), result.backend.as_str()))
            .is_some_and(|kept| std::ptr::eq(*kept, *result))
    });
    results.extend(left.cloned());
    (results, replaced)
}

/// Takes out the pictures that one run of it all would not have kept.
fn thin_out(results: &mut [CaseResult], cases: &[CaseInfo]) {
    let places: HashMap<&str, (&str, usize)> =
        cases.iter().map(|case| (case.id.as_str(), (case.file.as_str(), case.line))).collect();
    let mut album = Album::default();
    for (index, result) in results.iter_mut().enumerate() {
        let Some(&place) = places.get(result.case.as_str()) else { continue };
        // They come in their order, so what has to go is the one at hand.
        if album.add((place, result.backend.clone()), result.verdict, index).is_some() {
            take_down(&mut result.steps);
        }
    }
}

/// The errors of declared deviations, but for those of runs of which no result is left.
fn deviation_errors(sources: &[Source]) -> Vec<String> {
    let mut later: HashSet<(&str, &str)> = HashSet::new();
    let mut kept: Vec<&Source> = Vec::new();
    for source in sources.iter().rev() {
        let names: Vec<(&str, &str)> =
            source.results.results.iter().map(|result| (&*result.case, &*result.backend)).collect();
        if names.is_empty()
            || !source.results.left_out.is_empty()
            || names.iter().any(|name| !later.contains(name))
        {
            kept.push(source);
        }
        later.extend(names);
    }
    let mut errors: Vec<String> = Vec::new();
    for error in kept.iter().rev().flat_map(|source| &source.results.deviation_errors) {
        if !errors.contains(error) {
            errors.push(error.clone());
        }
    }
    errors
}
