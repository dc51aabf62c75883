//! `results.json`: the product, and what the other renderings are made from.

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

use bn_harness::results::{FaultMatrix, RunResults};
use serde::Serialize;
use thiserror::Error;

/// The results could not be written.
#[derive(Debug, Error)]
#[error("cannot write {}: {error}", path.display())]
pub struct WriteError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// The results as JSON, each suite, case and result on a line of its own: small, and yet fit for `grep` and `diff`. What
/// is left of a file that is cut off can be read line by line (see [`crate::read`]), so cases come before results.
///
/// # Panics
/// Never: the model has only strings as keys and no number that JSON lacks.
pub fn to_string(results: &RunResults) -> String {
    let RunResults {
        schema_version,
        run,
        suites,
        left_out,
        cases,
        results,
        deviation_errors,
        diagnoses,
        faults,
        changes,
    } = results;
    let mut text = String::from("{\n");
    let _ = writeln!(text, "\"schema_version\": {schema_version},");
    let _ = writeln!(text, "\"run\": {},", line(run));
    let _ = writeln!(text, "\"suites\": {},", lines(suites));
    if !left_out.is_empty() {
        let _ = writeln!(text, "\"left_out\": {},", line(left_out));
    }
    let _ = writeln!(text, "\"cases\": {},", lines(cases));
    let _ = writeln!(text, "\"results\": {},", lines(results));
    let _ = writeln!(text, "\"diagnoses\": {},", lines(diagnoses));
    if let Some(faults) = faults {
        let _ = writeln!(text, "\"faults\": {},", line(faults));
    }
    if let Some(changes) = changes {
        let _ = writeln!(text, "\"changes\": {},", line(changes));
    }
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

/// Writes what `bncheck report --faults` reads, `faults.json`, into a folder, which is made when it is missing.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write_faults(faults: &FaultMatrix, folder: &Path) -> Result<PathBuf, WriteError> {
    let path = folder.join("faults.json");
    // Of its own, where two of them write at once: the last one to end wins.
    let partial = folder.join(format!("faults.json.{}.partial", std::process::id()));
    let written = std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&partial, line(faults) + "\n"))
        .and_then(|()| std::fs::rename(&partial, &path));
    written.map(|()| path.clone()).map_err(|error| WriteError { path, error })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        let text = r#"{
            "schema_version": 1,
            "run": {
                "bncheck": "0.1.0", "oracle": "libtorch", "jobs": 2, "seed": null, "started_unix_ms": 1, "duration_ms": 2,
                "backends": [{"name": "candle", "version": "0.11.1", "about": ""}], "flags": ["a \"quoted\" flag"],
                "machine": {"os": "linux", "arch": "x86_64", "cpu": null, "threads": 2}
            },
            "suites": [{"name": "s", "file": "s.yaml", "written": []}],
            "left_out": {"cases": 7, "results": [
                {"suite": "s", "backend": "candle", "verdict": "pass", "count": 7, "budget_used": 0.5, "micros": 9}
            ]},
            "cases": [{"id": "s/a", "suite": "s", "file": "s.yaml", "line": 3, "kappa": 0.1}],
            "results": [
                {"case": "s/a", "backend": "candle", "verdict": "fail", "budget_used": 1.0000000000000002, "micros": 3}
            ],
            "diagnoses": [{"backend": "candle", "failing": 1, "replayed": 1}],
            "faults": {"cases": 1, "suites": ["s"], "faults": [], "void": 0},
            "changes": {
                "baseline": {"source": "x", "bncheck": "0.1.0", "oracle": "libtorch", "started_unix_ms": 0},
                "factor": 2.0, "transitions": []
            },
            "deviation_errors": ["one", "two"]
        }"#;
        let results: RunResults = serde_json::from_str(text).unwrap();
        let written = to_string(&results);
        assert_eq!(serde_json::from_str::<RunResults>(&written).unwrap(), results);
        let same: serde_json::Value = serde_json::from_str(&written).unwrap();
        assert_eq!(same["results"][0]["budget_used"].to_string(), "1.0000000000000002", "to the last bit");
    }
}
