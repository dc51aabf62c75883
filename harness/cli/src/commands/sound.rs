//! `bncheck sound`: implementations that are known to be sound, of which none may fail.

use std::borrow::Cow;
use std::path::PathBuf;

use bn_api::{InProcess, Responder};
use bn_cases::did_you_mean;
use bn_cases::format::CaseSpec;
use bn_fuzz::bulk::{Generator, read};
use bn_fuzz::hunt::MOST_TRIES;
use bn_fuzz::shrink;
use bn_harness::oracle::Oracle;
use bn_harness::results::Verdict;
use bn_harness::sound::{self, CaseAlarms, Lineup, Question, SoundResults};
use bn_reports::sound::human;
use bn_sound::{METHODS, Method, Sound};

use crate::args::{Format, SoundArgs};
use crate::backends::{self, ChosenOracle, Workers};
use crate::commands::{jobs, print};
use crate::exit::{CliError, Outcome};
use crate::progress::Progress;
use crate::selection::Cases;

/// How many generated cases with false alarms are made smaller.
const SHRUNK: usize = 3;

/// Runs the methods over the suites, with libtorch as the oracle, and over generated cases, with the arbiter alone: it is
/// in this process, and a generated case takes less time than a message to a worker.
pub fn sound(suites: &[PathBuf], args: &SoundArgs) -> Result<Outcome, CliError> {
    let methods = select(&args.methods)?;
    let cases = Cases::load(suites)?;
    let selected = cases.select(&[], Some(args.tier.into()))?;
    let jobs = jobs(args.jobs);
    let generated = args.cases as usize;
    let mut progress = Progress::new(selected.len() + generated);
    let mut before = 0;
    let mut count = |done: usize, alarms: usize| {
        progress.case_done(before + done, &vec![Verdict::Fail; alarms]);
    };
    let (oracle, workers) = (ChosenOracle::usual()?, Workers::usual()?);
    oracle.say();
    let open = || -> Result<Lineup<'_>, CliError> {
        let selected = &selected;
        Ok(Lineup {
            oracle: oracle.open(&workers)?,
            arbiter: backends::arbiter(),
            methods: responders(&methods),
            question: Box::new(move |number| {
                Ok(Question { case: Cow::Borrowed(selected[number]), yaml: None })
            }),
        })
    };
    let mut results = sound::run(jobs, selected.len(), &open, &mut count)?;
    before = selected.len();
    let mut count = |done: usize, alarms: usize| {
        progress.case_done(before + done, &vec![Verdict::Fail; alarms]);
    };
    let mut found = generate(&methods, args.seed, generated, jobs, &mut count);
    progress.finish();
    make_smaller(&methods, args.seed, &mut found);
    results.append(found);
    match args.format {
        Format::Human => print(&human(&results))?,
        Format::Json => {
            let text = serde_json::to_string_pretty(&results).map_err(std::io::Error::from)?;
            print(&format!("{text}\n"))?;
        }
    }
    Ok(if results.as_expected() { Outcome::AsExpected } else { Outcome::Mismatch })
}

/// The methods with these names, in the order of their list; all of them when there is no name.
fn select(names: &[String]) -> Result<Vec<&'static Method>, CliError> {
    let known = || METHODS.iter().map(|method| method.name);
    for name in names {
        if !known().any(|method| method == name) {
            let guess = did_you_mean(name, known()).map(|guess| guess + " ").unwrap_or_default();
            let known = known().collect::<Vec<_>>().join(", ");
            return Err(CliError::UnknownMethod { name: name.clone(), known, guess });
        }
    }
    let wanted = |method: &&Method| names.is_empty() || names.iter().any(|name| name == method.name);
    Ok(METHODS.iter().filter(wanted).collect())
}

pub(super) fn responders(methods: &[&'static Method]) -> Vec<Box<dyn Responder>> {
    let responder =
        |method: &&'static Method| -> Box<dyn Responder> { Box::new(InProcess::new(Sound(method))) };
    methods.iter().map(responder).collect()
}

/// Runs the methods over generated cases.
pub(super) fn generate(
    methods: &[&'static Method],
    seed: u64,
    cases: usize,
    jobs: usize,
    progress: &mut dyn FnMut(usize, usize),
) -> SoundResults {
    let open = || -> Result<Lineup<'_>, std::convert::Infallible> {
        let generator = Generator::default();
        Ok(lineup(methods, move |number| {
            let seed = seed.wrapping_add(number as u64);
            named(&generator.case(seed), seed)
        }))
    };
    let Ok(results) = sound::run(jobs, cases, &open, progress);
    results
}

fn lineup<'a>(
    methods: &[&'static Method],
    question: impl FnMut(usize) -> Result<Question<'a>, String> + 'a,
) -> Lineup<'a> {
    Lineup {
        oracle: Oracle::Nobody,
        arbiter: backends::arbiter(),
        methods: responders(methods),
        question: Box::new(question),
    }
}

/// A generated case under the name of its seed.
pub(super) fn named(spec: &CaseSpec, seed: u64) -> Result<Question<'static>, String> {
    let (mut case, yaml) = read(spec)?;
    case.id = format!("generated/{seed}");
    Ok(Question { case: Cow::Owned(case), yaml: Some(yaml) })
}

/// Makes the first cases with false alarms smaller.
fn make_smaller(methods: &[&'static Method], seed: u64, results: &mut SoundResults) {
    let generator = Generator::default();
    for found in results.alarms.iter_mut().take(SHRUNK) {
        let Some(first) = found.alarms.first().cloned() else { continue };
        let blamed: Vec<_> = methods.iter().copied().filter(|method| method.name == first.method).collect();
        let seed = seed.wrapping_add(found.number as u64);
        let alarms = |spec: &CaseSpec, methods: &[&'static Method]| {
            let open = || -> Result<Lineup<'_>, std::convert::Infallible> {
                Ok(lineup(methods, |_| named(spec, seed)))
            };
            let Ok(results) = sound::run(1, 1, &open, &mut |_, _| {});
            results.alarms.into_iter().next()
        };
        // The same tensor of the same method.
        let tensor = first.tensor.as_ref().map(|name| name.tensor);
        let smallest = shrink::shrink(&generator.case(seed), MOST_TRIES, &mut |spec, _| {
            let alarm = alarms(spec, &blamed).and_then(|case| case.alarms.into_iter().next());
            alarm.is_some_and(|alarm| alarm.tensor.map(|name| name.tensor) == tensor)
        });
        if let Some(smallest) = alarms(&smallest.spec, methods) {
            *found = CaseAlarms { number: found.number, ..smallest };
        }
    }
}
