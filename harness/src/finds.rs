//! What a hunt through cases made by chance has found: one entry a bug, not one a case.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use crate::results::{
    CaseResult, ErrorResult, Machine, Mistake, RaisedError, StepResult, TensorResult, Verdict,
};

/// The property that is none of the metamorphic ones: a backend's answers are within the budget of the oracle's.
pub const DIFFERENTIAL: &str = "differential";

/// By what two failures of a backend are taken for the same bug, before anybody looks for the mistake: how it ends, at
/// which step, and what is the first thing that is wrong there, without the numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sign {
    /// How it ends.
    pub verdict: Verdict,
    /// The name of the first step that is wrong; empty where it is no step's.
    pub action: String,
    /// What is wrong there first.
    pub what: String,
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.verdict != Verdict::Fail {
            write!(f, "{}: ", self.verdict)?;
        }
        if self.action.is_empty() {
            write!(f, "{}", self.what)
        } else {
            write!(f, "{}: {}", self.action, self.what)
        }
    }
}

/// The most characters of a message that tell failures apart.
const MESSAGE: usize = 80;

impl Sign {
    /// Of an oracle that is in doubt.
    pub fn in_doubt(why: &str) -> Self {
        Sign { verdict: Verdict::Suspect, action: String::new(), what: without_numbers(why) }
    }

    /// Of a result that is not as expected.
    pub fn of(result: &CaseResult) -> Self {
        let shown = result.steps.iter().find_map(|step| Self::of_step(result.verdict, step));
        shown.unwrap_or_else(|| Sign {
            verdict: result.verdict,
            action: String::new(),
            what: without_numbers(result.reason.as_deref().unwrap_or("nothing is said")),
        })
    }

    /// Of what is wrong first at a step; nothing where nothing is.
    pub fn of_step(verdict: Verdict, step: &StepResult) -> Option<Self> {
        let what = first_wrong(step)?;
        // A forward is wrong in the same way whether a graph is kept or not.
        let action = step.action.strip_suffix(" (no_grad)").unwrap_or(&step.action).to_owned();
        Some(Sign { verdict, action, what })
    }
}

/// What is wrong with a result that is not as expected, in words.
pub fn describe(result: &CaseResult) -> String {
    let wrong = result.steps.iter().find_map(|step| Some((step, first_wrong(step)?)));
    let Some((step, what)) = wrong else {
        return format!("{}: {}", result.verdict, result.reason.as_deref().unwrap_or("nothing is said"));
    };
    let mut text = format!("step {}, {}: {what}", step.step, step.action);
    if let Some(ErrorResult { expected, got, .. }) = &step.error {
        for (who, error) in [("PyTorch", expected), ("the backend", got)] {
            if let Some(RaisedError { message, .. }) = error {
                let _ = write!(text, "; {who}: {message}");
            }
        }
        return text;
    }
    let Some(tensor) = step.tensors.iter().find(|tensor| is_wrong(tensor.verdict)) else { return text };
    if let Some(worst) = &tensor.worst {
        let (mismatched, total) = (tensor.mismatched, tensor.total);
        let (due, got) = (&worst.expected.decimal, &worst.got.decimal);
        let _ = write!(
            text,
            ", {mismatched} of {total} elements: at {:?} {due} is due and {got} came",
            worst.index
        );
        if let Some(budget) = worst.budget {
            let _ = write!(text, ", the budget is {budget:.2e}");
        }
    } else if let Some(note) = &tensor.note {
        let _ = write!(text, " ({note})");
    }
    text
}

fn is_wrong(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Fail | Verdict::Suspect)
}

fn first_wrong(step: &StepResult) -> Option<String> {
    let class = |error: &Option<RaisedError>| {
        error.as_ref().map_or_else(|| "no error".to_owned(), |error| format!("error {}", error.class))
    };
    if let Some(ErrorResult { verdict, expected, got }) = &step.error
        && is_wrong(*verdict)
    {
        return Some(format!("{} where {} is due", class(got), class(expected)));
    }
    let tensor = step.tensors.iter().find(|tensor| is_wrong(tensor.verdict))?;
    let what = format!("{} {}", tensor.tensor.tensor, how(tensor));
    // What is left behind by something that raises is another mistake than a wrong number.
    Some(match &step.error {
        Some(ErrorResult { expected: expected @ Some(_), .. }) => format!("{what} after {}", class(expected)),
        _ => what,
    })
}

