//! The runs behind a merged one, and whether they are all there.

use std::collections::{BTreeMap, BTreeSet};

use crate::merge::Source;
use crate::results::{BackendColumn, Part, PartInfo, RunInfo, Selection, Undecided};
use crate::runner::not_needed;

/// The runs that are merged, those of runs that were merged before among them.
pub struct Parts(Vec<PartInfo>);

/// Which parts of a selection there are, for each backend.
type Present<'a> = BTreeMap<&'a str, BTreeSet<usize>>;

impl Parts {
    /// The parts of these runs, in their order.
    pub fn of(sources: &[Source]) -> Self {
        let mut parts = Vec::new();
        for Source { name, results } in sources {
            if results.run.parts.is_empty() {
                let count = results.results.len() + results.left_out.count();
                let cases = results.case_count();
                parts.push(PartInfo {
                    source: name.clone(),
                    cases,
                    results: count,
                    run: results.run.clone(),
                });
            } else {
                parts.extend(results.run.parts.iter().cloned());
            }
        }
        Parts(parts)
    }

    /// What was run, where and how, as one.
    pub fn info(self, sources: &[Source], backends: Vec<BackendColumn>) -> RunInfo {
        let runs = || self.0.iter().map(|part| &part.run);
        let selections = self.selections();
        let incomplete = self.incomplete(sources);
        let machine = sources[0].results.run.machine.clone();
        RunInfo {
            bncheck: joined(runs().map(|run| &run.bncheck)),
            oracle: joined(runs().map(|run| &run.oracle)),
            backends,
            machine,
            jobs: runs().map(|run| run.jobs).max().unwrap_or_default(),
            seed: runs().find_map(|run| run.seed),
            flags: self.flags(),
            started_unix_ms: runs().map(|run| run.started_unix_ms).min().unwrap_or_default(),
            duration_ms: runs().map(|run| run.duration_ms).sum(),
            stages: runs().filter_map(|run| run.stages).reduce(|all, more| all + more),
            memory: Vec::new(),
            incomplete,
            selections,
            undecided: Vec::new(),
            parts: self.0,
        }
    }

    /// Adds what the parts together say of declared deviations that none of them can decide on; those that are still
    /// undecided are left.
    pub fn decide(&self, errors: &mut Vec<String>) -> Vec<Undecided> {
        let mut together: Vec<Undecided> = Vec::new();
        for one in self.0.iter().flat_map(|part| &part.run.undecided) {
            let same = |known: &&mut Undecided| known.backend == one.backend && known.name == one.name;
            match together.iter_mut().find(same) {
                Some(known) => {
                    known.run = known.run.saturating_add(one.run);
                    known.needed |= one.needed;
                }
                None => together.push(one.clone()),
            }
        }
        let (decided, left): (Vec<Undecided>, Vec<Undecided>) =
            together.into_iter().partition(|entry| entry.run >= entry.covered);
        for Undecided { backend, name, needed, .. } in decided {
            let error = not_needed(&backend, &name);
            if !needed && !errors.contains(&error) {
                errors.push(error);
            }
        }
        left
    }

    /// The command line, without the number of the part, where it was the same for all; else nothing, as each part has
    /// its own.
    fn flags(&self) -> Vec<String> {
        let mut all = self.0.iter().map(|part| without_partition(&part.run.flags));
        let first = all.next().unwrap_or_default();
        if all.all(|flags| flags == first) { first } else { Vec::new() }
    }

    /// The selections, each once; the parts of one, where all of them are there, as the whole.
    fn selections(&self) -> Vec<Selection> {
        let mut selections: Vec<Selection> = Vec::new();
        for selection in self.0.iter().flat_map(|part| &part.run.selections) {
            if !selections.contains(selection) {
                selections.push(selection.clone());
            }
        }
        let is_whole = |selection: &Selection| match selection.part {
            // A file may claim any number of parts, so that they are not counted through.
            Some(Part { of, .. }) => {
                let whole = Selection { part: None, ..selection.clone() };
                let others = selections.iter().filter(|other| {
                    let is_one =
                        other.part.is_some_and(|part| part.of == of && (1..=of).contains(&part.number));
                    is_one && Selection { part: None, ..(*other).clone() } == whole
                });
                others.count() == of
            }
            None => true,
        };
        let mut whole: Vec<Selection> = Vec::new();
        for selection in &selections {
            let part = selection.part.filter(|_| !is_whole(selection));
            let selection = Selection { part, ..selection.clone() };
            if !whole.contains(&selection) {
                whole.push(selection);
            }
        }
        whole
    }

    /// Why this is not all of the run, where it is not: one of the runs is not whole, or a part is missing.
    fn incomplete(&self, sources: &[Source]) -> Option<String> {
        let mut reasons = Vec::new();
        for Source { name, results } in sources {
            if let Some(why) = &results.run.incomplete {
                // Which parts are missing is asked again, now that there are more.
                let known = Parts(results.run.parts.clone()).reasons();
                if results.run.parts.is_empty() || *why != known.join("; ") {
                    reasons.push(format!("{name}: {why}"));
                }
            }
        }
        for reason in self.reasons() {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    fn reasons(&self) -> Vec<String> {
        let own = self.0.iter().filter_map(|part| {
            let why = part.run.incomplete.as_ref()?;
            Some(format!("{}: {why}", part.source))
        });
        own.chain(self.missing()).collect()
    }

    /// The parts that are missing of any selection, for all backends or for some.
    fn missing(&self) -> Vec<String> {
        let mut by_selection: Vec<(Selection, usize, Present<'_>)> = Vec::new();
        for PartInfo { run, .. } in &self.0 {
            for selection in &run.selections {
                let in_range = |part: &Part| (1..=part.of).contains(&part.number);
                let Some(Part { number, of }) = selection.part.filter(in_range) else { continue };
                let whole = Selection { part: None, ..selection.clone() };
                let known =
                    by_selection.iter().position(|(known, known_of, _)| *known == whole && *known_of == of);
                let known = known.unwrap_or_else(|| {
                    by_selection.push((whole, of, Present::new()));
                    by_selection.len() - 1
                });
                for backend in &run.backends {
                    by_selection[known].2.entry(&backend.name).or_default().insert(number);
                }
            }
        }
        let mut sentences = Vec::new();
        for (_, of, present) in by_selection {
            let mut alike: BTreeMap<&BTreeSet<usize>, Vec<&str>> = BTreeMap::new();
            for (backend, numbers) in &present {
                alike.entry(numbers).or_default().push(backend);
            }
            for (numbers, backends) in alike {
                let missing = of.saturating_sub(numbers.len());
                let Some(first) = (1..=of).find(|number| !numbers.contains(number)) else { continue };
                let what = if missing == 1 {
                    format!("part {first} of {of} is missing")
                } else {
                    format!("{missing} of {of} parts are missing, part {first} first")
                };
                let everyone = backends.len() == present.len();
                let whose = if everyone { String::new() } else { format!(" for {}", backends.join(", ")) };
                sentences.push(what + &whose);
            }
        }
        sentences
    }
}

/// A command line without `--partition K/N`.
fn without_partition(flags: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut flags = flags.iter();
    while let Some(flag) = flags.next() {
        if flag == "--partition" {
            flags.next();
        } else if !flag.starts_with("--partition=") {
            kept.push(flag.clone());
        }
    }
    kept
}

/// The different ones, in their order: "0.1.0 and 0.2.0".
fn joined<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    let mut different: Vec<&str> = Vec::new();
    for text in texts {
        if !different.contains(&text.as_str()) {
            different.push(text);
        }
    }
    different.join(" and ")
}
