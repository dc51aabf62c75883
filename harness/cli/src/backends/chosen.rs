//! The backends of one run: some of those there are, and the user's own.

use std::sync::Mutex;

use bn_api::Responder;
use bn_api::wire::Worker;
use bn_harness::deviations::Deviations;

use super::{ChosenOracle, Entry, Outside, Workers, config, deviations, select_beside};
use crate::args::Backends;
use crate::config::Configured;
use crate::exit::CliError;
use crate::selection::Cases;

/// Who is run, in the order of the results' columns.
pub struct Chosen {
    entries: Vec<&'static Entry>,
    /// Whether they were asked for by name, and so have to be there.
    named: bool,
    outside: Vec<Started>,
    /// How they are run.
    pub workers: Workers,
    /// Who says what is right.
    pub oracle: ChosenOracle,
}

/// A program of the user's, that has been started once, so that what is wrong with it is said before anything is run.
struct Started {
    outside: Outside,
    /// What `bncheck.toml` says of it, where it stands there.
    configured: Option<Configured>,
    /// Whether it has to be there.
    asked_for: bool,
    name: String,
    /// For whoever opens it first.
    worker: Mutex<Option<Worker>>,
}

/// The backends that the command line asks for: those it names, or, where it brings none of its own, all.
///
/// # Errors
/// When a name is unknown or two are the same, or when a program is no backend.
pub fn choose(args: &Backends) -> Result<Chosen, CliError> {
    choose_with(args, Workers::of(&args.workers)?)
}

/// The same, run in this way, whatever the command line says of that.
///
/// # Errors
/// The same.
pub fn choose_with(args: &Backends, workers: Workers) -> Result<Chosen, CliError> {
    let named = !args.names.is_empty();
    let none = !named && !args.commands.is_empty();
    let configured = config(&args.config)?.map(|config| config.backends).unwrap_or_default();
    let known: Vec<&str> = configured.iter().map(|backend| backend.name.as_str()).collect();
    let entries = if none { Vec::new() } else { select_beside(&args.names, &known)? };
    let joins = |backend: &Configured| {
        if named { args.names.contains(&backend.name) } else { !none && !backend.only_when_named }
    };
    let configured = configured.into_iter().filter(joins).map(|backend| {
        let mut program = backend.program.clone();
        // What the command line says is said of all.
        program.timeout = program.timeout.filter(|_| args.workers.timeout.is_none());
        program.memory = program.memory.filter(|_| args.workers.memory.is_none());
        (program, Some(backend), named)
    });
    let commands = args.commands.iter().map(|command| (command.clone(), None, true));
    let mut names: Vec<String> = entries.iter().map(|entry| entry.name.to_owned()).collect();
    let mut outside = Vec::new();
    for (program, configured, asked_for) in configured.chain(commands) {
        let worker = program.open(&workers, asked_for)?;
        let name = worker.info().name.clone();
        if names.contains(&name) {
            return Err(CliError::SameName { name });
        }
        names.push(name.clone());
        let worker = Mutex::new(Some(worker));
        outside.push(Started { outside: program, configured, asked_for, name, worker });
    }
    let oracle = ChosenOracle::of(&args.oracle)?;
    Ok(Chosen { entries, named, outside, workers, oracle })
}

impl Chosen {
    /// Starts them all. Who was not asked for by name need not be there.
    ///
    /// # Errors
    /// When one that has to be there is not.
    pub fn open(&self) -> Result<Vec<Box<dyn Responder>>, CliError> {
        let open = |entry: &&'static Entry| {
            if self.named { entry.open(&self.workers) } else { entry.open_if_there(&self.workers) }
        };
        let entries = self.entries.iter().map(open);
        let outside = self.outside.iter().map(|started| {
            let first = started.worker.lock().ok().and_then(|mut worker| worker.take());
            let worker = first.map_or_else(|| started.outside.open(&self.workers, started.asked_for), Ok)?;
            Ok(Box::new(worker) as Box<dyn Responder>)
        });
        entries.chain(outside).collect()
    }

    /// Each once more with another number of threads, where that can be had.
    ///
    /// # Errors
    /// The same.
    pub fn open_with_threads(&self) -> Result<Vec<Option<Box<dyn Responder>>>, CliError> {
        let entries = self.entries.iter().map(|entry| entry.open_with_threads(&self.workers));
        let workers = self.workers.with_threads();
        let outside = self.outside.iter().map(|started| {
            let worker = started.outside.open(&workers, started.asked_for)?;
            Ok(Some(Box::new(worker) as Box<dyn Responder>))
        });
        entries.chain(outside).collect()
    }

    /// Their names, in the order of the columns.
    pub fn names(&self) -> Vec<String> {
        let entries = self.entries.iter().map(|entry| entry.name.to_owned());
        entries.chain(self.outside.iter().map(|started| started.name.clone())).collect()
    }

    /// The commands of the command line, as they were given, by the backends' names.
    pub fn commands(&self) -> Vec<(String, String)> {
        let command = |started: &Started| (started.name.clone(), started.outside.to_string());
        self.outside.iter().filter(|started| started.configured.is_none()).map(command).collect()
    }

    /// All that is known of how each of the user's own is run, by their names: where that differs, its answers may.
    pub fn programs(&self) -> Vec<(String, String)> {
        self.outside.iter().map(|started| (started.name.clone(), format!("{:?}", started.outside))).collect()
    }

    /// What each of them declares. The commands of the command line declare nothing.
    ///
    /// # Errors
    /// When a file is wrong.
    pub fn deviations(&self, cases: &Cases) -> Result<Vec<Deviations>, CliError> {
        let mut declared = deviations(cases, &self.entries)?;
        let known = cases.all();
        for started in &self.outside {
            let of_it = started.configured.as_ref().map(|backend| backend.deviations(&known, cases.own));
            declared.push(of_it.transpose()?.unwrap_or_default());
        }
        Ok(declared)
    }
}
