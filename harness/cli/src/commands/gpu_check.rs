//! `bncheck gpu-check`: the CUDA kernel on a GPU. The cases, the same bits as interpreted, and how fast.

mod bits;
mod pairs;
mod pytorch;
mod timings;

use std::collections::BTreeMap;
use std::path::PathBuf;

use bn_api::DType;
use bn_cases::Case;
use bn_cuda::bench::{Bench, Settings};
use bn_harness::oracle::Oracle;
use bn_harness::results::RunResults;
use bn_harness::runner::{self, Keep, Lineup, Options};
use bn_reports::gpu_check::{Comparison, Device, GpuCheck, SCHEMA_VERSION, Suites, Verdicts, human};

use crate::args::{GpuCheckArgs, Tier};
use crate::backends::{self, Entry};
use crate::commands::{jobs, print};
use crate::exit::{CliError, Outcome};
use crate::progress::Progress;
use crate::selection::Cases;
use pairs::Pair;

/// What runs on a GPU, and beside it the same kernels interpreted.
const EXECUTORS: [[&str; 2]; 2] = [["cuda", "cuda-ptx"], ["cuda-acc64", "cuda-ptx-acc64"]];

/// Checks the GPU, prints what came of it and writes it as JSON. The arbiter alone judges, so that libtorch is not needed.
pub fn gpu_check(suites: &[PathBuf], args: &GpuCheckArgs) -> Result<Outcome, CliError> {
    let device = device()?;
    eprintln!("checking {}", device.description);
    let cases = Cases::load(suites)?;
    let selected = cases.select(&[], Some(args.tier.into()))?;
    let jobs = jobs(args.jobs);
    let (results, comparisons) = judge(&cases, &selected, jobs)?;
    let timings = (!args.skip_timings).then(|| timings::measure(args, device.l2_bytes));
    let check = GpuCheck {
        schema_version: SCHEMA_VERSION,
        bncheck: env!("CARGO_PKG_VERSION").to_owned(),
        device,
        suites: suites_of(args.tier, results),
        comparisons,
        timings,
    };
    check.write(&args.json)?;
    print(&human(&check))?;
    eprintln!("results: {}", args.json.display());
    Ok(if check.as_expected() { Outcome::AsExpected } else { Outcome::Mismatch })
}

/// The GPU.
fn device() -> Result<Device, CliError> {
    let missing = |why: bn_cuda::launch::LaunchError| CliError::NoDevice {
        backend: EXECUTORS[0][0],
        why: why.to_string(),
    };
    let bench = Bench::open(DType::F32, Settings::default()).map_err(missing)?;
    let properties = bench.properties();
    let (major, minor) = properties.compute_capability;
    Ok(Device {
        executor: bench.label().to_owned(),
        description: properties.to_string(),
        driver: properties.driver.to_string(),
        compute_capability: format!("{major}.{minor}"),
        multiprocessors: properties.multiprocessors,
        memory_bytes: properties.memory as u64,
        l2_bytes: u64::from(properties.l2_bytes),
        name: properties.name,
    })
}

/// Has every executor answer the cases, judges the answers, and compares those of each pair.
fn judge(cases: &Cases, selected: &[&Case], jobs: usize) -> Result<(RunResults, Vec<Comparison>), CliError> {
    let entries: Vec<&'static Entry> =
        EXECUTORS.as_flattened().iter().map(|name| backends::entry(name)).collect::<Result<_, _>>()?;
    let known = cases.all();
    let deviations = backends::deviations(cases, &entries)?;
    let pairs = EXECUTORS.map(Pair::new);
    let open = || -> Result<Lineup, CliError> {
        let mut all = Vec::with_capacity(entries.len());
        for (pair, of_pair) in pairs.iter().zip(entries.chunks_exact(2)) {
            all.extend(pair.responders([of_pair[0].open_here()?, of_pair[1].open_here()?]));
        }
        Ok(Lineup { oracle: Oracle::Nobody, arbiter: backends::arbiter(), backends: all })
    };
    let options = Options {
        jobs,
        deviations: &deviations,
        all: cases.own.then_some(&known[..]),
        bncheck: env!("CARGO_PKG_VERSION"),
        flags: std::env::args().skip(1).collect(),
        keep: Keep::All,
        seed: None,
    };
    let mut progress = Progress::new(selected.len());
    let results =
        runner::run(selected, &open, options, &mut |done, verdicts| progress.case_done(done, verdicts))?;
    progress.finish();
    let comparisons = pairs.into_iter().map(|pair| pair.comparison(selected)).collect();
    Ok((results, comparisons))
}

/// What is kept of a run: the counts, and in full what is not as expected.
fn suites_of(tier: Tier, results: RunResults) -> Suites {
    let as_expected = results.as_expected();
    let verdicts = results.run.backends.iter().map(|column| {
        let mut verdicts = Verdicts { executor: column.name.clone(), counts: BTreeMap::new() };
        for result in results.of_backend(&column.name) {
            *verdicts.counts.entry(result.verdict).or_default() += 1;
        }
        verdicts
    });
    Suites {
        tier: bn_cases::format::Tier::from(tier).name().to_owned(),
        cases: results.cases.len(),
        verdicts: verdicts.collect(),
        unexpected: results.unexpected().cloned().collect(),
        as_expected,
        run: results.run,
        deviation_errors: results.deviation_errors,
    }
}
