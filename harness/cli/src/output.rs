//! How results leave the program.

use bn_harness::results::RunResults;
use bn_reports::changes::{self, LISTED, Shown};
use bn_reports::terminal::Invocation;
use bn_reports::write::Written;
use bn_reports::{github, json, junit, scoreboard, terminal};

use crate::args::ReportFormat;
use crate::exit::{CliError, Outcome};

/// The results in a format, with what has changed since a baseline where there is one.
///
/// # Errors
/// When they cannot be shown in it.
pub fn shown(
    results: &RunResults,
    format: ReportFormat,
    invocation: &Invocation,
) -> Result<String, CliError> {
    let with_changes = |mut text: String| {
        if let Some(changes) = &results.changes {
            let all = "all of them in results.json".to_owned();
            text.push('\n');
            text += &changes::text(changes, &Shown { limit: Some(LISTED), all }, invocation);
        }
        text
    };
    Ok(match format {
        ReportFormat::Human => with_changes(terminal::run(results, invocation)),
        ReportFormat::Json => json::to_string(results),
        ReportFormat::Junit => junit::to_string(results)?,
        ReportFormat::Github => with_changes(github::run(results)),
        ReportFormat::Scoreboard => scoreboard::markdown(results),
    })
}

/// Says on standard error where what was written is.
pub fn say(written: &Written) {
    for (what, path) in &written.files {
        eprintln!("{what}: {}", path.display());
    }
    for dropped in &written.dropped {
        eprintln!("left out of the report: {dropped}");
    }
}

/// How a run with these results ends.
pub fn outcome(results: &RunResults) -> Outcome {
    if results.as_expected() { Outcome::AsExpected } else { Outcome::Mismatch }
}
