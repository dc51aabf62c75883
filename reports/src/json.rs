//! `results.json`: the product, and what the other renderings are made from.

use std::io;
use std::path::{Path, PathBuf};

use bn_harness::results::RunResults;
use thiserror::Error;

/// The results could not be written.
#[derive(Debug, Error)]
#[error("cannot write {}: {error}", path.display())]
pub struct WriteError {
    path: PathBuf,
    error: io::Error,
}

/// The results as JSON, with a newline at the end.
///
/// # Panics
/// Never: the model has only strings as keys and no number that JSON lacks.
pub fn to_string(results: &RunResults) -> String {
    let mut text = serde_json::to_string_pretty(results).expect("the results model is JSON");
    text.push('\n');
    text
}

/// Writes `results.json` into a folder, which is made when it is missing; the previous run's becomes
/// `results.old.json`. A run that is stopped in the middle leaves no half-written file.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write(results: &RunResults, folder: &Path) -> Result<PathBuf, WriteError> {
    let path = folder.join("results.json");
    let written = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let partial = folder.join("results.json.partial");
        std::fs::write(&partial, to_string(results))?;
        if path.exists() {
            std::fs::rename(&path, folder.join("results.old.json"))?;
        }
        std::fs::rename(&partial, &path)
    };
    match written() {
        Ok(()) => Ok(path),
        Err(error) => Err(WriteError { path, error }),
    }
}
