//! `bncheck report`: the report again, of one run or of several merged into one.

use std::path::{Path, PathBuf};

use bn_harness::merge::{Merged, Source, merge};
use bn_harness::results::FaultMatrix;
use bn_reports::read::{self, locate};
use bn_reports::style::one_line;
use bn_reports::write::{Previous, write};

use crate::args::ReportArgs;
use crate::baseline;
use crate::commands::{invocation, print};
use crate::exit::{CliError, Outcome};
use crate::folder::Folder;
use crate::output;

/// Where `bncheck run` leaves its results.
const USUAL: &str = "target/bncheck";

/// Reads results, merges them where there are several, and writes and prints all that is made from them.
pub fn report(args: &ReportArgs) -> Result<Outcome, CliError> {
    let usual = [PathBuf::from(USUAL)];
    let inputs = if args.inputs.is_empty() { &usual[..] } else { &args.inputs[..] };
    let baseline = baseline::of(&args.baseline)?;
    let faults = args.faults.as_deref().map(read_faults).transpose()?;
    let mut sources = Vec::with_capacity(inputs.len());
    let mut is_damaged = false;
    for input in inputs {
        let reading = read::read(input)?;
        is_damaged |= reading.is_damaged;
        sources.push(Source { name: locate(input).display().to_string(), results: reading.results });
    }
    let Some(Merged { mut results, replaced, warnings }) = merge(sources) else {
        return Ok(Outcome::Mismatch);
    };
    for warning in &warnings {
        eprintln!("warning: {}", one_line(warning));
    }
    if replaced > 0 {
        let (are, of) = if replaced == 1 { ("result is", "it") } else { ("results are", "each") };
        eprintln!("{replaced} {are} in several files: of {of} the last one is kept");
    }
    if faults.is_some() {
        results.faults = faults;
    }
    if let Some(baseline) = &baseline {
        baseline.compare(&mut results, args.baseline.factor);
    }
    let folder = args.output.clone().unwrap_or_else(|| usual_output(inputs));
    let _taken = Folder::take(&folder)?;
    let written = write(&results, &folder, previous(inputs, &folder, is_damaged))?;
    print(&output::shown(&results, args.format, &invocation(&[]))?)?;
    output::say(&written);
    Ok(output::outcome(&results))
}

/// Beside the results where they are of one run, else where a run of all of them would leave its own.
fn usual_output(inputs: &[PathBuf]) -> PathBuf {
    let folder = |input: &PathBuf| locate(input).parent().map(Path::to_owned).unwrap_or_default();
    match inputs {
        [input] if folder(input).as_os_str().is_empty() => PathBuf::from("."),
        [input] => folder(input),
        _ => PathBuf::from(USUAL),
    }
}

/// What is already in the folder: where it is the very file that was read, it is not of an earlier run.
fn previous(inputs: &[PathBuf], folder: &Path, is_damaged: bool) -> Previous {
    let real = |path: &Path| path.canonicalize().ok();
    let is_same = |input: &PathBuf| {
        let input = real(&locate(input));
        input.is_some() && input == real(&folder.join("results.json"))
    };
    match inputs {
        [input] if is_same(input) && is_damaged => Previous::Damaged,
        [input] if is_same(input) => Previous::Replaced,
        _ => Previous::Kept,
    }
}

/// Reads what `bncheck faults` has written.
fn read_faults(path: &Path) -> Result<FaultMatrix, CliError> {
    let unreadable = |why: String| CliError::FaultsFile { path: path.to_owned(), why: one_line(&why) };
    let bytes = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))
}
