//! Runs with misbehaving workers, and what came of them.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::common::{Ended, bncheck, ended};
use crate::worker::MISBEHAVE;

/// What is run.
pub struct Campaign {
    /// Cases and configuration.
    folder: TempDir,
    /// An argument that all misbehaving workers of it have, and no other process.
    mark: String,
    /// The misbehaving ones, by the names of their columns.
    backends: Vec<(String, String)>,
    /// How long they may take over a case, in seconds.
    timeout: f64,
}

/// The suite's cases: the values of the matrix.
pub struct Suite {
    /// Types of the layers.
    pub dtypes: &'static [&'static str],
    /// Shapes of the inputs.
    pub shapes: &'static [&'static str],
    /// How many of each.
    pub seeds: usize,
}

impl Suite {
    fn text(&self) -> String {
        let seeds: Vec<String> = (0..self.seeds).map(|seed| seed.to_string()).collect();
        let mut shapes = String::new();
        for (number, shape) in self.shapes.iter().enumerate() {
            let _ = write!(shapes, "{}s{number}: {shape}", if number > 0 { ", " } else { "" });
        }
        format!(
            "suite: campaign\nabout: Small layers.\ndefaults:\n  layer:\n    \
             weight: {{uniform: {{low: 0.5, high: 2}}}}\n    bias: {{uniform: {{low: -1, high: 1}}}}\n    \
             running_mean: {{uniform: {{low: -3, high: 3}}}}\n    running_var: {{uniform: {{low: 0.5, high: 4}}}}\n\
             cases:\n  - name: small\n    matrix:\n      input.shape: {{{shapes}}}\n      dtype: [{}]\n      seed: [{}]\n    \
             steps: [train, forward, backward, eval, forward]\n",
            self.dtypes.join(", "),
            seeds.join(", "),
        )
    }
}

impl Campaign {
    /// Nobody misbehaves yet.
    pub fn over(suite: &Suite) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let mark = format!("campaign-{}-{number}", std::process::id());
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("campaign.yaml"), suite.text()).expect("written");
        Campaign { folder, mark, backends: Vec::new(), timeout: 60.0 }
    }

    /// How long they may take over a case.
    pub fn within(mut self, seconds: f64) -> Self {
        self.timeout = seconds;
        self
    }

    /// A worker that misbehaves as these words say.
    pub fn with(mut self, column: &str, words: &[&str]) -> Self {
        let program = std::env::current_exe().expect("it is there").display().to_string();
        let words = [&[program.as_str(), MISBEHAVE, &self.mark], words].concat();
        let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        self.backends.push((column.to_owned(), words.join(", ")));
        self
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What finds its processes.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Runs it, with these backends beside.
    pub fn run(&self, healthy: &[&str], more: &[&str]) -> Ran {
        self.run_by(bncheck(&["run"]), healthy, more)
    }

    /// The same with another program, which has the first argument already.
    pub fn run_by(&self, mut command: assert_cmd::Command, healthy: &[&str], more: &[&str]) -> Ran {
        let mut config = String::new();
        for (column, words) in &self.backends {
            let _ = writeln!(
                config,
                "[backends.{column}]\ncommand = [{words}]\ntimeout = {:?}\nmemory = \"64 MiB\"",
                self.timeout
            );
        }
        let path = self.path("bncheck.toml");
        std::fs::write(&path, config).expect("written");
        let columns = self.backends.iter().map(|(column, _)| column.as_str());
        let names: Vec<&str> = healthy.iter().copied().chain(columns).collect();
        command.args(more).arg("--backend").arg(names.join(",")).arg("--config").arg(path);
        command.arg("--suites").arg(self.folder.path()).arg("--output").arg(self.path("out"));
        let started = Instant::now();
        let ended = ended(command.timeout(Duration::from_secs(1200)));
        let took = started.elapsed();
        let results = std::fs::read_to_string(self.path("out/results.json"))
            .unwrap_or_else(|error| panic!("{error}: {ended:#?}"));
        let results = serde_json::from_str(&results).expect("results.json is JSON");
        Ran { ended, took, results, out: self.path("out") }
    }

    /// Checks that all its processes are gone, or are within a moment.
    #[track_caller]
    pub fn leaves_nothing_behind(&self) {
        let since = Instant::now();
        while !processes(&self.mark).is_empty() {
            assert!(since.elapsed() < Duration::from_secs(10), "left behind: {:#?}", processes(&self.mark));
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The command lines with this in them.
pub fn processes(mark: &str) -> Vec<String> {
    let output = Command::new("ps").args(["-A", "-o", "args="]).output().expect("ps is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| line.contains(mark)).map(str::to_owned).collect()
}

/// A run that has ended.
pub struct Ran {
    /// How.
    pub ended: Ended,
    /// How long it took.
    pub took: Duration,
    /// What results.json holds.
    pub results: Value,
    /// The folder of the results.
    pub out: PathBuf,
}

/// A result without what may differ from run to run, and without the name of the backend.
#[derive(Debug, Clone, PartialEq)]
pub struct One {
    /// The verdict.
    pub verdict: String,
    /// Its reason.
    pub reason: String,
    /// All of it.
    pub whole: Value,
}

impl Ran {
    /// The ids of the cases, in order.
    pub fn cases(&self) -> Vec<String> {
        let cases = self.results["cases"].as_array().expect("cases").iter();
        cases.map(|case| text(case, "id")).collect()
    }

    /// The results by backend, of each one to a case, in the order of the cases.
    ///
    /// # Panics
    /// When one is missing, or is there twice.
    #[track_caller]
    pub fn by_backend(&self) -> BTreeMap<String, Vec<One>> {
        let cases = self.cases();
        assert_eq!(cases.iter().collect::<HashSet<_>>().len(), cases.len(), "a case is there twice");
        let columns = self.results["run"]["backends"].as_array().expect("columns").iter();
        let mut found: BTreeMap<(String, String), One> = BTreeMap::new();
        for result in self.results["results"].as_array().expect("results") {
            let mut whole = result.clone();
            let fields = whole.as_object_mut().expect("an object");
            fields.remove("micros");
            fields.remove("backend");
            let one = One { verdict: text(result, "verdict"), reason: text(result, "reason"), whole };
            let key = (text(result, "backend"), text(result, "case"));
            assert!(found.insert(key.clone(), one).is_none(), "{key:?} is there twice");
        }
        let mut of = |column: &str, case: &String| {
            let one = found.remove(&(column.to_owned(), case.clone()));
            one.unwrap_or_else(|| panic!("{column} has no result of {case}"))
        };
        let columns = columns.map(|column| text(column, "name"));
        let all = columns
            .map(|column| {
                let ones = cases.iter().map(|case| of(&column, case)).collect();
                (column, ones)
            })
            .collect();
        assert!(found.is_empty(), "results of nobody: {found:#?}");
        all
    }
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// What a file holds, be it text or not.
pub fn read(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}
