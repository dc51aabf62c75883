//! One thread's work: a case is asked of everyone, and the answers are judged.

use std::time::Instant;

use bn_api::{Request, Responder, Response, StepAnswer};
use bn_cases::Case;

use super::clock::{Clock, Timed, own};
use super::overall::{Context, Overall, largest_budget};
use super::{Lineup, step_names};
use crate::album::draw;
use crate::deviations::Deviations;
use crate::journal::Entry;
use crate::judge::check_published;
use crate::oracle::{Expected, Oracle};
use crate::origins;
use crate::results::{CaseInfo, CaseResult, Stages, Verdict};
use crate::vacuity::Vacuity;

/// Everyone who answers on one thread, and what they answered to the case before.
pub(super) struct Desk {
    lineup: Lineup,
    /// By backend.
    latest: Vec<Vec<StepAnswer>>,
    /// The number of the case that each backend was asked last.
    asked: Vec<Option<usize>>,
}

impl Desk {
    /// Before the first case.
    pub fn new(lineup: Lineup) -> Self {
        let latest = lineup.backends.iter().map(|_| Vec::new()).collect();
        let asked = vec![None; lineup.backends.len()];
        Desk { lineup, latest, asked }
    }

    /// Asks everyone about case number `index`, and judges. What each stage took is added to `stages`.
    pub fn judge(
        &mut self,
        index: usize,
        case: &Case,
        deviations: &[Deviations],
        stages: &mut Stages,
    ) -> Entry {
        let mut clock = Clock::start();
        let request = Request::from_case(case);
        stages.generate += clock.lap();
        // They work while the answer is found that theirs are judged by.
        let asked: Vec<Instant> =
            self.lineup.backends.iter_mut().map(|backend| ask(backend.as_mut(), &request)).collect();
        stages.pipe += clock.lap();
        let expected = self.expected(&request, stages, &mut clock);
        let doubts = expected.as_ref().map(|expected| doubts(expected, case)).unwrap_or_default();
        let names = step_names(case);
        let vacuity = expected.as_ref().ok().filter(|_| doubts.is_empty());
        let vacuity = vacuity.map(|expected| Vacuity::of(expected, &case.published));
        let (mut results, mut needed) = (Vec::new(), Vec::new());
        for (number, backend) in self.lineup.backends.iter_mut().enumerate() {
            stages.judge += clock.lap();
            let response = backend.respond(&request);
            self.asked[number] = Some(index);
            let nanos = clock.lap();
            let own = own(backend.as_ref(), asked[number].elapsed().as_nanos() as u64);
            stages.backends += own;
            stages.pipe += nanos.saturating_sub(own);
            let declared = deviations.get(number).map(|of_it| of_it.of(case)).unwrap_or_default();
            let mut needed_here = Vec::new();
            let mut verdict = match (&expected, &vacuity) {
                (Err(why), _) => Overall::new(Verdict::Suspect, why.clone()),
                (Ok(_), None) => Overall::new(Verdict::Suspect, doubts.join("; ")),
                (Ok(expected), Some(vacuity)) => {
                    let (backend, latest) = (backend.as_ref(), &self.latest[number][..]);
                    let (names, declared) = (&names[..], &declared);
                    let context = Context { expected, vacuity, backend, latest, names, declared };
                    context.verdict(&response, &mut needed_here)
                }
            };
            if let (Ok(expected), Response::Answered(answers)) = (&expected, &response) {
                draw(expected, answers, &mut verdict.steps);
            }
            if let Response::Answered(answers) = response {
                self.latest[number] = answers;
            }
            results.push(CaseResult {
                case: case.id.clone(),
                backend: backend.info().name.clone(),
                verdict: verdict.verdict,
                reason: verdict.reason,
                budget_used: largest_budget(&verdict.steps),
                steps: verdict.steps,
                diagnosis: Vec::new(),
                micros: nanos.max(own) / 1000,
            });
            needed.push(needed_here);
        }
        let expected = expected.ok();
        let unrecorded = expected.as_ref().and_then(|expected| expected.unrecorded);
        let kappa = expected.map(|expected| expected.kappa()).filter(|kappa| kappa.is_finite());
        let case = CaseInfo { unrecorded, ..origins::case(case, kappa) };
        stages.judge += clock.lap();
        Entry { case, results, needed }
    }

    fn expected<'r>(
        &mut self,
        request: &'r Request,
        stages: &mut Stages,
        clock: &mut Clock,
    ) -> Result<Expected<'r>, String> {
        let arbiter = self.lineup.arbiter.as_mut();
        let oracle = match &mut self.lineup.oracle {
            Oracle::Live(oracle) => oracle,
            other => {
                let expected = other.expect(arbiter, request);
                stages.arbiter += clock.lap();
                return expected;
            }
        };
        let mut oracle = Timed::new(oracle.as_mut());
        let expected = Expected::ask(&mut oracle, arbiter, request);
        let (spent, own) = (oracle.spent.as_nanos() as u64, oracle.own.as_nanos() as u64);
        stages.oracle += own;
        stages.pipe += spent.saturating_sub(own);
        stages.arbiter += clock.lap().saturating_sub(spent);
        expected
    }

    /// How much memory the processes behind it have held so far: a name, and bytes.
    pub fn memory(&self) -> Vec<(String, u64)> {
        let oracle = match &self.lineup.oracle {
            Oracle::Live(oracle) => Some(("oracle", oracle)),
            Oracle::Recorded(_) | Oracle::Nobody => None,
        };
        let backends = self.lineup.backends.iter().map(|backend| (backend.info().name.as_str(), backend));
        let all = oracle.into_iter().chain(backends);
        all.filter_map(|(name, responder)| Some((name.to_owned(), responder.peak_memory()?))).collect()
    }

    /// Ends all conversations. What is wrong with a backend's last answer, where that shows only now: its column, the
    /// number of the case, and what.
    pub fn close(mut self) -> Vec<(usize, usize, String)> {
        let backends = self.lineup.backends.iter_mut().enumerate();
        let wrong = backends.filter_map(|(column, backend)| {
            let index = self.asked[column]?;
            Some((column, index, backend.finish().err()?))
        });
        wrong.collect()
    }
}

/// Lets a backend begin to answer, and says when it was asked.
fn ask(backend: &mut dyn Responder, request: &Request) -> Instant {
    let since = Instant::now();
    backend.ask(request);
    since
}

/// Why the case is judged by nobody: the first place where the oracle is in doubt, and how many more there are, or what
/// the case file knows better.
fn doubts(expected: &Expected<'_>, case: &Case) -> Vec<String> {
    match &expected.doubts[..] {
        [] => check_published(expected, &case.published),
        [first] => vec![first.clone()],
        [first, more @ ..] => vec![first.clone(), format!("and {} more tensors or errors", more.len())],
    }
}
