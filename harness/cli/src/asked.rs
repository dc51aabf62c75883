//! The cases that a run is asked for: those of suites, or some made by chance.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;

use bn_cases::Case;
use bn_fuzz::random::Random;
use bn_harness::results::{RandomCases, RunResults, Selection};
use bn_harness::runner::Source;

use crate::args::RunArgs;
use crate::exit::CliError;
use crate::partition;
use crate::selection::{Cases, tier_of};

/// The cases of a run.
pub enum Asked<'a> {
    /// Of suites: these, of so many that were selected before a part was taken.
    Suites { cases: Vec<&'a Case>, selected: usize, all: Vec<&'a Case> },
    /// Made by chance.
    Random(Random),
}

impl<'a> Asked<'a> {
    /// Those that `bncheck run` was asked for.
    ///
    /// # Errors
    /// When the filter takes none.
    pub fn of(args: &RunArgs, cases: &'a Cases) -> Result<Self, CliError> {
        if let Some(count) = args.random.random {
            return Ok(Asked::Random(Random { cases: count, seed: args.random.seed.unwrap_or_default() }));
        }
        let selected = cases.select(&args.filter, args.tier.map(Into::into))?;
        let count = selected.len();
        let part = args.partition.filter(|part| part.of > 1);
        Ok(Asked::Suites { cases: partition::choose(selected, part), selected: count, all: cases.all() })
    }

    /// How they were chosen, for the results.
    pub fn selection(&self, suites: &[PathBuf], args: &RunArgs) -> Selection {
        let random = match self {
            Asked::Suites { .. } => None,
            Asked::Random(Random { cases, seed }) => Some(RandomCases { cases: *cases, seed: *seed }),
        };
        let tier = if random.is_some() {
            bn_cases::format::Tier::Full
        } else {
            tier_of(&args.filter, args.tier.map(Into::into))
        };
        Selection {
            suites: suites.iter().map(|path| path.display().to_string()).collect(),
            filter: args.filter.clone(),
            tier: tier.name().to_owned(),
            part: args.partition.filter(|part| part.of > 1),
            random,
        }
    }

    fn source(&self) -> &dyn Source {
        match self {
            Asked::Suites { cases, .. } => cases,
            Asked::Random(random) => random,
        }
    }

    /// The files that they are written in.
    pub fn files(&self) -> BTreeSet<&str> {
        match self {
            Asked::Suites { cases, .. } => cases.iter().map(|case| &*case.place.file).collect(),
            Asked::Random(_) => BTreeSet::new(),
        }
    }

    /// Gives each case of the results its place among all of those of the suites.
    pub fn number(&self, results: &mut RunResults) {
        let Asked::Suites { all, .. } = self else { return };
        let places: HashMap<&str, usize> =
            all.iter().enumerate().map(|(place, case)| (case.id.as_str(), place)).collect();
        for case in &mut results.cases {
            case.ordinal = places.get(case.id.as_str()).copied();
        }
    }
}

impl Source for Asked<'_> {
    fn len(&self) -> usize {
        self.source().len()
    }

    fn case(&self, index: usize) -> Cow<'_, Case> {
        self.source().case(index)
    }

    fn id(&self, index: usize) -> Cow<'_, str> {
        self.source().id(index)
    }

    fn suite(&self, index: usize) -> Cow<'_, str> {
        self.source().suite(index)
    }
}
