//! `bncheck faults`.

use std::fmt::Write as _;
use std::path::PathBuf;

use bn_api::Responder;
use bn_cases::{Case, near};
use bn_faulty::{Fault, Faulty, HARD_TO_HUNT, NOT_EXPRESSED, catalogue, fault};
use bn_fuzz::by_fuzz::{Faults, by_fuzz};
use bn_harness::diagnosis;
use bn_harness::diagnosis::measure::{Measurement, measure};
use bn_harness::faults::{self, KillMatrix, Lineup};
use bn_reports::json;
use bn_reports::style::{BOLD, DIM};
use serde_json::json;

use crate::args::{FaultsArgs, Format};
use crate::backends::{self, ChosenOracle, Workers};
use crate::commands::{jobs, print};
use crate::exit::{CliError, Outcome};
use crate::progress::Progress;
use crate::selection::Cases;

/// How many names are suggested for one that is unknown.
const SUGGESTED: usize = 5;

/// Runs faults over cases and prints which case catches which.
pub fn faults(suites: &[PathBuf], args: &FaultsArgs) -> Result<Outcome, CliError> {
    let faults = select(&args.names)?;
    if args.list {
        print(&match args.format {
            Format::Human => list(&faults, args.names.is_empty()),
            Format::Json => list_as_json(&faults),
        })?;
        return Ok(Outcome::AsExpected);
    }
    if args.by_fuzz {
        return hunted(&faults, args);
    }
    let cases = Cases::load(suites)?;
    let selected = cases.select(&args.cases, args.tier.map(Into::into))?;
    let jobs = jobs(args.jobs);
    let single: Vec<Faulty> = faults.iter().map(|fault| Faulty::with(fault)).collect();
    if args.diagnose {
        return diagnose(&selected, &single, args, jobs);
    }
    let matrix = kill_matrix(&selected, &single, jobs)?;
    let path = json::write_faults(&matrix.by_suite(), &args.output)?;
    print(&match args.format {
        Format::Human => bn_reports::faults::matrix(&matrix),
        Format::Json => format!("{:#}\n", json!(matrix)),
    })?;
    eprintln!("faults: {}", path.display());
    Ok(if matrix.as_expected() { Outcome::AsExpected } else { Outcome::Mismatch })
}

fn responders(faulty: &[Faulty]) -> Vec<Box<dyn Responder>> {
    faulty.iter().cloned().map(backends::faulty).collect()
}

fn kill_matrix(cases: &[&Case], faulty: &[Faulty], jobs: usize) -> Result<KillMatrix, CliError> {
    let (oracle, workers) = (ChosenOracle::usual()?, Workers::usual()?);
    oracle.say();
    let open = || -> Result<Lineup, CliError> {
        Ok(Lineup {
            oracle: oracle.open(&workers)?,
            arbiter: backends::arbiter(),
            control: backends::faulty(Faulty::without()),
            faults: responders(faulty),
        })
    };
    let mut progress = Progress::new(cases.len());
    let matrix = faults::run(cases, &open, jobs, &mut |done| progress.case_done(done, &[]))?;
    progress.finish();
    Ok(matrix)
}

/// Diagnoses the faults as if they were unknown, and pairs of them, and prints how many are named right.
fn diagnose(cases: &[&Case], single: &[Faulty], args: &FaultsArgs, jobs: usize) -> Result<Outcome, CliError> {
    let measured = |unknowns: &[Faulty]| -> Result<Measurement, CliError> {
        let matrix = kill_matrix(cases, unknowns, jobs)?;
        let (oracle, workers) = (ChosenOracle::usual()?, Workers::usual()?);
        let open = || -> Result<diagnosis::Lineup, CliError> {
            Ok(diagnosis::Lineup {
                oracle: oracle.open(&workers)?,
                arbiter: backends::arbiter(),
                patients: responders(unknowns),
                suspects: backends::suspects(),
            })
        };
        measure(&matrix, cases, &open, jobs)
    };
    let singles = measured(single)?;
    let pairs = if args.pairs > 0 { Some(measured(&drawn_pairs(args.pairs))?) } else { None };
    print(&match args.format {
        Format::Human => bn_reports::diagnosis::measured(&singles, pairs.as_ref()),
        Format::Json => format!("{:#}\n", json!({"singles": singles, "pairs": pairs})),
    })?;
    Ok(if singles.as_expected() { Outcome::AsExpected } else { Outcome::Mismatch })
}

