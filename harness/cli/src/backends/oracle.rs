//! Who says what is right: libtorch where it is at hand, and what was recorded of it elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bn_harness::oracle::Oracle;
use bn_harness::recorded::Recording;

use super::{Workers, find_libtorch, open_oracle};
use crate::args::{OracleArgs, OracleName};
use crate::exit::CliError;

/// What libtorch answers to the curated suites, of the checkout that this program was built in.
static RECORDED: &[u8] = include_bytes!("../../../recorded/libtorch.recording");

/// Where that lies in the checkout.
pub const RECORDING: &str = "harness/recorded/libtorch.recording";

/// An oracle, to be opened once for every thread.
#[derive(Debug, Clone)]
pub enum ChosenOracle {
    /// libtorch in a worker.
    Libtorch,
    /// A recording.
    Recorded {
        /// The recording.
        recording: Arc<Recording>,
        /// Why it is not libtorch, where nobody asked for the recording.
        instead: Option<String>,
    },
    /// Nobody beside the arbiter.
    Arbiter,
}

impl ChosenOracle {
    /// The one that the command line asks for; where it does not, libtorch if it is at hand, and what was recorded of it
    /// if not.
    ///
    /// # Errors
    /// When a recording cannot be read, or is named and not used.
    pub fn of(args: &OracleArgs) -> Result<Self, CliError> {
        match (args.oracle, &args.recording) {
            (None | Some(OracleName::Recorded), Some(path)) => Self::recorded(Some(path)),
            (Some(OracleName::Recorded), None) => Self::recorded(None),
            (Some(OracleName::Libtorch | OracleName::Arbiter), Some(_)) => Err(CliError::RecordingUnused),
            (Some(OracleName::Libtorch), None) => Ok(ChosenOracle::Libtorch),
            (Some(OracleName::Arbiter), None) => Ok(ChosenOracle::Arbiter),
            (None, None) => Self::usual(),
        }
    }

    /// The one that is taken where none is asked for.
    ///
    /// # Errors
    /// When the recording cannot be read.
    pub fn usual() -> Result<Self, CliError> {
        match find_libtorch() {
            Err(why @ (CliError::NoLibtorch { .. } | CliError::BuiltWithoutLibtorch)) => {
                let recording = Arc::new(recording(None)?);
                Ok(ChosenOracle::Recorded { recording, instead: Some(why.to_string()) })
            }
            // What else is wrong shows when it is opened.
            _ => Ok(ChosenOracle::Libtorch),
        }
    }

    fn recorded(path: Option<&Path>) -> Result<Self, CliError> {
        Ok(ChosenOracle::Recorded { recording: Arc::new(recording(path)?), instead: None })
    }

    /// Starts it.
    ///
    /// # Errors
    /// When libtorch or its worker is not to be had.
    pub fn open(&self, workers: &Workers) -> Result<Oracle, CliError> {
        Ok(match self {
            ChosenOracle::Libtorch => Oracle::Live(open_oracle(workers)?),
            ChosenOracle::Recorded { recording, .. } => Oracle::Recorded(Arc::clone(recording)),
            ChosenOracle::Arbiter => Oracle::Nobody,
        })
    }

    /// Which it is: where that differs, a run is another one.
    pub fn identity(&self) -> String {
        match self {
            ChosenOracle::Libtorch => "libtorch".to_owned(),
            ChosenOracle::Recorded { recording, .. } => {
                format!("{} of {}", recording.about(), recording.provenance().questions)
            }
            ChosenOracle::Arbiter => "the arbiter alone".to_owned(),
        }
    }

    /// Says on standard error that it is not libtorch, where nobody has asked for something else.
    pub fn say(&self) {
        if let ChosenOracle::Recorded { recording, instead: Some(why) } = self {
            eprintln!("{why}: judged by what was recorded of it ({})", recording.about());
        }
    }
}

/// A recording: that of a file, or the one that is part of this program.
///
/// # Errors
/// When it cannot be read.
pub fn recording(path: Option<&Path>) -> Result<Recording, CliError> {
    let place = path.map_or_else(|| PathBuf::from(RECORDING), Path::to_owned);
    let wrong = |why: String| CliError::Recorded { path: place.clone(), why };
    let read = path.map(std::fs::read).transpose().map_err(|why| wrong(why.to_string()))?;
    Recording::read(read.as_deref().unwrap_or(RECORDED)).map_err(|why| wrong(why.to_string()))
}
