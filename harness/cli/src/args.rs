//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use bn_harness::bench::Network;
use bn_harness::changes::FACTOR;
use bn_harness::results::Part;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::backends::{Outside, RECORDING};
use crate::memory;
use crate::partition;

const FILTER_HELP: &str = "\
Filters: a list of terms, the same for every command.
  PATTERN        ids that contain the text, or match it where it has * or ?; of several, one must match
  !PATTERN       leaves ids out
  FIELD=V[,V]    a field (layer.momentum, dtype, kind, steps, trains …) or a matrix axis; all must match
  FIELD!=V[,V]   the other way round";

const EXIT_CODES: &str = "\
Exit codes: 0 all as expected · 1 a mismatch, or a declared deviation that no longer occurs · 2 usage ·
3 bad case file · 4 nothing selected · 5 oracle or backend missing · 6 baseline missing · 70 a bug in bncheck ·
130 stopped by Ctrl-C";

const DIFF_CODES: &str = "\
Exit codes: 0 nothing newly failing · 1 something is, or nothing was compared · 2 usage, or NEW cannot be read ·
4 nothing selected · 6 BASE cannot be read";

/// Does this batch normalization do what PyTorch's does?
#[derive(Debug, Parser)]
#[command(name = "bncheck", version, about, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Files or folders of suites, instead of the checkout's cases/suites.
    #[arg(long, global = true, value_name = "PATH", num_args = 1.., help_heading = "Cases")]
    pub suites: Vec<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print the ids of cases.
    #[command(after_help = FILTER_HELP)]
    List {
        /// Which cases; all when left out.
        filter: Vec<String>,
        /// Only those of a tier; `full` is all of them.
        #[arg(long, value_enum)]
        tier: Option<Tier>,
        /// Only the cases of one of several parts, as `run --partition` takes them.
        #[arg(long, value_name = "K/N", value_parser = partition::parse)]
        partition: Option<Part>,
        /// How to print them.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Run cases on backends and judge every answer.
    #[command(
        after_help = FILTER_HELP,
        after_long_help = format!("{FILTER_HELP}\n\nExamples:\n  bncheck run\n  bncheck run --tier full\n  bncheck run 'pitfalls/*' dtype=f32 --backend candle\n  bncheck run layer.momentum=null --format json\n  bncheck run --baseline main/results.json\n  bncheck run --tier full --partition 1/3\n  bncheck run --backend-cmd 'python3 my_bn.py'\n\n{EXIT_CODES}")
    )]
    Run(RunArgs),
    /// Compare the results of two runs, case by case. What only one of them could have is said once: backends that the
    /// other did not ask, cases that its filter, tier or part leaves out.
    #[command(
        after_help = DIFF_CODES,
        after_long_help = format!("{FILTER_HELP}\n\nExamples:\n  bncheck diff main/results.json target/bncheck\n  bncheck diff old.json new.json 'pitfalls/*' dtype=f16 --all\n  bncheck diff old.json new.json --html changes.html\n\n{DIFF_CODES}")
    )]
    Diff(DiffArgs),
    /// Make the report again from results, of one run or of several merged into one, without running anything.
    #[command(
        after_help = "Exit codes: as of a run with these results · 2 no results, or a file that holds none",
        after_long_help = format!("Several files are merged: parts of a run (`run --partition`), or the same cases on other backends. Of a result\nthat is in several the last one is kept.\n\nExamples:\n  bncheck report\n  bncheck report part-*/results.json --output merged\n  bncheck report target/bncheck --faults target/bncheck/faults.json\n\n{EXIT_CODES}")
    )]
    Report(ReportArgs),
    /// Run one case again and print every step and tensor.
    Replay {
        /// The case's id.
        id: String,
        #[command(flatten)]
        backends: Backends,
        /// How to print the results.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Say what a case is: what it shows, its layers, data and steps, and who is known to deviate. Of a suite: the story
    /// it tells.
    Explain {
        /// The case's id, or a suite's name (`pitfalls/4-freezing`).
        id: String,
    },
    /// Run implementations that are known to be sound over the suites and over generated cases: a budget that one of
    /// them breaks is too small.
    #[command(
        after_help = "Exit codes: 0 no false alarm · 1 a false alarm, or nothing was judged",
        after_long_help = format!("Examples:\n  bncheck sound\n  bncheck sound --cases 100000\n  bncheck sound --tier quick --cases 1 --seed 4711 --method welford\n\n{EXIT_CODES}")
    )]
    Sound(SoundArgs),
    /// Print the largest error budgets that sound implementations and libtorch use, by tensor and type, and how much of
    /// each constant of the budgets the sound ones need.
    #[command(
        after_help = "Exit codes: 0 no false alarm, and every constant is needed to a quarter at least · 1 otherwise",
        after_long_help = format!("Libtorch is asked in the cases' own types, but for the cases of its declared deviations. What is needed of a\nconstant is the share of it that leaves no sound implementation failing; data that are made to need each are\namong the cases.\n\nExamples:\n  bncheck budgets\n  bncheck budgets --tier quick --cases 0\n\n{EXIT_CODES}")
    )]
    Budgets(BudgetsArgs),
    /// Print cases with their tensors as JSON, one a line, for programs.
    #[command(after_help = FILTER_HELP)]
    Export {
        /// Which cases; all when left out.
        filter: Vec<String>,
    },
    /// Keep what libtorch answers to the cases of the suites in a file, for machines without it (`run --oracle recorded`).
    #[command(
        after_help = "Exit codes: 0 written, or the same as recorded · 1 `--check`: libtorch answers something else · 5 no libtorch"
    )]
    Record(RecordArgs),
    /// Compare bncheck's semantics with a recording of PyTorch itself (`just audit-oracle` makes one).
    Audit {
        /// The recording.
        recording: PathBuf,
    },
    /// Run the known mistakes through the cases and print which case catches which; a mistake that no case catches is
    /// a hole.
    #[command(after_help = FILTER_HELP)]
    Faults(FaultsArgs),
    /// Check the CUDA kernel on a GPU: judge all cases, compare with the interpreter bit for bit, and time it beside a copy
    /// and PyTorch. Needs no libtorch.
    #[command(
        after_help = "Exit codes: 0 all as expected · 1 a mismatch, a different bit, or a pass that could not be timed · 5 no GPU"
    )]
    GpuCheck(GpuCheckArgs),
    /// Measure how fast cases are judged and where the time goes, and how fast the backends are on the batch norms of real
    /// networks, beside libtorch.
    #[command(
        after_long_help = "Times are the layers' own, without the pipe and the conversion of tensors, where a backend says them; a backward\nwithout a gradient argument of its own begins with a product. Machines are noisy: compare ratios of one call.\n\nExamples:\n  bncheck bench\n  bncheck bench --cases-only\n  bncheck bench --shapes-only --network resnet50 --batch 1,8,64 --all-shapes --backend candle"
    )]
    Bench(BenchArgs),
    /// Serve a backend to another program, over the protocol of docs/protocol.md on standard input and output: what
    /// `bncheck run` starts for each backend.
    Worker {
        /// The backend.
        name: String,
    },
    /// Limit this process, and become another program.
    #[command(hide = true)]
    Guard(GuardArgs),
    /// Say what is installed, which backends are usable, and what to type where one is not.
    Doctor {
        #[command(flatten)]
        config: ConfigArgs,
        /// How to print it.
        #[arg(long, value_enum, default_value_t)]
        format: Format,
    },
    /// Print the JSON Schema of suite files, or of results.json.
    Schema {
        /// Of which files.
        #[arg(value_enum, default_value_t)]
        of: SchemaOf,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// The arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Which cases; those of the quick tier when left out.
    pub filter: Vec<String>,
    /// `quick` for the cases of every run, `full` for all; a filter takes from all unless this is given.
    #[arg(long, value_enum)]
    pub tier: Option<Tier>,
    #[command(flatten)]
    pub backends: Backends,
    /// How many cases are in flight; as many as there are processors when left out.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// Only one of several parts of these cases, for several machines: 1/3, 2/3, 3/3. Which part a case is in depends on
    /// its id alone; `bncheck report` merges the results.
    #[arg(long, value_name = "K/N", value_parser = partition::parse)]
    pub partition: Option<Part>,
    #[command(flatten)]
    pub baseline: BaselineArgs,
    /// Go on with a run that was stopped or killed: the same command line again, with this. What it had done is not done
    /// again.
    #[arg(long)]
    pub resume: bool,
    /// How to print the results.
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
    /// Where the results and the report go; those of the run before are kept beside them (results.old.json …).
    #[arg(long, value_name = "FOLDER", default_value = "target/bncheck")]
    pub output: PathBuf,
}

