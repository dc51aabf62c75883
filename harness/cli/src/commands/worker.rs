//! `bncheck worker`: a backend behind the protocol.

use std::io::IsTerminal;

use bn_api::wire;

use crate::backends;
use crate::exit::{CliError, Outcome};

/// Serves a backend on standard input and output until the input ends.
pub fn worker(name: &str) -> Result<Outcome, CliError> {
    let entry = backends::entry(name)?;
    if std::io::stdout().is_terminal() {
        return Err(CliError::ToTerminal { backend: entry.name });
    }
    let mut backend = entry.open_here()?;
    // A panic of the backend is part of an answer, not of this process' output.
    std::panic::set_hook(Box::new(|_| {}));
    wire::serve(backend.as_mut()).map_err(CliError::Serve)?;
    Ok(Outcome::AsExpected)
}
