//! Takes cases to the oracle and to every backend, in parallel, and collects the judgements in order.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bn_api::{Outcome, Request, Responder, Response, StepAnswer};
use bn_cases::Case;

use crate::album::{Album, draw, take_down};
use crate::deviations::{Affected, Deviation, Deviations};
use crate::judge::{check_published, compare_declared, judge};
use crate::oracle::Expected;
use crate::origins;
use crate::parallel;
use crate::results::{
    BackendColumn, CaseInfo, CaseResult, Machine, RunInfo, RunResults, SCHEMA_VERSION, StepResult,
    TensorResult, Undecided, Verdict,
};
use crate::vacuity::Vacuity;

/// Everyone who answers, for one worker thread.
pub struct Lineup {
    /// libtorch, asked in float64; where there is none, the arbiter alone says what is right.
    pub oracle: Option<Box<dyn Responder>>,
    /// More accurate than float64: what the oracle is put on trial with, and f64 is judged by.
    pub arbiter: Box<dyn Responder>,
    /// The backends, in the order of the results' columns.
    pub backends: Vec<Box<dyn Responder>>,
}

/// How to run.
pub struct Options<'a> {
    /// How many cases are in flight.
    pub jobs: usize,
    /// The declared deviations, one for each backend of the lineup.
    pub deviations: &'a [Deviations],
    /// All cases there are, where the run is to notice deviations that none needs; nothing where it is not.
    pub all: Option<&'a [&'a Case]>,
    /// The version of bncheck.
    pub bncheck: &'a str,
    /// The command line, for the record.
    pub flags: Vec<String>,
}

/// Called after each case with the number of cases done and the verdicts on the case.
pub type Progress<'a> = dyn FnMut(usize, &[Verdict]) + 'a;

/// Runs `cases`. `open` makes a lineup for each thread.
///
/// # Errors
/// When no lineup can be had.
pub fn run<E: Send>(
    cases: &[&Case],
    open: &(dyn Fn() -> Result<Lineup, E> + Sync),
    options: Options<'_>,
    progress: &mut Progress<'_>,
) -> Result<RunResults, E> {
    let started = Instant::now();
    let started_unix_ms =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64);
    let jobs = options.jobs.clamp(1, cases.len().max(1));
    let columns: Mutex<Option<Columns>> = Mutex::new(None);
    let mut done: Vec<Option<(CaseInfo, Vec<Judged>)>> = cases.iter().map(|_| None).collect();
    let open = || {
        let lineup = open()?;
        if let Ok(mut columns) = columns.lock() {
            columns.get_or_insert_with(|| Columns::of(&lineup));
        }
        let latest = lineup.backends.iter().map(|_| Vec::new()).collect();
        Ok((lineup, latest))
    };
    let work = |(lineup, latest): &mut (Lineup, Latest), index: usize| {
        run_case(cases[index], lineup, latest, options.deviations)
    };
    let mut finished = 0;
    let mut album = Album::default();
    parallel::each(jobs, cases.len(), &open, &work, &mut |index, (info, judged)| {
        let verdicts: Vec<Verdict> = judged.iter().map(|judged| judged.result.verdict).collect();
        finished += 1;
        progress(finished, &verdicts);
        done[index] = Some((info, judged));
        for (column, verdict) in verdicts.into_iter().enumerate() {
            let out = album.add((&cases[index].place, column), verdict, index);
            if let Some((_, judged)) = out.and_then(|index| done[index].as_mut()) {
                take_down(&mut judged[column].result.steps);
            }
        }
    })?;
    let columns = columns.into_inner().ok().flatten().unwrap_or_default();
    let (mut infos, mut judged) = (Vec::new(), Vec::new());
    for (info, of_case) in done.into_iter().flatten() {
        infos.push(info);
        judged.extend(of_case);
    }
    let (deviation_errors, undecided) = deviation_errors(cases, &columns.backends, &options, &judged);
    Ok(RunResults {
        schema_version: SCHEMA_VERSION,
        run: RunInfo {
            bncheck: options.bncheck.to_owned(),
            oracle: columns.oracle,
            backends: columns.backends,
            machine: machine(),
            jobs,
            seed: None,
            flags: options.flags,
            started_unix_ms,
            duration_ms: started.elapsed().as_millis() as u64,
            incomplete: None,
            selections: Vec::new(),
            undecided,
            parts: Vec::new(),
        },
        suites: origins::suites(cases),
        cases: infos,
        results: judged.into_iter().map(|judged| judged.result).collect(),
        deviation_errors,
        diagnoses: Vec::new(),
        faults: None,
        changes: None,
    })
}

#[derive(Default)]
struct Columns {
    oracle: String,
    backends: Vec<BackendColumn>,
}

impl Columns {
    fn of(lineup: &Lineup) -> Self {
        let column = |responder: &dyn Responder| {
            let info = responder.info();
            BackendColumn {
                name: info.name.clone(),
                version: info.version.clone(),
                about: info.about.clone(),
            }
        };
        Columns {
            oracle: match &lineup.oracle {
                Some(oracle) => format!("{} in float64", oracle.info().version),
                None => {
                    format!("none: the arbiter alone, {} in double-double", lineup.arbiter.info().version)
                }
            },
            backends: lineup.backends.iter().map(|backend| column(backend.as_ref())).collect(),
        }
    }
}

