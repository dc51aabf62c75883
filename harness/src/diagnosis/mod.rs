//! What is the mistake? Failing cases are replayed against a catalogue of known ones.
//!
//! A mistake is suspected where its answer is the backend's: every tensor and every error of every step, those that
//! are right as well as those that are wrong. Where none is, two at once are tried, and where that fails too, nothing
//! is said. Of several suspects the likeliest reproduces the most failures, shows in the fewest cases that the backend
//! passes, and is the closest ([`rank`]).

mod fit;
pub mod measure;
mod pairs;
mod rank;

use std::borrow::Cow;
use std::collections::BTreeMap;

use bn_api::{Request, Responder, Response, StepAnswer};

use crate::judge::judge;
use crate::oracle::{Expected, Oracle};
use crate::parallel;
use crate::results::{BackendDiagnosis, CaseResult, Mistake, RunResults, StepResult, Verdict};
use crate::runner::{Source, step_names};
use fit::{Wrong, blurred};
use pairs::{answers, plausible};
use rank::Evidence;

/// How many failing cases of a backend are replayed.
pub const FAILING: usize = 20;

/// How many cases that a backend passes are asked about, to tell suspects apart.
const PASSING: usize = 40;

/// How many suspects are told apart.
const CONTENDERS: usize = 40;

/// How many pairs found in one case are tried on the others.
const PAIRS: usize = 12;

/// One mistake by its number in the catalogue, or two.
pub type Suspect = Vec<usize>;

/// Known mistakes, and who makes them.
pub trait Suspects {
    /// All there are.
    fn mistakes(&self) -> &[Mistake];

    /// The answer of someone who makes these mistakes; nothing where they cannot be made at once.
    fn answer(&mut self, which: &[usize], request: &Request) -> Option<Response>;
}

/// Everyone who answers, for one worker thread.
pub struct Lineup {
    /// libtorch, or what was recorded of it.
    pub oracle: Oracle,
    /// More accurate than float64.
    pub arbiter: Box<dyn Responder>,
    /// Whose mistakes are looked for.
    pub patients: Vec<Box<dyn Responder>>,
    /// The known mistakes.
    pub suspects: Box<dyn Suspects>,
}

/// Replays failures of a run, puts what reproduces them into their results, and what that says of each backend beside
/// them. `cases` are those that the results list; `open` makes a lineup for each of `jobs` threads, with the run's backends.
///
/// # Errors
/// When no lineup can be had.
pub fn diagnose<E: Send>(
    results: &mut RunResults,
    cases: &(impl Source + ?Sized),
    open: &(dyn Fn() -> Result<Lineup, E> + Sync),
    jobs: usize,
) -> Result<(), E> {
    let columns = results.run.backends.len();
    if columns == 0 || results.results.len() != cases.len() * columns {
        return Ok(());
    }
    let of = |backend: usize, verdict: Verdict| -> Vec<usize> {
        let verdicts = results.results.iter().skip(backend).step_by(columns).enumerate();
        verdicts.filter(|(_, result)| result.verdict == verdict).map(|(case, _)| case).collect()
    };
    let failing: Vec<Vec<usize>> = (0..columns).map(|backend| of(backend, Verdict::Fail)).collect();
    if failing.iter().all(Vec::is_empty) {
        return Ok(());
    }
    let passing = (0..columns).map(|backend| of(backend, Verdict::Pass)).collect();
    let question = Question {
        cases,
        failing,
        passing,
        blur: 0.0,
        jobs,
        declared: &|backend, case, steps| declared(&results.results[case * columns + backend], steps),
    };
    let found = question.examine(open)?;
    let names: Vec<String> = results.run.backends.iter().map(|backend| backend.name.clone()).collect();
    for (backend, (name, evidence)) in names.into_iter().zip(found).enumerate() {
        for (case, suspicions) in evidence.by_case() {
            results.results[case * columns + backend].diagnosis = suspicions;
        }
        let not_listed =
            results.left_out.count_of(|more| more.backend == name && more.verdict == Verdict::Fail);
        let failing = count_failing(&results.results, backend, columns) + not_listed;
        if failing > 0 {
            let (replayed, explanations) = (evidence.failures.len(), evidence.explanations());
            results.diagnoses.push(BackendDiagnosis { backend: name, failing, replayed, explanations });
        }
    }
    Ok(())
}

fn count_failing(results: &[CaseResult], backend: usize, columns: usize) -> usize {
    let of_backend = results.iter().skip(backend).step_by(columns);
    of_backend.filter(|result| result.verdict == Verdict::Fail).count()
}

