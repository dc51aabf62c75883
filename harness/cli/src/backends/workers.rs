//! Backends in processes of their own, within limits.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use bn_api::wire::{Limits, Program, Stop, Worker, WorkerError};

use crate::args::WorkerArgs;
use crate::exit::CliError;
use crate::memory;

/// How long a program may take until it greets: those that load a large library need some seconds.
const GREETING: Duration = Duration::from_secs(60);

/// How long a worker may take over a case, where nothing else is said, in seconds.
pub const TIMEOUT: f64 = 30.0;

/// A number of threads that is not 1, and divides hardly anything.
const SEVERAL: usize = 3;

/// Tells bncheck's own workers on how many threads they may compute.
const THREADS: &str = "BNCHECK_THREADS";

/// How backends are run.
#[derive(Debug, Clone)]
pub struct Workers {
    /// Whether those that can be are run in this process, where nothing holds them.
    pub in_process: bool,
    /// How long each may take over a case.
    pub timeout: Duration,
    /// How much memory each may take, in bytes.
    pub memory: Option<u64>,
    /// On how many threads each may compute, where that can be said.
    pub threads: usize,
    /// Ends all of them.
    pub stop: Stop,
    /// This program.
    own: PathBuf,
}

/// What a worker process runs.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// The program and its arguments.
    pub words: Vec<OsString>,
    /// What is set in its environment.
    pub environment: Vec<(String, OsString)>,
    /// The folder that it is run in, where it is not this one.
    pub folder: Option<PathBuf>,
}

impl Workers {
    /// The same on several threads.
    #[must_use]
    pub fn with_threads(&self) -> Self {
        Workers { threads: SEVERAL, ..self.clone() }
    }

    /// What tells the usual libraries on how many threads they may compute.
    pub fn threads(&self) -> Vec<(String, OsString)> {
        let names =
            ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS", THREADS];
        let threads = self.threads.to_string();
        names.into_iter().map(|name| (name.to_owned(), OsString::from(&threads))).collect()
    }

    /// As the command line asks.
    ///
    /// # Errors
    /// When this program cannot find itself.
    pub fn of(args: &WorkerArgs) -> Result<Self, CliError> {
        Ok(Workers {
            in_process: args.in_process,
            timeout: Duration::from_secs_f64(args.timeout.unwrap_or(TIMEOUT)),
            memory: args.memory.or_else(memory::half_of_all),
            threads: 1,
            stop: Stop::default(),
            own: std::env::current_exe()?,
        })
    }

    /// As it is where nothing is asked.
    ///
    /// # Errors
    /// The same.
    pub fn usual() -> Result<Self, CliError> {
        Self::of(&WorkerArgs::default())
    }

    /// This program with some arguments.
    pub fn own(&self, arguments: &[&str]) -> Job {
        let words = std::iter::once(self.own.clone().into()).chain(arguments.iter().map(OsString::from));
        let environment = if self.threads == 1 { Vec::new() } else { self.threads() };
        Job { words: words.collect(), environment, folder: None }
    }

    /// Starts a worker, which errors call `name`.
    ///
    /// # Errors
    /// See [`WorkerError`].
    pub fn start(&self, name: &str, job: Job) -> Result<Worker, WorkerError> {
        let limits = Limits {
            greeting: GREETING.max(self.timeout),
            answer: self.timeout,
            memory: self.memory,
            stop: self.stop.clone(),
        };
        let workers = self.clone();
        let command = Box::new(move || workers.guarded(&job));
        Worker::start(limits, Program { name: name.to_owned(), command })
    }

    /// The command that limits itself and then becomes the job's (`bncheck guard`).
    fn guarded(&self, job: &Job) -> Command {
        let mut command = Command::new(&self.own);
        command.arg("guard");
        if let Some(memory) = self.memory {
            command.arg("--memory").arg(memory.to_string());
        }
        command.arg("--").args(&job.words);
        command.envs(job.environment.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &job.folder {
            command.current_dir(folder);
        }
        command
    }
}
