//! Which of several suspects is the likeliest.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::Suspect;
use crate::results::{Explanation, Mistake, Suspicion};

/// How many suspects are kept for one case.
const KEPT: usize = 8;

/// How many more failures two mistakes must explain than one: a second one always comes a little closer.
const FOR_A_SECOND: usize = 2;

/// How many explanations are given of a backend's failures.
const EXPLANATIONS: usize = 4;

/// What is known of one patient.
#[derive(Default)]
pub struct Evidence {
    /// By replayed case that it fails: who reproduces the answer, and how closely.
    pub failures: BTreeMap<usize, Vec<(Suspect, f64)>>,
    /// In how many cases that it passes a suspect would show.
    pub contradicted: BTreeMap<Suspect, usize>,
    /// What the suspects are.
    pub catalogue: Vec<Mistake>,
}

/// A suspect's record.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Record {
    explains: usize,
    contradicted: usize,
    mistakes: usize,
    fit: f64,
}

impl Record {
    /// The likelier one first: it explains more, is contradicted less, is one mistake and not two, fits closer.
    fn order(&self, other: &Record) -> Ordering {
        let worth = |record: &Record| {
            (record.explains + FOR_A_SECOND).saturating_sub(FOR_A_SECOND * record.mistakes.saturating_sub(1))
        };
        let by = |record: &Record| (record.contradicted, record.mistakes);
        worth(other)
            .cmp(&worth(self))
            .then_with(|| by(self).cmp(&by(other)))
            .then_with(|| self.fit.total_cmp(&other.fit))
    }
}

impl Evidence {
    /// The pairs that were found, those that explain the most first.
    pub fn pairs(&self, limit: usize) -> Vec<Suspect> {
        self.first(limit, |suspect| suspect.len() > 1)
    }

    /// Those who explain at least half of what the best does, those that explain the most first.
    pub fn contenders(&self, limit: usize) -> Vec<Suspect> {
        let records = self.records(&BTreeSet::new());
        let most = records.values().map(|record| record.explains).max().unwrap_or(0);
        self.first(limit, |suspect| records[suspect].explains * 2 >= most)
    }

    fn first(&self, limit: usize, wanted: impl Fn(&Suspect) -> bool) -> Vec<Suspect> {
        let records = self.records(&BTreeSet::new());
        let mut ordered: Vec<(&Suspect, &Record)> =
            records.iter().filter(|(suspect, _)| wanted(suspect)).collect();
        ordered.sort_by(|(_, one), (_, other)| one.order(other));
        ordered.into_iter().take(limit).map(|(suspect, _)| suspect.clone()).collect()
    }

    /// The records over all failures but those that are explained already.
    fn records(&self, explained: &BTreeSet<usize>) -> BTreeMap<Suspect, Record> {
        let mut records: BTreeMap<Suspect, Record> = BTreeMap::new();
        let failures = self.failures.iter().filter(|(case, _)| !explained.contains(case));
        for (suspect, fit) in failures.flat_map(|(_, fits)| fits) {
            let new = || Record {
                explains: 0,
                contradicted: self.contradicted.get(suspect).copied().unwrap_or(0),
                mistakes: suspect.len(),
                fit: 0.0,
            };
            let record = records.entry(suspect.clone()).or_insert_with(new);
            record.explains += 1;
            record.fit = record.fit.max(*fit);
        }
        records
    }

    fn suspicion(&self, suspect: &Suspect, record: Record) -> Suspicion {
        Suspicion {
            mistakes: suspect.iter().filter_map(|&number| self.catalogue.get(number).cloned()).collect(),
            explains: record.explains,
            contradicted: record.contradicted,
            fit: record.fit,
        }
    }

    /// For each case that anything explains what does, the likeliest first.
    pub fn by_case(&self) -> Vec<(usize, Vec<Suspicion>)> {
        let records = self.records(&BTreeSet::new());
        let of_case = |fits: &Vec<(Suspect, f64)>| {
            let own = |(suspect, fit): &(Suspect, f64)| {
                records.get(suspect).map(|record| (suspect.clone(), Record { fit: *fit, ..*record }))
            };
            let mut ordered: Vec<(Suspect, Record)> = fits.iter().filter_map(own).collect();
            ordered.sort_by(|(_, one), (_, other)| one.order(other));
            ordered.iter().take(KEPT).map(|(suspect, record)| self.suspicion(suspect, *record)).collect()
        };
        let explained = self.failures.iter().filter(|(_, fits)| !fits.is_empty());
        explained.map(|(case, fits)| (*case, of_case(fits))).collect()
    }

    /// What explains the most failures, then what explains the most of the others.
    pub fn explanations(&self) -> Vec<Explanation> {
        let mut explained: BTreeSet<usize> = BTreeSet::new();
        let mut explanations = Vec::new();
        while explanations.len() < EXPLANATIONS {
            let records = self.records(&explained);
            let mut ordered: Vec<(&Suspect, &Record)> = records.iter().collect();
            ordered.sort_by(|(_, one), (_, other)| one.order(other));
            let Some(&(first, best)) = ordered.first() else { break };
            let is_alike = |record: &Record| {
                let by = |record: &Record| (record.explains, record.contradicted, record.mistakes);
                by(record) == by(best)
            };
            let alike = ordered.iter().take_while(|(_, record)| is_alike(record));
            let alike = alike.map(|(suspect, record)| self.suspicion(suspect, **record)).collect();
            explanations.push(Explanation { explains: best.explains, alike });
            let of_first = self.failures.iter().filter(|(_, fits)| fits.iter().any(|(it, _)| it == first));
            explained.extend(of_first.map(|(case, _)| *case));
        }
        explanations
    }
}