/// What results are compared with.
#[derive(Debug, Args)]
pub struct BaselineArgs {
    /// The results of an earlier run, or their folder: say what has changed since. Failures stay failures, old or new;
    /// `bncheck diff` asks for new ones only.
    #[arg(long, value_name = "PATH")]
    pub baseline: Option<PathBuf>,
    /// By how much a budget used has to change to be listed.
    #[arg(long, value_name = "F", default_value_t = FACTOR, value_parser = factor, requires = "baseline")]
    pub factor: f64,
}

/// The arguments of `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The results that were, or their folder.
    pub base: PathBuf,
    /// The results that are, or their folder.
    pub new: PathBuf,
    /// Which cases; all when left out.
    pub filter: Vec<String>,
    /// By how much a budget used has to change to be listed; a share below 0.1 counts as 0.1.
    #[arg(long, value_name = "F", default_value_t = FACTOR, value_parser = factor)]
    pub factor: f64,
    /// List all changes of each kind, and not the first 20.
    #[arg(long)]
    pub all: bool,
    /// How to print them.
    #[arg(long, value_enum, default_value_t)]
    pub format: DiffFormat,
    /// Write the report on NEW with what has changed as a page to this file.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// The arguments of `report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Files of results, or their folders; target/bncheck when left out.
    #[arg(value_name = "PATH")]
    pub inputs: Vec<PathBuf>,
    /// Where the results and the report go; beside the file when it is one, target/bncheck when there are several.
    #[arg(long, value_name = "FOLDER")]
    pub output: Option<PathBuf>,
    /// What the cases notice of the known mistakes, for the report: the faults.json of `bncheck faults`.
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    #[command(flatten)]
    pub baseline: BaselineArgs,
    /// How to print the results.
    #[arg(long, value_enum, default_value_t)]
    pub format: ReportFormat,
}

