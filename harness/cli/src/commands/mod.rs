//! One module a command.

pub mod audit;
pub mod bench;
pub mod budgets;
pub mod diff;
pub mod doctor;
pub mod explain;
pub mod export;
pub mod faults;
pub mod fuzz;
pub mod gpu_check;
pub mod guard;
pub mod list;
pub mod promote;
pub mod record;
pub mod report;
pub mod run;
pub mod sound;
pub mod worker;

use std::io::Write;
use std::path::PathBuf;

use bn_reports::terminal::Invocation;

/// Prints to standard output, with colours where they are wanted.
///
/// # Errors
/// When standard output is closed.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut output = anstream::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// How many cases are in flight: as many as were asked for, or as there are processors.
pub fn jobs(asked: Option<u16>) -> usize {
    let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    asked.map_or_else(processors, usize::from)
}

/// How the user called bncheck, for lines to copy.
pub fn invocation(suites: &[PathBuf]) -> Invocation {
    Invocation {
        program: std::env::args().next().unwrap_or_else(|| "bncheck".to_owned()),
        suites: suites.iter().map(|path| path.display().to_string()).collect(),
        ..Invocation::default()
    }
}
