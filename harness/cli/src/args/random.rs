//! Cases made by chance, and which cases the results list.

use bn_harness::runner::Keep;
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};

/// The most cases that are made by chance in one run.
pub(super) const MOST: u64 = 100_000_000;

/// Cases made by chance.
#[derive(Debug, Args)]
pub struct RandomArgs {
    /// Judge N cases made by chance, instead of those of suites. The first ones of a seed are the same in every run:
    /// `random/s7/12` is case 12 of seed 7, which `bncheck replay` makes again.
    #[arg(
        long,
        value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST),
        conflicts_with_all = ["filter", "tier", "suites", "partition"],
        help_heading = "Cases"
    )]
    pub random: Option<usize>,
    /// Which cases are made by chance; 0 when left out. Several machines take a seed each.
    #[arg(long, value_name = "S", requires = "random", help_heading = "Cases")]
    pub seed: Option<u64>,
    /// Which cases results and reports list, where they are not to go by the number of cases: of more than 20000 those are
    /// listed that have a verdict that is not as expected, the first 1000 of each backend and verdict, and the others are
    /// counted.
    #[arg(long, value_enum, value_name = "WHICH", help_heading = "Cases")]
    pub keep: Option<Kept>,
}

/// Which cases results list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kept {
    /// All of them.
    All,
    /// Those that are not as expected.
    Notable,
}

impl RandomArgs {
    /// Which cases results list.
    pub fn keep(&self) -> Keep {
        match self.keep {
            None => Keep::ByNumber,
            Some(Kept::All) => Keep::All,
            Some(Kept::Notable) => Keep::Notable,
        }
    }
}
