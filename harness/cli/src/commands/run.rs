//! `bncheck run` and `bncheck replay`.

use std::borrow::Cow;
use std::path::PathBuf;

use bn_cases::Case;
use bn_fuzz::random::Random;
use bn_harness::deviations::Deviations;
use bn_harness::diagnosis;
use bn_harness::journal::{InMemory, Journal};
use bn_harness::results::{RunResults, Verdict};
use bn_harness::runner::{self, Keep, Lineup, Listed, Options, Source};
use bn_reports::json;
use bn_reports::terminal::{self, Invocation};
use bn_reports::write::{Previous, write};

use crate::args::{Backends, Format, RunArgs};
use crate::asked::Asked;
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
use crate::selection::Cases;

/// Runs cases, prints what came of it and writes `results.json` and the report.
pub fn run(suites: &[PathBuf], args: &RunArgs) -> Result<Outcome, CliError> {
    let baseline = baseline::of(&args.baseline)?;
    let cases = Cases::load(suites)?;
    let asked = Asked::of(args, &cases)?;
    let selection = asked.selection(suites, args);
    let chosen = backends::choose(&args.backends)?;
    let folder = Folder::take(&args.output)?;
    let keep = args.random.keep();
    let identity = resume::identity(&selection, &asked, keep, &chosen)?;
    let mut unfinished = Unfinished::open(&folder, args.resume, identity)?;
    interrupt::stops(&chosen.workers.stop);
    let how = How {
        jobs: jobs(args.jobs),
        deviations: deviations(&chosen, &cases, matches!(asked, Asked::Random(_)))?,
        all: match &asked {
            Asked::Suites { all, .. } if cases.own && args.filter.is_empty() => Some(all),
            _ => None,
        },
        keep,
        seed: selection.random.map(|random| random.seed),
    };
    let mut progress = Progress::new(asked.len()).by_chance(matches!(asked, Asked::Random(_)));
    let mut results = execute(&asked, &chosen, &how, &mut unfinished.journal, &mut progress)
        .map_err(|error| unfinished.go_on_after(error))?;
    progress.finish();
    if let (Some(part), Asked::Suites { selected, .. }) =
        (selection.part.filter(|_| asked.is_empty()), &asked)
    {
        eprintln!("{}", partition::nothing_in(part, *selected));
    }
    unfinished.date(&mut results);
    results.run.selections = vec![selection];
    asked.number(&mut results);
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

/// What the backends declare. Of cases made by chance it may be so, and need not.
fn deviations(chosen: &Chosen, cases: &Cases, by_chance: bool) -> Result<Vec<Deviations>, CliError> {
    let declared = chosen.deviations(cases)?;
    if by_chance {
        return Ok(declared.into_iter().map(Deviations::elsewhere).collect());
    }
    Ok(declared)
}

/// Runs one case and prints everything about it.
pub fn replay(suites: &[PathBuf], id: &str, names: &Backends, format: Format) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    let case = cases.by_id(id)?;
    let chosen = backends::choose(names)?;
    let mut progress = Progress::new(1);
    let mut journal = InMemory::default();
    let seed = Random::parse(id).filter(|_| matches!(case, Cow::Owned(_))).map(|(seed, _)| seed);
    let deviations = deviations(&chosen, &cases, seed.is_some())?;
    let how = How { jobs: 1, deviations, all: None, keep: Keep::All, seed };
    let results = execute(&vec![&*case], &chosen, &how, &mut journal, &mut progress)?;
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

/// How cases are run.
struct How<'a> {
    jobs: usize,
    /// What the backends declare, one after the other.
    deviations: Vec<Deviations>,
    /// All cases there are, where deviations that none needs are to be noticed.
    all: Option<&'a [&'a Case]>,
    keep: Keep,
    /// Of cases that are made by chance.
    seed: Option<u64>,
}

fn execute(
    cases: &impl Source,
    chosen: &Chosen,
    how: &How<'_>,
    journal: &mut dyn Journal,
    progress: &mut Progress,
) -> Result<RunResults, CliError> {
    chosen.oracle.say();
    let open = || -> Result<Lineup, CliError> {
        Ok(Lineup {
            oracle: chosen.oracle.open(&chosen.workers)?,
            arbiter: backends::arbiter(),
            backends: chosen.open()?,
        })
    };
    let options = Options {
        jobs: how.jobs,
        deviations: &how.deviations,
        all: how.all,
        bncheck: env!("CARGO_PKG_VERSION"),
        // A run that was stopped in between is the same run.
        flags: std::env::args().skip(1).filter(|flag| flag != "--resume").collect(),
        keep: how.keep,
        seed: how.seed,
    };
    let stop = &chosen.workers.stop;
    let mut progress = |done: usize, verdicts: &[Verdict]| progress.case_done(done, verdicts);
    let mut results = runner::run_on(cases, &open, options, journal, stop, &mut progress)?;
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
    let listed = Listed::of(&results, cases);
    diagnosis::diagnose(&mut results, &listed, &open, how.jobs)?;
    Ok(results)
}
