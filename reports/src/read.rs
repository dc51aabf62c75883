//! Reads results, and says of what cannot be read what it is and what to do.

mod salvage;

use std::io;
use std::path::{Path, PathBuf};

use bn_harness::results::{RunResults, SCHEMA_VERSION};
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::style::one_line;

/// How many characters of what a file holds are shown.
const SHOWN: usize = 200;

/// Why there are no results.
#[derive(Debug, Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("there are no results: {} does not exist", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is empty.
    #[error("{} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// It is of another version.
    #[error(
        "{} holds results of schema version {found}{}; this bncheck reads version {SCHEMA_VERSION}",
        path.display(),
        by.as_ref().map(|by| format!(", written by bncheck {by}")).unwrap_or_default()
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// The version.
        found: String,
        /// The version of bncheck that wrote it, where it says that.
        by: Option<String>,
    },
    /// It holds something else.
    #[error("{} is not a results file: {why}", path.display())]
    NotResults {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It is cut off so early that nothing can be read.
    #[error("{} is cut off, or still being written: {why}", path.display())]
    CutOff {
        /// The file.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
}

impl ReadError {
    /// What to do.
    pub fn help(&self) -> String {
        let run = "`bncheck run` writes results.json to target/bncheck, or where its --output says";
        match self {
            ReadError::Missing { .. } | ReadError::NotResults { .. } => run.to_owned(),
            ReadError::Unreadable { .. } => format!("name a file of results or its folder; {run}"),
            ReadError::Empty { .. } | ReadError::CutOff { .. } => {
                "where the run is still going on, wait for it; else run it again".to_owned()
            }
            ReadError::OtherVersion { by, .. } => {
                let own = by.as_ref().map_or_else(String::new, |by| format!("with bncheck {by}, or "));
                format!("read it {own}run its cases again with this one: `bncheck run`")
            }
        }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The results, or what is left of them.
    pub results: RunResults,
    /// Whether the file is damaged, and these are the results that could be read.
    pub is_damaged: bool,
}

/// The file that is meant: in a folder its `results.json`.
pub fn locate(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("results.json") } else { path.to_owned() }
}

/// Reads results from a file, or from `results.json` of a folder. Of a file that is cut off, damaged or still being
/// written those results are taken that can be read, and [`bn_harness::results::RunInfo::incomplete`] says so.
///
/// # Errors
/// When there is no file, it holds something else or results of another version, or nothing of it can be read.
pub fn read(path: &Path) -> Result<Reading, ReadError> {
    let path = locate(path);
    let bytes = std::fs::read(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ReadError::Missing { path: path.clone() },
        _ => ReadError::Unreadable { path: path.clone(), error },
    })?;
    from_slice(&bytes, &path)
}

/// What is looked at first.
#[derive(Deserialize)]
struct Header {
    schema_version: Option<Value>,
    run: Option<Writer>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Writer {
    Known { bncheck: String },
    Other(serde::de::IgnoredAny),
}

fn from_slice(bytes: &[u8], path: &Path) -> Result<Reading, ReadError> {
    let path = || path.to_owned();
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(ReadError::Empty { path: path() });
    }
    let not_results = |why: String| ReadError::NotResults { path: path(), why };
    match serde_json::from_slice::<Header>(bytes) {
        Ok(Header { schema_version: None, .. }) => Err(not_results("it has no `schema_version`".to_owned())),
        Ok(Header { schema_version: Some(found), run }) if found != SCHEMA_VERSION => {
            let by = match run {
                Some(Writer::Known { bncheck }) => Some(shown(&bncheck)),
                _ => None,
            };
            Err(ReadError::OtherVersion { path: path(), found: shown(&found.to_string()), by })
        }
        Ok(_) => match serde_json::from_slice(bytes) {
            Ok(results) => Ok(Reading { results, is_damaged: false }),
            Err(error) => Err(not_results(shown(&error.to_string()))),
        },
        Err(error) if error.is_data() => Err(not_results(shown(&error.to_string()))),
        Err(error) => match salvage::salvage(bytes) {
            Ok(results) => Ok(Reading { results, is_damaged: true }),
            Err(salvage::Lost::OtherVersion(found)) => {
                Err(ReadError::OtherVersion { path: path(), found: shown(&found), by: None })
            }
            Err(salvage::Lost::NoHead) if error.is_eof() => {
                let why = "it ends before it says what was run".to_owned();
                Err(ReadError::CutOff { path: path(), why })
            }
            Err(salvage::Lost::NoHead) => {
                Err(not_results(format!("it is not JSON: {}", shown(&error.to_string()))))
            }
        },
    }
}

/// What a file says, in a line that cannot do harm.
fn shown(text: &str) -> String {
    let mut kept: String = one_line(text).chars().take(SHOWN).collect();
    if kept.len() < text.len() && kept.chars().count() == SHOWN {
        kept.push('…');
    }
    kept
}
