//! The command line.

mod backends;
mod checks;
mod hunt;
mod random;

use std::path::PathBuf;

use bn_harness::changes::FACTOR;
use bn_harness::results::Part;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::partition;

pub use backends::{Backends, ConfigArgs, OracleArgs, OracleName, RecordArgs, WorkerArgs};
pub use checks::{BenchArgs, BudgetsArgs, FaultsArgs, GpuCheckArgs, GuardArgs, Shape, SoundArgs};
pub use hunt::{FuzzArgs, PromoteArgs};
pub use random::RandomArgs;

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
        after_long_help = format!("{FILTER_HELP}\n\nExamples:\n  bncheck run\n  bncheck run --tier full\n  bncheck run 'pitfalls/*' dtype=f32 --backend candle\n  bncheck run layer.momentum=null --format json\n  bncheck run --baseline main/results.json\n  bncheck run --tier full --partition 1/3\n  bncheck run --random 200000 --seed 7\n  bncheck run --backend-cmd 'python3 my_bn.py'\n\n{EXIT_CODES}")
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
    /// Print cases with their tensors as JSON, one a line, for programs; or one as a Python script for PyTorch alone.
    #[command(
        after_help = FILTER_HELP,
        after_long_help = format!("{FILTER_HELP}\n\nExamples:\n  bncheck export 'pitfalls/*' > cases.jsonl\n  bncheck export --python 'errors/no-graph-to-go-back[steps=train]' > case.py && python3 case.py\n  bncheck export --python random/s7/12\n  bncheck export --python mine/case --suites mine.yaml")
    )]
    Export {
        /// Which cases; all when left out.
        filter: Vec<String>,
        /// A Python script that needs PyTorch alone: it takes the steps of the one selected case, and says whether PyTorch
        /// answers as expected.
        #[arg(long)]
        python: bool,
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
    /// Hunt for bugs with cases made by chance, for a time or a number of cases. What is found is grouped, so that one bug is
    /// one find, made smaller, and written as a case each.
    #[command(
        after_help = "Exit codes: 0 nothing was found · 1 something was · 130 stopped by Ctrl-C",
        after_long_help = format!("Examples:\n  bncheck fuzz\n  bncheck fuzz --time 8h --backend candle,burn\n  bncheck fuzz --cases 20000 --seed 7 --backend-cmd 'python3 my_bn.py'\n  bncheck fuzz --property permuted-batch,differential\n  bncheck fuzz --replay target/bncheck/fuzz/finds/*.yaml\n\n{EXIT_CODES}")
    )]
    Fuzz(FuzzArgs),
    /// Keep a find of `bncheck fuzz` as a case: it moves into cases/regressions/found, under a name.
    Promote(PromoteArgs),
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
    pub random: RandomArgs,
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
