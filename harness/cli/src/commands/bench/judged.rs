//! How fast cases are judged, and where the time goes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bn_api::Responder;
use bn_cases::Case;
use bn_harness::bench::{Counted, Network, cases};
use bn_harness::deviations::Deviations;
use bn_harness::journal::{Begun, FileJournal};
use bn_harness::oracle::Oracle;
use bn_harness::results::{RunResults, Verdict};
use bn_harness::runner::{self, Keep, Lineup, Options};
use bn_reports::bench::{Judged, RunSpeed};
use serde_json::Value;

use crate::args::BenchArgs;
use crate::backends::{self, Chosen};
use crate::commands::jobs;
use crate::exit::CliError;

/// Cases of a few hundred elements, which the speed of the harness is measured on.
const SMALL: &str = include_str!("../../../../benches/small.yaml");

/// Judges the small cases, and then those of networks.
pub(super) fn all(args: &BenchArgs, chosen: &Chosen) -> Result<Vec<RunSpeed>, CliError> {
    let mut runs = Vec::new();
    if args.cases > 0 {
        let suite = bn_cases::load_str("harness/benches/small.yaml", SMALL)?;
        let cases: Vec<&Case> = suite.cases.iter().take(args.cases).collect();
        eprintln!("judging small cases");
        runs.push(judge("small cases, forward and backward", &cases, args, chosen)?);
    }
    let networks = if args.networks.is_empty() { &[Network::ResNet50][..] } else { &args.networks };
    for network in networks {
        if chosen.workers.stop.is_now() {
            break;
        }
        let suite = cases(*network, &args.batches)?;
        let batches: Vec<String> = args.batches.iter().map(ToString::to_string).collect();
        let name = network.name();
        eprintln!("judging cases of the shapes of {name}");
        let what = format!("all shapes of {name}, batch {}, forward and backward", batches.join(" and "));
        runs.push(judge(&what, &suite.cases.iter().collect::<Vec<_>>(), args, chosen)?);
    }
    Ok(runs)
}

/// Judges the backends that were asked for, or else the reference, as `bncheck run` does: with the oracle, and a journal.
fn judge(what: &str, cases: &[&Case], args: &BenchArgs, chosen: &Chosen) -> Result<RunSpeed, CliError> {
    let workers = &chosen.workers;
    let asked_for = !args.backends.names.is_empty() || !args.backends.commands.is_empty();
    let judged = || -> Result<Vec<Box<dyn Responder>>, CliError> {
        if asked_for { chosen.open() } else { Ok(vec![backends::entry("reference")?.open(workers)?]) }
    };
    let arithmetic = Arc::new(AtomicU64::new(0));
    let open = || -> Result<Lineup, CliError> {
        Ok(Lineup {
            oracle: Oracle::Live(backends::open_oracle(workers)?),
            arbiter: Box::new(Counted::new(backends::arbiter(), Arc::clone(&arithmetic))),
            backends: judged()?,
        })
    };
    let declared = vec![Deviations::default(); if asked_for { chosen.names().len() } else { 1 }];
    let options = Options {
        jobs: jobs(args.jobs),
        deviations: &declared,
        all: None,
        bncheck: env!("CARGO_PKG_VERSION"),
        flags: Vec::new(),
        keep: Keep::All,
        seed: None,
    };
    let folder = std::env::temp_dir().join(format!("bncheck-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let begun = Begun { run: Value::Null, started_unix_ms: 0 };
    let mut journal = FileJournal::begin(&folder.join("journal.jsonl"), &begun)?;
    let run = runner::run_on(cases, &open, options, &mut journal, &workers.stop, &mut |_, _| {});
    std::fs::remove_dir_all(&folder)?;
    Ok(speed(what, run?, arithmetic.load(Ordering::Relaxed)))
}

fn speed(what: &str, results: RunResults, arbiter_arithmetic: u64) -> RunSpeed {
    let count = |backend: &str, verdict| {
        results.of_backend(backend).filter(|result| result.verdict == verdict).count()
    };
    let counts = |backend: &str| {
        let counts = Verdict::ALL.map(|verdict| (verdict, count(backend, verdict)));
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    };
    let names = results.run.backends.iter().map(|column| column.name.clone());
    RunSpeed {
        what: what.to_owned(),
        backends: names.clone().collect(),
        cases: results.cases.len(),
        jobs: results.run.jobs,
        duration_ms: results.run.duration_ms,
        stages: results.run.stages.unwrap_or_default(),
        arbiter_arithmetic,
        verdicts: names.map(|backend| Judged { verdicts: counts(&backend), backend }).collect(),
        memory: results.run.memory,
    }
}
