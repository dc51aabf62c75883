//! The files of `docs/ci/` that users copy: every line that calls bncheck is one it accepts, and the scripts of a whole
//! pipeline do what they promise.
#![cfg(feature = "libtorch")]

mod common;
use std::path::Path;
use std::process::{Command, Output};

use common::{bncheck, ended, libtorch, program, root};
use serde_json::Value;
use tempfile::TempDir;

fn file(name: &str) -> Value {
    let path = root().join("docs/ci").join(name);
    let text = std::fs::read_to_string(&path).expect("it is there");
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The script of a step of GitHub's file.
fn step(job: &str, name: &str) -> String {
    let file = file("bncheck.yml");
    let steps = file["jobs"][job]["steps"].as_array().expect("steps");
    let step = steps.iter().find(|step| step["name"] == name).unwrap_or_else(|| panic!("no step `{name}`"));
    step["run"].as_str().expect("a script").to_owned()
}

/// The script of a job of GitLab's file.
fn script(job: &str) -> String {
    let file = file("gitlab-ci.yml");
    let lines = file[job]["script"].as_array().expect("a script");
    let lines: Vec<&str> = lines.iter().map(|line| line.as_str().expect("a line")).collect();
    lines.join("\n")
}

/// All scripts of a file.
fn scripts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(scripts).collect(),
        Value::Object(fields) => {
            let of_field = |(name, value): (&String, &Value)| match (name.as_str(), value) {
                ("run", Value::String(script)) => vec![script.clone()],
                ("script" | "before_script", Value::Array(lines)) => {
                    lines.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                }
                _ => scripts(value),
            };
            fields.iter().flat_map(of_field).collect()
        }
        _ => Vec::new(),
    }
}

/// The arguments of every call of bncheck, with what the shell would put in place of its variables.
fn calls(text: &str) -> Vec<Vec<String>> {
    let is_call = |line: &&str| !line.trim_start().starts_with(['#', '|']);
    let call = |line: &str| {
        let (_, call) = line
            .split_once("bncheck ")
            .filter(|(_, call)| call.starts_with("run ") || call.starts_with("report "))?;
        let call = call.split(" || ").next().unwrap_or_default();
        let call = call.replace("\"$@\"", "--baseline baseline/results.json").replace('"', "");
        let variables = ["$PART", "$CI_NODE_INDEX", "$CI_NODE_TOTAL"];
        let call = variables.into_iter().fold(call, |call, name| call.replace(name, "1"));
        Some(call.split_whitespace().map(str::to_owned).collect())
    };
    text.lines().filter(is_call).filter_map(call).collect()
}

/// How `bncheck` ends with these arguments, which are all read before it prints its help.
fn is_accepted(call: &[String]) -> Result<(), String> {
    let mut arguments: Vec<&str> = call.iter().map(String::as_str).collect();
    arguments.push("--help");
    let ended = ended(&mut bncheck(&arguments));
    if ended.code == Some(0) { Ok(()) } else { Err(ended.stderr) }
}

#[test]
fn every_call_is_one_that_bncheck_accepts() {
    let readme = std::fs::read_to_string(root().join("docs/ci/README.md")).expect("it is there");
    for (name, texts, expected) in [
        ("bncheck.yml", scripts(&file("bncheck.yml")), 2),
        ("gitlab-ci.yml", scripts(&file("gitlab-ci.yml")), 2),
        ("README.md", vec![readme], 3),
    ] {
        let calls: Vec<_> = texts.iter().flat_map(|text| calls(text)).collect();
        assert_eq!(calls.len(), expected, "{name}: {calls:?}");
        for call in calls {
            assert!(call.iter().all(|word| !word.contains('$')), "{name}: {call:?}");
            if let Err(error) = is_accepted(&call) {
                panic!("{name}: {call:?}: {error}");
            }
        }
    }
    // And this is how it would be noticed.
    for wrong in ["run --partitions 1/4", "run --partition 5/4", "report --format html", "reports"] {
        let call: Vec<String> = wrong.split(' ').map(str::to_owned).collect();
        assert!(is_accepted(&call).is_err(), "{wrong}");
    }
}

#[test]
fn githubs_file_gives_its_jobs_no_more_than_they_need() {
    gives_no_more_than_needed(&file("bncheck.yml"));
}

#[test]
fn the_nightly_file_gives_its_job_no_more_than_it_needs_and_runs_what_is_there() {
    let file = file("nightly.yml");
    gives_no_more_than_needed(&file);
    let scripts = scripts(&file);
    let [script] = &scripts[..] else { panic!("one script: {scripts:?}") };
    let program = script.split_whitespace().next().expect("a program");
    assert!(root().join(program).is_file(), "{program}");
}

fn gives_no_more_than_needed(file: &Value) {
    assert_eq!(file["permissions"], serde_json::json!({}));
    let jobs = file["jobs"].as_object().expect("jobs");
    for (name, job) in jobs {
        let permissions = job["permissions"].as_object().unwrap_or_else(|| panic!("{name}: no permissions"));
        assert!(permissions.values().all(|value| value == "read"), "{name}: {permissions:?}");
        assert!(job["timeout-minutes"].is_u64(), "{name} has no limit of time");
        for step in job["steps"].as_array().expect("steps") {
            if let Some(action) = step["uses"].as_str() {
                let (_, version) = action.split_once('@').unwrap_or_else(|| panic!("{action} is not pinned"));
                let major = version.strip_prefix('v').and_then(|major| major.parse::<u32>().ok());
                assert!(major.is_some(), "{action} is not pinned by a major version");
            }
            // An expression within a script is text of others that the shell would execute.
            let script = step["run"].as_str().unwrap_or_default();
            assert!(!script.contains("${{"), "{name}: {script}");
        }
    }
}

