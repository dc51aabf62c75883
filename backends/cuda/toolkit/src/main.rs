//! `bn-cuda-toolkit`: what `just ptx` and `just ptx-check` run.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bn_cuda_toolkit::compile::{Outcome, check, write};
use bn_cuda_toolkit::gates::gates;
use bn_cuda_toolkit::nvrtc::Nvrtc;
use bn_cuda_toolkit::place::Toolkit;
use bn_cuda_toolkit::self_test;
use clap::{Parser, Subcommand};

/// Compiles the CUDA kernel to PTX and holds what it becomes to static gates, without a GPU
#[derive(Debug, Parser)]
#[command(name = "bn-cuda-toolkit", after_help = EXIT_CODES)]
struct Cli {
    /// The toolkit's directory, where backends/cuda/toolkit/setup did not put it
    #[arg(long, global = true, value_name = "DIR")]
    toolkit: Option<PathBuf>,
    /// The checkout; otherwise that in which this program was built
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all is well, 1 something is not, 2 usage, 5 no toolkit.";
const NO_TOOLKIT: u8 = 5;

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the committed PTX files from the CUDA C++
    Compile {
        /// Write nothing; say which files are not as they would be made
        #[arg(long)]
        check: bool,
    },
    /// Hold the committed PTX, and the machine code that ptxas makes from it, to the gates
    Gates,
    /// Check on kernels that are wrong on purpose that the compiler and the gates say so
    SelfTest,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let root = cli.root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.."));
    let toolkit = match Toolkit::find(cli.toolkit) {
        Ok(toolkit) => toolkit,
        Err(error) => return no_toolkit(&error),
    };
    match cli.command {
        Command::Gates => run_gates(&root, &toolkit),
        Command::Compile { check } => match Nvrtc::load(&toolkit) {
            Ok(nvrtc) => run_compile(&root, &nvrtc, check),
            Err(error) => no_toolkit(&error),
        },
        Command::SelfTest => match Nvrtc::load(&toolkit) {
            Ok(nvrtc) => run_self_test(&toolkit, &nvrtc),
            Err(error) => no_toolkit(&error),
        },
    }
}

fn no_toolkit(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::from(NO_TOOLKIT)
}

/// The closing line, and the exit code.
fn closing(passed: usize, failed: usize) -> ExitCode {
    println!("{passed} passed, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_compile(root: &Path, nvrtc: &Nvrtc, only_check: bool) -> ExitCode {
    let outcomes = if only_check { check(root, nvrtc) } else { write(root, nvrtc) };
    let (mut fine, mut stale, mut failed) = (0, 0, 0);
    // One mistake in a source fails every file that is made of it.
    let mut said: Option<String> = None;
    for (path, outcome) in outcomes {
        match outcome {
            Outcome::Fresh => fine += 1,
            Outcome::Written => println!("{path}: written"),
            Outcome::Removed => println!("{path}: removed, as nothing makes it"),
            Outcome::Stale(why) => {
                stale += 1;
                eprintln!("{path}: {why}");
            }
            Outcome::Failed(error) => {
                failed += 1;
                let message = error.to_string();
                if said.as_ref() == Some(&message) {
                    eprintln!("{path}: not made, for the same reason");
                } else {
                    eprintln!("{path}: not made: {message}");
                    said = Some(message);
                }
            }
        }
    }
    if stale > 0 {
        eprintln!("The committed PTX is not what its source gives. Type: just ptx");
    }
    if only_check {
        return closing(fine, stale + failed);
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run_gates(root: &Path, toolkit: &Toolkit) -> ExitCode {
    match gates(root, toolkit) {
        Ok(findings) => {
            print!("{}", findings.table());
            for failure in &findings.failures {
                eprintln!("FAILED {failure}");
            }
            closing(findings.passed, findings.failures.len())
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run_self_test(toolkit: &Toolkit, nvrtc: &Nvrtc) -> ExitCode {
    let (mut passed, mut failed) = (0, 0);
    for (what, result) in self_test::run(toolkit, nvrtc) {
        match result {
            Ok(()) => {
                passed += 1;
                println!("ok      {what}");
            }
            Err(why) => {
                failed += 1;
                println!("FAILED  {what}: {why}");
            }
        }
    }
    closing(passed, failed)
}