/// What the run knows to be declared is declared here as well.
fn declared(result: &CaseResult, steps: &mut [StepResult]) {
    for (step, known) in steps.iter_mut().zip(&result.steps) {
        if let (Some(error), Some(known)) = (&mut step.error, &known.error)
            && known.verdict == Verdict::Known
        {
            error.verdict = Verdict::Known;
        }
        for tensor in &mut step.tensors {
            let known = known.tensors.iter().find(|known| known.tensor == tensor.tensor);
            if known.is_some_and(|known| known.verdict == Verdict::Known) {
                tensor.verdict = Verdict::Known;
            }
        }
    }
}

/// Turns the verdicts of a patient on a case into what is declared of them.
type Declared<'a> = dyn Fn(usize, usize, &mut [StepResult]) + Sync + 'a;

/// Whose failures are to be explained.
struct Question<'a, S: ?Sized> {
    cases: &'a S,
    /// The cases that each patient fails.
    failing: Vec<Vec<usize>>,
    /// The cases that each patient passes.
    passing: Vec<Vec<usize>>,
    /// The share of the budget by which the patients' answers are moved; 0 but for a measurement.
    blur: f64,
    jobs: usize,
    declared: &'a Declared<'a>,
}

/// A case, the patients who answer it, and the suspects that each of them is compared with.
type Visits = BTreeMap<usize, Vec<(usize, Option<Vec<Suspect>>)>>;

/// What fits one patient's answer to one case, and how closely.
struct Found {
    patient: usize,
    case: usize,
    fits: Vec<(Suspect, f64)>,
}

impl<S: Source + ?Sized> Question<'_, S> {
    /// What is found of each patient.
    fn examine<E: Send>(&self, open: &(dyn Fn() -> Result<Lineup, E> + Sync)) -> Result<Vec<Evidence>, E> {
        let catalogue = std::sync::Mutex::<Vec<Mistake>>::default();
        let open = || {
            let lineup = open()?;
            if let Ok(mut catalogue) = catalogue.lock() {
                lineup.suspects.mistakes().clone_into(&mut catalogue);
            }
            Ok(lineup)
        };
        let mut visits = Visits::new();
        for (patient, failing) in self.failing.iter().enumerate() {
            for case in self.spread(failing, FAILING) {
                visits.entry(case).or_default().push((patient, None));
            }
        }
        let mut evidence: Vec<Evidence> = self.failing.iter().map(|_| Evidence::default()).collect();
        for found in self.round(&visits, &open)? {
            evidence[found.patient].failures.insert(found.case, found.fits);
        }
        // A pair that was found in one case is tried on the others, where something else was enough.
        let mut visits = Visits::new();
        for (patient, evidence) in evidence.iter().enumerate() {
            let pairs = evidence.pairs(PAIRS);
            for &case in evidence.failures.keys().filter(|_| !pairs.is_empty()) {
                visits.entry(case).or_default().push((patient, Some(pairs.clone())));
            }
        }
        for found in self.round(&visits, &open)? {
            let known = evidence[found.patient].failures.entry(found.case).or_default();
            for (suspect, fit) in found.fits {
                if !known.iter().any(|(known, _)| *known == suspect) {
                    known.push((suspect, fit));
                }
            }
        }
        // Whoever would show where the patient passes is not it.
        let mut visits = Visits::new();
        for (patient, evidence) in evidence.iter().enumerate() {
            let contenders = evidence.contenders(CONTENDERS);
            if contenders.len() > 1 {
                for case in self.spread(&self.passing[patient], PASSING) {
                    visits.entry(case).or_default().push((patient, Some(contenders.clone())));
                }
            }
        }
        for found in self.round(&visits, &open)? {
            let asked = visits[&found.case].iter().find(|(patient, _)| *patient == found.patient);
            for suspect in asked.and_then(|(_, asked)| asked.as_ref()).into_iter().flatten() {
                if !found.fits.iter().any(|(fitting, _)| fitting == suspect) {
                    *evidence[found.patient].contradicted.entry(suspect.clone()).or_default() += 1;
                }
            }
        }
        let catalogue = catalogue.into_inner().unwrap_or_default();
        for evidence in &mut evidence {
            evidence.catalogue.clone_from(&catalogue);
        }
        Ok(evidence)
    }

    /// Up to `limit` of some cases, from every suite in turn.
    fn spread(&self, cases: &[usize], limit: usize) -> Vec<usize> {
        let mut suites: Vec<(Cow<'_, str>, Vec<usize>)> = Vec::new();
        for &case in cases {
            let suite = self.cases.suite(case);
            match suites.iter_mut().find(|(known, _)| *known == suite) {
                Some((_, of_suite)) => of_suite.push(case),
                None => suites.push((suite, vec![case])),
            }
        }
        let longest = suites.iter().map(|(_, of_suite)| of_suite.len()).max().unwrap_or(0);
        let in_turn = (0..longest).flat_map(|turn| suites.iter().filter_map(move |(_, of)| of.get(turn)));
        in_turn.take(limit).copied().collect()
    }

    fn round<E: Send>(
        &self,
        visits: &Visits,
        open: &(dyn Fn() -> Result<Lineup, E> + Sync),
    ) -> Result<Vec<Found>, E> {
        if visits.is_empty() {
            return Ok(Vec::new());
        }
        let visits: Vec<_> = visits.iter().collect();
        let mut found: Vec<Found> = Vec::new();
        let work = |lineup: &mut Lineup, index: usize| {
            let (&case, patients) = visits[index];
            self.visit(lineup, case, patients)
        };
        parallel::each(self.jobs, visits.len(), open, &work, &mut |_, of_case| found.extend(of_case))?;
        Ok(found)
    }

    /// Compares patients with suspects on one case. Nothing is said where there is no exact answer, or no other one.
    fn visit(
        &self,
        lineup: &mut Lineup,
        number: usize,
        patients: &[(usize, Option<Vec<Suspect>>)],
    ) -> Vec<Found> {
        let case = self.cases.case(number);
        let request = Request::from_case(&case);
        let Ok(expected) = lineup.oracle.expect(lineup.arbiter.as_mut(), &request) else {
            return Vec::new();
        };
        let names = step_names(&case);
        let mut known =
            Answers { suspects: lineup.suspects.as_mut(), request: &request, given: BTreeMap::new() };
        let mut found = Vec::new();
        for (patient, asked) in patients {
            let responder = &mut lineup.patients[*patient];
            let Response::Answered(mut answers) = responder.respond(&request) else { continue };
            if answers.len() != expected.steps.len() {
                continue;
            }
            if self.blur > 0.0 {
                answers = blurred(&expected, &answers, self.blur);
            }
            let mut steps = judge(&expected, expected.budget(), &answers, responder.info(), &names);
            (self.declared)(*patient, number, &mut steps);
            let wrong = Wrong::new(&expected, &answers, &steps, &names);
            let fits = match asked {
                Some(asked) => known.fitting(&wrong, asked.iter().cloned()),
                None if wrong.fails() => known.all(&wrong, responder.as_ref()),
                // The answer is another one than in the run.
                None => Vec::new(),
            };
            found.push(Found { patient: *patient, case: number, fits });
        }
        found
    }
}

