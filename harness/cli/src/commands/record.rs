//! `bncheck record`: keeps what libtorch answers, for machines without it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bn_api::{Request, Responder, Response, StepAnswer};
use bn_harness::parallel;
use bn_harness::recorded::{self, Agreement, Provenance, RecordedCase, Recording};
use bn_harness::runner;

use crate::args::RecordArgs;
use crate::backends::{self, Workers};
use crate::commands::{jobs, print};
use crate::exit::{CliError, Outcome};
use crate::progress::Progress;
use crate::selection::Cases;

/// How many cases that disagree are shown.
const SHOWN: usize = 10;

/// Asks libtorch all cases of the suites, and writes what it answers, or compares it with what was written.
pub fn record(suites: &[PathBuf], args: &RecordArgs) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    let all = cases.all();
    let questions = |index: usize| Request::from_case(all[index]).widened().contiguous();
    let jobs = jobs(args.jobs);
    if let Some(path) = &args.check {
        let recording = backends::recording(Some(path))?;
        return check(&recording, path, all.len(), &questions, jobs);
    }
    let workers = Workers::usual()?;
    let oracle = backends::open_oracle(&workers)?;
    let (oracle, arbiter) = (oracle.info().clone(), backends::arbiter().info().version.clone());
    let keep =
        |request: &Request, exact: &[StepAnswer], answer: &Response| RecordedCase::of(request, exact, answer);
    let recorded = ask(&workers, all.len(), &questions, jobs, &keep)?;
    let provenance = Provenance {
        oracle: oracle.name,
        version: oracle.version,
        arbiter,
        bncheck: env!("CARGO_PKG_VERSION").to_owned(),
        made: chrono::DateTime::<chrono::Utc>::from(SystemTime::now()).date_naive().to_string(),
        machine: runner::machine(),
        kernels: kernels(),
        cases: 0,
        questions: String::new(),
    };
    let unwritten = |why: String| CliError::Unrecorded { path: args.output.clone(), why };
    let file = recorded::write(provenance, &recorded).map_err(|why| unwritten(why.to_string()))?;
    put(&args.output, &file).map_err(|why| unwritten(why.to_string()))?;
    print(&format!("{} cases in {} bytes: {}\n", recorded.len(), file.len(), args.output.display()))?;
    Ok(Outcome::AsExpected)
}

/// Oracle and arbiter.
type Pair = (Box<dyn Responder>, Box<dyn Responder>);

/// Has libtorch and the arbiter answer each case; what `keep` makes of it, in the order of the cases.
fn ask<T: Send>(
    workers: &Workers,
    count: usize,
    questions: &(dyn Fn(usize) -> Request + Sync),
    jobs: usize,
    keep: &(dyn Fn(&Request, &[StepAnswer], &Response) -> T + Sync),
) -> Result<Vec<T>, CliError> {
    let open = || -> Result<Pair, CliError> { Ok((backends::open_oracle(workers)?, backends::arbiter())) };
    let work = |(oracle, arbiter): &mut Pair, index: usize| {
        let request = questions(index);
        let answer = oracle.respond(&request);
        let exact = match arbiter.respond(&request) {
            Response::Answered(exact) => exact,
            // Then the answer is kept as it is.
            _ => Vec::new(),
        };
        keep(&request, &exact, &answer)
    };
    let mut kept: Vec<Option<T>> = (0..count).map(|_| None).collect();
    let mut progress = Progress::new(count);
    let mut done = 0;
    parallel::each(jobs, count, &open, &work, &mut |index, piece| {
        kept[index] = Some(piece);
        done += 1;
        progress.case_done(done, &[]);
    })?;
    progress.finish();
    Ok(kept.into_iter().flatten().collect())
}

/// Beside the file first, and then in its place, so that there is never half of one.
fn put(path: &Path, file: &[u8]) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, file)?;
    std::fs::rename(&new, path)
}

/// Compares what was recorded with what libtorch answers now.
fn check(
    recording: &Recording,
    path: &Path,
    count: usize,
    questions: &(dyn Fn(usize) -> Request + Sync),
    jobs: usize,
) -> Result<Outcome, CliError> {
    let compare = |request: &Request, exact: &[StepAnswer], now: &Response| {
        let agreement = match recording.answer(request, exact) {
            Ok(recorded) => recorded::compare(request, exact, &recorded, now),
            Err(why) => Agreement::Apart(why.words().to_owned()),
        };
        (request.case.clone(), agreement)
    };
    let compared = ask(&Workers::usual()?, count, questions, jobs, &compare)?;
    let of = |wanted: &Agreement| compared.iter().filter(|(_, agreement)| agreement == wanted).count();
    let (to_the_bit, within) = (of(&Agreement::ToTheBit), of(&Agreement::Within));
    let mut apart: Vec<String> = compared
        .iter()
        .filter_map(|(case, agreement)| match agreement {
            Agreement::Apart(why) => Some(format!("{case}: {why}\n")),
            _ => None,
        })
        .collect();
    let more = recording.len().saturating_sub(to_the_bit + within + apart.len());
    if more > 0 {
        apart.push(format!("{more} cases of the recording are no cases of these suites\n"));
    }
    let mut text: String = apart.iter().take(SHOWN).map(String::as_str).collect();
    if apart.len() > SHOWN {
        let _ = writeln!(text, "and {} more", apart.len() - SHOWN);
    }
    let about = recording.provenance();
    let _ = writeln!(
        text,
        "{}: {} cases, {} kernels recorded, {} here: {to_the_bit} the same to the bit, {within} within what float64 \
         allows, {} apart",
        path.display(),
        about.cases,
        about.kernels,
        kernels(),
        apart.len()
    );
    print(&text)?;
    Ok(if apart.is_empty() { Outcome::AsExpected } else { Outcome::Mismatch })
}

/// The vector instructions that libtorch chooses its kernels by here.
fn kernels() -> String {
    if let Ok(wanted) = std::env::var("ATEN_CPU_CAPABILITY") {
        return wanted;
    }
    #[cfg(target_arch = "x86_64")]
    {
        let has_fma = is_x86_feature_detected!("fma");
        if has_fma && is_x86_feature_detected!("avx512f") {
            return "AVX512".to_owned();
        }
        if has_fma && is_x86_feature_detected!("avx2") {
            return "AVX2".to_owned();
        }
    }
    "default".to_owned()
}