/// A folder that looks to a script like a checkout in which bncheck was built.
struct Checkout(TempDir);

impl Checkout {
    #[cfg(unix)]
    fn new() -> Self {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir_all(folder.path().join("target/debug")).expect("made");
        symlink(program(), folder.path().join("target/debug/bncheck")).expect("linked");
        symlink(root().join("cases"), folder.path().join("cases")).expect("linked");
        symlink(libtorch(), folder.path().join(".libtorch")).expect("linked");
        Checkout(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn read(&self, file: &str) -> String {
        let path = self.path().join(file);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// Runs a script as both CI systems do: it ends with the first command that fails.
    fn run(&self, script: &str, variables: &[(&str, &str)]) -> Output {
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(self.path());
        bash.env("NO_COLOR", "1").envs(variables.iter().copied());
        bash.output().expect("bash can be started")
    }
}

#[track_caller]
fn assert_ends_with(code: i32, output: &Output) {
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const CASES: &str = "'exact/*' --backend reference";

/// The script with other cases and backends than those of the file, as a user puts them there.
fn on(cases: &str, script: &str) -> String {
    assert!(script.contains(" --tier full "), "{script}");
    script.replace("--tier full", cases)
}

fn count_of_cases() -> usize {
    ended(&mut bncheck(&["list", "exact/*"])).stdout.lines().count()
}

fn tests(junit: &str) -> usize {
    junit.matches("<testcase ").count()
}

#[test]
fn githubs_pipeline_merges_its_parts_and_compares_with_the_run_before() {
    let checkout = Checkout::new();
    let run = |cases: &str| {
        for part in ["1", "2", "3", "4"] {
            let script = on(cases, &step("part", "Run a part of the cases"));
            assert_ends_with(0, &checkout.run(&script, &[("PART", part)]));
            // As the artifacts of the parts are named, uploaded and downloaded.
            let artifact = checkout.path().join(format!("parts/bncheck-part-{part}"));
            std::fs::create_dir_all(&artifact).expect("made");
            let results = checkout.path().join(format!("part-{part}/results.json"));
            std::fs::rename(results, artifact.join("results.json")).expect("the part has written it");
        }
        let report = checkout.run(&step("report", "Merge the parts and report"), &[]);
        assert_ends_with(
            0,
            &checkout.run(&step("report", "Show the summary"), &[("GITHUB_STEP_SUMMARY", "shown.md")]),
        );
        report
    };
    let report = run(CASES);
    assert_ends_with(0, &report);
    assert!(text(&report.stdout).ends_with("all as expected\n"), "{}", text(&report.stdout));
    assert_eq!(tests(&checkout.read("target/bncheck/junit.xml")), count_of_cases());
    assert_eq!(checkout.read("shown.md"), checkout.read("target/bncheck/summary.md"));
    assert!(!checkout.read("shown.md").contains("### Since the baseline"));
    assert!(checkout.path().join("target/bncheck/report.html").is_file());

    std::fs::create_dir(checkout.path().join("baseline")).expect("made");
    std::fs::copy(
        checkout.path().join("target/bncheck/results.json"),
        checkout.path().join("baseline/results.json"),
    )
    .expect("copied");
    // Layers of tch-nn draw their weights: without its declared deviations, which are of the checkout's own suites, that
    // is a mismatch. The parts let it pass, the report does not.
    let report = run("exact/means --suites cases/suites --backend reference,tch-nn");
    assert_ends_with(1, &report);
    let annotations = text(&report.stdout).matches("::error ").count();
    assert!((1..=10).contains(&annotations), "{}", text(&report.stdout));
    assert!(checkout.read("shown.md").contains("### Since the baseline"));
    assert!(checkout.read("target/bncheck/junit.xml").contains("<failure "));
}

#[test]
fn gitlabs_pipeline_merges_its_parts() {
    let checkout = Checkout::new();
    for part in ["1", "2", "3", "4"] {
        let script = on(CASES, &script("part"));
        assert_ends_with(0, &checkout.run(&script, &[("CI_NODE_INDEX", part), ("CI_NODE_TOTAL", "4")]));
    }
    // Nobody listens there, so there is no baseline.
    let variables = [
        ("CI_API_V4_URL", "http://127.0.0.1:9"),
        ("CI_PROJECT_ID", "1"),
        ("CI_DEFAULT_BRANCH", "main"),
        ("CI_JOB_TOKEN", "none"),
    ];
    let report = checkout.run(&script("report"), &variables);
    assert_ends_with(0, &report);
    assert!(text(&report.stdout).contains("no baseline on main yet"), "{}", text(&report.stdout));
    assert_eq!(tests(&checkout.read("target/bncheck/junit.xml")), count_of_cases());
    let junit = file("gitlab-ci.yml")["report"]["artifacts"]["reports"]["junit"].clone();
    assert_eq!(junit, "target/bncheck/junit.xml");
}
