//! One module a command.

pub mod doctor;
pub mod explain;
pub mod list;
pub mod run;

use std::io::Write;

/// Prints to standard output, with colours where they are wanted.
///
/// # Errors
/// When standard output is closed.
pub fn print(text: &str) -> std::io::Result<()> {
    let mut output = anstream::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// How the user called bncheck, for lines to copy.
pub fn program() -> String {
    std::env::args().next().unwrap_or_else(|| "bncheck".to_owned())
}