/// Hunts for the faults with cases made by chance, and prints how many that takes.
fn hunted(faults: &[&'static Fault], args: &FaultsArgs) -> Result<Outcome, CliError> {
    let single: Vec<Faulty> = faults.iter().map(|fault| Faulty::with(fault)).collect();
    let who = Faults {
        make: &|| responders(&single),
        control: &|| backends::faulty(Faulty::without()),
        suspects: &backends::suspects,
    };
    let mut progress = Progress::new(args.seeds.len() * args.most);
    let hard = |name: &str| HARD_TO_HUNT.iter().find(|(fault, _)| *fault == name).map(|(_, why)| *why);
    let results = by_fuzz(&who, &args.seeds, args.most, jobs(args.jobs), &hard, &mut |done, _| {
        progress.case_done(done, &[]);
    });
    progress.finish();
    print(&match args.format {
        Format::Human => bn_reports::finds::by_fuzz(&results),
        Format::Json => format!("{:#}\n", json!(results)),
    })?;
    Ok(if results.as_expected() { Outcome::AsExpected } else { Outcome::Mismatch })
}

/// Pairs of faults that can be made at once, the same ones each time.
fn drawn_pairs(count: usize) -> Vec<Faulty> {
    let faults = catalogue();
    let mut state = 20_150_211_u64;
    let mut draw = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        &faults[(state >> 33) as usize % faults.len()]
    };
    let mut pairs = Vec::new();
    while pairs.len() < count {
        let (one, other) = (draw(), draw());
        if !std::ptr::eq(one, other) {
            pairs.extend(Faulty::with_both(one, other));
        }
    }
    pairs
}

/// The faults with these names, all of them when there is no name.
fn select(names: &[String]) -> Result<Vec<&'static Fault>, CliError> {
    if names.is_empty() {
        return Ok(catalogue().iter().collect());
    }
    let known = |name: &String| {
        fault(name).ok_or_else(|| CliError::UnknownFault { name: name.clone(), near: suggestions(name) })
    };
    names.iter().map(known).collect()
}

/// "did you mean …? " with the names that are like this one: in spelling, or in having all its words.
fn suggestions(name: &str) -> String {
    let all = || catalogue().iter().map(|fault| fault.name);
    let has_words = |known: &&str| name.split('-').all(|word| !word.is_empty() && known.contains(word));
    let mut guesses: Vec<&str> = all().filter(has_words).collect();
    guesses.sort_by_key(|guess| guess.len());
    for guess in near(name, all()) {
        if !guesses.contains(&guess) {
            guesses.push(guess);
        }
    }
    let quoted: Vec<String> = guesses.iter().take(SUGGESTED).map(|guess| format!("`{guess}`")).collect();
    if quoted.is_empty() { String::new() } else { format!("did you mean {}? ", quoted.join(", ")) }
}

/// What the faults are, and what is not among all of them.
fn list(faults: &[&Fault], all: bool) -> String {
    let mut text = String::new();
    for fault in faults {
        let _ = writeln!(text, "{BOLD}{}{BOLD:#}: {}", fault.name, fault.about);
        let tensors: Vec<&str> = fault.tensors.iter().map(|tensor| tensor.name()).collect();
        let shown = if tensors.is_empty() { "an error, or none".to_owned() } else { tensors.join(", ") };
        let link = fault.link.map(|link| format!(" · {link}")).unwrap_or_default();
        let _ = writeln!(text, "  {DIM}shows in {shown}{link}{DIM:#}");
    }
    if all {
        let _ = writeln!(text, "\n{BOLD}Known mistakes that no case can show{BOLD:#}");
        for (what, why) in NOT_EXPRESSED {
            let _ = writeln!(text, "{what}\n  {DIM}{why}{DIM:#}");
        }
    }
    text
}

fn list_as_json(faults: &[&Fault]) -> String {
    let list: Vec<_> = faults
        .iter()
        .map(|fault| {
            json!({
                "name": fault.name,
                "about": fault.about,
                "tensors": fault.tensors,
                "link": fault.link,
            })
        })
        .collect();
    format!("{:#}\n", json!(list))
}
