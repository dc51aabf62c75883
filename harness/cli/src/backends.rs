//! The backends there are: the one place that names them.

mod absent;
mod chosen;
mod oracle;
mod outside;
mod torch;
mod workers;

use bn_api::{InProcess, Request, Responder, Response};
use bn_cases::{Case, Problems, did_you_mean};
use bn_cuda::Accumulator::{Double, Single};
use bn_cuda::Executes;
use bn_faulty::{Fault, Faulty, catalogue};
use bn_harness::deviations::Deviations;
use bn_harness::diagnosis::Suspects;
use bn_harness::results::Mistake;
use clap::builder::PossibleValuesParser;

use crate::args::ConfigArgs;
use crate::config::Config;
use crate::exit::CliError;
use crate::selection::Cases;

use absent::Absent;

pub use chosen::{Chosen, choose, choose_with};
pub use oracle::{ChosenOracle, RECORDING, recording};
pub use outside::{Outside, is_name};
pub use torch::{find_libtorch, open_oracle, worker_program};
pub use workers::Workers;

/// A backend by name.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    home: Home,
    /// Whether it computes on several threads where it may.
    threads: bool,
    deviations: (&'static str, &'static str),
}

#[derive(Clone, Copy)]
enum Home {
    /// In this process.
    Here(fn() -> Box<dyn Responder>),
    /// In the worker that links libtorch.
    TorchWorker,
    /// The CUDA kernel on a device of this process, which may not be there.
    Cuda(Executes, bn_cuda::Accumulator),
}

/// Where a backend declares its deviations, and what stands there.
macro_rules! deviations {
    ($folder:literal) => {
        (
            concat!("backends/", $folder, "/deviations.yaml"),
            include_str!(concat!("../../../backends/", $folder, "/deviations.yaml")),
        )
    };
}

/// All backends, in the order of the results' columns. A new backend is one line here.
pub static ALL: [Entry; 9] = [
    Entry {
        name: "reference",
        home: Home::Here(reference),
        threads: false,
        deviations: deviations!("reference"),
    },
    Entry { name: "libtorch", home: Home::TorchWorker, threads: true, deviations: deviations!("libtorch") },
    Entry { name: "tch-nn", home: Home::TorchWorker, threads: true, deviations: deviations!("tch-nn") },
    Entry { name: "candle", home: Home::Here(candle), threads: true, deviations: deviations!("candle") },
    Entry { name: "burn", home: Home::Here(burn), threads: true, deviations: deviations!("burn") },
    Entry {
        name: "cuda",
        home: Home::Cuda(Executes::Gpu, Single),
        threads: false,
        deviations: deviations!("cuda"),
    },
    Entry {
        name: "cuda-acc64",
        home: Home::Cuda(Executes::Gpu, Double),
        threads: false,
        deviations: deviations!("cuda"),
    },
    Entry {
        name: "cuda-ptx",
        home: Home::Cuda(Executes::Ptx, Single),
        threads: false,
        deviations: deviations!("cuda"),
    },
    Entry {
        name: "cuda-ptx-acc64",
        home: Home::Cuda(Executes::Ptx, Double),
        threads: false,
        deviations: deviations!("cuda"),
    },
];

/// The backend that is asked in float64 for the exact answers.
pub const ORACLE: &str = "libtorch";

/// What the oracle itself is judged by, and everything in f64.
pub fn arbiter() -> Box<dyn Responder> {
    Box::new(InProcess::new(bn_reference::Arbiter))
}

/// A backend that makes known mistakes.
pub fn faulty(backend: Faulty) -> Box<dyn Responder> {
    Box::new(InProcess::new(backend))
}

/// The known mistakes, which failures are compared with.
pub fn suspects() -> Box<dyn Suspects> {
    let mistake = |fault: &Fault| Mistake {
        name: fault.name.to_owned(),
        about: fault.about.to_owned(),
        link: fault.link.map(str::to_owned),
    };
    Box::new(Catalogue { mistakes: catalogue().iter().map(mistake).collect() })
}

struct Catalogue {
    mistakes: Vec<Mistake>,
}

impl Suspects for Catalogue {
    fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }

    fn answer(&mut self, which: &[usize], request: &Request) -> Option<Response> {
        let faults = catalogue();
        let faulty = match *which {
            [one] => Faulty::with(faults.get(one)?),
            [one, other] => Faulty::with_both(faults.get(one)?, faults.get(other)?)?,
            _ => return None,
        };
        Some(InProcess::new(faulty).respond(request))
    }
}

fn reference() -> Box<dyn Responder> {
    Box::new(InProcess::new(bn_reference::Reference))
}

fn candle() -> Box<dyn Responder> {
    Box::new(InProcess::new(bn_candle::Candle))
}

fn burn() -> Box<dyn Responder> {
    Box::new(InProcess::new(bn_burn::Burn))
}

impl Entry {
    /// Starts the backend: in a worker process, where it is not to be in this one.
    ///
    /// # Errors
    /// When it needs libtorch and that, or the worker, is not to be had, or a GPU and there is none.
    pub fn open(&self, workers: &Workers) -> Result<Box<dyn Responder>, CliError> {
        match self.home {
            Home::TorchWorker => Ok(Box::new(torch::open(self.name, workers)?)),
            Home::Here(_) | Home::Cuda(..) if workers.in_process => self.open_here(),
            Home::Cuda(Executes::Gpu, _) => {
                // What is missing is found before a worker is started for it.
                drop(self.open_here()?);
                self.open_worker(workers)
            }
            Home::Here(_) | Home::Cuda(Executes::Ptx, _) => self.open_worker(workers),
        }
    }

