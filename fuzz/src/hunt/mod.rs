//! A hunt: cases made by chance are asked of backends, for a time or a number of cases, and what is wrong is gathered by
//! what it shows as, so that one bug is one find.
//!
//! The cases are numbered, and each is a function of the seed and its number, so that a hunt for a number of cases finds the
//! same however many threads there are, and one that was stopped goes on where it was.

mod coverage;
mod desk;
mod dossier;
mod smaller;
mod state;

use std::sync::Mutex;
use std::time::{Duration, Instant};

use bn_api::wire::Stop;
use bn_harness::deviations::Deviations;
use bn_harness::finds::{DIFFERENTIAL, Find, Flaky, Hunt, Hunted, SCHEMA_VERSION};
use bn_harness::parallel;
use bn_harness::results::Verdict;
use bn_harness::runner::machine;

use crate::property::Property;
use crate::random;
pub use coverage::Reached;
pub use desk::{Desk, Failure, Lineup, Outcome, Question, Whose};
pub use dossier::Dossier;
pub use smaller::{MOST_TRIES, Subject};
pub use state::{State, StateError, seed_of};

/// How to hunt.
pub struct Options<'a> {
    /// The seed of the cases.
    pub seed: u64,
    /// How many cases at the most.
    pub cases: usize,
    /// How long at the most, without making the finds smaller.
    pub time: Option<Duration>,
    /// How many cases are in flight.
    pub jobs: usize,
    /// What must hold: the differential property, if it is asked, and those of the others of which each case is asked one, in
    /// turn.
    pub properties: &'a [&'static dyn Property],
    /// What the backends declare, one after the other.
    pub deviations: &'a [Deviations],
    /// The version of bncheck.
    pub bncheck: &'a str,
    /// Who says what is right, for the results.
    pub oracle: String,
    /// Ends it.
    pub stop: &'a Stop,
}

/// How far it is.
pub struct Progress<'a> {
    /// How many cases are done.
    pub cases: usize,
    /// What was reached of what cases can be.
    pub reached: &'a Reached,
    /// What was found.
    pub dossier: &'a Dossier,
}

/// What one case brings.
struct Piece {
    reached: Reached,
    outcome: Outcome,
}

/// Hunts, from where `state` is, and makes what it finds smaller. `open` makes a lineup for each thread; `progress` is
/// called after each case, and with nothing when a find is to be made smaller.
///
/// # Errors
/// When no lineup can be had, and when the state cannot be written.
pub fn hunt<E: Send + From<StateError>>(
    options: &Options<'_>,
    open: &(dyn Fn() -> Result<Lineup, E> + Sync),
    state: &mut State,
    progress: &mut dyn FnMut(Option<Progress<'_>>),
) -> Result<Hunt, E> {
    let started = Instant::now();
    let first = state.next();
    let names: Mutex<Vec<String>> = Mutex::default();
    let open = || {
        let desk = Desk::new(open()?, options.deviations);
        if let Ok(mut names) = names.lock() {
            *names = desk.names();
        }
        Ok::<_, E>(desk)
    };
    let is_differential = |property: &&'static dyn Property| property.name() == DIFFERENTIAL;
    let differential = options.properties.iter().any(is_differential);
    let metamorphic: Vec<&'static dyn Property> =
        options.properties.iter().copied().filter(|property| !is_differential(property)).collect();
    let over = || options.stop.is_now() || options.time.is_some_and(|time| started.elapsed() >= time);
    let work = |desk: &mut Desk<'_>, index: usize| {
        let case = random::case(options.seed, first + index);
        let turn = metamorphic.get((first + index) % metamorphic.len().max(1));
        let metamorphic = turn.map(std::slice::from_ref).unwrap_or_default();
        let outcome = desk.ask(&case, Question { backend: None, differential, metamorphic });
        // What was still asked when all was stopped has no answer.
        (!options.stop.is_now()).then(|| Piece { reached: Reached::by(&case), outcome })
    };
    let mut problem = None;
    let count = options.cases.saturating_sub(first);
    parallel::each_until(options.jobs, count, &over, &open, &work, &mut |index, piece| {
        let Some(Piece { reached, outcome }) = piece else { return };
        if let Err(error) = state.take(first + index, &reached, outcome) {
            problem = problem.take().or(Some(error));
            options.stop.now();
        }
        let (reached, dossier) = (&state.reached, &state.dossier);
        progress(Some(Progress { cases: state.next(), reached, dossier }));
    })?;
    if let Some(error) = problem {
        return Err(error.into());
    }
    state.save()?;
    let asked_now = state.next() - first;
    let duration_ms = started.elapsed().as_millis() as u64;
    let names = names.lock().map(|names| names.clone()).unwrap_or_default();
    let mut incomplete =
        options.stop.is_now().then(|| format!("it was stopped after {} cases", state.next()));
    let (mut finds, mut flaky) = (Vec::new(), Vec::new());
    if incomplete.is_none() {
        progress(None);
        (finds, flaky) = smaller::all(options, &open, &state.dossier, &names)?;
        let not_all = || "it was stopped while what was found was made smaller".to_owned();
        incomplete = options.stop.is_now().then(not_all);
    }
    Ok(Hunt {
        schema_version: SCHEMA_VERSION,
        bncheck: options.bncheck.to_owned(),
        oracle: options.oracle.clone(),
        machine: machine(),
        seed: options.seed,
        cases: state.next(),
        asked_now,
        duration_ms,
        properties: options.properties.iter().map(|property| property.name().to_owned()).collect(),
        backends: hunted(&names, state),
        coverage: state.reached.coverage(),
        finds,
        flaky,
        unreadable: state.unreadable.clone(),
        incomplete,
    })
}

fn hunted(names: &[String], state: &State) -> Vec<Hunted> {
    let of = |(number, name): (usize, &String)| {
        let count = |verdict: Verdict| state.dossier.count(number, verdict);
        let failed =
            Verdict::ALL.into_iter().filter(|verdict| !verdict.is_expected_of(true)).map(count).sum();
        Hunted {
            name: name.clone(),
            passed: count(Verdict::Pass),
            known: count(Verdict::Known),
            unsupported: count(Verdict::Unsupported),
            vacuous: count(Verdict::Vacuous),
            failed,
            properties_held: state.dossier.held(number),
        }
    };
    names.iter().enumerate().map(of).collect()
}

/// What came of making the finds smaller.
type Made = (Vec<Find>, Vec<Flaky>);