/// Those of the suspects `which`, by their numbers in the catalogue, whose answer to a case is the same as these wrong
/// answers with these verdicts; for each, the share of what is allowed that it uses.
pub fn fitting(
    expected: &Expected<'_>,
    answers: &[StepAnswer],
    steps: &[StepResult],
    names: &[&'static str],
    suspects: &mut dyn Suspects,
    which: &[usize],
) -> Vec<(usize, f64)> {
    let wrong = Wrong::new(expected, answers, steps, names);
    if !wrong.fails() {
        return Vec::new();
    }
    let mut known = Answers { suspects, request: expected.request, given: BTreeMap::new() };
    let fits = known.fitting(&wrong, which.iter().map(|number| vec![*number]));
    fits.into_iter().map(|(suspect, fit)| (suspect[0], fit)).collect()
}

/// The suspects' answers to one request, each asked for once.
struct Answers<'a> {
    suspects: &'a mut dyn Suspects,
    request: &'a Request,
    given: BTreeMap<Suspect, Option<Response>>,
}

impl Answers<'_> {
    fn of(&mut self, suspect: &Suspect) -> Option<&[StepAnswer]> {
        let Answers { suspects, request, given } = self;
        let given = given.entry(suspect.clone()).or_insert_with(|| suspects.answer(suspect, request));
        answers(given.as_ref())
    }

    /// Those that fit, and how closely.
    fn fitting(&mut self, wrong: &Wrong<'_>, asked: impl Iterator<Item = Suspect>) -> Vec<(Suspect, f64)> {
        let mut fits = Vec::new();
        for suspect in asked {
            if let Some(fit) = self.of(&suspect).and_then(|answers| wrong.fit(answers)) {
                fits.push((suspect, fit));
            }
        }
        fits
    }

    /// All that fit alone, or, where none does, in pairs.
    fn all(&mut self, wrong: &Wrong<'_>, patient: &dyn Responder) -> Vec<(Suspect, f64)> {
        let count = self.suspects.mistakes().len();
        let singles = self.fitting(wrong, (0..count).map(|number| vec![number]));
        if !singles.is_empty() {
            return singles;
        }
        let singles: Vec<Option<Response>> =
            (0..count).map(|number| self.given.get(&vec![number]).cloned().flatten()).collect();
        let pairs = plausible(wrong, &singles, patient.info());
        self.fitting(wrong, pairs.into_iter().map(Vec::from))
    }
}
