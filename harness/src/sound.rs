//! Are the budgets wide enough? Implementations that are known to be sound answer cases, and none may fail any.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use bn_api::{DType, ErrorClass, Observable, Request, Responder, Response, StepAnswer, TensorName};
use bn_cases::Case;
use bn_cases::case::Published;
use serde::{Deserialize, Serialize};

use crate::judge::{check_published, judge_step};
use crate::oracle::{Expected, Oracle};
use crate::parallel;
use crate::results::{StepResult, TensorResult, Verdict, Worst};
use crate::runner::step_names;

/// A case to be judged.
pub struct Question<'a> {
    /// The case.
    pub case: Cow<'a, Case>,
    /// The suite that it is the only case of, where it is in no file.
    pub yaml: Option<String>,
}

/// Everyone who answers, and who asks, for one thread.
pub struct Lineup<'a> {
    /// Who knows the exact answers when asked in float64. Without it the arbiter does.
    pub oracle: Oracle,
    /// Who knows them beyond float64.
    pub arbiter: Box<dyn Responder>,
    /// The methods, in the order of the results.
    pub methods: Vec<Box<dyn Responder>>,
    /// Makes the question of a number. Fails with what is wrong with it.
    pub question: Box<dyn FnMut(usize) -> Result<Question<'a>, String> + 'a>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SoundResults {
    /// How many cases were asked.
    pub cases: usize,
    /// One entry a method.
    pub methods: Vec<MethodResult>,
    /// The cases with false alarms, in the order in which they were asked.
    pub alarms: Vec<CaseAlarms>,
}

/// What came of one method.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct MethodResult {
    /// Its name.
    pub name: String,
    /// What it does.
    pub about: String,
    /// The cases of which something was compared.
    pub judged: usize,
    /// The cases in which it had a false alarm.
    pub alarms: usize,
    /// For each tensor and type, the largest budget used.
    pub uses: Vec<Use>,
}

/// The largest budget used of some tensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Use {
    /// Which tensor.
    pub tensor: Observable,
    /// Of which type.
    pub dtype: DType,
    /// The error over the budget.
    pub used: f64,
    /// The case's id, or that of a generated one.
    pub case: String,
    /// The step.
    pub step: usize,
    /// The case's number among those asked.
    #[serde(skip)]
    number: usize,
}

/// A case with false alarms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseAlarms {
    /// Its number among those asked.
    pub number: usize,
    /// Its id.
    pub case: String,
    /// The suite that it is the only case of, where it is in no file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub yaml: Option<String>,
    /// The alarms: for each method the first of each step.
    pub alarms: Vec<Alarm>,
}

/// A false alarm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// The method; the oracle where that is in doubt.
    pub method: String,
    /// The number of the step; 0 is the layer as constructed.
    pub step: usize,
    /// The step's name; empty where no step was answered.
    pub action: String,
    /// The tensor; nothing where it is none.
    pub tensor: Option<TensorName>,
    /// Its error over its budget, where that is a number.
    pub budget_used: Option<f64>,
    /// The worst element.
    pub worst: Option<Worst>,
    /// What is wrong, where it is no number.
    pub note: Option<String>,
}

impl SoundResults {
    /// Whether there was no false alarm, and every method had something judged.
    pub fn as_expected(&self) -> bool {
        self.alarms.is_empty()
            && !self.methods.is_empty()
            && self.methods.iter().all(|method| method.judged > 0)
    }

    /// For each tensor and type the largest budget that any method used, and that method's name.
    pub fn largest(&self) -> Vec<(&str, &Use)> {
        let mut largest: BTreeMap<_, (&str, &Use)> = BTreeMap::new();
        for method in &self.methods {
            for of_method in &method.uses {
                let known =
                    largest.entry((of_method.tensor, of_method.dtype)).or_insert((&method.name, of_method));
                if of_method.used > known.1.used {
                    *known = (&method.name, of_method);
                }
            }
        }
        largest.into_values().collect()
    }

    /// Adds what came of other cases, asked of the same methods after these.
    pub fn append(&mut self, other: SoundResults) {
        for (method, of_other) in self.methods.iter_mut().zip(other.methods) {
            method.judged += of_other.judged;
            method.alarms += of_other.alarms;
            for one in of_other.uses {
                note_use(&mut method.uses, Use { number: one.number + self.cases, ..one });
            }
        }
        let later = other.alarms.into_iter();
        self.alarms.extend(later.map(|case| CaseAlarms { number: case.number + self.cases, ..case }));
        self.cases += other.cases;
    }
}

