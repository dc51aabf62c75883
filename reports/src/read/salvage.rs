//! What is left of a file of results that is not whole. It is written with each case and each result on a line of its
//! own, so that every whole line can be read by itself.

use std::fmt::Write as _;

use bn_harness::results::{
    BackendDiagnosis, CaseInfo, CaseResult, FaultMatrix, LeftOut, RunInfo, RunResults, SCHEMA_VERSION,
    SuiteInfo,
};
use serde::de::DeserializeOwned;

/// Why nothing is left.
pub enum Lost {
    /// It is of this version.
    OtherVersion(String),
    /// What was run is not said in it, or not as bncheck writes it.
    NoHead,
}

/// The lists of the file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Suites,
    Cases,
    Results,
    Diagnoses,
    DeviationErrors,
    /// One that this version does not have.
    Other,
}

impl List {
    fn of(key: &str) -> Self {
        match key {
            "suites" => List::Suites,
            "cases" => List::Cases,
            "results" => List::Results,
            "diagnoses" => List::Diagnoses,
            "deviation_errors" => List::DeviationErrors,
            _ => List::Other,
        }
    }
}

/// What was read so far.
#[derive(Default)]
struct Salvage {
    version: Option<String>,
    run: Option<RunInfo>,
    suites: Vec<SuiteInfo>,
    left_out: LeftOut,
    cases: Vec<CaseInfo>,
    results: Vec<CaseResult>,
    diagnoses: Vec<BackendDiagnosis>,
    deviation_errors: Vec<String>,
    faults: Option<FaultMatrix>,
    within: Option<List>,
    /// Whether the list of results begins, and whether it ends.
    begun: bool,
    ended: bool,
    /// How many lines cannot be read, the last one apart.
    damaged: usize,
}

/// Reads what can be read.
pub fn salvage(bytes: &[u8]) -> Result<RunResults, Lost> {
    let mut salvage = Salvage::default();
    let mut lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).peekable();
    while let Some(line) = lines.next() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let read = salvage.line(line);
        // Where the file ends in the middle of a line, that is said already.
        salvage.damaged += usize::from(!read && lines.peek().is_some());
    }
    salvage.finish()
}

impl Salvage {
    /// Takes a line; false where it cannot be read.
    fn line(&mut self, line: &[u8]) -> bool {
        let Some(list) = self.within else { return self.entry(line) };
        if matches!(line, b"]" | b"],") {
            self.ended |= list == List::Results;
            self.within = None;
            return true;
        }
        let item = line.strip_suffix(b",").unwrap_or(line);
        match list {
            List::Suites => push(&mut self.suites, item),
            List::Cases => push(&mut self.cases, item),
            List::Results => push(&mut self.results, item),
            List::Diagnoses => push(&mut self.diagnoses, item),
            List::DeviationErrors => push(&mut self.deviation_errors, item),
            List::Other => true,
        }
    }

    /// Takes a line outside of all lists: `"key": value,` or `"key": [`.
    fn entry(&mut self, line: &[u8]) -> bool {
        if matches!(line, b"{" | b"}") {
            return true;
        }
        let Some((key, value)) = split(line) else { return false };
        let list = List::of(key);
        match (key, value) {
            (_, b"[") => {
                self.within = Some(list);
                self.begun |= list == List::Results;
            }
            (_, b"[]") => {
                self.begun |= list == List::Results;
                self.ended |= list == List::Results;
            }
            // Without the comma behind it, it may be the first digit of a longer one.
            ("schema_version", value) if line.ends_with(b",") => {
                self.version = Some(String::from_utf8_lossy(value).into_owned());
            }
            ("run", value) => self.run = serde_json::from_slice(value).ok(),
            ("left_out", value) => self.left_out = serde_json::from_slice(value).unwrap_or_default(),
            ("faults", value) => self.faults = serde_json::from_slice(value).ok(),
            // What has changed speaks of results that may be lost.
            _ => {}
        }
        true
    }

    fn finish(self) -> Result<RunResults, Lost> {
        match self.version.as_deref() {
            None => return Err(Lost::NoHead),
            Some(found) if found != SCHEMA_VERSION.to_string() => {
                return Err(Lost::OtherVersion(found.to_owned()));
            }
            Some(_) => {}
        }
        let what = self.what_is_missing();
        let mut run = self.run.ok_or(Lost::NoHead)?;
        run.incomplete = Some(match run.incomplete {
            Some(before) => format!("{before}; {what}"),
            None => what,
        });
        Ok(RunResults {
            schema_version: SCHEMA_VERSION,
            run,
            suites: self.suites,
            left_out: self.left_out,
            cases: self.cases,
            results: self.results,
            deviation_errors: self.deviation_errors,
            diagnoses: self.diagnoses,
            faults: self.faults,
            changes: None,
        })
    }

    /// A sentence for people.
    fn what_is_missing(&self) -> String {
        let backends = self.run.as_ref().map_or(0, |run| run.backends.len());
        let count = self.results.len();
        let of = format!("of {} cases × {backends} backends", self.cases.len());
        let mut text = if !self.begun {
            "the file is cut off, or still being written: no result is in it yet".to_owned()
        } else if !self.ended {
            format!("the file is cut off, or still being written: {count} results {of} are there")
        } else if self.damaged > 0 {
            format!("the file is damaged: {count} results {of} could be read")
        } else {
            "the file is cut off after the results: what comes after them is missing".to_owned()
        };
        if self.damaged > 0 {
            let lines = if self.damaged == 1 { "line" } else { "lines" };
            let _ = write!(text, "; {} {lines} in the middle cannot be read", self.damaged);
        }
        text
    }
}

fn push<T: DeserializeOwned>(list: &mut Vec<T>, item: &[u8]) -> bool {
    let read = serde_json::from_slice(item);
    let is_read = read.is_ok();
    list.extend(read);
    is_read
}

/// `"key": value` in its two parts, without a comma behind it.
fn split(line: &[u8]) -> Option<(&str, &[u8])> {
    let line = line.strip_suffix(b",").unwrap_or(line).strip_prefix(b"\"")?;
    let end = line.iter().position(|&byte| byte == b'"')?;
    let value = line[end + 1..].strip_prefix(b": ")?;
    Some((std::str::from_utf8(&line[..end]).ok()?, value))
}
