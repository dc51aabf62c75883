//! The backends there are: the one place that names them.

mod chosen;
mod outside;

use std::path::{Path, PathBuf};
use std::process::Command;

use bn_api::wire::{Worker, WorkerError};
use bn_api::{InProcess, Request, Responder, Response};
use bn_cases::{Case, Problems, did_you_mean};
use bn_cuda::Accumulator::{Double, Single};
use bn_cuda::Executes;
use bn_faulty::{Fault, Faulty, catalogue};
use bn_harness::deviations::Deviations;
use bn_harness::diagnosis::Suspects;
use bn_harness::results::Mistake;

use crate::exit::CliError;
use crate::selection::Cases;

pub use chosen::{Chosen, choose};
pub use outside::Outside;

/// A backend by name.
pub struct Entry {
    /// Its name.
    pub name: &'static str,
    home: Home,
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
pub static ALL: [Entry; 8] = [
    Entry { name: "reference", home: Home::Here(reference), deviations: deviations!("reference") },
    Entry { name: "libtorch", home: Home::TorchWorker, deviations: deviations!("libtorch") },
    Entry { name: "tch-nn", home: Home::TorchWorker, deviations: deviations!("tch-nn") },
    Entry { name: "candle", home: Home::Here(candle), deviations: deviations!("candle") },
    Entry { name: "cuda", home: Home::Cuda(Executes::Gpu, Single), deviations: deviations!("cuda") },
    Entry { name: "cuda-acc64", home: Home::Cuda(Executes::Gpu, Double), deviations: deviations!("cuda") },
    Entry { name: "cuda-ptx", home: Home::Cuda(Executes::Ptx, Single), deviations: deviations!("cuda") },
    Entry {
        name: "cuda-ptx-acc64",
        home: Home::Cuda(Executes::Ptx, Double),
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

impl Entry {
    /// Starts the backend.
    ///
    /// # Errors
    /// When it needs libtorch and that, or the worker, is not to be had, or a GPU and there is none.
    pub fn open(&self) -> Result<Box<dyn Responder>, CliError> {
        match self.home {
            Home::Here(make) => Ok(make()),
            Home::TorchWorker => Ok(Box::new(open_torch(self.name)?)),
            Home::Cuda(executes, accumulator) => match bn_cuda::open(self.name, executes, accumulator) {
                Ok(responder) => Ok(Box::new(responder)),
                Err(missing) => Err(CliError::NoDevice { backend: self.name, why: missing.to_string() }),
            },
        }
    }

    /// Starts the backend, or where there is no GPU for it what says so to every case.
    ///
    /// # Errors
    /// When something else is missing.
    pub fn open_if_there(&self) -> Result<Box<dyn Responder>, CliError> {
        match (self.open(), self.home) {
            (Err(CliError::NoDevice { why, .. }), Home::Cuda(executes, accumulator)) => {
                Ok(Box::new(bn_cuda::Absent::new(self.name, executes, accumulator, why)))
            }
            (opened, _) => opened,
        }
    }

    /// Whether bncheck can do its work without it.
    pub fn is_optional(&self) -> bool {
        matches!(self.home, Home::Cuda(Executes::Gpu, _))
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

/// The backends with these names, in the order of [`ALL`]; all of them when there is no name.
///
/// # Errors
/// When a name is unknown.
pub fn select(names: &[String]) -> Result<Vec<&'static Entry>, CliError> {
    for name in names {
        if !ALL.iter().any(|entry| entry.name == name) {
            let known: Vec<&str> = ALL.iter().map(|entry| entry.name).collect();
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

/// Starts libtorch, to be asked in float64.
///
/// # Errors
/// When libtorch or the worker is not to be had.
pub fn open_oracle() -> Result<Box<dyn Responder>, CliError> {
    Ok(Box::new(open_torch(ORACLE)?))
}

fn open_torch(name: &'static str) -> Result<Worker, CliError> {
    let libtorch = find_libtorch()?;
    let program = worker_program()?;
    let start = move || {
        let mut command = Command::new(&program);
        command.arg(name).env("LD_LIBRARY_PATH", library_path(&libtorch));
        // libtorch's sums depend on the number of threads; the harness runs cases side by side instead.
        command.env("OMP_NUM_THREADS", "1").env("MKL_NUM_THREADS", "1");
        command
    };
    Worker::start(start).map_err(|error| match error {
        WorkerError::NoGreeting { how, .. } if how.contains("error while loading shared libraries") => {
            CliError::NoLibtorch { why: how }
        }
        error => CliError::Worker { backend: name.to_owned(), error },
    })
}

/// The folder of libtorch's libraries before whatever the user's own library path says.
fn library_path(libtorch: &Path) -> std::ffi::OsString {
    let own = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = std::iter::once(libtorch.join("lib")).chain(std::env::split_paths(&own));
    std::env::join_paths(folders).unwrap_or(own)
}

/// libtorch's folder: the user's `LIBTORCH`, or `.libtorch` in this folder, one above it, or one above the
/// program.
///
/// # Errors
/// When there is no `libtorch_cpu.so` in any.
pub fn find_libtorch() -> Result<PathBuf, CliError> {
    let is_libtorch = |folder: &Path| folder.join("lib/libtorch_cpu.so").exists();
    if let Some(own) = std::env::var_os("LIBTORCH").map(PathBuf::from) {
        if is_libtorch(&own) {
            return Ok(own);
        }
        let why = format!("LIBTORCH is {}, where there is no lib/libtorch_cpu.so", own.display());
        return Err(CliError::NoLibtorch { why });
    }
    let starts = [std::env::current_dir().ok(), std::env::current_exe().ok()];
    starts
        .iter()
        .flatten()
        .flat_map(|start| start.ancestors())
        .map(|folder| folder.join(".libtorch"))
        .find(|folder| is_libtorch(folder))
        .ok_or_else(|| CliError::NoLibtorch {
            why: "there is no .libtorch in or above this folder".to_owned(),
        })
}

/// The worker's program, beside this one.
///
/// # Errors
/// When it is not there.
pub fn worker_program() -> Result<PathBuf, CliError> {
    let own = std::env::current_exe()?;
    let path = own.with_file_name(format!("bncheck-torch{}", std::env::consts::EXE_SUFFIX));
    build_under_cargo_run();
    if path.exists() { Ok(path) } else { Err(CliError::NoWorker { path }) }
}

/// `cargo run` builds the program it runs and no other: the worker is brought up to date here, once.
fn build_under_cargo_run() {
    static BUILT: std::sync::Once = std::sync::Once::new();
    BUILT.call_once(|| {
        let in_package =
            std::env::var_os("CARGO_PKG_NAME").is_some_and(|name| name == env!("CARGO_PKG_NAME"));
        if let (Some(cargo), true) = (std::env::var_os("CARGO"), in_package) {
            // What goes wrong shows on standard error, and as a missing or old worker.
            let _ = Command::new(cargo)
                .args(["build", "--quiet", "--package", "bncheck", "--bin", "bncheck-torch"])
                .status();
        }
    });
}
