//! Takes cases to the oracle and to every backend, in parallel, and collects the judgements in order.

mod clock;
mod declared;
mod desk;
mod done;
mod gather;
mod overall;
mod source;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bn_api::Responder;
use bn_api::wire::{Stop, peak_memory};
use bn_cases::Case;

use crate::deviations::Deviations;
use crate::journal::{Entry, InMemory, Journal, JournalError};
use crate::oracle::Oracle;
use crate::parallel;
use crate::results::{
    BackendColumn, Machine, ProcessMemory, RunInfo, RunResults, SCHEMA_VERSION, Stages, Verdict,
};

use clock::Clock;
use declared::deviation_errors;
pub(crate) use declared::not_needed;
use desk::Desk;
use done::Done;
pub use gather::{Keep, LISTED, NOTABLE};
use gather::{gather, shorten};
pub use overall::{Context, Overall};
pub use source::{Listed, Source};

/// Everyone who answers, for one worker thread.
pub struct Lineup {
    /// libtorch, or what was recorded of it; where there is neither, the arbiter alone says what is right.
    pub oracle: Oracle,
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
    /// The command line, as the results keep it.
    pub flags: Vec<String>,
    /// Which cases the results list.
    pub keep: Keep,
    /// The seed of cases that are made by chance; nothing where the cases are of suites.
    pub seed: Option<u64>,
}

/// Called after each case with the number of cases done and the verdicts on the case.
pub type Progress<'a> = dyn FnMut(usize, &[Verdict]) + 'a;

/// Why a run has no results.
#[derive(Debug)]
pub enum Failed<E> {
    /// No lineup can be had.
    Open(E),
    /// What is done cannot be recorded, or not be read again.
    Journal(JournalError),
}

/// Runs `cases`. `open` makes a lineup for each thread.
///
/// # Errors
/// When no lineup can be had.
///
/// # Panics
/// When results cannot be written as JSON and read again, which is a mistake in their model.
pub fn run<E: Send>(
    cases: &(impl Source + ?Sized),
    open: &(dyn Fn() -> Result<Lineup, E> + Sync),
    options: Options<'_>,
    progress: &mut Progress<'_>,
) -> Result<RunResults, E> {
    match run_on(cases, open, options, &mut InMemory::default(), &Stop::default(), progress) {
        Ok(results) => Ok(results),
        Err(Failed::Open(error)) => Err(error),
        Err(Failed::Journal(error)) => panic!("{error}"),
    }
}

/// Runs those of `cases` that `journal` does not have yet, and adds them to it; until `stop` says so. The results are
/// those of all that the journal has then.
///
/// # Errors
/// When no lineup can be had, and when something cannot be recorded: what was recorded before is still there.
pub fn run_on<E: Send>(
    cases: &(impl Source + ?Sized),
    open: &(dyn Fn() -> Result<Lineup, E> + Sync),
    options: Options<'_>,
    journal: &mut dyn Journal,
    stop: &Stop,
    progress: &mut Progress<'_>,
) -> Result<RunResults, Failed<E>> {
    let started = Instant::now();
    let started_unix_ms =
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64);
    let before = Done::of(journal, cases.len());
    let notable = options.keep.is_choice(cases.len());
    let columns: Mutex<Option<Columns>> = Mutex::new(None);
    let open = || {
        let lineup = match open() {
            Ok(lineup) => lineup,
            // Nobody is waited for any more.
            Err(_) if stop.is_now() => return Ok(None),
            Err(error) => return Err(error),
        };
        if let Ok(mut columns) = columns.lock() {
            columns.get_or_insert_with(|| Columns::of(&lineup));
        }
        Ok(Some(Desk::new(lineup)))
    };
    let work = |desk: &mut Option<Desk>, index: usize| {
        if before.has(index) {
            return Piece::Nothing;
        }
        let Some(desk) = desk.as_mut().filter(|_| !stop.is_now()) else { return Piece::Nothing };
        let mut stages = Stages::default();
        let mut clock = Clock::start();
        let case = cases.case(index);
        stages.generate += clock.lap();
        let mut entry = desk.judge(index, &case, options.deviations, &mut stages);
        if notable {
            shorten(&mut entry, options.seed.is_some());
        }
        // What was still asked when all was stopped has no answer.
        if stop.is_now() { Piece::Nothing } else { Piece::of(entry, stages, notable) }
    };
    let close = |desk: Option<Desk>| {
        let Some(desk) = desk else { return Vec::new() };
        let memory = (0, Piece::Memory(desk.memory()));
        let last = desk.close().into_iter();
        let amended = last.map(|(column, index, what)| (index, Piece::Amended { column, what }));
        std::iter::once(memory).chain(amended).collect()
    };
    let left = cases.len() - before.count();
    let jobs = options.jobs.clamp(1, left.max(1));
    // Where nothing is left, nothing is asked; the lineup says who was.
    let count = if left == 0 { 0 } else { cases.len() };
    let mut ledger = Ledger::new(journal, before.count());
    parallel::each_and_close(jobs, count, &open, &work, &close, &mut |index, piece| {
        if let Some(verdicts) = ledger.receive(index, piece) {
            progress(ledger.finished, &verdicts);
        }
        if ledger.problem.is_some() {
            // The threads need not go on.
            stop.now();
        }
    })
    .map_err(Failed::Open)?;
    let Ledger { kept, stages, mut memory, problem, .. } = ledger;
    if let Some(error) = problem {
        return Err(Failed::Journal(error));
    }
    let columns = columns.into_inner().ok().flatten().unwrap_or_default();
    let gathered = gather(cases, kept, journal, notable, options.seed.is_some()).map_err(Failed::Journal)?;
    let (deviation_errors, undecided) =
        deviation_errors(cases, &columns.backends, &options, &gathered.needed, &gathered.present);
    if let Some(bytes) = peak_memory("self") {
        hold(&mut memory, "bncheck".to_owned(), bytes);
    }
    let done = gathered.done;
    let incomplete =
        (done < cases.len()).then(|| format!("it was stopped after {done} of {} cases", cases.len()));
    Ok(RunResults {
        schema_version: SCHEMA_VERSION,
        run: RunInfo {
            bncheck: options.bncheck.to_owned(),
            oracle: columns.oracle,
            backends: columns.backends,
            machine: machine(),
            jobs: options.jobs.clamp(1, cases.len().max(1)),
            seed: options.seed,
            flags: options.flags,
            started_unix_ms,
            duration_ms: started.elapsed().as_millis() as u64,
            stages: Some(stages),
            memory,
            incomplete,
            selections: Vec::new(),
            undecided,
            parts: Vec::new(),
        },
        suites: gathered.suites,
        left_out: gathered.left_out,
        cases: gathered.cases,
        results: gathered.results,
        deviation_errors,
        diagnoses: Vec::new(),
        faults: None,
        changes: None,
    })
}

