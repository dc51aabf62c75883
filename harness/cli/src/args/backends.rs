//! Which backends and which oracle, and how they are run.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::backends::{Outside, RECORDING};
use crate::memory;

/// Which backends.
#[derive(Debug, Args)]
pub struct Backends {
    /// Which backends, bncheck's and those of bncheck.toml; all when left out, and none where there is a --backend-cmd.
    #[arg(long = "backend", short = 'b', value_name = "NAME", value_delimiter = ',')]
    pub names: Vec<String>,
    /// A backend of your own: a program that answers on its standard output what it is asked on its standard input, as
    /// docs/protocol.md says. `numpy=python3 my_bn.py` gives it another name than its own. May be given several times.
    #[arg(long = "backend-cmd", value_name = "[NAME=]COMMAND", help_heading = "Backends of your own")]
    pub commands: Vec<Outside>,
    #[command(flatten)]
    pub oracle: OracleArgs,
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    pub workers: WorkerArgs,
}

/// Who says what is right.
#[derive(Debug, Args, Default)]
pub struct OracleArgs {
    /// Who says what is right: libtorch itself, what was recorded of it for the curated suites, or nobody beside the
    /// textbook formulas in double-double, which are asked in any case. When left out, libtorch where it is at hand, and
    /// what was recorded of it elsewhere.
    #[arg(long, value_enum, value_name = "WHO", help_heading = "Oracle")]
    pub oracle: Option<OracleName>,
    /// A recording that `bncheck record` has made, instead of the one that is part of bncheck.
    #[arg(long, value_name = "FILE", help_heading = "Oracle")]
    pub recording: Option<PathBuf>,
}

/// Who says what is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OracleName {
    /// libtorch in float64.
    Libtorch,
    /// What was recorded of it. Cases that are not in the recording are judged as with `arbiter`.
    Recorded,
    /// The textbook formulas in double-double alone.
    Arbiter,
}

/// The arguments of `record`.
#[derive(Debug, Args)]
pub struct RecordArgs {
    /// Where the recording goes. The one that is part of bncheck is built from its usual place.
    #[arg(long, value_name = "FILE", default_value = RECORDING)]
    pub output: PathBuf,
    /// Write nothing, and compare a recording with what libtorch answers now.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = RECORDING, conflicts_with = "output")]
    pub check: Option<PathBuf>,
    /// How many cases are in flight; as many as there are processors when left out.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
}

/// Where backends of the user's own stand by name.
#[derive(Debug, Args, Default)]
pub struct ConfigArgs {
    /// The file that names backends of your own; bncheck.toml in this folder or one above it when left out.
    #[arg(long, value_name = "FILE", help_heading = "Backends of your own")]
    pub config: Option<PathBuf>,
}

/// How backends are run.
#[derive(Debug, Args, Default)]
pub struct WorkerArgs {
    /// How many seconds a backend may take over one case before it is stopped; 30 when left out.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, help_heading = "Limits")]
    pub timeout: Option<f64>,
    /// How much memory a backend's process may take: 512MiB, 2GB. Half of the machine's when left out.
    #[arg(long, value_name = "SIZE", value_parser = memory::parse, help_heading = "Limits")]
    pub memory: Option<u64>,
    /// Run the backends that need no libtorch and are no programs of your own in this process, without limits: for a
    /// debugger.
    #[arg(long, help_heading = "Limits")]
    pub in_process: bool,
}

/// A time that is more than none.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0 && *seconds < 1e9);
    seconds.ok_or_else(|| "a number of seconds above 0: 0.5, 300".to_owned())
}
