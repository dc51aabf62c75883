//! `results.json`: the product, and what the other renderings are made from.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use bn_harness::results::RunResults;
use serde::Serialize;
use thiserror::Error;

/// The results could not be written.
#[derive(Debug, Error)]
#[error("cannot write {}: {error}", path.display())]
pub struct WriteError {
    pub(crate) path: PathBuf,
    pub(crate) error: io::Error,
}

/// The results as JSON, each case and each result on a line of its own: small, and yet fit for `grep` and
/// `diff`.
///
/// # Panics
/// Never: the model has only strings as keys and no number that JSON lacks.
pub fn to_string(results: &RunResults) -> String {
    let RunResults { schema_version, run, cases, results, deviation_errors, diagnoses } = results;
    let mut text = String::from("{\n");
    let _ = writeln!(text, "\"schema_version\": {schema_version},");
    let _ = writeln!(text, "\"run\": {},", line(run));
    let _ = writeln!(text, "\"cases\": {},", lines(cases));
    let _ = writeln!(text, "\"results\": {},", lines(results));
    let _ = writeln!(text, "\"diagnoses\": {},", lines(diagnoses));
    let _ = writeln!(text, "\"deviation_errors\": {}", lines(deviation_errors));
    text + "}\n"
}

fn line(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the results model is JSON")
}

fn lines(values: &[impl Serialize]) -> String {
    let lines: Vec<String> = values.iter().map(line).collect();
    if lines.is_empty() { "[]".to_owned() } else { format!("[\n{}\n]", lines.join(",\n")) }
}

/// Writes `results.json` into a folder, which is made when it is missing; the previous run's becomes
/// `results.old.json`. A run that is stopped in the middle leaves no half-written file.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write(results: &RunResults, folder: &Path) -> Result<PathBuf, WriteError> {
    let path = folder.join("results.json");
    let written = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        let partial = folder.join("results.json.partial");
        std::fs::write(&partial, to_string(results))?;
        if path.exists() {
            std::fs::rename(&path, folder.join("results.old.json"))?;
        }
        std::fs::rename(&partial, &path)
    };
    match written() {
        Ok(()) => Ok(path),
        Err(error) => Err(WriteError { path, error }),
    }
}

#[cfg(test)]
mod tests {
    use bn_harness::results::{Machine, RunInfo, SCHEMA_VERSION};

    use super::*;

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        let machine = Machine { os: "linux".into(), arch: "x86_64".into(), cpu: None, threads: 2 };
        let run = RunInfo {
            bncheck: "0.1.0".into(),
            oracle: "libtorch".into(),
            backends: Vec::new(),
            machine,
            jobs: 2,
            seed: None,
            flags: vec!["a \"quoted\" flag".into()],
            started_unix_ms: 1,
            duration_ms: 2,
        };
        let deviation_errors = vec!["one".to_owned(), "two".to_owned()];
        let results = RunResults {
            schema_version: SCHEMA_VERSION,
            run,
            cases: vec![],
            results: vec![],
            deviation_errors,
            diagnoses: Vec::new(),
        };
        assert_eq!(serde_json::from_str::<RunResults>(&to_string(&results)).unwrap(), results);
    }
}