/// A result, and which declared deviations it needed.
struct Judged {
    result: CaseResult,
    needed: Vec<usize>,
}

/// What each backend answered to the case before, on the same thread.
type Latest = Vec<Vec<StepAnswer>>;

fn run_case(
    case: &Case,
    lineup: &mut Lineup,
    latest: &mut Latest,
    deviations: &[Deviations],
) -> (CaseInfo, Vec<Judged>) {
    let request = Request::from_case(case);
    let arbiter = lineup.arbiter.as_mut();
    let expected = match &mut lineup.oracle {
        Some(oracle) => Expected::ask(oracle.as_mut(), arbiter, &request),
        None => Expected::of_arbiter(arbiter, &request),
    };
    let doubts = expected.as_ref().map(|expected| doubts(expected, case)).unwrap_or_default();
    let names = step_names(case);
    let vacuity = expected.as_ref().ok().filter(|_| doubts.is_empty());
    let vacuity = vacuity.map(|expected| Vacuity::of(expected, &case.published));
    let mut judged = Vec::with_capacity(lineup.backends.len());
    for (number, backend) in lineup.backends.iter_mut().enumerate() {
        let asked = Instant::now();
        let response = backend.respond(&request);
        let micros = asked.elapsed().as_micros() as u64;
        let declared: Vec<(usize, &Deviation)> = deviations
            .get(number)
            .into_iter()
            .flat_map(|deviations| deviations.entries.iter().enumerate())
            .filter(|(_, entry)| entry.covers(case))
            .collect();
        let mut needed = Vec::new();
        let mut verdict = match (&expected, &vacuity) {
            (Err(why), _) => Overall::new(Verdict::Suspect, why.clone()),
            (Ok(_), None) => Overall::new(Verdict::Suspect, doubts.join("; ")),
            (Ok(expected), Some(vacuity)) => {
                let (backend, latest) = (backend.as_ref(), &latest[number][..]);
                let (names, declared) = (&names[..], &declared[..]);
                let context = Context { expected, vacuity, backend, latest, names, declared };
                context.verdict(&response, &mut needed)
            }
        };
        if let (Ok(expected), Response::Answered(answers)) = (&expected, &response) {
            draw(expected, answers, &mut verdict.steps);
        }
        if let Response::Answered(answers) = response {
            latest[number] = answers;
        }
        judged.push(Judged {
            result: CaseResult {
                case: case.id.clone(),
                backend: backend.info().name.clone(),
                verdict: verdict.verdict,
                reason: verdict.reason,
                budget_used: largest_budget(&verdict.steps),
                steps: verdict.steps,
                diagnosis: Vec::new(),
                micros,
            },
            needed,
        });
    }
    let kappa = expected.ok().map(|expected| expected.kappa()).filter(|kappa| kappa.is_finite());
    (origins::case(case, kappa), judged)
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

/// The steps' names, the new layer first.
pub fn step_names(case: &Case) -> Vec<&'static str> {
    std::iter::once("new layer").chain(case.script.iter().map(bn_cases::case::Action::name)).collect()
}

struct Overall {
    verdict: Verdict,
    reason: Option<String>,
    steps: Vec<StepResult>,
}

impl Overall {
    fn new(verdict: Verdict, reason: String) -> Self {
        Overall { verdict, reason: Some(reason), steps: Vec::new() }
    }
}

struct Context<'a> {
    expected: &'a Expected<'a>,
    vacuity: &'a Vacuity<'a>,
    backend: &'a dyn Responder,
    /// What the backend answered to the case before.
    latest: &'a [StepAnswer],
    names: &'a [&'static str],
    declared: &'a [(usize, &'a Deviation)],
}