/// How a tensor is wrong.
fn how(tensor: &TensorResult) -> String {
    let Some(worst) = &tensor.worst else {
        return match tensor.note.as_deref().unwrap_or_default() {
            note if note.starts_with("the answer's shape") => "is of another shape".to_owned(),
            note if note.starts_with("the answer is") => "is of another type".to_owned(),
            note => format!("cannot be compared: {}", without_numbers(note)),
        };
    };
    let class = |number: &str| match number.parse::<f64>() {
        Ok(number) if number.is_nan() => "NaN",
        Ok(number) if number.is_infinite() => "infinite",
        _ => "a number",
    };
    match (class(&worst.got.decimal), class(&worst.expected.decimal)) {
        ("a number", "a number") => "is off".to_owned(),
        (got, due) => format!("is {got} where {due} is due"),
    }
}

/// The beginning of a message, each word with a digit in it left out: numbers differ from case to case.
fn without_numbers(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let mut short = String::new();
    for word in line.split_whitespace() {
        let word = if word.contains(|char: char| char.is_ascii_digit()) { "…" } else { word };
        if !short.is_empty() {
            short.push(' ');
        }
        short.push_str(word);
        if short.chars().count() >= MESSAGE {
            break;
        }
    }
    short
}

/// The version of the form that the results of a hunt are written in; it grows when what read them no longer does.
pub const SCHEMA_VERSION: u32 = 1;

/// The results of a hunt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hunt {
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of bncheck.
    pub bncheck: String,
    /// Who said what is right.
    pub oracle: String,
    /// Where it ran.
    pub machine: Machine,
    /// The seed of the cases.
    pub seed: u64,
    /// How many cases were asked.
    pub cases: usize,
    /// How many of them this call asked; the others were asked before it was stopped.
    pub asked_now: usize,
    /// How long this call took, in milliseconds, without shrinking.
    pub duration_ms: u64,
    /// The properties, differential among them where it is.
    pub properties: Vec<String>,
    /// One entry a backend.
    pub backends: Vec<Hunted>,
    /// What of the format the cases have reached.
    pub coverage: Coverage,
    /// The bugs.
    pub finds: Vec<Find>,
    /// Failures that did not happen again.
    pub flaky: Vec<Flaky>,
    /// What of the recorded state could not be read, and was left out.
    pub unreadable: Vec<String>,
    /// Why it is not done, where it was stopped.
    pub incomplete: Option<String>,
}

/// What became of one backend.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Hunted {
    /// Its name.
    pub name: String,
    /// Cases it passed.
    pub passed: usize,
    /// Cases in which it deviates as declared.
    pub known: usize,
    /// Cases it cannot express.
    pub unsupported: usize,
    /// Cases of which nothing was compared.
    pub vacuous: usize,
    /// Cases in which something was found.
    pub failed: usize,
    /// How many times a metamorphic property was checked of it.
    pub properties_held: usize,
}

/// How much of what a case can be the cases were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Values of axes (a type, a rank, a step, a range of a number) that some case had.
    pub values: usize,
    /// Of so many.
    pub of_values: usize,
    /// Pairs of values of two axes that some case had.
    pub pairs: usize,
    /// Of so many; some of them cannot be.
    pub of_pairs: usize,
}

/// One bug.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Find {
    /// Whose it is; `oracle` where nobody is judged.
    pub backend: String,
    /// The property that does not hold.
    pub property: String,
    /// What it shows as.
    pub sign: Sign,
    /// In how many cases.
    pub times: usize,
    /// The first of them, by its id.
    pub first: String,
    /// What is wrong in the smallest case, in words.
    pub what: String,
    /// The known mistakes whose answer to it is the same, the closest first.
    pub diagnosis: Vec<Mistake>,
    /// How many steps the smallest case has.
    pub steps: usize,
    /// How many elements its largest input has.
    pub elements: usize,
    /// How many cases were asked about to make it smaller.
    pub tries: usize,
    /// The smallest case, as a suite of one.
    pub yaml: String,
    /// Where it is written.
    pub file: Option<String>,
}

