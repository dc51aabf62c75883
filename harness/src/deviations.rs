//! Declared deviations: what a backend is known to do differently, checked both ways.
//!
//! An entry covers some cases and some tensors. A mismatch that it covers is `known`. A case that it covers
//! and that does not deviate is `fixed`, which fails the run until the entry is corrected; an entry that
//! covers no case, or that no case needs, is an error. An entry with an `accuracy` declares a class of
//! accuracy instead: within the budget of that class a mismatch is `known`, outside it fails, and no case
//! has to need it as long as one does. So it is with `everywhere: false`, for what depends on more than a filter can
//! say.
//!
//! The cases of a filter are those of the suites. Of others, as those that a hunt makes by chance, an entry says
//! `elsewhere` what counts as the same deviation: which cases deviate in what it `affects`, or, as a filter cannot say
//! everything, what `shows` first. All that comes after that is known as well: it no longer starts where PyTorch does.

use std::fmt;

use bn_api::Observable;
use bn_cases::yaml::{decode, parse};
use bn_cases::{Case, Filter, FilterError, Problem, Problems, Source, did_you_mean, wildcard};
use serde::{Deserialize, Deserializer, de};

use crate::budget::Accuracy;

/// The declared deviations of one backend.
#[derive(Debug, Clone, Default)]
pub struct Deviations {
    /// The entries, in the order of the file.
    pub entries: Vec<Deviation>,
}

/// One declared deviation.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deviation {
    /// A short name, shown beside the verdict.
    pub name: String,
    /// Filter terms: the cases that deviate.
    cases: Vec<String>,
    /// What deviates in them.
    pub affects: Vec<Affected>,
    /// The class of accuracy that is claimed instead of the default.
    #[serde(default)]
    pub accuracy: Option<Accuracy>,
    /// Whether every case that the entry covers deviates; otherwise it is enough that one does.
    #[serde(default = "yes")]
    everywhere: bool,
    /// What counts as this deviation in cases that the entry was not written for.
    #[serde(default)]
    elsewhere: Option<Elsewhere>,
    /// What happens and why, for whoever reads the report.
    pub reason: String,
    /// Where it is documented or reported, or the place in the source.
    pub link: String,
    /// The smallest case that shows it, by id.
    pub smallest: String,
    #[serde(skip)]
    filter: Filter,
}

/// What counts as a deviation in cases that its entry was not written for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Elsewhere {
    /// Filter terms: which of them it may be; any where there is none.
    #[serde(default)]
    cases: Vec<String>,
    /// Patterns of what is wrong first, as a hunt's finds are headed (`forward: running_var is off`). Where there is none,
    /// these cases are covered like those of the suites.
    #[serde(default)]
    shows: Vec<String>,
    #[serde(skip)]
    filter: Filter,
    /// Whether it is such cases that the entry is asked about.
    #[serde(skip)]
    is_asked: bool,
}

/// What a backend declares of one case: entries with their numbers.
#[derive(Debug, Default)]
pub struct Declared<'d> {
    /// Those that cover it.
    pub covering: Vec<(usize, &'d Deviation)>,
    /// Those that cover it if what is wrong first is what they say.
    pub showing: Vec<(usize, &'d Deviation)>,
}

impl Declared<'_> {
    /// What is said of an entry that covers the case in one way or the other.
    pub fn entry(&self, number: usize) -> Option<&Deviation> {
        let all = self.covering.iter().chain(&self.showing);
        all.into_iter().find(|(known, _)| *known == number).map(|(_, entry)| *entry)
    }
}

/// Something that can deviate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affected {
    /// A tensor.
    Tensor(Observable),
    /// Whether an error is raised.
    Error,
    /// Whether the backend's process survives.
    Crash,
}

impl Affected {
    const ERROR: &'static str = "error";
    const CRASH: &'static str = "crash";
}

impl fmt::Display for Affected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Affected::Tensor(tensor) => tensor.fmt(f),
            Affected::Error => f.write_str(Affected::ERROR),
            Affected::Crash => f.write_str(Affected::CRASH),
        }
    }
}

