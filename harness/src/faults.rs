//! Would the cases notice? Answers that are known to be wrong, judged as those of a backend are.
//!
//! Every fault answers every case. One whose answer fails is caught by that case; one that no case catches survives,
//! and is a hole in the cases or in the budgets.

use std::time::Instant;

use bn_api::{BackendInfo, Request, Responder, Response, TensorName};
use bn_cases::Case;
use serde::Serialize;

use crate::budget::CaseBudget;
use crate::judge::{check_published, judge_step};
use crate::oracle::{Expected, Oracle};
use crate::parallel;
use crate::results::{FaultMatrix, FaultRow, FirstCatch, Verdict};
use crate::runner::step_names;

/// Everyone who answers, for one worker thread.
pub struct Lineup {
    /// libtorch, or what was recorded of it.
    pub oracle: Oracle,
    /// Who is asked beyond float64.
    pub arbiter: Box<dyn Responder>,
    /// The same as the faults without a mistake: a case that catches it says nothing about the others.
    pub control: Box<dyn Responder>,
    /// The faults.
    pub faults: Vec<Box<dyn Responder>>,
}

/// Which cases catch which faults.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KillMatrix {
    /// The ids of the cases, in the order of their suites.
    pub cases: Vec<String>,
    /// The faults, in the order of the lineup.
    pub faults: Vec<FaultRun>,
    /// Cases that prove nothing, and why: the oracle is in doubt, or the control is caught.
    pub void: Vec<VoidCase>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// What became of one fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultRun {
    /// Its name.
    pub name: String,
    /// What is wrong with it.
    pub about: String,
    /// The cases that catch it, in their order.
    pub caught_by: Vec<Catch>,
}

/// A case that catches a fault.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Catch {
    /// The case's id.
    pub case: String,
    /// The first step that shows it; 0 is the new layer.
    pub step: usize,
    /// That step's name.
    pub action: String,
    /// The tensors that are wrong there.
    pub tensors: Vec<TensorName>,
    /// Whether an error is raised there that should not be, or none that should.
    pub error: bool,
}

/// A case that proves nothing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct VoidCase {
    /// Its id.
    pub case: String,
    /// Why.
    pub reason: String,
}

impl KillMatrix {
    /// The faults that no case catches.
    pub fn survivors(&self) -> impl Iterator<Item = &FaultRun> {
        self.faults.iter().filter(|fault| fault.caught_by.is_empty())
    }

    /// The cases that are alone in catching something, each with those faults.
    pub fn indispensable(&self) -> Vec<(&str, Vec<&str>)> {
        let alone = |case: &str| -> Vec<&str> {
            let only = |fault: &&FaultRun| matches!(&fault.caught_by[..], [catch] if catch.case == case);
            self.faults.iter().filter(only).map(|fault| fault.name.as_str()).collect()
        };
        let cases = self.cases.iter().map(|case| (case.as_str(), alone(case)));
        cases.filter(|(_, faults)| !faults.is_empty()).collect()
    }

