//! The arguments of the commands that hunt for bugs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::RangedU64ValueParser;

use super::random::MOST;
use super::{Backends, Format};
use crate::selection::FOUND;

/// The arguments of `fuzz`.
#[derive(Debug, Args)]
pub struct FuzzArgs {
    #[command(flatten)]
    pub backends: Backends,
    /// How long cases are asked: 30s, 5m, 8h; a minute when neither this nor --cases is given. Making what was found
    /// smaller comes on top.
    #[arg(long, short, value_name = "TIME", value_parser = time)]
    pub time: Option<Duration>,
    /// How many cases are asked at the most.
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<usize>::new().range(1..=MOST))]
    pub cases: Option<usize>,
    /// Which cases: the same seed makes the same ones. Another one each time when left out; the summary says which.
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
    /// What must hold; everything when left out. `differential` is that answers are within the budget, the others are that
    /// they agree with each other (docs/properties.md). Each case is asked one of the others, in turn.
    #[arg(long = "property", short = 'p', value_name = "NAME", value_delimiter = ',')]
    pub properties: Vec<String>,
    /// Go on with a hunt that was stopped or killed: the same command line again, with this.
    #[arg(long, conflicts_with = "replay")]
    pub resume: bool,
    /// Ask the cases of these files, and nothing else: whether what was found is still there.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["time", "cases", "seed"])]
    pub replay: Vec<PathBuf>,
    /// How many cases are in flight; as many as there are processors when left out.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub jobs: Option<u16>,
    /// How to print what was found.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Where the finds go, a case each, and fuzz.json.
    #[arg(long, value_name = "FOLDER", default_value = "target/bncheck/fuzz")]
    pub output: PathBuf,
}

/// The arguments of `promote`.
#[derive(Debug, Args)]
pub struct PromoteArgs {
    /// The find, as `bncheck fuzz` wrote it.
    pub file: PathBuf,
    /// What the case is called from now on; when left out, as the file.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// What it shows, in a sentence.
    #[arg(long, value_name = "TEXT")]
    pub about: Option<String>,
    /// The folder that it is kept in.
    #[arg(long, value_name = "FOLDER", default_value = FOUND)]
    pub to: PathBuf,
}

/// The longest time that is taken: a year.
const LONGEST: f64 = 365.0 * 24.0 * 3600.0;

/// A time that is more than none: 30s, 1.5m, 8h; a number alone is seconds.
fn time(text: &str) -> Result<Duration, String> {
    let units = [('s', 1.0), ('m', 60.0), ('h', 3600.0)];
    let found = units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let (number, unit) = found.unwrap_or((text, 1.0));
    let seconds = number.trim().parse().ok().map(|number: f64| number * unit);
    let seconds = seconds.filter(|seconds| *seconds > 0.0 && *seconds <= LONGEST);
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "a time above 0: 30s, 5m, 8h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_or_is_seconds() {
        assert_eq!(time("90"), Ok(Duration::from_secs(90)));
        assert_eq!(time("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(time("2h"), Ok(Duration::from_secs(7200)));
        for wrong in ["", "s", "-1s", "0", "nan", "inf", "5 days", "99999999h"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
