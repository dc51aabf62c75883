//! What a run has done so far, case by case: in memory, or in a file that survives the run.
//!
//! A run adds an entry for each case, in whatever order they are done, and reads them in the order of the cases when all
//! are there. Neither keeps more of a case in memory than its text.

mod file;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::results::{CaseInfo, CaseResult};

pub use file::{Begun, FileJournal};

/// What came of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The case.
    pub case: CaseInfo,
    /// One result a backend, in the order of the columns.
    pub results: Vec<CaseResult>,
    /// The numbers of the declared deviations that each of them needed.
    pub needed: Vec<Vec<usize>>,
}

impl Entry {
    /// As a line of JSON, without its end.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn to_line(&self) -> Result<Vec<u8>, JournalError> {
        serde_json::to_vec(self).map_err(JournalError::Entry)
    }

    /// Whether any tensor of any result is drawn.
    pub fn has_pictures(&self) -> bool {
        let steps = self.results.iter().flat_map(|result| &result.steps);
        steps.flat_map(|step| &step.tensors).any(|tensor| tensor.picture.is_some())
    }

    /// Reads such a line.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_line(line: &[u8]) -> Result<Self, JournalError> {
        serde_json::from_slice(line).map_err(JournalError::Entry)
    }
}

/// Why a journal cannot go on.
#[derive(Debug, Error)]
pub enum JournalError {
    /// It cannot be written, as on a full disk.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is no journal, or of another version of bncheck.
    #[error("{} is not the journal of a run that this bncheck can go on with: {why}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// An entry is not what it should be.
    #[error("an entry of the journal is damaged: {0}")]
    Entry(serde_json::Error),
}

/// Where the entries go.
pub trait Journal {
    /// Keeps the entry of case number `index`, a line of JSON, in the place of the one that there may be.
    ///
    /// # Errors
    /// When it cannot be kept.
    fn put(&mut self, index: usize, line: Vec<u8>) -> Result<(), JournalError>;

    /// The entry of a case, as it was kept; nothing where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    fn get(&mut self, index: usize) -> Result<Option<Vec<u8>>, JournalError>;

    /// Whether there is an entry of a case.
    fn has(&self, index: usize) -> bool;
}

/// A journal that is gone with the run.
#[derive(Debug, Default)]
pub struct InMemory {
    lines: Vec<Option<Vec<u8>>>,
}

impl Journal for InMemory {
    fn put(&mut self, index: usize, line: Vec<u8>) -> Result<(), JournalError> {
        if self.lines.len() <= index {
            self.lines.resize(index + 1, None);
        }
        self.lines[index] = Some(line);
        Ok(())
    }

    fn get(&mut self, index: usize) -> Result<Option<Vec<u8>>, JournalError> {
        Ok(self.lines.get(index).cloned().flatten())
    }

    fn has(&self, index: usize) -> bool {
        self.lines.get(index).is_some_and(Option::is_some)
    }
}
