//! Renders a `results.json` as a page, and says how large it is and how long that took:
//!
//!     cargo run -p bn-reports --example render -- target/bncheck/results.json report.html

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Instant;
use std::{env, fs};

use bn_harness::results::RunResults;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [from, to] = &arguments[..] else {
        eprintln!("usage: render RESULTS.json REPORT.html");
        return ExitCode::from(2);
    };
    match render(from, to) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

fn render(from: &str, to: &str) -> Result<String, String> {
    let text = fs::read_to_string(from).map_err(|error| format!("cannot read {from}: {error}"))?;
    let results: RunResults =
        serde_json::from_str(&text).map_err(|error| format!("{from} holds no results: {error}"))?;
    let began = Instant::now();
    let page = bn_reports::html::page(&results);
    let took = began.elapsed();
    fs::write(to, &page.html).map_err(|error| format!("cannot write {to}: {error}"))?;
    let mut said = format!(
        "{} cases × {} backends: {} bytes of results become {} bytes, {} a case, in {:.2} s",
        results.cases.len(),
        results.run.backends.len(),
        text.len(),
        page.html.len(),
        page.html.len() / results.cases.len().max(1),
        took.as_secs_f64(),
    );
    for what in page.dropped {
        let _ = write!(said, "\nleft out: {what}");
    }
    Ok(said)
}
