//! Runs that were stopped or killed, and are gone on with.

use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use bn_harness::journal::{Begun, FileJournal};
use bn_harness::results::{RunResults, Selection};
use bn_harness::runner::{Keep, Source};
use bn_reports::json::WriteError;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::asked::Asked;
use crate::backends::Chosen;
use crate::exit::CliError;
use crate::folder::Folder;

/// The journal of a run, in its folder, while it is not done.
const JOURNAL: &str = "journal.jsonl";

/// Where a new run puts one that it finds.
const OLD: &str = "journal.old.jsonl";

/// A run that is not finished.
pub struct Unfinished {
    path: PathBuf,
    begun: Begun,
    /// What it has done.
    pub journal: FileJournal,
}

/// What a run is: where any of this differs, its results may.
///
/// # Errors
/// When a file cannot be read.
pub fn identity(
    selection: &Selection,
    cases: &Asked<'_>,
    keep: Keep,
    chosen: &Chosen,
) -> Result<Value, CliError> {
    let by_chance = selection.random.map(|random| format!("{} of seed {}", random.cases, random.seed));
    Ok(json!({
        "the build of bncheck": build()?,
        "the suites": selection.suites,
        "the filter": selection.filter,
        "the tier": selection.tier,
        "the part": selection.part.map(|part| part.to_string()),
        "the cases made by chance": by_chance,
        "the files of the cases": files(cases)?,
        "the number of cases": cases.len(),
        "the cases that are listed": if keep.is_choice(cases.len()) { "those that are notable" } else { "all" },
        "the backends": chosen.names(),
        "the programs": chosen.programs(),
        "the oracle": chosen.oracle.identity(),
        "the limits": {
            "seconds": chosen.workers.timeout.as_secs_f64(),
            "bytes": chosen.workers.memory,
            "in_process": chosen.workers.in_process,
        },
    }))
}

/// This program: when it was built, and how large it is.
fn build() -> Result<String, CliError> {
    let own = std::fs::metadata(std::env::current_exe()?)?;
    let built = own.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(format!("{} of {}.{:09}", env!("CARGO_PKG_VERSION"), built.as_secs(), built.subsec_nanos()))
}

/// A hash of what is in the files of these cases.
fn files(cases: &Asked<'_>) -> Result<String, CliError> {
    let mut hash = Sha256::new();
    for file in cases.files() {
        let text = std::fs::read(file)?;
        hash.update(file.len().to_le_bytes());
        hash.update(file);
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    }
    Ok(hash.finalize().iter().take(8).fold(String::new(), |text, byte| text + &format!("{byte:02x}")))
}

impl Unfinished {
    /// Begins the run's journal, or takes up the one that is there, where that is asked for.
    ///
    /// # Errors
    /// When the journal is of another run, and when it cannot be read or written.
    pub fn open(folder: &Folder, resume: bool, run: Value) -> Result<Self, CliError> {
        let path = folder.path.join(JOURNAL);
        let old = folder.path.join(OLD);
        if resume && path.exists() {
            return Self::take_up(path, old, &run);
        }
        if resume {
            eprintln!("no run was stopped in {}: this one begins anew", folder.path.display());
        } else if path.exists() {
            std::fs::rename(&path, &old).map_err(|error| WriteError { path: old.clone(), error })?;
            eprintln!(
                "a run that was stopped here is kept as {}; `--resume` would have gone on with it",
                old.display()
            );
        }
        let now = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let begun = Begun { run, started_unix_ms: now.as_millis() as u64 };
        let journal = FileJournal::begin(&path, &begun)?;
        Ok(Unfinished { path, begun, journal })
    }

    fn take_up(path: PathBuf, kept: PathBuf, run: &Value) -> Result<Self, CliError> {
        let (journal, begun) = FileJournal::take_up(&path)?;
        if let Some(why) = difference(&begun.run, run) {
            return Err(CliError::OtherRun { path, why, kept });
        }
        let (are, of) = if journal.len() == 1 { ("case is", "it") } else { ("cases are", "them") };
        eprintln!("{} {are} done already; going on after {of}", journal.len());
        if journal.damaged > 0 {
            eprintln!("the end of the journal is damaged, as by a crash: what it held is run again");
        }
        Ok(Unfinished { path, begun, journal })
    }

    /// Says of the results when the run began and how long it took, before and after it was stopped.
    pub fn date(&self, results: &mut RunResults) {
        results.run.started_unix_ms = self.begun.started_unix_ms;
        results.run.duration_ms = self.journal.elapsed_ms();
    }

    /// The results are written: there is nothing to go on with.
    pub fn finish(self) {
        // Where it stays it is found by the next run, which says so.
        let _ = std::fs::remove_file(&self.path);
    }

    /// Says on standard error what to type.
    pub fn say_how_to_go_on(&self) {
        eprintln!("{} cases are done. To go on: {}", self.journal.len(), command_line());
    }

    /// An error that ended the run: where nothing was done there is nothing to go on with.
    pub fn go_on_after(&self, error: CliError) -> CliError {
        if self.journal.is_empty() {
            let _ = std::fs::remove_file(&self.path);
        } else {
            self.say_how_to_go_on();
        }
        error
    }
}

/// The first thing in which two runs differ, in words.
fn difference(then: &Value, now: &Value) -> Option<String> {
    let (then, now) = (then.as_object()?, now.as_object()?);
    let (what, now) = now.iter().find(|(what, now)| then.get(*what) != Some(*now))?;
    let then = then.get(what).unwrap_or(&Value::Null);
    Some(format!("{what}: it was {then}, and is {now}"))
}

/// This command line, to be gone on with.
fn command_line() -> String {
    let mut words: Vec<String> = std::env::args().collect();
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".to_owned());
    }
    let quoted = words.iter().map(|word| shlex::try_quote(word).map_or_else(|_| word.clone(), Into::into));
    quoted.collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_between_two_runs_is_said() {
        let then = json!({"the filter": ["a"], "the tier": "quick"});
        assert_eq!(difference(&then, &then), None);
        let now = json!({"the filter": ["a"], "the tier": "full"});
        assert_eq!(difference(&then, &now).as_deref(), Some("the tier: it was \"quick\", and is \"full\""));
    }
}
