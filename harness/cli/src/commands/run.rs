//! `bncheck run` and `bncheck replay`.

use std::collections::HashMap;
use std::path::PathBuf;

use bn_cases::Case;
use bn_harness::diagnosis;
use bn_harness::journal::{InMemory, Journal};
use bn_harness::results::{RunResults, Selection, Verdict};
use bn_harness::runner::{self, Lineup, Options};
use bn_reports::json;
use bn_reports::terminal::{self, Invocation};
use bn_reports::write::{Previous, write};

use crate::args::{Backends, Format, RunArgs};
use crate::backends::{self, Chosen};
use crate::baseline;
use crate::commands::{invocation, jobs, print};
use crate::exit::{CliError, Outcome};
use crate::folder::Folder;
use crate::interrupt;
use crate::output;
use crate::partition;
use crate::progress::Progress;
use crate::resume::{self, Unfinished};
use crate::selection::{Cases, tier_of};

/// Runs cases, prints what came of it and writes `results.json` and the report.
pub fn run(suites: &[PathBuf], args: &RunArgs) -> Result<Outcome, CliError> {
    let baseline = baseline::of(&args.baseline)?;
    let cases = Cases::load(suites)?;
    let tier = args.tier.map(Into::into);
    let selected = cases.select(&args.filter, tier)?;
    let selection = Selection {
        suites: suites.iter().map(|path| path.display().to_string()).collect(),
        filter: args.filter.clone(),
        tier: tier_of(&args.filter, tier).name().to_owned(),
        part: args.partition.filter(|part| part.of > 1),
    };
    let count = selected.len();
    let selected = partition::choose(selected, selection.part);
    let chosen = backends::choose(&args.backends)?;
    let folder = Folder::take(&args.output)?;
    let identity = resume::identity(&selection, &selected, &chosen)?;
    let mut unfinished = Unfinished::open(&folder, args.resume, identity)?;
    interrupt::stops(&chosen.workers.stop);
    let jobs = jobs(args.jobs);
    let all = cases.all();
    let known = (cases.own && args.filter.is_empty()).then_some(&all[..]);
    let mut progress = Progress::new(selected.len());
    let mut results =
        execute(&cases, &selected, &chosen, jobs, known, &mut unfinished.journal, &mut progress)
            .map_err(|error| unfinished.go_on_after(error))?;
    progress.finish();
    if let Some(part) = selection.part.filter(|_| selected.is_empty()) {
        eprintln!("{}", partition::nothing_in(part, count));
    }
    unfinished.date(&mut results);
    results.run.selections = vec![selection];
    number(&mut results, &all);
    let config = args.backends.config.config.as_ref().map(|path| path.display().to_string());
    let invocation = Invocation { commands: chosen.commands(), config, ..invocation(suites) };
    if results.run.incomplete.is_some() {
        print(&output::shown(&results, args.format, &invocation)?)?;
        unfinished.say_how_to_go_on();
        return Ok(Outcome::Stopped);
    }
    if let Some(baseline) = &baseline {
        baseline.compare(&mut results, args.baseline.factor);
    }
    let written = write(&results, &args.output, Previous::Kept)?;
    unfinished.finish();
    print(&output::shown(&results, args.format, &invocation)?)?;
    output::say(&written);
    Ok(output::outcome(&results))
}

/// Gives each case its place among all of them.
fn number(results: &mut RunResults, all: &[&Case]) {
    let places: HashMap<&str, usize> =
        all.iter().enumerate().map(|(place, case)| (case.id.as_str(), place)).collect();
    for case in &mut results.cases {
        case.ordinal = places.get(case.id.as_str()).copied();
    }
}

/// Runs one case and prints everything about it.
pub fn replay(suites: &[PathBuf], id: &str, names: &Backends, format: Format) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    let case = cases.by_id(id)?;
    let chosen = backends::choose(names)?;
    let mut progress = Progress::new(1);
    let mut journal = InMemory::default();
    let results = execute(&cases, &[case], &chosen, 1, None, &mut journal, &mut progress)?;
    progress.finish();
    match format {
        Format::Json => print(&json::to_string(&results))?,
        Format::Human => {
            let blocks: Vec<String> = results.results.iter().map(terminal::full).collect();
            print(&format!("{}\n{}", blocks.join("\n"), terminal::summary(&results)))?;
        }
    }
    Ok(output::outcome(&results))
}

fn execute(
    cases: &Cases,
    selected: &[&Case],
    chosen: &Chosen,
    jobs: usize,
    all: Option<&[&Case]>,
    journal: &mut dyn Journal,
    progress: &mut Progress,
) -> Result<RunResults, CliError> {
    let deviations = chosen.deviations(cases)?;
    chosen.oracle.say();
    let open = || -> Result<Lineup, CliError> {
        Ok(Lineup {
            oracle: chosen.oracle.open(&chosen.workers)?,
            arbiter: backends::arbiter(),
            backends: chosen.open()?,
        })
    };
    let options = Options {
        jobs,
        deviations: &deviations,
        all,
        bncheck: env!("CARGO_PKG_VERSION"),
        // A run that was stopped in between is the same run.
        flags: std::env::args().skip(1).filter(|flag| flag != "--resume").collect(),
    };
    let stop = &chosen.workers.stop;
    let mut progress = |done: usize, verdicts: &[Verdict]| progress.case_done(done, verdicts);
    let mut results = runner::run_on(selected, &open, options, journal, stop, &mut progress)?;
    if results.run.incomplete.is_some() {
        return Ok(results);
    }
    let open = || -> Result<diagnosis::Lineup, CliError> {
        Ok(diagnosis::Lineup {
            oracle: chosen.oracle.open(&chosen.workers)?,
            arbiter: backends::arbiter(),
            patients: chosen.open()?,
            suspects: backends::suspects(),
        })
    };
    diagnosis::diagnose(&mut results, selected, &open, jobs)?;
    Ok(results)
}