impl<'de> Deserialize<'de> for Affected {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        if let Some(&tensor) = Observable::ALL.iter().find(|tensor| tensor.name() == word) {
            return Ok(Affected::Tensor(tensor));
        }
        match word.as_str() {
            Affected::ERROR => Ok(Affected::Error),
            Affected::CRASH => Ok(Affected::Crash),
            _ => {
                let known = Observable::ALL.map(Observable::name);
                let guess = did_you_mean(&word, known).unwrap_or_else(|| known.join(", "));
                Err(de::Error::custom(format!("`{word}` is neither a tensor, `error` nor `crash`; {guess}")))
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    deviations: Vec<Deviation>,
}

fn yes() -> bool {
    true
}

impl Deviation {
    /// Whether the entry covers a case.
    pub fn covers(&self, case: &Case) -> bool {
        let elsewhere = self.asked_elsewhere().filter(|elsewhere| elsewhere.shows.is_empty());
        self.filter.matches(case) || elsewhere.is_some_and(|elsewhere| elsewhere.filter.matches(case))
    }

    /// Whether the entry may cover a case, if what is wrong first is what it [shows](Self::shows).
    fn may_show_in(&self, case: &Case) -> bool {
        let elsewhere = self.asked_elsewhere().filter(|elsewhere| !elsewhere.shows.is_empty());
        elsewhere.is_some_and(|elsewhere| elsewhere.filter.matches(case))
    }

    /// Whether the entry says anything of cases that it was not written for.
    pub fn speaks_of_others(&self) -> bool {
        self.elsewhere.is_some()
    }

    /// Whether what is wrong first is what the entry says of cases that it was not written for.
    pub fn shows(&self, first: &str) -> bool {
        self.asked_elsewhere()
            .is_some_and(|elsewhere| elsewhere.shows.iter().any(|pattern| wildcard(pattern, first)))
    }

    fn asked_elsewhere(&self) -> Option<&Elsewhere> {
        self.elsewhere.as_ref().filter(|elsewhere| elsewhere.is_asked)
    }

    /// Whether a case that the entry covers has to deviate.
    pub fn must_occur(&self) -> bool {
        self.everywhere && self.accuracy.is_none()
    }

    /// Whether the entry covers something of its cases.
    pub fn covers_what(&self, what: Affected) -> bool {
        self.affects.contains(&what)
    }
}

impl Deviations {
    /// Reads a `deviations.yaml`. `cases` are all that its filters may speak of.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn read(path: &str, text: &str, cases: &[&Case]) -> Result<Self, Problems> {
        Self::read_for(path, text, cases, false)
    }

    /// The same where `cases` may be others than those that the file was written for: what does not fit them at all, as it
    /// names a field that none of them has, covers none and is left out.
    ///
    /// # Errors
    /// Everything else that is wrong with the file.
    pub fn read_what_applies(path: &str, text: &str, cases: &[&Case]) -> Result<Self, Problems> {
        Self::read_for(path, text, cases, true)
    }

    fn read_for(path: &str, text: &str, cases: &[&Case], others: bool) -> Result<Self, Problems> {
        let source = Source::new(path, text);
        let mut problems = Vec::new();
        let mut entries = Vec::new();
        match parse(&source, &mut problems) {
            Ok(root) => {
                if let Some(file) = decode::<File>(&source, &root, &mut problems) {
                    entries = file.deviations;
                }
                let mut number = 0;
                entries.retain_mut(|entry| {
                    let place = format!("deviations.{number}");
                    number += 1;
                    let of_suites = (&entry.cases, &mut entry.filter, format!("{place}.cases"));
                    let elsewhere = entry.elsewhere.as_mut().map(|elsewhere| {
                        (&elsewhere.cases, &mut elsewhere.filter, format!("{place}.elsewhere.cases"))
                    });
                    for (terms, filter, place) in [Some(of_suites), elsewhere].into_iter().flatten() {
                        match Filter::parse(terms.iter().map(String::as_str), cases) {
                            Ok(parsed) => *filter = parsed,
                            Err(FilterError::UnknownField { .. }) if others => return false,
                            Err(error) => {
                                problems.push(Problem::at(&source, root.span_of(&place), error.to_string()));
                            }
                        }
                    }
                    true
                });
            }
            Err(problem) => problems.push(problem),
        }
        match Problems::of_deviations(problems) {
            Some(problems) => Err(problems),
            None => Ok(Deviations { entries }),
        }
    }

    /// The same for cases that the entries were not written for: what they cover there, or say of them alone, may deviate, and
    /// need not.
    #[must_use]
    pub fn elsewhere(mut self) -> Self {
        for entry in &mut self.entries {
            entry.everywhere = false;
            if let Some(elsewhere) = &mut entry.elsewhere {
                elsewhere.is_asked = true;
            }
        }
        self
    }

    /// What is declared of a case.
    pub fn of(&self, case: &Case) -> Declared<'_> {
        let mut declared = Declared::default();
        for (number, entry) in self.entries.iter().enumerate() {
            if entry.covers(case) {
                declared.covering.push((number, entry));
            }
            if entry.may_show_in(case) {
                declared.showing.push((number, entry));
            }
        }
        declared
    }

    /// What is wrong with the entries as far as the cases tell: one that covers none, and one whose smallest
    /// case it does not cover.
    pub fn check(&self, backend: &str, cases: &[&Case]) -> Vec<String> {
        let mut wrong = Vec::new();
        for entry in &self.entries {
            let name = &entry.name;
            if !cases.iter().any(|case| entry.covers(case)) {
                wrong.push(format!("{backend}: the declared deviation `{name}` covers no case; take it out"));
            } else if !cases.iter().any(|case| case.id == entry.smallest && entry.covers(case)) {
                let smallest = &entry.smallest;
                wrong.push(format!(
                    "{backend}: the declared deviation `{name}` names `{smallest}` as its smallest case, which it does not cover"
                ));
            }
        }
        wrong
    }
}
