//! The backends of one run: some of those there are, and the user's own.

use std::sync::Mutex;
use std::time::Duration;

use bn_api::Responder;
use bn_api::wire::Worker;
use bn_harness::deviations::Deviations;

use super::{Entry, Outside, deviations, select};
use crate::args::Backends;
use crate::exit::CliError;
use crate::selection::Cases;

/// Who is run, in the order of the results' columns.
pub struct Chosen {
    entries: Vec<&'static Entry>,
    /// Whether they were asked for by name, and so have to be there.
    named: bool,
    outside: Vec<Started>,
    timeout: Duration,
}

/// A program of the user's, that has been started once, so that what is wrong with it is said before anything is run.
struct Started {
    outside: Outside,
    name: String,
    /// For whoever opens it first.
    worker: Mutex<Option<Worker>>,
}

/// The backends that the command line asks for: those it names, or, where it brings none of its own, all.
///
/// # Errors
/// When a name is unknown or two are the same, or when a program is no backend.
pub fn choose(args: &Backends) -> Result<Chosen, CliError> {
    let none = args.names.is_empty() && !args.commands.is_empty();
    let entries = if none { Vec::new() } else { select(&args.names)? };
    let timeout = Duration::from_secs_f64(args.timeout);
    let mut names: Vec<String> = entries.iter().map(|entry| entry.name.to_owned()).collect();
    let mut outside = Vec::new();
    for command in &args.commands {
        let worker = command.open(timeout)?;
        let name = worker.info().name.clone();
        if names.contains(&name) {
            return Err(CliError::SameName { name });
        }
        names.push(name.clone());
        outside.push(Started { outside: command.clone(), name, worker: Mutex::new(Some(worker)) });
    }
    Ok(Chosen { entries, named: !args.names.is_empty(), outside, timeout })
}

impl Chosen {
    /// Starts them all. Who was not asked for by name need not be there.
    ///
    /// # Errors
    /// When one that has to be there is not.
    pub fn open(&self) -> Result<Vec<Box<dyn Responder>>, CliError> {
        let open = |entry: &&'static Entry| if self.named { entry.open() } else { entry.open_if_there() };
        let entries = self.entries.iter().map(open);
        let outside = self.outside.iter().map(|started| {
            let first = started.worker.lock().ok().and_then(|mut worker| worker.take());
            let worker = first.map_or_else(|| started.outside.open(self.timeout), Ok)?;
            Ok(Box::new(worker) as Box<dyn Responder>)
        });
        entries.chain(outside).collect()
    }

    /// The commands of the user's own, as they were given, by their names.
    pub fn commands(&self) -> Vec<(String, String)> {
        let command = |started: &Started| (started.name.clone(), started.outside.to_string());
        self.outside.iter().map(command).collect()
    }

    /// What each of them declares. The user's own declare nothing.
    ///
    /// # Errors
    /// When a file is wrong.
    pub fn deviations(&self, cases: &Cases) -> Result<Vec<Deviations>, CliError> {
        let mut declared = deviations(cases, &self.entries)?;
        declared.extend(self.outside.iter().map(|_| Deviations::default()));
        Ok(declared)
    }
}
