//! `bncheck explain`.

use std::fmt::Write as _;
use std::path::PathBuf;

use bn_cases::case::PublishedAnswer;
use bn_reports::style::{BOLD, DIM, harmless};

use crate::backends;
use crate::commands::{invocation, print};
use crate::exit::{CliError, Outcome};
use crate::selection::Cases;

/// Prints what a case is, and which backends declare that they deviate in it.
pub fn explain(suites: &[PathBuf], id: &str) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    let case = cases.by_id(id)?;
    let mut text = format!(
        "{BOLD}{}{BOLD:#}\n{DIM}{}:{}{DIM:#}\n",
        case.id,
        harmless(&case.place.file),
        case.place.line
    );
    for about in [&case.suite_about, &case.spec.about].into_iter().flatten() {
        let _ = writeln!(text, "\n{}", harmless(about.trim()));
    }
    let _ = write!(text, "\n{}", case.describe());
    for (number, known) in case.published.iter().enumerate() {
        let what = match &known.what {
            PublishedAnswer::Tensor { tensor, values, .. } => format!("{tensor} is {values:?}"),
            PublishedAnswer::Error(class) => format!("it raises {class}"),
        };
        let source = known.source.as_ref().map(|source| format!(" ({source})")).unwrap_or_default();
        let lead = if number == 0 { "\nKnown from elsewhere:\n" } else { "" };
        let _ = writeln!(text, "{lead}  after step {}: {what}{}", known.step, harmless(&source));
    }
    let _ =
        writeln!(text, "\nAfter every step the whole observable state is compared with libtorch in float64.");
    if cases.own {
        let all = cases.all();
        for entry in backends::select(&[])? {
            for known in entry.deviations(&all)?.entries.iter().filter(|known| known.covers(case)) {
                let affected: Vec<String> = known.affects.iter().map(ToString::to_string).collect();
                let _ = writeln!(
                    text,
                    "\n{BOLD}{}{BOLD:#} is known to deviate: {} ({})\n  {}\n  {DIM}{}{DIM:#}",
                    entry.name,
                    known.name,
                    affected.join(", "),
                    known.reason.trim(),
                    known.link,
                );
            }
        }
    }
    let _ = writeln!(text, "\nrun it: {}", invocation(suites).replay(&case.id, None));
    print(&text)?;
    Ok(Outcome::AsExpected)
}
