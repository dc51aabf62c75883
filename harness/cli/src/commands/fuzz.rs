//! `bncheck fuzz`: a hunt through cases made by chance.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bn_api::Responder;
use bn_fuzz::hunt::{self, Desk, Lineup, Options, Question, State};
use bn_fuzz::property::{PROPERTIES, Property, THREADS, find};
use bn_harness::deviations::Deviations;
use bn_harness::finds::{DIFFERENTIAL, Hunt};
use bn_reports::finds::{self, file_name, file_text};
use bn_reports::json::WriteError;
use serde_json::json;

use crate::args::{Format, FuzzArgs};
use crate::backends::{self, Chosen};
use crate::commands::{jobs, print};
use crate::exit::{CliError, Outcome};
use crate::folder::Folder;
use crate::hunt_progress::HuntProgress;
use crate::interrupt;
use crate::selection::Cases;

/// How long a hunt takes where nothing is said.
const TIME: Duration = Duration::from_secs(60);

/// Where a hunt is, in its folder.
const STATE: &str = "state";

/// The folder of the finds.
const FINDS: &str = "finds";

/// Hunts, prints what was found and writes it.
pub fn fuzz(suites: &[PathBuf], args: &FuzzArgs) -> Result<Outcome, CliError> {
    let properties = properties(&args.properties)?;
    let chosen = backends::choose(&args.backends)?;
    let declared = declared(&chosen, suites)?;
    interrupt::stops(&chosen.workers.stop);
    if !args.replay.is_empty() {
        return replay(args, &chosen, &properties, &declared);
    }
    let folder = Folder::take(&args.output)?;
    let path = folder.path.join(STATE);
    let (mut state, seed) = begin(args, &path, &chosen, &properties)?;
    for what in &state.unreadable {
        eprintln!("{what}");
    }
    let time = args.time.or_else(|| args.cases.is_none().then_some(TIME));
    let options = Options {
        seed,
        cases: args.cases.unwrap_or(usize::MAX),
        time,
        jobs: jobs(args.jobs),
        properties: &properties,
        deviations: &declared,
        bncheck: env!("CARGO_PKG_VERSION"),
        oracle: chosen.oracle.identity(),
        stop: &chosen.workers.stop,
    };
    chosen.oracle.say();
    eprintln!("hunting with seed {seed}");
    let mut progress = HuntProgress::new(args.cases, time, state.next());
    let mut hunt =
        hunt::hunt(&options, &|| open(&chosen, &properties), &mut state, &mut |now| progress.show(now))?;
    progress.finish();
    write_finds(&mut hunt, &folder.path)?;
    print(&match args.format {
        Format::Human => finds::human(&hunt),
        Format::Json => format!("{:#}\n", json!(hunt)),
    })?;
    if hunt.incomplete.is_some() {
        eprintln!("to go on: the same command line with --seed {seed} --resume");
        return Ok(Outcome::Stopped);
    }
    Ok(if hunt.as_expected() { Outcome::AsExpected } else { Outcome::Mismatch })
}

/// The properties with these names; all of them when there is no name.
fn properties(names: &[String]) -> Result<Vec<&'static dyn Property>, CliError> {
    if names.is_empty() {
        return Ok(PROPERTIES.to_vec());
    }
    let mut chosen: Vec<&'static dyn Property> = Vec::new();
    for name in names {
        let property =
            find(name).map_err(|error| CliError::UnknownProperty { message: error.to_string() })?;
        if !chosen.iter().any(|known| known.name() == property.name()) {
            chosen.push(property);
        }
    }
    Ok(chosen)
}

/// What the backends declare; of cases made by chance it may be so, and need not.
fn declared(chosen: &Chosen, suites: &[PathBuf]) -> Result<Vec<Deviations>, CliError> {
    let cases = Cases::load(suites)?;
    Ok(chosen.deviations(&cases)?.into_iter().map(Deviations::elsewhere).collect())
}

