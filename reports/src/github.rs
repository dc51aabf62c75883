//! Results as annotations of GitHub Actions: workflow commands that its runner reads from the log.

use std::collections::HashMap;
use std::fmt::Write as _;

use bn_harness::results::{CaseInfo, RunResults};

use crate::causes::{self, Cause};
use crate::style::{cut, one_line};
use crate::terminal::{self, Invocation, count};

/// How many annotations of a kind GitHub shows of a step.
pub const SHOWN: usize = 10;

/// How many wrong deviations are named in their annotation.
const NAMED: usize = 5;

/// Characters of a title; GitHub takes 255.
const TITLE: usize = 120;

/// What a step prints: the annotations, then the table of verdicts.
pub fn run(results: &RunResults) -> String {
    annotations(results) + &terminal::summary(results)
}

/// One `::error` for each cause, those of the most cases first, on the line of the suite that its first case is written
/// on. Of more than [`SHOWN`] the last one says how many the others are. Nothing where all is as expected.
pub fn annotations(results: &RunResults) -> String {
    let invocation = Invocation::of(results);
    let cases = causes::by_id(results);
    let causes = causes::of(results);
    let mut annotations: Vec<Annotation> = of_the_run(results);
    let room = SHOWN - annotations.len();
    let shown = if causes.len() > room { room - 1 } else { causes.len() };
    annotations.extend(causes[..shown].iter().map(|cause| of_cause(cause, &cases, &invocation)));
    let rest = &causes[shown..];
    if !rest.is_empty() {
        annotations.push(of_the_rest(rest));
    }
    annotations.iter().map(Annotation::line).collect()
}

/// What is wrong with the whole of it.
fn of_the_run(results: &RunResults) -> Vec<Annotation> {
    let mut annotations = Vec::new();
    let of = |title: &str, message: String| Annotation { place: None, title: title.to_owned(), message };
    if let Some(why) = &results.run.incomplete {
        annotations.push(of("the run is incomplete", one_line(why)));
    }
    let wrong = &results.deviation_errors;
    if !wrong.is_empty() {
        let mut lines: Vec<String> = wrong.iter().take(NAMED).map(|error| one_line(error)).collect();
        if wrong.len() > NAMED {
            lines.push(format!("and {} more", wrong.len() - NAMED));
        }
        let title = count(wrong.len(), "wrong declared deviation");
        annotations.push(of(&title, lines.join("\n")));
    }
    let counted = results.unexpected_not_listed();
    if counted > 0 {
        let message = "their like is listed, and summary.md has the numbers".to_owned();
        annotations
            .push(of(&format!("{} not as expected and not listed", count(counted, "result")), message));
    }
    let is_silent = annotations.is_empty() && results.unexpected_count() == 0;
    if is_silent && !results.as_expected() {
        annotations.push(of("nothing was compared", "no case was answered by any backend".to_owned()));
    }
    annotations
}

fn of_cause(cause: &Cause, cases: &HashMap<&str, &CaseInfo>, invocation: &Invocation) -> Annotation {
    let how_many = count(cause.cases(), "case");
    let who = cause.backend.map(|backend| one_line(&cut(backend, TITLE)) + ": ").unwrap_or_default();
    let title = format!("{who}{} in {how_many}", cause.verdict());
    let mut message = one_line(&cause.what);
    let mut place = None;
    if let Some(first) = cause.results.first() {
        let difference = one_line(&causes::difference(first));
        let is_said = difference == message;
        let lead = if cause.cases() > 1 { "first in" } else { "in" };
        let _ = write!(message, "\n{lead} {}", one_line(&first.case));
        if !is_said {
            let _ = write!(message, "\n{difference}");
        }
        let _ = write!(message, "\nreplay: {}", invocation.replay(&first.case, Some(&first.backend)));
        place = cases.get(first.case.as_str()).map(|case| (one_line(&case.file), case.line.max(1)));
    }
    Annotation { place, title, message }
}

fn of_the_rest(rest: &[Cause]) -> Annotation {
    let results = rest.iter().map(|cause| cause.results.len()).sum();
    let title = count(rest.len(), "more cause");
    let message = format!("{}, all of them in summary.md and results.json", count(results, "further result"));
    Annotation { place: None, title, message }
}

/// An annotation, of texts that are harmless already.
struct Annotation {
    place: Option<(String, usize)>,
    title: String,
    message: String,
}

impl Annotation {
    fn line(&self) -> String {
        let mut line = "::error ".to_owned();
        if let Some((file, number)) = &self.place {
            let _ = write!(line, "file={},line={number},", property(file));
        }
        let _ = writeln!(line, "title={}::{}", property(&self.title), data(&self.message));
        line
    }
}

/// What stands behind a command's `::`. The runner undoes this, `%25` last.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// What stands behind the `=` of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
