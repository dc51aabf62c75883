//! The worker process: a backend that needs libtorch, behind a pipe. `bncheck` starts it; a crash of
//! libtorch ends this process and not the run.

use std::process::ExitCode;

use bn_api::{InProcess, Responder, wire};

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let mut backend: Box<dyn Responder> = match name.as_str() {
        "libtorch" => Box::new(InProcess::new(bn_libtorch::Libtorch)),
        "tch-nn" => Box::new(InProcess::new(bn_tch_nn::TchNn)),
        _ => {
            eprintln!(
                "bncheck-torch serves `libtorch` and `tch-nn` to bncheck; it is not meant to be called"
            );
            return ExitCode::from(2);
        }
    };
    // A panic of the backend is part of an answer, not of this process' output.
    std::panic::set_hook(Box::new(|_| {}));
    match wire::serve(backend.as_mut()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bncheck-torch: {error}");
            ExitCode::FAILURE
        }
    }
}
