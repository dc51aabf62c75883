//! Which cases a command speaks of.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use bn_cases::format::Tier;
use bn_cases::{Case, Filter, Suite, did_you_mean, load};
use bn_fuzz::random::{self, Random};

use crate::exit::CliError;

/// All cases there are.
pub struct Cases {
    suites: Vec<Suite>,
    /// Whether these are the checkout's own suites, which the declared deviations speak of.
    pub own: bool,
}

impl Cases {
    /// Reads the suites at `paths`, or, when none is named, those of the checkout: `cases/suites` in this folder or one above
    /// it, and beside it what hunts have found.
    ///
    /// # Errors
    /// When there are none, or something is wrong with one.
    pub fn load(paths: &[PathBuf]) -> Result<Self, CliError> {
        let suites = if paths.is_empty() { load(&find_suites()?)? } else { load(paths)? };
        if suites.iter().all(|suite| suite.cases.is_empty()) {
            return Err(CliError::NoSuites {
                place: paths.first().cloned().unwrap_or_else(|| "cases/suites".into()),
            });
        }
        Ok(Cases { suites, own: paths.is_empty() })
    }

    /// All cases, in the order of their suites.
    pub fn all(&self) -> Vec<&Case> {
        self.suites.iter().flat_map(|suite| &suite.cases).collect()
    }

    /// The cases of a tier (see [`tier_of`]) that a filter takes.
    ///
    /// # Errors
    /// When the filter is not part of the grammar, or takes none.
    pub fn select(&self, terms: &[String], tier: Option<Tier>) -> Result<Vec<&Case>, CliError> {
        let tier = tier_of(terms, tier);
        let all = self.all();
        // An id with its brackets is not a pattern: taken literally it is exactly one case.
        if let [term] = terms
            && let Some(case) = all.iter().find(|case| case.id == *term && case.is_in(tier))
        {
            return Ok(vec![case]);
        }
        let filter = Filter::parse(terms.iter().map(String::as_str), &all)?;
        let (selected, elsewhere): (Vec<&Case>, Vec<&Case>) =
            all.into_iter().filter(|case| filter.matches(case)).partition(|case| case.is_in(tier));
        if selected.is_empty() {
            let quoted: Vec<String> = terms.iter().map(|term| format!("`{term}`")).collect();
            return Err(CliError::NothingSelected { terms: quoted.join(" "), elsewhere: elsewhere.len() });
        }
        Ok(selected)
    }

    /// The suite with this name.
    pub fn suite(&self, name: &str) -> Option<&Suite> {
        self.suites.iter().find(|suite| *suite.name == *name)
    }

    /// The case with this id, of a suite or made by chance.
    ///
    /// # Errors
    /// When there is none.
    pub fn by_id(&self, id: &str) -> Result<Cow<'_, Case>, CliError> {
        let all = self.all();
        if let Some(case) = all.iter().find(|case| case.id == id) {
            return Ok(Cow::Borrowed(case));
        }
        let made = Random::parse(id).map(|(seed, number)| Cow::Owned(random::case(seed, number)));
        made.ok_or_else(|| {
            let guess = did_you_mean(id, all.iter().map(|case| case.id.as_str()));
            CliError::UnknownCase {
                id: id.to_owned(),
                guess: guess.map(|guess| guess + " ").unwrap_or_default(),
            }
        })
    }
}

/// The tier that cases are taken from: a filter takes from all, and without one those of the quick tier are taken, unless
/// another is asked for.
pub fn tier_of(terms: &[String], asked: Option<Tier>) -> Tier {
    asked.unwrap_or(if terms.is_empty() { Tier::Quick } else { Tier::Full })
}

/// Where a checkout has its suites.
const SUITES: &str = "cases/suites";

/// Where it keeps what hunts have found.
pub const FOUND: &str = "cases/regressions/found";

fn find_suites() -> Result<Vec<PathBuf>, CliError> {
    let here = std::env::current_dir()?;
    // Shown as the user would write it.
    let checkout = if here.join(SUITES).is_dir() {
        Path::new("")
    } else {
        let above = here.ancestors().find(|folder| folder.join(SUITES).is_dir());
        above.ok_or_else(|| CliError::NoSuites { place: here.join(SUITES) })?
    };
    let found = Some(checkout.join(FOUND)).filter(|found| here.join(found).is_dir());
    Ok([checkout.join(SUITES)].into_iter().chain(found).collect())
}
