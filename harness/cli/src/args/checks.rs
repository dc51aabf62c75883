//! The arguments of the commands that check and measure bncheck itself.

use std::ffi::OsString;
use std::path::PathBuf;

use bn_harness::bench::Network;
use clap::Args;

use super::{Backends, Format, Tier};

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
    /// Hunt for each with cases made by chance instead, and print how many it takes until one finds it, and how small that
    /// becomes.
    #[arg(long, conflicts_with_all = ["list", "diagnose", "cases", "tier"])]
    pub by_fuzz: bool,
    /// The seeds of the hunts, one for each.
    #[arg(long = "seed", value_name = "S", requires = "by_fuzz", value_delimiter = ',', default_values_t = [0, 1, 2])]
    pub seeds: Vec<u64>,
    /// How many cases each hunt asks at the most.
    #[arg(long, value_name = "N", requires = "by_fuzz", default_value_t = 20_000)]
    pub most: usize,
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

/// The arguments of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    #[command(flatten)]
    pub backends: Backends,
    /// Only how fast cases are judged: small ones, and those of networks' shapes. They are judged on the reference, or on
    /// the backends that are asked for.
    #[arg(long, conflicts_with = "shapes_only")]
    pub cases_only: bool,
    /// Only how fast the backends themselves are on the shapes of networks.
    #[arg(long)]
    pub shapes_only: bool,
    /// How many small cases are judged, at most; 0 for those of networks alone.
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    pub cases: usize,
    /// Which networks: resnet50, densenet121, inception3. When left out, cases are judged on resnet50's shapes, and
    /// backends timed on those of all.
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
    /// Time all shapes of a network, and not only some that stand for the others; cases are judged on all in any case.
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
