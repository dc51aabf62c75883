//! `bncheck budgets`: how much of the budgets is used, and how much of their constants is needed.

use std::borrow::Cow;
use std::path::PathBuf;

use bn_api::Responder;
use bn_cases::Case;
use bn_harness::budget::Accuracy;
use bn_harness::needs::{self, Need};
use bn_harness::oracle::Oracle;
use bn_harness::sound::{self, Lineup, Question, SoundResults};
use bn_reports::budgets::{Budgets, human};
use bn_sound::{METHODS, Method, STATISTICS_ROUNDED};

use crate::args::{BudgetsArgs, Format};
use crate::backends::{self, ORACLE, Workers};
use crate::commands::sound::{generate, responders};
use crate::commands::{jobs, print};
use crate::exit::{CliError, Outcome};
use crate::progress::Progress;
use crate::selection::Cases;

/// Judges the sound methods and libtorch, then the methods again with less of each constant.
pub fn budgets(suites: &[PathBuf], args: &BudgetsArgs) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    let selected = cases.select(&[], Some(args.tier.into()))?;
    let undeclared = undeclared(&cases, &selected)?;
    let left_out = selected.len() - undeclared.len();
    let suite = needs::calibration()?;
    let mut made: Vec<&Case> = selected.clone();
    made.extend(&suite.cases);
    let jobs = jobs(args.jobs);
    let methods: Vec<&'static Method> = METHODS.iter().collect();
    let generated = args.cases as usize;
    // Those cases are made to need the constants; the others hardly add to it, and take as many derivations again.
    let calibration: Vec<&Case> = suite.cases.iter().collect();
    let mut progress = Progress::new(undeclared.len() + made.len() + generated + calibration.len());
    let mut done = 0;
    let mut count = |_: usize, _: usize| {
        done += 1;
        progress.case_done(done, &[]);
    };
    let mut sound = ask(&made, jobs, &|| Ok(responders(&methods)), &mut count)?;
    sound.append(generate(&methods, args.seed, generated, jobs, &mut count));
    let open_libtorch = || Ok(vec![backends::open_oracle(&Workers::usual()?)?]);
    let libtorch = ask(&undeclared, jobs, &open_libtorch, &mut count)?;
    let needs = measure(&calibration, jobs, &mut || count(0, 0));
    progress.finish();
    let results = Budgets { sound, libtorch, left_out, needs };
    match args.format {
        Format::Human => print(&human(&results))?,
        Format::Json => {
            let text = serde_json::to_string_pretty(&results).map_err(std::io::Error::from)?;
            print(&format!("{text}\n"))?;
        }
    }
    Ok(if results.as_expected() { Outcome::AsExpected } else { Outcome::Mismatch })
}

/// The cases in which no deviation of libtorch is declared. What is outside the budgets by declaration says nothing about
/// them, and what such a computation happens to use elsewhere in the case says no more.
fn undeclared<'a>(cases: &'a Cases, selected: &[&'a Case]) -> Result<Vec<&'a Case>, CliError> {
    if !cases.own {
        // Declared deviations speak of the checkout's own suites by id.
        return Ok(selected.to_vec());
    }
    let [libtorch] = backends::select(&[ORACLE.to_owned()])?[..] else { return Ok(Vec::new()) };
    let declared = libtorch.deviations(&cases.all())?;
    let is_free = |case: &&&Case| !declared.entries.iter().any(|entry| entry.covers(case));
    Ok(selected.iter().filter(is_free).copied().collect())
}

/// Asks responders the cases of suites.
fn ask(
    cases: &[&Case],
    jobs: usize,
    methods: &(dyn Fn() -> Result<Vec<Box<dyn Responder>>, CliError> + Sync),
    progress: &mut dyn FnMut(usize, usize),
) -> Result<SoundResults, CliError> {
    let open = || -> Result<Lineup<'_>, CliError> {
        Ok(Lineup {
            oracle: Oracle::Live(backends::open_oracle(&Workers::usual()?)?),
            arbiter: backends::arbiter(),
            methods: methods()?,
            question: Box::new(move |number| Ok(Question { case: Cow::Borrowed(cases[number]), yaml: None })),
        })
    };
    sound::run(jobs, cases.len(), &open, progress)
}

/// What the methods need of the constants, over these cases.
fn measure(cases: &[&Case], jobs: usize, progress: &mut dyn FnMut()) -> Vec<Need> {
    let open = || -> Result<needs::Lineup<'_>, std::convert::Infallible> {
        let question = |number: usize| Ok(Question { case: Cow::Borrowed(cases[number]), yaml: None });
        let methods: Vec<&'static Method> = METHODS.iter().collect();
        let sound = responders(&methods).into_iter().map(|method| (Accuracy::Sound, method));
        let rounded = responders(&[&STATISTICS_ROUNDED]).into_iter();
        let rounded = rounded.map(|method| (Accuracy::StatisticsRoundedToStorage, method));
        Ok(needs::Lineup::new(backends::arbiter(), sound.chain(rounded).collect(), question))
    };
    let Ok(needs) = needs::measure(jobs, cases.len(), &open, &mut |_| progress());
    needs
}
