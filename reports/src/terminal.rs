//! Results as text for a terminal.

use std::fmt::Write as _;

use bn_harness::results::{
    CaseInfo, CaseResult, ErrorResult, RunResults, StepResult, TensorResult, Verdict, Worst,
};

use crate::diagnosis;
use crate::style::{BOLD, DIM, is_hostile, of, one_line, paint, passage};
use crate::tally::{Tally, not_listed, outcome, unrecorded};

/// How many mismatching cases are shown in full after a run.
const SHOWN_IN_FULL: usize = 10;

/// How the user called bncheck, for lines to copy.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// The program, as it was typed.
    pub program: String,
    /// The suites that were named; none when the checkout's own were run.
    pub suites: Vec<String>,
    /// The commands of backends that are programs of the user's own, as they were given, by the backend's name.
    pub commands: Vec<(String, String)>,
    /// The file that names other programs of the user's own, where it was given and not found.
    pub config: Option<String>,
}

impl Invocation {
    /// What to type to see cases of these results again, with the suites that were named for them.
    pub fn of(results: &RunResults) -> Self {
        let mut suites: Vec<String> = Vec::new();
        for path in results.run.selections.iter().flat_map(|selection| &selection.suites) {
            if !suites.contains(path) {
                suites.push(path.clone());
            }
        }
        let config = values(results, "--config").pop();
        Invocation { program: "bncheck".to_owned(), suites, commands: commands(results), config }
    }

    /// What to type to see one case again, on one backend or on all.
    pub fn replay(&self, case: &str, backend: Option<&str>) -> String {
        // An id that cannot be shown as it is cannot be typed either, but there is a pattern that takes it.
        let case = if one_line(case) == case {
            ["replay".to_owned(), quoted(case)]
        } else {
            ["run".to_owned(), quoted(&pattern_of(case))]
        };
        let mut arguments = Vec::from(case);
        arguments.extend(backend.map(
            |backend| match self.commands.iter().find(|(name, _)| name == backend) {
                Some((_, command)) => format!("--backend-cmd {}", shell_word(command)),
                None => format!("--backend {}", shell_word(backend)),
            },
        ));
        arguments.extend(self.config.as_ref().map(|path| format!("--config {}", shell_word(path))));
        self.line(&arguments)
    }

    /// What to type to run the cases that a pattern takes.
    pub fn run(&self, pattern: &str) -> String {
        self.line(&["run".to_owned(), quoted(pattern)])
    }

    /// What to type to read the story of a suite.
    pub fn explain(&self, suite: &str) -> String {
        self.line(&["explain".to_owned(), shell_word(suite)])
    }

    fn line(&self, arguments: &[String]) -> String {
        let mut line = format!("{} {}", shell_word(&self.program), arguments.join(" "));
        if !self.suites.is_empty() {
            line += " --suites";
        }
        for path in &self.suites {
            let _ = write!(line, " {}", shell_word(path));
        }
        line
    }
}

/// The commands of the backends that were given as `--backend-cmd`, by name: theirs are the last columns.
fn commands(results: &RunResults) -> Vec<(String, String)> {
    let commands = values(results, "--backend-cmd");
    let columns = &results.run.backends;
    let own = columns.iter().skip(columns.len().saturating_sub(commands.len()));
    own.map(|column| column.name.clone()).zip(commands).collect()
}

/// What was given as this flag, each time.
fn values(results: &RunResults, name: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut flags = results.run.flags.iter();
    while let Some(flag) = flags.next() {
        match flag.strip_prefix(name) {
            Some("") => values.extend(flags.next().cloned()),
            Some(value) => values.extend(value.strip_prefix('=').map(str::to_owned)),
            None => {}
        }
    }
    values
}

/// A text as one word of a shell's command line.
fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+=:,@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text.to_owned() } else { quoted(text) }
}

/// A filter's pattern that takes this id, of characters that can be typed.
fn pattern_of(case: &str) -> String {
    const ENDS: usize = 100;
    let one = |c: char| if is_hostile(c) || "!=:#\"".contains(c) { '?' } else { c };
    let count = case.chars().count();
    if count <= 2 * ENDS {
        return case.chars().map(one).collect();
    }
    let (head, tail) = (case.chars().take(ENDS), case.chars().skip(count - ENDS));
    head.map(one).chain(['*']).chain(tail.map(one)).collect()
}

fn quoted(text: &str) -> String {
    format!("'{}'", one_line(text).replace('\'', r"'\''"))
}