/// Keeps the larger of two uses of a tensor and type; of equals that of the earlier case.
fn note_use(uses: &mut Vec<Use>, one: Use) {
    match uses.binary_search_by_key(&(one.tensor, one.dtype), |known| (known.tensor, known.dtype)) {
        Ok(place) => {
            let known = &mut uses[place];
            if one.used > known.used || (one.used == known.used && one.number < known.number) {
                *known = one;
            }
        }
        Err(place) => uses.insert(place, one),
    }
}

/// Asks `count` questions on up to `jobs` threads; `open` makes a lineup for each. The results do not depend on how
/// many there are. `progress` is called after each case with the number of cases done and of the alarms in this one.
///
/// # Errors
/// When no lineup can be had.
pub fn run<'a, E: Send>(
    jobs: usize,
    count: usize,
    open: &(dyn Fn() -> Result<Lineup<'a>, E> + Sync),
    progress: &mut dyn FnMut(usize, usize),
) -> Result<SoundResults, E> {
    let mut results = SoundResults { cases: count, ..SoundResults::default() };
    let mut done = 0;
    parallel::each(jobs, count, open, &ask, &mut |_, outcome: Outcome| {
        results.methods.resize_with(outcome.methods.len(), MethodResult::default);
        for (method, of_case) in results.methods.iter_mut().zip(outcome.methods) {
            method.name = of_case.name;
            method.about = of_case.about;
            method.judged += of_case.judged;
            method.alarms += of_case.alarms;
            for one in of_case.uses {
                note_use(&mut method.uses, one);
            }
        }
        done += 1;
        progress(done, outcome.alarms.as_ref().map_or(0, |case| case.alarms.len()));
        results.alarms.extend(outcome.alarms);
    })?;
    results.alarms.sort_by_key(|case| case.number);
    Ok(results)
}

/// What came of one case.
struct Outcome {
    methods: Vec<MethodResult>,
    alarms: Option<CaseAlarms>,
}

/// Asks one question.
fn ask(lineup: &mut Lineup<'_>, number: usize) -> Outcome {
    let Lineup { oracle, arbiter, methods, question } = lineup;
    let empty = |method: &dyn Responder| MethodResult {
        name: method.info().name.clone(),
        about: method.info().about.clone(),
        ..MethodResult::default()
    };
    let mut results: Vec<MethodResult> = methods.iter().map(|method| empty(method.as_ref())).collect();
    let (case, yaml, alarms) = match question(number) {
        Ok(Question { case, yaml }) => {
            // What a generated case expects only says that it may be refused.
            let published = if yaml.is_none() { &case.published[..] } else { &[] };
            let asked = Asked { case: &case, number, published };
            let alarms =
                asked.judge(&mut |request| oracle.expect(arbiter.as_mut(), request), methods, &mut results);
            (case.id.clone(), yaml, alarms)
        }
        Err(why) => (format!("question {number}"), None, vec![Alarm::without_place("the case", why)]),
    };
    let alarms = (!alarms.is_empty()).then_some(CaseAlarms { number, case, yaml, alarms });
    Outcome { methods: results, alarms }
}

/// A question on its way.
struct Asked<'q> {
    case: &'q Case,
    number: usize,
    published: &'q [Published],
}

impl Asked<'_> {
    /// Judges the answers of all methods: their alarms.
    fn judge(
        &self,
        ask: &mut dyn for<'r> FnMut(&'r Request) -> Result<Expected<'r>, String>,
        methods: &mut [Box<dyn Responder>],
        results: &mut [MethodResult],
    ) -> Vec<Alarm> {
        let Asked { case, number, published } = *self;
        let request = Request::from_case(case);
        let expected = match ask(&request) {
            Ok(expected) => expected,
            Err(why) => return vec![Alarm::without_place("the oracle", why)],
        };
        let mut doubts = expected.doubts.clone();
        doubts.extend(check_published(&expected, published));
        if !doubts.is_empty() {
            return vec![Alarm::without_place("the oracle", doubts.join("; "))];
        }
        let names = step_names(case);
        let mut judge = Judge { expected: &expected, names: &names, known: vec![Vec::new(); names.len()] };
        let mut alarms = Vec::new();
        for (method, result) in methods.iter_mut().zip(results) {
            let mut of_method = Vec::new();
            match method.respond(&request) {
                Response::Answered(answers) if answers.len() == expected.steps.len() => {
                    let steps = judge.steps(answers, method.as_ref());
                    let compared = |step: &Judged| {
                        step.result.error.is_some()
                            || step.result.tensors.iter().any(TensorResult::was_compared)
                    };
                    result.judged += usize::from(steps.iter().any(|step| compared(step)));
                    for step in &steps {
                        of_method.extend(step.alarm(&result.name));
                        step.note_uses(&mut result.uses, &case.id, number);
                    }
                }
                Response::Answered(answers) => {
                    let why = format!("{} answers to {} steps", answers.len(), expected.steps.len());
                    of_method.push(Alarm::without_place(&result.name, why));
                }
                Response::Unsupported { reason: why } | Response::Broken { message: why, .. } => {
                    of_method.push(Alarm::without_place(&result.name, why));
                }
            }
            result.alarms += usize::from(!of_method.is_empty());
            alarms.extend(of_method);
        }
        alarms
    }
}