/// What a thread has to say of a case.
enum Piece {
    /// It was not asked, or nobody waited for the answers.
    Nothing,
    /// How much memory its processes held.
    Memory(Vec<(String, u64)>),
    /// It is judged.
    Done {
        line: Result<Vec<u8>, JournalError>,
        /// The entry itself, where all of it comes into the results: then it need not be read again.
        entry: Option<Box<Entry>>,
        verdicts: Vec<Verdict>,
        stages: Stages,
    },
    /// Something was wrong with the last answer of a backend.
    Amended { column: usize, what: String },
}

impl Piece {
    /// Of a run that lists the notable cases alone nothing but the line is kept.
    fn of(entry: Entry, mut stages: Stages, notable: bool) -> Self {
        let mut clock = Clock::start();
        let line = entry.to_line();
        stages.write += clock.lap();
        let verdicts = entry.results.iter().map(|result| result.verdict).collect();
        let entry = Some(entry).filter(|entry| !notable && !entry.has_pictures()).map(Box::new);
        Piece::Done { line, entry, verdicts, stages }
    }
}

/// What comes of the pieces.
struct Ledger<'a> {
    journal: &'a mut dyn Journal,
    /// Entries that need not be read again, by the numbers of their cases.
    kept: BTreeMap<usize, Entry>,
    /// How many cases are done.
    finished: usize,
    stages: Stages,
    memory: Vec<ProcessMemory>,
    /// Why nothing more is kept.
    problem: Option<JournalError>,
}

impl<'a> Ledger<'a> {
    fn new(journal: &'a mut dyn Journal, finished: usize) -> Self {
        let (kept, stages, memory) = (BTreeMap::new(), Stages::default(), Vec::new());
        Ledger { journal, kept, finished, stages, memory, problem: None }
    }

    /// Takes in a piece of case number `index`; of one that is done, the verdicts are given back.
    fn receive(&mut self, index: usize, piece: Piece) -> Option<Vec<Verdict>> {
        if self.problem.is_some() {
            return None;
        }
        let mut done = None;
        let kept = match piece {
            Piece::Nothing => Ok(()),
            Piece::Memory(of_thread) => {
                for (name, bytes) in of_thread {
                    hold(&mut self.memory, name, bytes);
                }
                Ok(())
            }
            Piece::Amended { column, what } => {
                self.kept.remove(&index);
                amend(self.journal, index, column, what)
            }
            Piece::Done { line, entry, verdicts, stages } => {
                self.stages += stages;
                let mut clock = Clock::start();
                let kept = line.and_then(|line| self.journal.put(index, line));
                self.stages.write += clock.lap();
                self.kept.extend(entry.map(|entry| (index, *entry)));
                self.finished += 1;
                done = Some(verdicts);
                kept
            }
        };
        self.problem = kept.err();
        done
    }
}

/// Notes the memory of a process.
fn hold(memory: &mut Vec<ProcessMemory>, name: String, bytes: u64) {
    match memory.iter_mut().find(|known| known.name == name) {
        Some(known) => known.peak_bytes = known.peak_bytes.max(bytes),
        None => memory.push(ProcessMemory { name, peak_bytes: bytes }),
    }
}

/// Makes the result of a backend an error, after the fact.
fn amend(journal: &mut dyn Journal, index: usize, column: usize, what: String) -> Result<(), JournalError> {
    let Some(line) = journal.get(index)? else { return Ok(()) };
    let mut entry = Entry::from_line(&line)?;
    if let Some(result) = entry.results.get_mut(column) {
        result.verdict = Verdict::Error;
        result.reason = Some(what);
        journal.put(index, entry.to_line()?)?;
    }
    Ok(())
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
            oracle: lineup.oracle.about(lineup.arbiter.info()),
            backends: lineup.backends.iter().map(|backend| column(backend.as_ref())).collect(),
        }
    }
}

/// The steps' names, the new layer first.
pub fn step_names(case: &Case) -> Vec<&'static str> {
    std::iter::once("new layer").chain(case.script.iter().map(bn_cases::case::Action::name)).collect()
}

/// This machine.
pub fn machine() -> Machine {
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
