//! libtorch and the worker that links it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use bn_api::Responder;
use bn_api::wire::{Worker, WorkerError};

use super::ORACLE;
use super::workers::{Job, Workers};
use crate::exit::CliError;

/// Starts libtorch, to be asked in float64.
///
/// # Errors
/// When libtorch or the worker is not to be had.
pub fn open_oracle(workers: &Workers) -> Result<Box<dyn Responder>, CliError> {
    Ok(Box::new(open(ORACLE, workers)?))
}

/// Starts the worker that serves one of the backends on libtorch.
///
/// # Errors
/// When libtorch or the worker is not to be had.
pub fn open(name: &'static str, workers: &Workers) -> Result<Worker, CliError> {
    let job = job(name, workers)?;
    workers.start("bncheck-torch", job).map_err(|error| match error {
        WorkerError::NoGreeting { how, .. } if how.contains("error while loading shared libraries") => {
            CliError::NoLibtorch { why: how }
        }
        error => CliError::Worker { backend: name.to_owned(), error },
    })
}

fn job(name: &str, workers: &Workers) -> Result<Job, CliError> {
    let libtorch = find_libtorch()?;
    let words = vec![worker_program()?.into(), name.into()];
    // libtorch's sums depend on the number of threads; the harness runs cases side by side instead.
    let mut environment = workers.threads();
    environment.push(("LD_LIBRARY_PATH".to_owned(), library_path(&libtorch)));
    Ok(Job { words, environment, folder: None })
}

/// Makes this process the worker. Comes back with why it has not become it.
///
/// # Errors
/// When libtorch or the worker is not to be had.
pub fn become_worker(name: &'static str) -> Result<CliError, CliError> {
    let Job { words, environment, .. } = job(name, &Workers::usual()?)?;
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).envs(environment);
    #[cfg(unix)]
    let error = std::os::unix::process::CommandExt::exec(&mut command);
    #[cfg(not(unix))]
    let error = match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    };
    let error = WorkerError::Start { program: "bncheck-torch".to_owned(), error: error.to_string() };
    Ok(CliError::Worker { backend: name.to_owned(), error })
}

/// The folder of libtorch's libraries before whatever the user's own library path says.
fn library_path(libtorch: &Path) -> OsString {
    let own = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let folders = std::iter::once(libtorch.join("lib")).chain(std::env::split_paths(&own));
    std::env::join_paths(folders).unwrap_or(own)
}

/// libtorch's folder: the user's `LIBTORCH`, or `.libtorch` in this folder, one above it, or one above the
/// program.
///
/// # Errors
/// When there is no `libtorch_cpu.so` in any, or this program is built without its worker.
pub fn find_libtorch() -> Result<PathBuf, CliError> {
    if !cfg!(feature = "libtorch") {
        return Err(CliError::BuiltWithoutLibtorch);
    }
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
    if !cfg!(feature = "libtorch") {
        return Err(CliError::BuiltWithoutLibtorch);
    }
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