/// Judges answers to one case, and equal ones only once.
struct Judge<'e> {
    expected: &'e Expected<'e>,
    names: &'e [&'static str],
    /// For each step the answers that were given to it.
    known: Vec<Vec<Rc<Judged>>>,
}

/// An answer to a step, and what came of it.
struct Judged {
    answer: StepAnswer,
    result: StepResult,
    /// What is wrong about its error beside what the result says.
    note: Option<String>,
}

impl Judge<'_> {
    fn steps(&mut self, answers: Vec<StepAnswer>, method: &dyn Responder) -> Vec<Rc<Judged>> {
        answers.into_iter().enumerate().map(|(step, answer)| self.step(step, answer, method)).collect()
    }

    fn step(&mut self, step: usize, answer: StepAnswer, method: &dyn Responder) -> Rc<Judged> {
        if let Some(known) = self.known[step].iter().find(|known| known.answer == answer) {
            return Rc::clone(known);
        }
        let budget = self.expected.budget();
        let result = judge_step(self.expected, budget, step, &answer, method.info(), self.names[step]);
        let note = error_note(&self.expected.steps[step], &answer);
        let judged = Rc::new(Judged { answer, result, note });
        self.known[step].push(Rc::clone(&judged));
        judged
    }
}

/// The judge lets every backend reject in its own words. The methods share theirs with the oracle.
fn error_note(exact: &StepAnswer, answer: &StepAnswer) -> Option<String> {
    let got = answer.error.as_ref()?;
    if got.class == ErrorClass::Panic {
        return Some(format!("it panicked: {}", got.message));
    }
    let due = exact.error.as_ref()?;
    (due.class != got.class).then(|| format!("the error due is {due}, the one raised {got}"))
}

impl Judged {
    fn alarm(&self, method: &str) -> Option<Alarm> {
        let StepResult { step, action, error, tensors } = &self.result;
        let (step, action) = (*step, action.clone());
        let at = Alarm { step, action, ..Alarm::without_place(method, String::new()) };
        if let Some(error) = error.as_ref().filter(|error| error.verdict != Verdict::Pass) {
            let words = |error: Option<&crate::results::RaisedError>| {
                error
                    .map_or_else(|| "none".to_owned(), |error| format!("{} ({})", error.message, error.class))
            };
            let (due, got) = (words(error.expected.as_ref()), words(error.got.as_ref()));
            let note = Some(format!("the error due is {due}, the one raised {got}"));
            return Some(Alarm { note, ..at });
        }
        if self.note.is_some() {
            return Some(Alarm { note: self.note.clone(), ..at });
        }
        let wrong = tensors.iter().filter(|tensor| tensor.verdict != Verdict::Pass);
        let TensorResult { tensor, budget_used, worst, note, .. } =
            wrong.max_by(|one, other| size(one).total_cmp(&size(other)))?.clone();
        Some(Alarm { tensor: Some(tensor), budget_used, worst, note, ..at })
    }

    fn note_uses(&self, uses: &mut Vec<Use>, case: &str, number: usize) {
        for tensor in &self.result.tensors {
            let (Some(used), Some(answer)) = (tensor.budget_used, self.answer.tensor(&tensor.tensor)) else {
                continue;
            };
            // Names are copied for what is larger only.
            let place = (tensor.tensor.tensor, answer.dtype());
            if uses.iter().any(|known| (known.tensor, known.dtype) == place && known.used >= used) {
                continue;
            }
            let (tensor, dtype) = place;
            note_use(
                uses,
                Use { tensor, dtype, used, case: case.to_owned(), step: self.result.step, number },
            );
        }
    }
}

/// How wrong a tensor is.
fn size(tensor: &TensorResult) -> f64 {
    tensor.budget_used.unwrap_or(f64::INFINITY)
}

impl Alarm {
    fn without_place(method: &str, note: String) -> Self {
        Alarm {
            method: method.to_owned(),
            step: 0,
            action: String::new(),
            tensor: None,
            budget_used: None,
            worst: None,
            note: Some(note),
        }
    }
}