/// Everyone, for one thread; once more with other threads where a property asks for that.
fn open(chosen: &Chosen, properties: &[&'static dyn Property]) -> Result<Lineup, CliError> {
    let with_threads = properties.iter().any(|property| property.name() == THREADS);
    let threads: Vec<Option<Box<dyn Responder>>> =
        if with_threads { chosen.open_with_threads()? } else { Vec::new() };
    Ok(Lineup {
        oracle: chosen.oracle.open(&chosen.workers)?,
        arbiter: backends::arbiter(),
        backends: chosen.open()?,
        threads,
        suspects: backends::suspects(),
    })
}

/// Where the hunt begins, and the seed of its cases.
fn begin(
    args: &FuzzArgs,
    path: &Path,
    chosen: &Chosen,
    properties: &[&'static dyn Property],
) -> Result<(State, u64), CliError> {
    let names: Vec<&str> = properties.iter().map(|property| property.name()).collect();
    let identity = |seed: u64| {
        json!({
            "bncheck": env!("CARGO_PKG_VERSION"),
            "seed": seed,
            "backends": chosen.names(),
            "programs": chosen.programs(),
            "properties": names,
            "oracle": chosen.oracle.identity(),
        })
        .to_string()
    };
    if !args.resume {
        let seed = args.seed.unwrap_or_else(fresh);
        return Ok((State::new_in(path, &identity(seed))?, seed));
    }
    // Which seed it was, the state says where the command line does not.
    let seed = args.seed.or_else(|| hunt::seed_of(path)).unwrap_or_else(fresh);
    match State::resumed_from(path, &identity(seed))? {
        Ok(state) => Ok((state, seed)),
        Err(other) => Err(CliError::OtherHunt { path: path.to_owned(), other }),
    }
}

/// A seed that nobody has had: the clock's, in few digits.
fn fresh() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_millis() as u64 % 1_000_000_000)
}

/// Writes each find as a case, and all of them as fuzz.json. What an earlier hunt left there goes.
fn write_finds(hunt: &mut Hunt, folder: &Path) -> Result<(), CliError> {
    let finds = folder.join(FINDS);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| WriteError { path, error }
    };
    if finds.is_dir() {
        for entry in fs::read_dir(&finds).map_err(failed(&finds))?.flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "yaml") {
                fs::remove_file(entry.path()).map_err(failed(&entry.path()))?;
            }
        }
    }
    fs::create_dir_all(&finds).map_err(failed(&finds))?;
    let mut taken = Vec::new();
    for find in &mut hunt.finds {
        let name = file_name(find, &taken);
        let path = finds.join(format!("{name}.yaml"));
        find.file = Some(path.display().to_string());
        find.yaml = find.yaml.replacen("suite: fuzz", &format!("suite: fuzz/{name}"), 1);
        taken.push(name);
    }
    for find in &hunt.finds {
        if let Some(path) = &find.file {
            fs::write(path, file_text(find, hunt)).map_err(failed(Path::new(path)))?;
        }
    }
    let path = folder.join("fuzz.json");
    let text = format!("{:#}\n", json!(hunt));
    fs::write(&path, text).map_err(failed(&path))?;
    Ok(())
}

/// Asks cases of files, and prints what is wrong.
fn replay(
    args: &FuzzArgs,
    chosen: &Chosen,
    properties: &[&'static dyn Property],
    declared: &[Deviations],
) -> Result<Outcome, CliError> {
    let cases = Cases::load(&args.replay)?;
    let mut desk = Desk::new(open(chosen, properties)?, declared);
    let names = desk.names();
    let metamorphic: Vec<&'static dyn Property> =
        properties.iter().copied().filter(|property| property.name() != DIFFERENTIAL).collect();
    let differential = metamorphic.len() < properties.len();
    let mut wrong = 0;
    for case in cases.all() {
        let question = Question { backend: None, differential, metamorphic: &metamorphic };
        let outcome = desk.ask(case, question);
        wrong += outcome.failures.len();
        print(&finds::replayed(&case.id, &names, &outcome.said(&names)))?;
    }
    Ok(if wrong == 0 { Outcome::AsExpected } else { Outcome::Mismatch })
}
