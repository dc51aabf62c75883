//! `bncheck run` and `bncheck replay`.

use std::path::PathBuf;

use bn_cases::Case;
use bn_harness::deviations::Deviations;
use bn_harness::diagnosis;
use bn_harness::results::RunResults;
use bn_harness::runner::{self, Lineup, Options};
use bn_reports::{json, terminal};

use crate::args::{Backends, Format, RunArgs};
use crate::backends::{self, Entry};
use crate::commands::{invocation, print};
use crate::exit::{CliError, Outcome};
use crate::progress::Progress;
use crate::selection::Cases;

/// Runs cases, prints what came of it and writes `results.json`.
pub fn run(suites: &[PathBuf], args: &RunArgs) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    let selected = cases.select(&args.filter, args.tier.map(Into::into))?;
    let entries = backends::select(&args.backends.names)?;
    let jobs = args
        .jobs
        .map_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get), usize::from);
    let all = cases.all();
    let all = (cases.own && args.filter.is_empty()).then_some(&all[..]);
    let mut progress = Progress::new(selected.len());
    let results = execute(&cases, &selected, &entries, jobs, all, &mut progress)?;
    progress.finish();
    let path = json::write(&results, &args.output)?;
    match args.format {
        Format::Human => print(&terminal::run(&results, &invocation(suites)))?,
        Format::Json => print(&json::to_string(&results))?,
    }
    eprintln!("results: {}", path.display());
    Ok(outcome(&results))
}

/// Runs one case and prints everything about it.
pub fn replay(suites: &[PathBuf], id: &str, names: &Backends, format: Format) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    let case = cases.by_id(id)?;
    let entries = backends::select(&names.names)?;
    let mut progress = Progress::new(1);
    let results = execute(&cases, &[case], &entries, 1, None, &mut progress)?;
    progress.finish();
    match format {
        Format::Json => print(&json::to_string(&results))?,
        Format::Human => {
            let blocks: Vec<String> = results.results.iter().map(terminal::full).collect();
            print(&format!("{}\n{}", blocks.join("\n"), terminal::summary(&results)))?;
        }
    }
    Ok(outcome(&results))
}

fn outcome(results: &RunResults) -> Outcome {
    if results.as_expected() { Outcome::AsExpected } else { Outcome::Mismatch }
}

fn execute(
    cases: &Cases,
    selected: &[&Case],
    entries: &[&'static Entry],
    jobs: usize,
    all: Option<&[&Case]>,
    progress: &mut Progress,
) -> Result<RunResults, CliError> {
    let deviations = if cases.own {
        let known = cases.all();
        entries.iter().map(|entry| entry.deviations(&known)).collect::<Result<Vec<_>, _>>()?
    } else {
        // Declared deviations speak of the checkout's own suites by id.
        vec![Deviations::default(); entries.len()]
    };
    let open = || -> Result<Lineup, CliError> {
        Ok(Lineup {
            oracle: backends::open_oracle()?,
            arbiter: backends::arbiter(),
            backends: entries.iter().map(|entry| entry.open()).collect::<Result<_, _>>()?,
        })
    };
    let options = Options {
        jobs,
        deviations: &deviations,
        all,
        bncheck: env!("CARGO_PKG_VERSION"),
        flags: std::env::args().skip(1).collect(),
    };
    let mut results =
        runner::run(selected, &open, options, &mut |done, verdicts| progress.case_done(done, verdicts))?;
    let open = || -> Result<diagnosis::Lineup, CliError> {
        let Lineup { oracle, arbiter, backends: patients } = open()?;
        Ok(diagnosis::Lineup { oracle, arbiter, patients, suspects: backends::suspects() })
    };
    diagnosis::diagnose(&mut results, selected, &open, jobs)?;
    Ok(results)
}
