//! `bncheck audit`: bncheck's semantics against a recording of PyTorch itself.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use bn_api::Request;
use bn_harness::audit::{self, RecordingError};
use bn_reports::style::harmless;
use flate2::read::GzDecoder;

use crate::backends::{self, Workers};
use crate::commands::print;
use crate::exit::{CliError, Outcome};
use crate::selection::Cases;

/// The lines of a recording, unpacked where its name ends in `.gz`.
fn reader(path: &Path, file: File) -> Box<dyn BufRead> {
    if path.extension().is_some_and(|ending| ending == "gz") {
        Box::new(BufReader::new(GzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    }
}

/// Compares every recorded case with what the oracle and the backend `libtorch` answer.
pub fn audit(suites: &[PathBuf], recording: &Path) -> Result<Outcome, CliError> {
    let unreadable = |error: RecordingError| CliError::Recording { path: recording.to_owned(), error };
    let file = File::open(recording).map_err(|error| unreadable(error.into()))?;
    let (provenance, recorded) = audit::read(reader(recording, file)).map_err(unreadable)?;
    let cases = Cases::load(suites)?;
    let mut libtorch = backends::open_oracle(&Workers::usual()?)?;
    let mut text = format!(
        "recorded on {} with PyTorch {} ({}): {}\n",
        provenance.made, provenance.torch, provenance.capability, provenance.command
    );
    let same_kernels = audit::same_kernels(&provenance);
    if !same_kernels {
        text += "libtorch uses other kernels here: tensors are compared within the budgets, not to the bit\n";
    }
    let (mut agreed, mut disagreed, mut exempt) = (0, 0, Vec::new());
    for known in &recorded {
        let case = cases.by_id(&known.case)?;
        let found = audit::compare(&Request::from_case(&case), known, libtorch.as_mut(), same_kernels);
        if found.disagreements.is_empty() {
            agreed += 1;
        } else {
            disagreed += 1;
        }
        for difference in found.disagreements {
            let _ = writeln!(text, "{}", harmless(&difference));
        }
        exempt.extend(found.exempt);
    }
    let missing =
        cases.all().iter().filter(|case| !recorded.iter().any(|known| known.case == case.id)).count();
    if let Some(reason) = exempt.first() {
        let _ = writeln!(text, "{} cases are compared in part: not {reason}", exempt.len());
    }
    let _ = writeln!(text, "{agreed} cases agree, {disagreed} do not, {missing} are not in the recording");
    print(&text)?;
    Ok(if disagreed == 0 && agreed > 0 { Outcome::AsExpected } else { Outcome::Mismatch })
}
