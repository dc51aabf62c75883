//! `bncheck guard`, which bncheck calls itself: limits this process, and becomes another program.

use std::ffi::OsString;
use std::process::Command;

use bn_api::wire::CANNOT_START;

use crate::args::GuardArgs;
use crate::exit::{CliError, Outcome};

/// Limits this process and everything that it starts, and becomes the program. Ends with [`CANNOT_START`], and with why in
/// its last words, where there is no such program.
pub fn guard(args: &GuardArgs) -> Result<Outcome, CliError> {
    limit(args.memory)?;
    let Some((program, arguments)) = args.command.split_first() else { return Ok(Outcome::AsExpected) };
    let error = become_program(program, arguments);
    eprintln!("{error}");
    std::process::exit(CANNOT_START);
}

/// The data segment is limited, and not the address space, of which CUDA and others reserve more than there is memory. A
/// crash leaves no core behind, and the process does not outlive the run.
#[cfg(unix)]
fn limit(memory: Option<u64>) -> std::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let at_most = |limit: u64| Rlimit { current: Some(limit), maximum: Some(limit) };
    setrlimit(Resource::Core, at_most(0))?;
    if let Some(memory) = memory {
        setrlimit(Resource::Data, at_most(memory))?;
    }
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    Ok(())
}

#[cfg(not(unix))]
fn limit(_memory: Option<u64>) -> std::io::Result<()> {
    Ok(())
}

/// Why this process has not become the program.
#[cfg(unix)]
fn become_program(program: &OsString, arguments: &[OsString]) -> std::io::Error {
    std::os::unix::process::CommandExt::exec(Command::new(program).args(arguments))
}

#[cfg(not(unix))]
fn become_program(program: &OsString, arguments: &[OsString]) -> std::io::Error {
    match Command::new(program).args(arguments).status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}
