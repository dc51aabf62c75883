//! `bncheck explain`.

use std::fmt::Write as _;
use std::path::PathBuf;

use bn_cases::Suite;
use bn_cases::case::PublishedAnswer;
use bn_reports::style::{BOLD, DIM, harmless};

use crate::backends;
use crate::commands::{invocation, print};
use crate::exit::{CliError, Outcome};
use crate::selection::Cases;

/// Prints what a case is, and which backends declare that they deviate in it; of a suite, what it teaches.
pub fn explain(suites: &[PathBuf], id: &str) -> Result<Outcome, CliError> {
    let cases = Cases::load(suites)?;
    if let Some(suite) = cases.suite(id) {
        print(&suite_text(suite, suites))?;
        return Ok(Outcome::AsExpected);
    }
    let case = cases.by_id(id)?;
    let mut text = format!(
        "{BOLD}{}{BOLD:#}\n{DIM}{}:{}{DIM:#}\n",
        case.id,
        harmless(&case.place.file),
        case.place.line
    );
    for about in [&case.suite_about, &case.about].into_iter().flatten() {
        let _ = writeln!(text, "\n{}", harmless(about.trim()));
    }
    if case.story.is_some() {
        let _ = writeln!(
            text,
            "\n{DIM}the story of these cases: {}{DIM:#}",
            invocation(suites).explain(&case.suite)
        );
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
            for known in entry.deviations(&all)?.entries.iter().filter(|known| known.covers(&case)) {
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

/// What a suite shows and teaches, and its cases, each name once with what it shows.
fn suite_text(suite: &Suite, suites: &[PathBuf]) -> String {
    let mut text = format!("{BOLD}{}{BOLD:#}\n", suite.name);
    if let Some(about) = &suite.about {
        let _ = writeln!(text, "\n{}", wrapped(about, ""));
    }
    if let Some(story) = &suite.story {
        let parts = [
            ("Formula", &story.formula),
            ("What goes wrong", &story.goes_wrong),
            ("What is right", &story.right),
        ];
        for (title, part) in parts {
            let _ = writeln!(text, "\n{BOLD}{title}{BOLD:#}\n{}", wrapped(part, "  "));
        }
        let _ = writeln!(text, "\n{BOLD}Documented{BOLD:#}");
        for link in &story.documented {
            let _ = writeln!(text, "  {}", harmless(link.trim()));
        }
    }
    let _ = writeln!(text, "\n{BOLD}Cases{BOLD:#}");
    let mut cases = suite.cases.iter().peekable();
    while let Some(first) = cases.next() {
        let mut count = 1;
        while cases.next_if(|case| case.name == first.name).is_some() {
            count += 1;
        }
        let times = if count == 1 { String::new() } else { format!(" {DIM}× {count}{DIM:#}") };
        let _ = writeln!(text, "  {}{times}", first.name);
        if let Some(about) = &first.about {
            let _ = writeln!(text, "{}", wrapped(about, "    "));
        }
    }
    let _ = writeln!(text, "\nrun them: {}", invocation(suites).run(&format!("{}/*", suite.name)));
    text
}

/// Prose in lines of at most 100 columns, each behind `indent`. Lines that a text has of its own, such as those of a
/// formula, stay.
fn wrapped(prose: &str, indent: &str) -> String {
    let options = textwrap::Options::new(100).initial_indent(indent).subsequent_indent(indent);
    textwrap::fill(&harmless(prose.trim()), options)
}