/// The end of a run: what is not as expected, then the table of verdicts.
pub fn run(results: &RunResults, invocation: &Invocation) -> String {
    let mut text = String::new();
    let unexpected: Vec<&CaseResult> = results.unexpected().collect();
    for result in unexpected.iter().take(SHOWN_IN_FULL) {
        text += &mismatch(results, result, invocation);
        text.push('\n');
    }
    if unexpected.len() > SHOWN_IN_FULL {
        let rest = unexpected.len() - SHOWN_IN_FULL;
        let _ = match results.unexpected_not_listed() {
            0 => writeln!(text, "… and {rest} more, all of them in results.json\n"),
            counted => writeln!(text, "… and {} more, {rest} of them in results.json\n", rest + counted),
        };
    }
    if !results.diagnoses.is_empty() {
        text += &diagnosis::of_backends(&results.diagnoses);
        text.push('\n');
    }
    for error in &results.deviation_errors {
        let _ = writeln!(text, "{}  {}", paint(of(Verdict::Error), "deviations"), indented(error, 12));
    }
    if !results.deviation_errors.is_empty() {
        text.push('\n');
    }
    text + &summary(results)
}

/// The table of verdicts and the line below it.
pub fn summary(results: &RunResults) -> String {
    let tally = Tally::of_run(results);
    let shown = tally.shown();
    let names: Vec<String> = results.run.backends.iter().map(|backend| one_line(&backend.name)).collect();
    let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(7);
    let mut text = format!("{BOLD}{:name_width$}{BOLD:#}", "backend");
    for verdict in &shown {
        let _ = write!(text, "  {:>11}", verdict.name());
    }
    let _ = writeln!(text, "  {:>11}  version", "budget used");
    for (backend, name) in results.run.backends.iter().zip(names) {
        let _ = write!(text, "{BOLD}{name:name_width$}{BOLD:#}");
        for &verdict in &shown {
            let count = tally.count(&backend.name, verdict);
            let style = if count == 0 { DIM } else { of(verdict) };
            let _ = write!(text, "  {style}{count:>11}{style:#}");
        }
        let used = tally.used(&backend.name).map_or_else(|| "-".to_owned(), budget_used);
        let _ = writeln!(text, "  {used:>11}  {DIM}{}{DIM:#}", one_line(&backend.version));
    }
    let _ = writeln!(
        text,
        "\n{} × {} against {} in {:.1} s, {} at a time",
        count(results.case_count(), "case"),
        count(results.run.backends.len(), "backend"),
        one_line(&results.run.oracle),
        results.run.duration_ms as f64 / 1000.0,
        results.run.jobs,
    );
    if let Some(seed) = results.run.seed {
        let _ = writeln!(text, "the cases are made by chance, of seed {seed}");
    }
    for sentence in not_listed(results, |count| count.to_string()) {
        let _ = writeln!(text, "{sentence}");
    }
    for alone in unrecorded(results, |count| count.to_string()) {
        let _ = writeln!(text, "{alone}");
    }
    if let Some(why) = &results.run.incomplete {
        let _ = writeln!(text, "{}: {}", paint(of(Verdict::Error), "incomplete"), one_line(why));
    }
    let outcome = outcome(results, |unexpected| unexpected.to_string());
    let outcome = match (results.as_expected(), results.compares()) {
        (true, false) => outcome,
        (true, true) => paint(of(Verdict::Pass), &outcome),
        (false, _) => paint(of(Verdict::Fail), &outcome),
    };
    let _ = writeln!(text, "{outcome}");
    text
}

/// One result that is not as expected: where it is written, what differs first, how to see it again.
pub fn mismatch(results: &RunResults, result: &CaseResult, invocation: &Invocation) -> String {
    mismatch_of(results.cases.iter().find(|case| case.id == result.case), result, invocation)
}

/// The same, where the case is known.
pub fn mismatch_of(case: Option<&CaseInfo>, result: &CaseResult, invocation: &Invocation) -> String {
    let mut text = heading(result);
    if let Some(case) = case {
        let _ = writeln!(text, "  {DIM}{}{DIM:#}", place(case));
    }
    if let Some(reason) = &result.reason {
        let _ = writeln!(text, "  {}", indented(reason, 2));
    }
    // What follows a first mismatch is often its consequence: one step in full, the others counted.
    let is_wrong = |step: &&StepResult| step.wrong().next().is_some();
    let mut wrong = result.steps.iter().filter(is_wrong);
    if let Some(step) = wrong.next() {
        text += &step_text(step, false);
    }
    let later = wrong.count();
    if later > 0 {
        let _ = writeln!(text, "  {DIM}{} as well{DIM:#}", differ(later));
    }
    text += &diagnosis::of_case(result);
    let _ = writeln!(text, "  replay: {}", invocation.replay(&result.case, Some(&result.backend)));
    text
}

/// Everything about one result, step by step.
pub fn full(result: &CaseResult) -> String {
    let mut text = heading(result);
    if let Some(reason) = &result.reason {
        let _ = writeln!(text, "  {}", indented(reason, 2));
    }
    for step in &result.steps {
        text += &step_text(step, true);
    }
    text + &diagnosis::of_case(result)
}

