//! `bncheck run` and `bncheck replay`.

use std::path::PathBuf;

use bn_cases::Case;
use bn_harness::diagnosis;
use bn_harness::results::RunResults;
use bn_harness::runner::{self, Lineup, Options};
use bn_reports::{json, terminal};

use crate::args::{Backends, Format, RunArgs};
use crate::backends::{self, Entry};
use crate::commands::{invocation, jobs, print};
use crate::exit::{CliError, Outcome};
use crate::progress::Progress;
use crate::selection::Cases;

/// Runs cases, prints what came of it and writes `results.json`.
pub fn run(suites: &[PathBuf], args: &RunArgs) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    let selected = cases.select(&args.filter, args.tier.map(Into::into))?;
    let entries = backends::select(&args.backends.names)?;
    let jobs = jobs(args.jobs);
    let all = cases.all();
    let all = (cases.own && args.filter.is_empty()).then_some(&all[..]);
    let mut progress = Progress::new(selected.len());
    let named = !args.backends.names.is_empty();
    let results = execute(&cases, &selected, &entries, named, jobs, all, &mut progress)?;
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
    let named = !names.names.is_empty();
    let results = execute(&cases, &[case], &entries, named, 1, None, &mut progress)?;
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
    named: bool,
    jobs: usize,
    all: Option<&[&Case]>,
    progress: &mut Progress,
) -> Result<RunResults, CliError> {
    let deviations = backends::deviations(cases, entries)?;
    // Who was asked for by name has to be there.
    let open = |entry: &&'static Entry| if named { entry.open() } else { entry.open_if_there() };
    let open_all = || entries.iter().map(open).collect::<Result<Vec<_>, _>>();
    let open = || -> Result<Lineup, CliError> {
        Ok(Lineup {
            oracle: Some(backends::open_oracle()?),
            arbiter: backends::arbiter(),
            backends: open_all()?,
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
        Ok(diagnosis::Lineup {
            oracle: backends::open_oracle()?,
            arbiter: backends::arbiter(),
            patients: open_all()?,
            suspects: backends::suspects(),
        })
    };
    diagnosis::diagnose(&mut results, selected, &open, jobs)?;
    Ok(results)
}
