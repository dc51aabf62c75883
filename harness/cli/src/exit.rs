//! Exit codes and the errors behind them.

use std::path::PathBuf;
use std::process::ExitCode;

use bn_api::wire::{WireError, WorkerError};
use bn_cases::{FilterError, Problems};
use bn_fuzz::hunt::StateError;
use bn_fuzz::render::python::ScriptError;
use bn_harness::audit::RecordingError;
use bn_harness::journal::JournalError;
use bn_harness::runner::Failed;
use bn_reports::junit::JunitError;
use bn_reports::read::ReadError;
use miette::Diagnostic;
use thiserror::Error;

/// How a command ends when nothing went wrong with bncheck itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// 0: all as expected.
    AsExpected,
    /// 1: a mismatch, or a deviation that is fixed.
    Mismatch,
    /// 130: somebody stopped it before it was done, as a shell says of what Ctrl-C ends.
    Stopped,
    /// 5: something that is needed is missing (`doctor` has said what).
    Missing,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        ExitCode::from(match outcome {
            Outcome::AsExpected => 0,
            Outcome::Mismatch => 1,
            Outcome::Missing => 5,
            Outcome::Stopped => 130,
        })
    }
}

/// What stops a command. The variants are the rows of the table of exit codes in the README.
#[derive(Debug, Error, Diagnostic)]
pub enum CliError {
    /// A filter is not part of the grammar.
    #[error(transparent)]
    #[diagnostic(help(
        "terms: PATTERN, !PATTERN, FIELD=VALUE[,VALUE], FIELD!=VALUE; see `bncheck list --help`"
    ))]
    Filter(#[from] FilterError),
    /// A backend's name is unknown.
    #[error("there is no backend `{name}`")]
    #[diagnostic(help("{guess}the backends are: {known}"))]
    UnknownBackend {
        /// The name.
        name: String,
        /// All names.
        known: String,
        /// What may have been meant.
        guess: String,
    },
    /// A sound method's name is unknown.
    #[error("there is no method `{name}`")]
    #[diagnostic(help("{guess}the methods are: {known}"))]
    UnknownMethod {
        /// The name.
        name: String,
        /// All names.
        known: String,
        /// What may have been meant.
        guess: String,
    },
    /// A fault's name is unknown.
    #[error("there is no fault `{name}`")]
    #[diagnostic(help("{near}`bncheck faults --list` prints all of them"))]
    UnknownFault {
        /// The name.
        name: String,
        /// What may have been meant.
        near: String,
    },
    /// A property's name is unknown.
    #[error("{message}")]
    #[diagnostic(help("docs/properties.md says what each of them is"))]
    UnknownProperty {
        /// Which, and what may have been meant.
        message: String,
    },
    /// A hunt cannot be gone on with, as it was another one.
    #[error("{} is the state of another hunt: {other}", path.display())]
    #[diagnostic(help("to go on, call it as it was called then; without --resume a new hunt begins"))]
    OtherHunt {
        /// The state.
        path: PathBuf,
        /// What it was.
        other: String,
    },
    /// The state of a hunt cannot be kept.
    #[error(transparent)]
    Hunt(#[from] StateError),
    /// A find cannot be kept.
    #[error("{} cannot be kept: {why}", path.display())]
    #[diagnostic(help(
        "`bncheck fuzz` writes a file for each find; `bncheck promote FILE --name NAME` keeps it"
    ))]
    NotPromoted {
        /// The find.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// No case has this id.
    #[error("there is no case `{id}`")]
    #[diagnostic(help("{guess}`bncheck list` prints all ids"))]
    UnknownCase {
        /// The id.
        id: String,
        /// What may have been meant.
        guess: String,
    },
    /// A script is of one case, and another number of them is selected.
    #[error("a script is of one case, and {selected} are selected")]
    #[diagnostic(help(
        "name one by its id, as `bncheck list` prints it: `bncheck export --python '{example}'`; or one made by chance, by its \
         seed and number: `bncheck export --python random/s7/12`"
    ))]
    NotOneCase {
        /// How many.
        selected: usize,
        /// The id of one of them, or of any.
        example: String,
    },
    /// A case cannot be written as a script.
    #[error(transparent)]
    #[diagnostic(help("`bncheck replay ID` says what bncheck knows of this case"))]
    Script(#[from] ScriptError),
    /// Case files are wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Cases(#[from] Problems),
    /// `bncheck.toml`, or what it names, is wrong.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Config(Problems),
    /// There are no suites to read.
    #[error("there are no suites: {}", place.display())]
    #[diagnostic(help("run bncheck inside a checkout of it, or name files or folders with --suites"))]
    NoSuites {
        /// Where they should be.
        place: PathBuf,
    },
    /// A filter takes no case.
    #[error("no case is selected by {terms}")]
    #[diagnostic(help(
        "`bncheck list` prints all ids; of several ids one has to match, of several FIELD=VALUE terms all{}",
        if *.elsewhere > 0 { format!("; {} of the full tier would: `--tier full`", .elsewhere) } else { String::new() }
    ))]
    NothingSelected {
        /// The filter.
        terms: String,
        /// How many cases of the full tier it takes, where only the quick one was asked for.
        elsewhere: usize,
    },
    /// libtorch is not there.
    #[error("libtorch 2.11.0 is not installed here: {why}")]
    #[diagnostic(help(
        "`just setup` installs it (or set LIBTORCH to a libtorch 2.11.0); `bncheck doctor` says more"
    ))]
    NoLibtorch {
        /// What was looked for.
        why: String,
    },
    /// libtorch is not part of this program.
    #[error("this bncheck is built without libtorch")]
    #[diagnostic(help(
        "`just build` builds it with libtorch; `--oracle recorded` judges by what was recorded of it"
    ))]
    BuiltWithoutLibtorch,
    /// The worker's program is not there.
    #[error("the worker {} is missing", path.display())]
    #[diagnostic(help("`cargo build --workspace --bins` builds it beside bncheck"))]
    NoWorker {
        /// Where it should be.
        path: PathBuf,
    },
    /// The worker does not start.
    #[error("the backend `{backend}` is not to be had: {error}")]
    #[diagnostic(help("`bncheck doctor` says what is missing"))]
    Worker {
        /// The backend.
        backend: String,
        /// Why.
        error: WorkerError,
    },
    /// A program of the user's is no backend.
    #[error("`{command}` is not to be had as a backend: {why}")]
    #[diagnostic(help(
        "docs/protocol.md says what such a program does, docs/adding-a-backend-in-any-language.md how to write one"
    ))]
    Outside {
        /// The command, as it was given.
        command: String,
        /// Why.
        why: String,
    },
    /// What a program of the user's judges is not installed.
    #[error("the backend `{backend}` is not to be had: {why}")]
    Absent {
        /// The backend.
        backend: String,
        /// What is missing, as it says.
        why: String,
    },
    /// Frames would be written to a terminal.
    #[error("what `bncheck worker` writes is for a program, and standard output is a terminal")]
    #[diagnostic(help("`bncheck run --backend {backend}` runs cases on it"))]
    ToTerminal {
        /// The backend.
        backend: &'static str,
    },
    /// Whoever asks a worker does not speak the protocol.
    #[error("what comes on standard input is not a request: {0}")]
    #[diagnostic(help("docs/protocol.md says what a worker is asked"))]
    Serve(WireError),
    /// Two columns of the results would have one name.
    #[error("two backends are called `{name}`")]
    #[diagnostic(help("give one of them another name: --backend-cmd 'NAME=COMMAND'"))]
    SameName {
        /// The name.
        name: String,
    },
    /// The device that a backend runs on is not there.
    #[error("the backend `{backend}` is not to be had: {why}")]
    #[diagnostic(help("`cuda-ptx` runs the same kernel without a GPU; `bncheck doctor` says more"))]
    NoDevice {
        /// The backend.
        backend: &'static str,
        /// What is missing.
        why: String,
    },
    /// What was recorded of the oracle cannot be read.
    #[error("the recorded oracle {} is not to be had: {why}", path.display())]
    #[diagnostic(help(
        "`bncheck record --output {}` records it anew, where there is libtorch; without --recording the one that is part of bncheck is taken",
        path.display()
    ))]
    Recorded {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A recording is named, and another oracle.
    #[error("`--recording` goes with `--oracle recorded` alone")]
    #[diagnostic(help("leave one of the two out"))]
    RecordingUnused,
    /// A recording of the oracle cannot be made.
    #[error("cannot record the oracle in {}: {why}", path.display())]
    #[diagnostic(help(
        "`bncheck record --output FILE` writes another file; docs/recorded-oracle.md says what is in it"
    ))]
    Unrecorded {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// A recording cannot be read.
    #[error("{}: {error}", path.display())]
    #[diagnostic(help("`just audit-oracle` makes a new recording"))]
    Recording {
        /// The file.
        path: PathBuf,
        /// Why.
        error: RecordingError,
    },
    /// Results cannot be read.
    #[error(transparent)]
    #[diagnostic(help("{}", .0.help()))]
    Results(#[from] ReadError),
    /// The results that others are to be compared with cannot be read.
    #[error("there is no baseline: {0}")]
    #[diagnostic(help("{}", .0.help()))]
    Baseline(ReadError),
    /// Results are not whole, where they have to be.
    #[error("{} is not whole: {why}", path.display())]
    #[diagnostic(help("`bncheck report {}` shows what is there; to compare it, run its cases again", path.display()))]
    Incomplete {
        /// The file.
        path: PathBuf,
        /// What is missing.
        why: String,
        /// Whether it is the baseline.
        is_baseline: bool,
    },
    /// A filter takes no case of results.
    #[error("no case of these results is selected by {terms}")]
    #[diagnostic(help("of several ids one has to match, of several FIELD=VALUE terms all"))]
    NothingSelectedOf {
        /// The filter.
        terms: String,
    },
    /// What `bncheck faults` has written cannot be read.
    #[error("cannot read the known mistakes from {}: {why}", path.display())]
    #[diagnostic(help("`bncheck faults` writes faults.json to target/bncheck, or where its --output says"))]
    FaultsFile {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Results cannot be shown in a format.
    #[error(transparent)]
    Junit(#[from] JunitError),
    /// Nothing can be written.
    #[error(transparent)]
    Write(#[from] bn_reports::json::WriteError),
    /// The journal of a run cannot be kept.
    #[error(transparent)]
    #[diagnostic(help("what was done before is kept: `--resume` goes on from there"))]
    Journal(#[from] JournalError),
    /// A run cannot be gone on with, as it was another one.
    #[error("{} is of another run: {why}", path.display())]
    #[diagnostic(help(
        "to go on, call it as it was called then; without --resume everything is run anew, and this is kept as {}",
        kept.display()
    ))]
    OtherRun {
        /// The journal.
        path: PathBuf,
        /// What is different.
        why: String,
        /// Where a new run puts it.
        kept: PathBuf,
    },
    /// Two runs at a time would write to one folder.
    #[error("{} is in use by another bncheck{by}", path.display())]
    #[diagnostic(help("wait until it is done, or have this one write elsewhere: --output FOLDER"))]
    Busy {
        /// The folder.
        path: PathBuf,
        /// What is known of the other.
        by: String,
    },
    /// Standard output failed.
    #[error("cannot write to standard output: {0}")]
    Output(#[from] std::io::Error),
}

impl From<Failed<CliError>> for CliError {
    fn from(failed: Failed<CliError>) -> Self {
        match failed {
            Failed::Open(error) => error,
            Failed::Journal(error) => CliError::Journal(error),
        }
    }
}

impl CliError {
    /// The exit code, by the table.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(match self {
            CliError::Filter(_)
            | CliError::UnknownBackend { .. }
            | CliError::UnknownMethod { .. }
            | CliError::UnknownFault { .. }
            | CliError::UnknownCase { .. }
            | CliError::UnknownProperty { .. }
            | CliError::OtherHunt { .. }
            | CliError::Hunt(_)
            | CliError::NotPromoted { .. }
            | CliError::NotOneCase { .. }
            | CliError::Script(_)
            | CliError::SameName { .. }
            | CliError::Config(_)
            | CliError::ToTerminal { .. }
            | CliError::Serve(_)
            | CliError::Recording { .. }
            | CliError::Unrecorded { .. }
            | CliError::RecordingUnused
            | CliError::Results(_)
            | CliError::Incomplete { is_baseline: false, .. }
            | CliError::FaultsFile { .. }
            | CliError::Junit(_)
            | CliError::Journal(_)
            | CliError::OtherRun { .. }
            | CliError::Busy { .. }
            | CliError::Write(_)
            | CliError::Output(_) => 2,
            CliError::Cases(_) => 3,
            CliError::NoSuites { .. }
            | CliError::NothingSelected { .. }
            | CliError::NothingSelectedOf { .. } => 4,
            CliError::NoLibtorch { .. }
            | CliError::BuiltWithoutLibtorch
            | CliError::Recorded { .. }
            | CliError::NoWorker { .. }
            | CliError::Worker { .. }
            | CliError::Outside { .. }
            | CliError::Absent { .. }
            | CliError::NoDevice { .. } => 5,
            CliError::Baseline(_) | CliError::Incomplete { is_baseline: true, .. } => 6,
        })
    }
}

/// The exit code of a panic: a bug in bncheck.
pub const BUG: u8 = 70;