impl Context<'_> {
    fn verdict(&self, response: &Response, needed: &mut Vec<usize>) -> Overall {
        match response {
            Response::Unsupported { reason } => Overall::new(Verdict::Unsupported, reason.clone()),
            Response::Broken { how: Outcome::Error, message } => {
                Overall::new(Verdict::Error, message.clone())
            }
            Response::Broken { how: Outcome::Timeout, message } => {
                Overall::new(Verdict::Timeout, message.clone())
            }
            Response::Broken { how: Outcome::Crash, message } => {
                match self.declared.iter().find(|(_, entry)| entry.covers_what(Affected::Crash)) {
                    Some((number, entry)) => {
                        needed.push(*number);
                        Overall::new(Verdict::Known, describe(entry))
                    }
                    None => Overall::new(Verdict::Crash, message.clone()),
                }
            }
            Response::Answered(answers) if answers.len() != self.expected.steps.len() => {
                let message = format!("{} answers to {} steps", answers.len(), self.expected.steps.len());
                Overall::new(Verdict::Error, message)
            }
            Response::Answered(answers) => self.judged(answers, needed),
        }
    }

    fn judged(&self, answers: &[StepAnswer], needed: &mut Vec<usize>) -> Overall {
        let budget = self.expected.budget();
        let mut steps = judge(self.expected, budget, answers, self.backend.info(), self.names);
        for (step, answer) in steps.iter_mut().zip(answers) {
            self.declare(step, answer, needed);
        }
        self.vacuity.annotate(&mut steps, answers, self.latest);
        let verdicts = || {
            let errors = steps.iter().filter_map(|step| step.error.as_ref().map(|error| error.verdict));
            errors.chain(steps.iter().flat_map(|step| step.tensors.iter().map(|tensor| tensor.verdict)))
        };
        let compared = steps
            .iter()
            .any(|step| step.error.is_some() || step.tensors.iter().any(TensorResult::was_compared));
        let no_longer =
            self.declared.iter().find(|(number, entry)| entry.must_occur() && !needed.contains(number));
        let (verdict, reason) = if verdicts().any(|verdict| verdict == Verdict::Fail) {
            (Verdict::Fail, None)
        } else if verdicts().any(|verdict| verdict == Verdict::Suspect) {
            (Verdict::Suspect, None)
        } else if let Some((_, entry)) = no_longer {
            let reason = format!("the declared deviation `{}` does not occur here any more", entry.name);
            (Verdict::Fixed, Some(reason))
        } else if !needed.is_empty() {
            let entries = self.declared.iter().filter(|(number, _)| needed.contains(number));
            (Verdict::Known, Some(entries.map(|(_, entry)| describe(entry)).collect::<Vec<_>>().join("\n")))
        } else if !compared {
            (Verdict::Vacuous, Some("nothing was compared".to_owned()))
        } else if let Some(why) = self.vacuity.of_case().or_else(|| self.vacuity.of_results(&steps)) {
            (Verdict::Vacuous, Some(why))
        } else {
            (Verdict::Pass, None)
        };
        Overall { verdict, reason, steps }
    }

    /// Turns failures that are declared into known ones.
    fn declare(&self, step: &mut StepResult, answer: &StepAnswer, needed: &mut Vec<usize>) {
        let mut need = |number: usize| {
            if !needed.contains(&number) {
                needed.push(number);
            }
        };
        if let Some(error) = &mut step.error
            && error.verdict == Verdict::Fail
            && let Some((number, _)) =
                self.declared.iter().find(|(_, entry)| entry.covers_what(Affected::Error))
        {
            error.verdict = Verdict::Known;
            need(*number);
        }
        for tensor in &mut step.tensors {
            if tensor.verdict != Verdict::Fail {
                continue;
            }
            let covering = self
                .declared
                .iter()
                .filter(|(_, entry)| entry.covers_what(Affected::Tensor(tensor.tensor.tensor)));
            for (number, entry) in covering {
                let within_class = entry.accuracy.is_none_or(|accuracy| {
                    compare_declared(self.expected, accuracy, step.step, &tensor.tensor, answer)
                });
                if within_class {
                    tensor.verdict = Verdict::Known;
                    need(*number);
                    break;
                }
            }
        }
    }
}

fn describe(entry: &Deviation) -> String {
    format!("{}: {} ({})", entry.name, entry.reason.trim(), entry.link)
}

fn largest_budget(steps: &[StepResult]) -> Option<f64> {
    steps.iter().flat_map(|step| &step.tensors).filter_map(|tensor| tensor.budget_used).reduce(f64::max)
}

/// Entries that cover nothing, and entries of which every case was run and none needed them; then those of which some
/// cases were run and not all.
fn deviation_errors(
    cases: &[&Case],
    backends: &[BackendColumn],
    options: &Options<'_>,
    judged: &[Judged],
) -> (Vec<String>, Vec<Undecided>) {
    let (mut errors, mut undecided) = (Vec::new(), Vec::new());
    let Some(all) = options.all else { return (errors, undecided) };
    let was_run: HashSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    for (backend, deviations) in backends.iter().zip(options.deviations) {
        errors.extend(deviations.check(&backend.name, all));
        for (number, entry) in deviations.entries.iter().enumerate() {
            let covered = || all.iter().filter(|case| entry.covers(case));
            let run = covered().filter(|case| was_run.contains(case.id.as_str())).count();
            if run == 0 {
                continue;
            }
            let needed = judged
                .iter()
                .any(|judged| judged.result.backend == backend.name && judged.needed.contains(&number));
            let covered = covered().count();
            // What none of these cases needs, another one may that was not run.
            if run < covered {
                let (backend, name) = (backend.name.clone(), entry.name.clone());
                undecided.push(Undecided { backend, name, covered, run, needed });
            } else if !needed {
                errors.push(not_needed(&backend.name, &entry.name));
            }
        }
    }
    (errors, undecided)
}

/// What is said of a declared deviation that no case needs.
pub(crate) fn not_needed(backend: &str, name: &str) -> String {
    format!("{backend}: no case needs the declared deviation `{name}`; take it out")
}

fn machine() -> Machine {
    let model = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    Machine {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        cpu: model,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    }
}
