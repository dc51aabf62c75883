//! `bncheck doctor`.

use std::fmt::Write as _;
use std::process::Command;

use bn_api::Responder;
use bn_harness::results::Verdict;
use bn_reports::style::{BOLD, DIM, harmless, of, paint};
use miette::Diagnostic;
use serde_json::json;

use crate::args::{ConfigArgs, Format};
use crate::backends::{self, Workers};
use crate::commands::print;
use crate::config::Config;
use crate::exit::{CliError, Outcome};

/// One thing that was looked at.
struct Finding {
    what: String,
    /// What was found, or what is wrong.
    state: Result<String, String>,
    /// What to type.
    fix: Option<String>,
    /// Whether bncheck can do its work without it.
    optional: bool,
}

/// Looks at everything bncheck needs and says what is missing and what to type.
pub fn doctor(config: &ConfigArgs, format: Format) -> Result<Outcome, CliError> {
    let config = backends::config(config)?;
    let workers = Workers::usual()?;
    let oracle = backends::open_oracle(&workers).map(|oracle| oracle.info().version.clone() + " in float64");
    // What a program that is built without libtorch does without.
    let optional = !cfg!(feature = "libtorch");
    let needs_libtorch = [libtorch(), worker(), backend_finding("oracle", oracle)];
    let mut findings: Vec<Finding> =
        needs_libtorch.into_iter().map(|finding| Finding { optional, ..finding }).collect();
    let recorded = backends::recording(None)
        .map(|recording| format!("{}, {} cases", recording.about(), recording.len()));
    findings.push(backend_finding("recorded oracle", recorded));
    for entry in backends::select(&[])? {
        let version = entry.open(&workers).map(|backend| backend.info().version.clone());
        let found = backend_finding(&format!("backend {}", entry.name), version);
        findings.push(Finding { optional: entry.is_optional(), ..found });
    }
    findings.extend(config.iter().flat_map(|config| configured(config, &workers)));
    findings.push(tool("just", &["--version"], "cargo install --locked just", true));
    findings.push(tool("g++", &["--version"], "install g++ with your system's package manager", true));
    findings.push(tool(
        "python3",
        &["-m", "pip", "--version"],
        "install Python 3 with pip (only to install libtorch)",
        true,
    ));
    let missing = findings.iter().any(|finding| finding.state.is_err() && !finding.optional);
    print(&match format {
        Format::Human => human(&findings),
        Format::Json => as_json(&findings),
    })?;
    Ok(if missing { Outcome::Missing } else { Outcome::AsExpected })
}

fn libtorch() -> Finding {
    let found = backends::find_libtorch().map(|folder| {
        let version = std::fs::read_to_string(folder.join("build-version")).unwrap_or_default();
        let link =
            std::fs::read_link(&folder).map(|target| format!(" -> {}", target.display())).unwrap_or_default();
        format!("{} {}{link}", version.trim(), folder.display())
    });
    finding("libtorch", found, "just setup")
}

fn worker() -> Finding {
    finding(
        "worker",
        backends::worker_program().map(|path| path.display().to_string()),
        "cargo build --workspace --bins",
    )
}

/// The user's own file, and the backends that it names.
fn configured(config: &Config, workers: &Workers) -> Vec<Finding> {
    let mut findings = vec![finding("configuration", Ok(config.path.clone()), "")];
    for backend in &config.backends {
        let version = backend.program.open(workers, true).map(|worker| worker.info().version.clone());
        let found = backend_finding(&format!("backend {}", backend.name), version);
        // One that is not installed says what to type.
        findings.push(Finding { optional: true, ..found });
    }
    findings
}

fn backend_finding(what: &str, version: Result<String, CliError>) -> Finding {
    let fix = match &version {
        Err(CliError::NoLibtorch { .. }) => "just setup".to_owned(),
        Err(CliError::NoWorker { .. }) => "cargo build --workspace --bins".to_owned(),
        Err(error) => error.help().map(|help| help.to_string()).unwrap_or_default(),
        Ok(_) => String::new(),
    };
    finding(what, version, &fix)
}

fn finding(what: &str, found: Result<String, CliError>, fix: &str) -> Finding {
    let state = found.map_err(|error| error.to_string());
    let fix = state.is_err().then(|| fix.to_owned()).filter(|fix| !fix.is_empty());
    Finding { what: what.to_owned(), state, fix, optional: false }
}

fn tool(program: &str, arguments: &[&str], fix: &str, optional: bool) -> Finding {
    let output = Command::new(program).args(arguments).output();
    let state = match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
        }
        Ok(output) => Err(format!("`{program} {}` ends with {}", arguments.join(" "), output.status)),
        Err(error) => Err(error.to_string()),
    };
    let fix = state.is_err().then(|| fix.to_owned());
    Finding { what: program.to_owned(), state, fix, optional }
}

fn human(findings: &[Finding]) -> String {
    let mut text = format!(
        "bncheck {} on {} {}\n\n",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    );
    let width = findings.iter().map(|finding| finding.what.len()).max().unwrap_or(0);
    for finding in findings {
        let (word, said) = match (&finding.state, finding.optional) {
            (Ok(said), _) => (paint(of(Verdict::Pass), "ok     "), said),
            (Err(said), true) => (paint(of(Verdict::Known), "absent "), said),
            (Err(said), false) => (paint(of(Verdict::Fail), "missing"), said),
        };
        let _ = writeln!(text, "{word}  {BOLD}{:width$}{BOLD:#}  {}", finding.what, harmless(said));
        if let Some(fix) = &finding.fix {
            let _ = writeln!(text, "         {:width$}  {DIM}fix:{DIM:#} {fix}", "");
        }
    }
    text
}

fn as_json(findings: &[Finding]) -> String {
    let list: Vec<_> = findings
        .iter()
        .map(|finding| {
            json!({
                "what": finding.what,
                "ok": finding.state.is_ok(),
                "found": finding.state.as_ref().ok(),
                "problem": finding.state.as_ref().err(),
                "fix": finding.fix,
                "optional": finding.optional,
            })
        })
        .collect();
    format!("{:#}\n", json!({ "bncheck": env!("CARGO_PKG_VERSION"), "findings": list }))
}