    fn open_worker(&self, workers: &Workers) -> Result<Box<dyn Responder>, CliError> {
        let worker = workers.start(self.name, workers.own(&["worker", self.name]));
        let worker = worker.map_err(|error| CliError::Worker { backend: self.name.to_owned(), error })?;
        Ok(Box::new(worker))
    }

    /// Starts it once more, with another number of threads, where it computes on several.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with_threads(&self, workers: &Workers) -> Result<Option<Box<dyn Responder>>, CliError> {
        if !self.threads || workers.in_process {
            return Ok(None);
        }
        self.open_if_there(&workers.with_threads()).map(Some)
    }

    /// The backend in this process; one that links libtorch becomes this process.
    ///
    /// # Errors
    /// The same.
    pub fn open_here(&self) -> Result<Box<dyn Responder>, CliError> {
        match self.home {
            Home::Here(make) => Ok(make()),
            Home::TorchWorker => Err(torch::become_worker(self.name)?),
            Home::Cuda(executes, accumulator) => match bn_cuda::open(self.name, executes, accumulator) {
                Ok(responder) => Ok(Box::new(responder)),
                Err(missing) => Err(CliError::NoDevice { backend: self.name, why: missing.to_string() }),
            },
        }
    }

    /// Starts the backend, or where there is no GPU or no libtorch for it what says so to every case.
    ///
    /// # Errors
    /// When something else is missing.
    pub fn open_if_there(&self, workers: &Workers) -> Result<Box<dyn Responder>, CliError> {
        match (self.open(workers), self.home) {
            (Err(CliError::NoDevice { why, .. }), Home::Cuda(executes, accumulator)) => {
                Ok(Box::new(bn_cuda::Absent::new(self.name, executes, accumulator, why)))
            }
            (
                Err(why @ (CliError::NoLibtorch { .. } | CliError::BuiltWithoutLibtorch)),
                Home::TorchWorker,
            ) => Ok(Box::new(Absent::new(self.name, why.to_string()))),
            (opened, _) => opened,
        }
    }

    /// Whether bncheck can do its work without it.
    pub fn is_optional(&self) -> bool {
        match self.home {
            Home::Cuda(Executes::Gpu, _) => true,
            Home::TorchWorker => !cfg!(feature = "libtorch"),
            _ => false,
        }
    }

    /// Its declared deviations. `cases` are all that there are.
    ///
    /// # Errors
    /// When the file is wrong.
    pub fn deviations(&self, cases: &[&Case]) -> Result<Deviations, Problems> {
        let (path, text) = self.deviations;
        Deviations::read(path, text, cases)
    }
}

/// The user's own file of backends, where there is one.
///
/// # Errors
/// When it is wrong.
pub fn config(args: &ConfigArgs) -> Result<Option<Config>, CliError> {
    Config::find(args, &ALL.each_ref().map(|entry| entry.name))
}

/// The command line, with the names of all backends wherever one may stand: for a shell to complete.
///
/// # Errors
/// When the user's own file of backends is wrong.
pub fn completed(command: clap::Command) -> Result<clap::Command, CliError> {
    let own = config(&ConfigArgs::default())?.map(|config| config.backends).unwrap_or_default();
    // The parser keeps what is written in the program; this is asked for once.
    let own = own.into_iter().map(|backend| &*backend.name.leak());
    let names: Vec<&'static str> = ALL.iter().map(|entry| entry.name).chain(own).collect();
    Ok(command.mut_subcommands(|command| {
        command.mut_args(|argument| match argument.get_long() {
            Some("backend") => argument.value_parser(PossibleValuesParser::new(names.clone())),
            _ => argument,
        })
    }))
}

/// The backend of this name.
///
/// # Errors
/// When there is none.
pub fn entry(name: &str) -> Result<&'static Entry, CliError> {
    Ok(select(&[name.to_owned()])?[0])
}

/// The backends with these names, in the order of [`ALL`]; all of them when there is no name.
///
/// # Errors
/// When a name is unknown.
pub fn select(names: &[String]) -> Result<Vec<&'static Entry>, CliError> {
    select_beside(names, &[])
}

/// The same where names may also be of others, which are no entries.
///
/// # Errors
/// When a name is of neither.
pub fn select_beside(names: &[String], others: &[&str]) -> Result<Vec<&'static Entry>, CliError> {
    for name in names {
        let known: Vec<&str> = ALL.iter().map(|entry| entry.name).chain(others.iter().copied()).collect();
        if !known.contains(&name.as_str()) {
            let guess =
                did_you_mean(name, known.iter().copied()).map(|guess| guess + " ").unwrap_or_default();
            return Err(CliError::UnknownBackend { name: name.clone(), known: known.join(", "), guess });
        }
    }
    let wanted = |entry: &&Entry| names.is_empty() || names.iter().any(|name| name == entry.name);
    Ok(ALL.iter().filter(wanted).collect())
}

/// What each of these declares, as far as it speaks of these cases: of the checkout's own suites, by id.
///
/// # Errors
/// When a file is wrong.
pub fn deviations(cases: &Cases, entries: &[&'static Entry]) -> Result<Vec<Deviations>, Problems> {
    if !cases.own {
        return Ok(vec![Deviations::default(); entries.len()]);
    }
    let known = cases.all();
    entries.iter().map(|entry| entry.deviations(&known)).collect()
}
