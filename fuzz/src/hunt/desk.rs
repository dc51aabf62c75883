//! One case, asked of everyone, and what is wrong with the answers.

use bn_api::{ErrorClass, Request, Responder, Response, StepAnswer};
use bn_cases::Case;
use bn_harness::budget::Accuracy;
use bn_harness::deviations::{Affected, Declared, Deviations};
use bn_harness::diagnosis::{Suspects, fitting};
use bn_harness::finds::{DIFFERENTIAL, Sign};
use bn_harness::oracle::{Expected, Oracle};
use bn_harness::results::{CaseResult, Verdict};
use bn_harness::runner::{Context, Overall, step_names};
use bn_harness::vacuity::Vacuity;

use crate::property::{Asked, Broken, Held, Property, Spot};
use crate::render;

/// Everyone who answers, for one thread.
pub struct Lineup {
    /// libtorch; where there is none, the arbiter alone says what is right.
    pub oracle: Oracle,
    /// More accurate than float64.
    pub arbiter: Box<dyn Responder>,
    /// Those that are hunted through.
    pub backends: Vec<Box<dyn Responder>>,
    /// The same with another number of threads, where that can be had.
    pub threads: Vec<Option<Box<dyn Responder>>>,
    /// The known mistakes.
    pub suspects: Box<dyn Suspects>,
}

/// Who is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The oracle itself is in doubt, and nobody is judged.
    Oracle,
    /// The backend with this number.
    Backend(usize),
}

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Whose it is.
    pub whose: Whose,
    /// The property that does not hold.
    pub property: &'static str,
    /// What it shows as.
    pub sign: Sign,
    /// In words.
    pub what: String,
}

/// What came of one case.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The verdict on each backend that was judged, by its number.
    pub verdicts: Vec<(usize, Verdict)>,
    /// The backends of which a metamorphic property was checked and held, once for each.
    pub held: Vec<usize>,
    /// What is wrong.
    pub failures: Vec<Failure>,
}

impl Outcome {
    /// What is wrong, in words, and whose it is, where the backends have these names.
    pub fn said(&self, names: &[String]) -> Vec<(String, String)> {
        let said = |failure: &Failure| {
            let whose = match failure.whose {
                Whose::Oracle => "oracle".to_owned(),
                Whose::Backend(number) => names.get(number).cloned().unwrap_or_default(),
            };
            let of = if failure.property == DIFFERENTIAL {
                String::new()
            } else {
                format!("{}: ", failure.property)
            };
            (whose, format!("{of}{}", failure.what))
        };
        self.failures.iter().map(said).collect()
    }
}

/// What is asked of a case.
#[derive(Clone, Copy)]
pub struct Question<'q> {
    /// Of which backend; of all where there is none.
    pub backend: Option<usize>,
    /// Whether it is said where an answer is not within the budget.
    pub differential: bool,
    /// What else must hold of a backend whose answer is.
    pub metamorphic: &'q [&'static dyn Property],
}

/// Everyone who answers on one thread, and what is declared of them.
pub struct Desk<'a> {
    lineup: Lineup,
    deviations: &'a [Deviations],
}

impl<'a> Desk<'a> {
    /// Everyone at their places.
    pub fn new(lineup: Lineup, deviations: &'a [Deviations]) -> Self {
        Desk { lineup, deviations }
    }

    /// The names of the backends.
    pub fn names(&self) -> Vec<String> {
        self.lineup.backends.iter().map(|backend| backend.info().name.clone()).collect()
    }