fn heading(result: &CaseResult) -> String {
    let verdict = paint(of(result.verdict), result.verdict.name());
    format!("{verdict}  {BOLD}{}{BOLD:#}  {}\n", one_line(&result.backend), one_line(&result.case))
}

/// Where a case is written.
pub(crate) fn place(case: &CaseInfo) -> String {
    format!("{}:{}", one_line(&case.file), case.line)
}

/// Columns of the longest name of a tensor, `num_batches_tracked`.
const LONGEST_NAME: usize = 19;

fn step_text(step: &StepResult, everything: bool) -> String {
    let mut text = format!("  step {} ({})\n", step.step, one_line(&step.action));
    let shown = |tensor: &&TensorResult| {
        everything || tensor.verdict == Verdict::Fail || tensor.verdict == Verdict::Suspect
    };
    // In a model, names carry the paths of their layers.
    let names = step.tensors.iter().filter(shown).map(|tensor| name(tensor).chars().count());
    let width = names.max().unwrap_or(0).max(LONGEST_NAME);
    if let Some(error) = &step.error {
        text += &error_text(error, width);
    }
    for tensor in step.tensors.iter().filter(shown) {
        text += &tensor_text(tensor, width);
    }
    text
}

fn name(tensor: &TensorResult) -> String {
    one_line(&tensor.tensor.to_string())
}

fn error_text(error: &ErrorResult, width: usize) -> String {
    let verdict = paint(of(error.verdict), &format!("{:<11}", error.verdict.name()));
    let said = match (&error.expected, &error.got) {
        (Some(expected), Some(got)) => {
            format!("raises {} as it should: {}", expected.class, got.message)
        }
        (Some(expected), None) => {
            format!("accepts what PyTorch rejects with {}: {}", expected.class, expected.message)
        }
        (None, Some(got)) => format!("raises an error where PyTorch raises none: {}", got.message),
        (None, None) => String::new(),
    };
    format!("    {verdict}  {BOLD}{:<width$}{BOLD:#}  {}\n", "error", indented(&said, 6))
}

fn tensor_text(tensor: &TensorResult, width: usize) -> String {
    let verdict = paint(of(tensor.verdict), &format!("{:<11}", tensor.verdict.name()));
    let mut text = format!("    {verdict}  {BOLD}{:<width$}{BOLD:#}", name(tensor));
    if tensor.mismatched > 0 {
        let _ = write!(text, "  mismatches {} of {}", tensor.mismatched, tensor.total);
    }
    if let Some(used) = tensor.budget_used {
        let _ = write!(text, "  budget used {}", budget_used(used));
    }
    text.push('\n');
    if let Some(note) = &tensor.note {
        let _ = writeln!(text, "      {}", indented(note, 6));
    }
    if let Some(worst) = &tensor.worst {
        text += &worst_text(worst);
    }
    text
}

fn worst_text(worst: &Worst) -> String {
    let sides = [("expected", &worst.expected), ("got", &worst.got)]
        .map(|(side, number)| (side, one_line(&number.decimal), one_line(&number.bits)));
    let width = sides.iter().map(|(_, decimal, _)| decimal.chars().count()).max().unwrap_or(0);
    let mut text = match &worst.index[..] {
        // A scalar has but one.
        [] => "      its only element\n".to_owned(),
        index => format!("      worst at {index:?}\n"),
    };
    for (side, decimal, bits) in sides {
        let _ = writeln!(text, "        {side:<8}  {decimal:>width$}  {DIM}{bits}{DIM:#}");
    }
    let apart = match worst.ulps {
        Some(ulps) => format!("{} ulp apart", thousands(ulps)),
        None => "not the same kind of number".to_owned(),
    };
    let allowed = match worst.budget {
        Some(0.0) => ", must be exact".to_owned(),
        Some(budget) => format!(", allowed ± {budget:.3e}"),
        None => String::new(),
    };
    let _ = writeln!(text, "        {apart}{allowed}");
    text
}

/// A share of the budget, short: 0.31, 12.5, 3.2e6.
pub fn budget_used(share: f64) -> String {
    match share {
        0.0 => "0".to_owned(),
        share if share < 0.001 => format!("{share:.0e}"),
        share if share < 10.0 => format!("{share:.3}"),
        share if share < 1e4 => format!("{share:.1}"),
        share => format!("{share:.1e}"),
    }
}

pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// "1 case", "2 cases".
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn differ(later_steps: usize) -> String {
    format!("{} {}", count(later_steps, "later step"), if later_steps == 1 { "differs" } else { "differ" })
}

/// Later lines set in as the first.
fn indented(text: &str, by: usize) -> String {
    passage(text).replace('\n', &format!("\n{:by$}", ""))
}