    /// The matrix by suites instead of cases.
    pub fn by_suite(&self) -> FaultMatrix {
        let mut suites: Vec<&str> = Vec::new();
        for case in &self.cases {
            if !suites.contains(&suite_of(case)) {
                suites.push(suite_of(case));
            }
        }
        let row = |fault: &FaultRun| {
            let mut caught = vec![0; suites.len()];
            for catch in &fault.caught_by {
                if let Some(suite) = suites.iter().position(|suite| *suite == suite_of(&catch.case)) {
                    caught[suite] += 1;
                }
            }
            let first = fault.caught_by.first().map(|catch| FirstCatch {
                case: catch.case.clone(),
                step: catch.step,
                action: catch.action.clone(),
                tensors: catch.tensors.iter().map(ToString::to_string).collect(),
            });
            FaultRow { name: fault.name.clone(), about: fault.about.clone(), caught, first }
        };
        FaultMatrix {
            cases: self.cases.len(),
            faults: self.faults.iter().map(row).collect(),
            void: self.void.len(),
            suites: suites.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Whether there are faults, all of them are caught, and every case could be judged.
    pub fn as_expected(&self) -> bool {
        !self.faults.is_empty() && self.survivors().next().is_none() && self.void.is_empty()
    }
}

/// The suite of the case with this id, `suite/name[axis=label,…]`; names have no `/`.
fn suite_of(id: &str) -> &str {
    let plain = &id[..id.find('[').unwrap_or(id.len())];
    plain.rsplit_once('/').map_or(plain, |(suite, _)| suite)
}

/// Has every fault of the lineup answer every case. `open` makes a lineup for each of `jobs` threads; `progress` is
/// told how many cases are done.
///
/// # Errors
/// When no lineup can be had.
pub fn run<E: Send>(
    cases: &[&Case],
    open: &(dyn Fn() -> Result<Lineup, E> + Sync),
    jobs: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<KillMatrix, E> {
    let started = Instant::now();
    let names: std::sync::Mutex<Vec<FaultRun>> = std::sync::Mutex::default();
    let open = || {
        let lineup = open()?;
        if let Ok(mut names) = names.lock() {
            *names = lineup.faults.iter().map(|fault| FaultRun::of(fault.info())).collect();
        }
        Ok(lineup)
    };
    let work = |lineup: &mut Lineup, index: usize| caught_by(cases[index], lineup, &|_| true);
    let mut done: Vec<Option<Result<Vec<Option<Catch>>, String>>> = cases.iter().map(|_| None).collect();
    let mut finished = 0;
    parallel::each(jobs, cases.len(), &open, &work, &mut |index, outcome| {
        finished += 1;
        progress(finished);
        done[index] = Some(outcome);
    })?;
    let mut faults = names.into_inner().unwrap_or_default();
    let mut void = Vec::new();
    for (case, outcome) in cases.iter().zip(done.into_iter().flatten()) {
        match outcome {
            Ok(catches) => {
                for (fault, catch) in faults.iter_mut().zip(catches) {
                    fault.caught_by.extend(catch);
                }
            }
            Err(reason) => void.push(VoidCase { case: case.id.clone(), reason }),
        }
    }
    let cases = cases.iter().map(|case| case.id.clone()).collect();
    Ok(KillMatrix { cases, faults, void, duration_ms: started.elapsed().as_millis() as u64 })
}

impl FaultRun {
    fn of(info: &BackendInfo) -> Self {
        FaultRun { name: info.name.clone(), about: info.about.clone(), caught_by: Vec::new() }
    }
}

/// What catches each fault in one case, of those that `asked` takes by their numbers.
///
/// # Errors
/// Why the case proves nothing.
pub fn caught_by(
    case: &Case,
    lineup: &mut Lineup,
    asked: &dyn Fn(usize) -> bool,
) -> Result<Vec<Option<Catch>>, String> {
    let request = Request::from_case(case);
    let expected = lineup.oracle.expect(lineup.arbiter.as_mut(), &request)?;
    let mut doubts = expected.doubts.clone();
    doubts.extend(check_published(&expected, &case.published));
    if !doubts.is_empty() {
        return Err(doubts.join("; "));
    }
    let names = step_names(case);
    let budget = expected.budget();
    let judged = |responder: &mut dyn Responder, control: Option<&Response>| {
        let response = responder.respond(&request);
        let caught = Judge { case, expected: &expected, budget, names: &names, control }
            .catch(&response, responder.info());
        (response, caught)
    };
    let (control, caught) = judged(lineup.control.as_mut(), None);
    if let Some(Catch { step, action, tensors, .. }) = caught {
        let tensors: Vec<String> = tensors.iter().map(ToString::to_string).collect();
        return Err(format!(
            "the answer without any mistake fails: step {step} {action} {}",
            tensors.join(", ")
        ));
    }
    let faults = lineup.faults.iter_mut().enumerate();
    Ok(faults
        .map(|(number, fault)| if asked(number) { judged(fault.as_mut(), Some(&control)).1 } else { None })
        .collect())
}

/// What one case is judged by.
struct Judge<'a> {
    case: &'a Case,
    expected: &'a Expected<'a>,
    budget: &'a CaseBudget,
    names: &'a [&'static str],
    /// An answer that passes: what equals it to the bit need not be compared again.
    control: Option<&'a Response>,
}

impl Judge<'_> {
    /// The first step at which an answer is wrong.
    fn catch(&self, response: &Response, info: &BackendInfo) -> Option<Catch> {
        let caught = |step: usize, tensors: Vec<TensorName>, error: bool| {
            let action = self.names.get(step).copied().unwrap_or_default().to_owned();
            Some(Catch { case: self.case.id.clone(), step, action, tensors, error })
        };
        let answers = match response {
            Response::Unsupported { .. } => return None,
            Response::Answered(answers) if answers.len() == self.expected.steps.len() => answers,
            Response::Answered(_) | Response::Broken { .. } => return caught(0, Vec::new(), true),
        };
        for (step, answer) in answers.iter().enumerate() {
            if matches!(self.control, Some(Response::Answered(passed)) if passed[step] == *answer) {
                continue;
            }
            let name = self.names.get(step).copied().unwrap_or_default();
            let judged = judge_step(self.expected, self.budget, step, answer, info, name);
            let error = judged.error.is_some_and(|error| error.verdict == Verdict::Fail);
            let wrong = judged.tensors.into_iter().filter(|tensor| tensor.verdict == Verdict::Fail);
            let tensors: Vec<TensorName> = wrong.map(|tensor| tensor.tensor).collect();
            if error || !tensors.is_empty() {
                return caught(step, tensors, error);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_suite_every_catch_is_counted_once() {
        let catch = |case: &str| Catch {
            case: case.to_owned(),
            step: 2,
            action: "forward".to_owned(),
            tensors: vec!["running_var".to_owned().try_into().expect("a tensor")],
            error: false,
        };
        let cases = ["a/b/one[path=x/y]", "a/b/two", "c/one"];
        let fault =
            |name: &str, caught_by| FaultRun { name: name.to_owned(), about: String::new(), caught_by };
        let matrix = KillMatrix {
            cases: cases.map(str::to_owned).to_vec(),
            faults: vec![fault("caught", vec![catch(cases[0]), catch(cases[1])]), fault("survives", vec![])],
            void: Vec::new(),
            duration_ms: 0,
        };
        let by_suite = matrix.by_suite();
        assert_eq!((by_suite.suites, by_suite.cases), (vec!["a/b".to_owned(), "c".to_owned()], 3));
        assert_eq!(by_suite.faults[0].caught, [2, 0]);
        let first = by_suite.faults[0].first.as_ref().expect("it is caught");
        assert_eq!((first.case.as_str(), &first.tensors[..]), (cases[0], &["running_var".to_owned()][..]));
        assert_eq!((&by_suite.faults[1].caught[..], &by_suite.faults[1].first), (&[0, 0][..], &None));
    }
}