    /// Asks a question about a case.
    pub fn ask(&mut self, case: &Case, question: Question<'_>) -> Outcome {
        let request = Request::from_case(case);
        let mut outcome = Outcome::default();
        let expected = match self.expected(&request) {
            Ok(expected) => expected,
            Err(failure) => {
                outcome.failures.push(failure);
                return outcome;
            }
        };
        let vacuity = Vacuity::of(&expected, &[]);
        let names = step_names(case);
        let nothing = Deviations::default();
        let mut undeclared: Vec<(usize, Failure, Option<Case>)> = Vec::new();
        for (number, backend) in self.lineup.backends.iter_mut().enumerate() {
            if question.backend.is_some_and(|asked| asked != number) {
                continue;
            }
            let of_it = self.deviations.get(number).unwrap_or(&nothing);
            let declared = of_it.of(case);
            let response = backend.respond(&request);
            let context = context(&expected, &vacuity, backend.as_ref(), &names, &declared);
            let overall = context.verdict(&response, &mut Vec::new());
            outcome.verdicts.push((number, overall.verdict));
            if !overall.verdict.is_expected_of(true) {
                outcome.failures.extend(question.differential.then(|| differential(number, overall)));
                continue;
            }
            // What deviates as declared, or says nothing, need not agree with itself.
            let (Verdict::Pass | Verdict::Vacuous, Response::Answered(answers)) =
                (overall.verdict, &response)
            else {
                continue;
            };
            let threads: Option<&mut dyn Responder> = match self.lineup.threads.get_mut(number) {
                Some(Some(threads)) => Some(threads.as_mut()),
                _ => None,
            };
            let mut asked = Asked {
                request: &request,
                answers,
                expected: &expected,
                accuracy: Accuracy::Sound,
                backend: backend.as_mut(),
                threads,
            };
            for property in question.metamorphic {
                match property.check(&mut asked) {
                    Ok(Held::Yes) => outcome.held.push(number),
                    Ok(Held::NotHere(_)) => {}
                    Err(broken) => {
                        let failure = metamorphic(number, *property, &request, &broken);
                        let transformed =
                            if of_it.entries.is_empty() { None } else { transformed(&broken, &expected) };
                        let of_transformed =
                            transformed.as_ref().map(|case| of_it.of(case)).unwrap_or_default();
                        let either = [&declared, &of_transformed];
                        if !is_declared(either, *property, &mut asked, &broken, &failure) {
                            undeclared.push((number, failure, transformed));
                        }
                    }
                }
            }
        }
        for (number, failure, transformed) in undeclared {
            // Of a request in which the backend deviates as it declares, nothing follows.
            let question = Question { backend: Some(number), differential: true, metamorphic: &[] };
            let is_known =
                |case: &Case| self.ask(case, question).verdicts.contains(&(number, Verdict::Known));
            if !transformed.as_ref().is_some_and(is_known) {
                outcome.failures.push(failure);
            }
        }
        outcome
    }

    /// What libtorch's answer, or the arbiter's, is: the failure where there is none that can be relied on.
    fn expected<'r>(&mut self, request: &'r Request) -> Result<Expected<'r>, Failure> {
        let doubt = |why: String| {
            let sign = Sign::in_doubt(&why);
            Failure { whose: Whose::Oracle, property: DIFFERENTIAL, sign, what: why }
        };
        let expected = self.lineup.oracle.expect(self.lineup.arbiter.as_mut(), request).map_err(doubt)?;
        if let Some(first) = expected.doubts.first() {
            return Err(doubt(first.clone()));
        }
        // Whoever panics where an error is due would agree.
        let panics = expected.steps.iter().filter_map(|step| step.error.as_ref());
        match panics.into_iter().find(|error| error.class == ErrorClass::Panic) {
            Some(error) => Err(doubt(format!("it panicked: {}", error.message))),
            None => Ok(expected),
        }
    }

    /// Which of the known mistakes `which` give the answer that a backend gives to a case in which it fails, the closest
    /// first.
    pub fn diagnose(&mut self, case: &Case, backend: usize, which: &[usize]) -> Vec<usize> {
        let request = Request::from_case(case);
        let Ok(expected) = self.expected(&request) else { return Vec::new() };
        let vacuity = Vacuity::of(&expected, &[]);
        let names = step_names(case);
        let declared = self.deviations.get(backend).map(|of_it| of_it.of(case)).unwrap_or_default();
        let responder = &mut self.lineup.backends[backend];
        let response = responder.respond(&request);
        let context = context(&expected, &vacuity, responder.as_ref(), &names, &declared);
        let Overall { steps, .. } = context.verdict(&response, &mut Vec::new());
        let Response::Answered(answers) = response else { return Vec::new() };
        if answers.len() != expected.steps.len() {
            return Vec::new();
        }
        let suspects = self.lineup.suspects.as_mut();
        let mut fits = fitting(&expected, &answers, &steps, &names, suspects, which);
        fits.sort_by(|one, other| one.1.total_cmp(&other.1));
        fits.into_iter().map(|(number, _)| number).collect()
    }

    /// The known mistakes.
    pub fn suspects(&self) -> &dyn Suspects {
        self.lineup.suspects.as_ref()
    }
}