/// A factor that is at least 1.
fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse().ok().filter(|factor: &f64| *factor >= 1.0 && factor.is_finite());
    factor.ok_or_else(|| "a factor is a number of at least 1: 2 lists what has doubled or halved".to_owned())
}

/// The arguments of `sound`.
#[derive(Debug, Args)]
pub struct SoundArgs {
    /// How many cases are generated beside those of the suites.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub cases: u32,
    /// The seed of the first generated case; that of the next is one larger.
    #[arg(long, value_name = "S", default_value_t = 20_150_211)]
    pub seed: u64,
    /// Which cases of the suites: `quick` for those of every run, `full` for all.
    #[arg(long, value_enum, default_value_t = Tier::Full)]
    pub tier: Tier,
    /// Which methods; all when left out.
    #[arg(long = "method", short = 'm', value_name = "NAME", value_delimiter = ',')]
    pub methods: Vec<String>,
    /// How many cases are in flight; as many as there are processors when left out.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// How to print the results.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// The arguments of `budgets`.
#[derive(Debug, Args)]
pub struct BudgetsArgs {
    /// How many cases are generated beside those of the suites.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub cases: u32,
    /// The seed of the first generated case; that of the next is one larger.
    #[arg(long, value_name = "S", default_value_t = 20_150_211)]
    pub seed: u64,
    /// Which cases of the suites: `quick` for those of every run, `full` for all.
    #[arg(long, value_enum, default_value_t = Tier::Full)]
    pub tier: Tier,
    /// How many cases are in flight; as many as there are processors when left out.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// How to print the results.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// The arguments of `faults`.
#[derive(Debug, Args)]
pub struct FaultsArgs {
    /// Which mistakes; all when left out.
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Print what the mistakes are, and run nothing.
    #[arg(long)]
    pub list: bool,
    /// Which cases, by filter terms; those of the quick tier when left out.
    #[arg(long, value_name = "FILTER", num_args = 1..)]
    pub cases: Vec<String>,
    /// `quick` for the cases of every run, `full` for all; a filter takes from all unless this is given.
    #[arg(long, value_enum)]
    pub tier: Option<Tier>,
    /// Run each as if unknown and print whether the diagnosis names it; fewer than 95 % named right are a failure.
    #[arg(long, conflicts_with = "list")]
    pub diagnose: bool,
    /// Diagnose this many pairs of mistakes as well, drawn at random, the same ones each time.
    #[arg(long, value_name = "N", requires = "diagnose", default_value_t = 0)]
    pub pairs: usize,
    /// How many cases are in flight; as many as there are processors when left out.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// How to print what came of it.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where faults.json goes, which `bncheck report --faults` puts into the report.
    #[arg(long, value_name = "FOLDER", default_value = "target/bncheck")]
    pub output: PathBuf,
}

/// The arguments of `gpu-check`.
#[derive(Debug, Args)]
pub struct GpuCheckArgs {
    /// Where the results go as JSON.
    #[arg(long, value_name = "FILE", default_value = "target/bncheck/gpu-check.json")]
    pub json: PathBuf,
    /// The Python whose PyTorch is timed beside; `python3` or `python` when left out.
    #[arg(long, value_name = "PYTHON")]
    pub python: Option<String>,
    /// Which cases: `quick` for those of every run, `full` for all.
    #[arg(long, value_enum, default_value_t = Tier::Full)]
    pub tier: Tier,
    /// Time nothing.
    #[arg(long)]
    pub skip_timings: bool,
    /// How many cases are in flight; as many as there are processors when left out.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// A shape to time instead of ResNet-50's; for tests, on devices that are none.
    #[arg(long = "shape", value_name = "N,C,H,W", hide = true)]
    pub shapes: Vec<Shape>,
    /// How many bytes the large copy reads and writes: 512 MiB, well beyond every cache.
    #[arg(long, value_name = "N", hide = true, default_value_t = 1 << 29)]
    pub copy_bytes: u64,
}

/// A shape (N, C, H, W).
#[derive(Debug, Clone)]
pub struct Shape(pub Vec<usize>);

impl std::str::FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sizes = text.split(',').map(|size| size.trim().parse().ok().filter(|size| *size > 0));
        let sizes: Option<Vec<usize>> = sizes.collect();
        let four = sizes.filter(|sizes| sizes.len() == 4);
        four.map(Shape).ok_or_else(|| "a shape is four sizes of at least 1: 2,3,4,5".to_owned())
    }
}

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

