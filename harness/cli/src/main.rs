//! `bncheck`: the command line.

mod args;
mod asked;
mod backends;
mod baseline;
mod commands;
mod config;
mod exit;
mod folder;
mod hunt_progress;
mod interrupt;
mod memory;
mod output;
mod partition;
mod progress;
mod resume;
mod selection;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;
use miette::{GraphicalReportHandler, GraphicalTheme, Report};

use args::{Cli, Command, SchemaOf};
use exit::{BUG, CliError, Outcome};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = std::panic::catch_unwind(|| run(&cli));
    match result {
        Ok(Ok(outcome)) => outcome.into(),
        // Whoever reads us has enough: `bncheck list | head`.
        Ok(Err(CliError::Output(error))) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            let code = error.code();
            report(error);
            code
        }
        Err(_) => {
            eprintln!(
                "\nThis is a bug in bncheck. Please report it with the command line and the message above."
            );
            ExitCode::from(BUG)
        }
    }
}

fn run(cli: &Cli) -> Result<Outcome, CliError> {
    // Lets a test see how a bug of bncheck ends.
    assert!(std::env::var_os("BNCHECK_TEST_PANIC").is_none(), "asked to panic by BNCHECK_TEST_PANIC");
    match &cli.command {
        Command::List { filter, tier, partition, format } => {
            commands::list::list(&cli.suites, filter, *tier, *partition, *format)
        }
        Command::Run(args) => commands::run::run(&cli.suites, args),
        Command::Diff(args) => commands::diff::diff(args),
        Command::Report(args) => commands::report::report(args),
        Command::Replay { id, backends, format } => commands::run::replay(&cli.suites, id, backends, *format),
        Command::Sound(args) => commands::sound::sound(&cli.suites, args),
        Command::Budgets(args) => commands::budgets::budgets(&cli.suites, args),
        Command::Export { filter, python: false } => commands::export::export(&cli.suites, filter),
        Command::Export { filter, python: true } => commands::export::script(&cli.suites, filter),
        Command::Record(args) => commands::record::record(&cli.suites, args),
        Command::Audit { recording } => commands::audit::audit(&cli.suites, recording),
        Command::Explain { id } => commands::explain::explain(&cli.suites, id),
        Command::Fuzz(args) => commands::fuzz::fuzz(&cli.suites, args),
        Command::Promote(args) => commands::promote::promote(args),
        Command::Faults(args) => commands::faults::faults(&cli.suites, args),
        Command::GpuCheck(args) => commands::gpu_check::gpu_check(&cli.suites, args),
        Command::Bench(args) => commands::bench::bench(args),
        Command::Worker { name } => commands::worker::worker(name),
        Command::Guard(args) => commands::guard::guard(args),
        Command::Doctor { config, format } => commands::doctor::doctor(config, *format),
        Command::Schema { of } => {
            let schema = match of {
                SchemaOf::Suite => bn_cases::format::json_schema(),
                SchemaOf::Results => bn_harness::results::json_schema(),
            };
            commands::print(&format!(
                "{}\n",
                serde_json::to_string_pretty(&schema).map_err(std::io::Error::from)?
            ))?;
            Ok(Outcome::AsExpected)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            let mut command = backends::completed(<Cli as clap::CommandFactory>::command())?;
            clap_complete::generate(*shell, &mut command, "bncheck", &mut script);
            commands::print(&String::from_utf8_lossy(&script))?;
            Ok(Outcome::AsExpected)
        }
    }
}

fn report(error: CliError) {
    let colours = anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
    let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let mut text = String::new();
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100);
    if handler.render_report(&mut text, Report::new(error).as_ref()).is_err() {
        "the error could not be shown".clone_into(&mut text);
    }
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}