/// A failure that did not happen again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaky {
    /// Whose it is.
    pub backend: String,
    /// The property that did not hold.
    pub property: String,
    /// The case, by its id.
    pub case: String,
    /// What it was at first.
    pub first: String,
    /// What it was when it was asked again.
    pub again: String,
}

/// How fast a hunt finds known mistakes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ByFuzz {
    /// The seeds of the hunts.
    pub seeds: Vec<u64>,
    /// How many cases each asks at the most.
    pub most: usize,
    /// One entry a mistake.
    pub faults: Vec<FaultHunt>,
    /// Cases that proved nothing, in all hunts.
    pub void: usize,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// What became of one mistake.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaultHunt {
    /// Its name.
    pub name: String,
    /// For each seed, which case found it, counted from 1.
    pub found: Vec<Option<usize>>,
    /// For each find, how small its case became.
    pub smallest: Vec<Smallest>,
    /// Why it is hard to find, where that is known.
    pub hard: Option<String>,
}

/// A find that was made smaller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Smallest {
    /// How many steps it has.
    pub steps: usize,
    /// How many elements its largest input has.
    pub elements: usize,
    /// Whether it is still a find, of the same sign and mistake.
    pub is_the_same: bool,
    /// The case, as a suite of one.
    pub yaml: String,
}

impl ByFuzz {
    /// For each mistake and seed the number of cases that it took, the fewest first; nothing where there was no find.
    pub fn cases(&self) -> Vec<Option<usize>> {
        let mut cases: Vec<Option<usize>> =
            self.faults.iter().flat_map(|fault| fault.found.iter().copied()).collect();
        cases.sort_by_key(|found| found.unwrap_or(usize::MAX));
        cases
    }

    /// The smallest cases.
    pub fn smallest(&self) -> impl Iterator<Item = &Smallest> {
        self.faults.iter().flat_map(|fault| &fault.smallest)
    }

    /// Whether half of the hunts took at most 300 cases and 95 % found something, what else was not found is known to be
    /// hard, and the smallest cases are as small as a person reads.
    pub fn as_expected(&self) -> bool {
        let cases = self.cases();
        let found = cases.iter().flatten().count();
        // A reason that is not needed any more must go.
        let is_wrong = |fault: &FaultHunt| fault.hard.is_none() == fault.found.contains(&None);
        let steps = self.at(0.5, |one| one.steps).zip(self.at(0.95, |one| one.steps));
        let elements = self.at(0.5, |one| one.elements).zip(self.at(0.95, |one| one.elements));
        !cases.is_empty()
            && cases[cases.len() / 2].is_some_and(|median| median <= 300)
            && found * 100 >= cases.len() * 95
            && !self.faults.iter().any(is_wrong)
            && self.smallest().all(|one| one.is_the_same)
            && steps.is_none_or(|(median, most)| median <= 2 && most <= 4)
            && elements.is_none_or(|(median, most)| median <= 32 && most <= 256)
    }

    /// What is not more than this in a share of the smallest cases.
    pub fn at(&self, share: f64, of: impl Fn(&Smallest) -> usize) -> Option<usize> {
        let mut values: Vec<usize> = self.smallest().map(of).collect();
        values.sort_unstable();
        let place = (share * values.len() as f64).ceil() as usize;
        values.get(place.saturating_sub(1)).copied()
    }
}

impl Hunt {
    /// Whether nothing was found, and something was asked.
    pub fn as_expected(&self) -> bool {
        self.finds.is_empty() && self.flaky.is_empty() && self.cases > 0 && self.incomplete.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_by_their_words_and_not_by_their_numbers() {
        let one = without_numbers("the worker was ended by signal 11 (SIGSEGV)\nat 0x7f");
        assert_eq!(one, "the worker was ended by signal … (SIGSEGV)");
        assert_eq!(without_numbers("step 3: 1.5e-7 is off"), without_numbers("step 12: 9.25 is off"));
    }
}