/// The changed request that shows what does not hold, as a case in which the same errors are due as in the original.
fn transformed(broken: &Broken, expected: &Expected<'_>) -> Option<Case> {
    let errors: Vec<Option<ErrorClass>> =
        expected.steps.iter().map(|step| step.error.as_ref().map(|error| error.class)).collect();
    render::of_request(broken.transformed.as_ref()?, &errors).ok()
}

/// Whether what does not hold of a backend is what it declares of the request or of the changed one: that it shows so, or that
/// it holds with what is claimed of the tensor's accuracy.
fn is_declared(
    declared: [&Declared<'_>; 2],
    property: &dyn Property,
    asked: &mut Asked<'_>,
    broken: &Broken,
    failure: &Failure,
) -> bool {
    let shown = format!("{}: {}", property.name(), failure.sign);
    if declared.iter().flat_map(|of_case| &of_case.showing).any(|(_, entry)| entry.shows(&shown)) {
        return true;
    }
    let Some(tensor) = broken.spot.as_ref().and_then(|spot| spot.tensor.as_ref()) else { return false };
    let covering = declared.iter().flat_map(|of_case| &of_case.covering);
    let mut claimed: Vec<Accuracy> = covering
        .filter(|(_, entry)| entry.covers_what(Affected::Tensor(tensor.tensor)))
        .filter_map(|(_, entry)| entry.accuracy)
        .collect();
    claimed.dedup();
    let own = asked.accuracy;
    let holds = claimed.into_iter().any(|accuracy| {
        asked.accuracy = accuracy;
        property.check(asked).is_ok()
    });
    asked.accuracy = own;
    holds
}

fn context<'c>(
    expected: &'c Expected<'c>,
    vacuity: &'c Vacuity<'c>,
    backend: &'c dyn Responder,
    names: &'c [&'static str],
    declared: &'c Declared<'c>,
) -> Context<'c> {
    const NOTHING: &[StepAnswer] = &[];
    Context { expected, vacuity, backend, latest: NOTHING, names, declared }
}

/// The failure of a backend whose answer is not within the budget.
fn differential(backend: usize, overall: Overall) -> Failure {
    let result = CaseResult {
        case: String::new(),
        backend: String::new(),
        verdict: overall.verdict,
        reason: overall.reason,
        budget_used: None,
        steps: overall.steps,
        diagnosis: Vec::new(),
        micros: 0,
    };
    let (sign, what) = (Sign::of(&result), bn_harness::finds::describe(&result));
    Failure { whose: Whose::Backend(backend), property: DIFFERENTIAL, sign, what }
}

/// The failure of a backend whose answers do not agree with each other.
fn metamorphic(
    backend: usize,
    property: &'static dyn Property,
    request: &Request,
    broken: &Broken,
) -> Failure {
    let shown_by = broken.transformed.as_ref().unwrap_or(request);
    let (action, what) = match &broken.spot {
        Some(Spot { step, tensor }) => {
            let action = step.checked_sub(1).and_then(|index| shown_by.actions.get(index));
            let what = tensor.as_ref().map_or_else(|| "the error".to_owned(), |name| name.tensor.to_string());
            (action.map_or("new layer", bn_api::Action::name).to_owned(), what)
        }
        None => (String::new(), "the answer".to_owned()),
    };
    let sign = Sign { verdict: Verdict::Fail, action, what };
    Failure { whose: Whose::Backend(backend), property: property.name(), sign, what: broken.what.clone() }
}
