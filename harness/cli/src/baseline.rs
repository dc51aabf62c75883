//! The results that others are compared with.

use std::path::Path;

use bn_harness::changes;
use bn_harness::results::RunResults;
use bn_reports::read;

use crate::args::BaselineArgs;
use crate::exit::CliError;

/// A baseline.
pub struct Baseline {
    /// The file that it was read from.
    source: String,
    /// What it is.
    pub results: RunResults,
}

/// The baseline that was named, if one was. To be called before anything is run.
///
/// # Errors
/// When it cannot be read, or is not whole.
pub fn of(args: &BaselineArgs) -> Result<Option<Baseline>, CliError> {
    args.baseline.as_deref().map(read).transpose()
}

/// Reads a baseline.
///
/// # Errors
/// When it cannot be read, or is not whole: what it lacks would seem to be new.
pub fn read(path: &Path) -> Result<Baseline, CliError> {
    let results = read::read(path).map_err(CliError::Baseline)?.results;
    let path = read::locate(path);
    match results.run.incomplete {
        Some(why) => Err(CliError::Incomplete { path, why, is_baseline: true }),
        None => Ok(Baseline { source: path.display().to_string(), results }),
    }
}

impl Baseline {
    /// Puts what has changed into the results.
    pub fn compare(&self, results: &mut RunResults, factor: f64) {
        let changes = changes::compare(&self.results, results, &self.source, factor);
        results.changes = Some(changes);
    }
}