/// The arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    pub backends: Backends,
    /// Only the judging of cases.
    #[arg(long, conflicts_with = "shapes_only")]
    pub cases_only: bool,
    /// Only the shapes of networks.
    #[arg(long)]
    pub shapes_only: bool,
    /// How many small cases are judged, at most.
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    pub cases: usize,
    /// Which networks: resnet50, densenet121, inception3; all when left out.
    #[arg(long = "network", value_name = "NAME", value_delimiter = ',', value_parser = network)]
    pub networks: Vec<Network>,
    /// How many images at a time.
    #[arg(
        long = "batch",
        value_name = "N",
        value_delimiter = ',',
        default_values_t = [1, 8],
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=64)
    )]
    pub batches: Vec<usize>,
    /// All shapes of a network, and not only some that stand for the others.
    #[arg(long)]
    pub all_shapes: bool,
    /// How many cases are in flight; as many as there are processors when left out.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

/// A network by its name.
fn network(name: &str) -> Result<Network, String> {
    let found = Network::ALL.into_iter().find(|network| network.name() == name);
    found.ok_or_else(|| format!("the networks are {}", Network::ALL.map(Network::name).join(", ")))
}

/// The arguments of `guard`.
#[derive(Debug, Args)]
pub struct GuardArgs {
    /// How many bytes of memory.
    #[arg(long, value_name = "BYTES")]
    pub memory: Option<u64>,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// A time that is more than none.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|seconds: &f64| *seconds > 0.0 && *seconds < 1e9);
    seconds.ok_or_else(|| "a number of seconds above 0: 0.5, 300".to_owned())
}

/// Which files a schema describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum SchemaOf {
    /// Suites of cases.
    #[default]
    Suite,
    /// What a run writes: results.json.
    Results,
}

/// Which cases are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tier {
    /// Those of every run.
    Quick,
    /// All of them.
    Full,
}

impl From<Tier> for bn_cases::format::Tier {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Quick => Self::Quick,
            Tier::Full => Self::Full,
        }
    }
}

/// How a command prints what it has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people; changes without notice.
    #[default]
    Human,
    /// For programs; versioned.
    Json,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ReportFormat {
    /// For people; changes without notice.
    #[default]
    Human,
    /// For programs; versioned.
    Json,
    /// For CI systems that read the results of tests.
    Junit,
    /// Annotations of GitHub Actions, and the table of verdicts.
    Github,
    /// Who conforms on what, in Markdown: suites by backends, and what each backend is known to do differently.
    Scoreboard,
}

/// How changes are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum DiffFormat {
    /// For people; changes without notice.
    #[default]
    Human,
    /// For programs; versioned.
    Json,
    /// Annotations of GitHub Actions for what is newly failing, and all changes.
    Github,
}
