//! Backends that are programs of the user's own: `--backend-cmd`.
#![cfg(unix)]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use assert_cmd::assert::OutputAssertExt;
use common::own::python_path;
use common::{Ended, bncheck, ended, folder_with, root};
use serde_json::Value;
use tempfile::TempDir;

/// `bncheck run` with the results in a folder of their own.
struct Run {
    ended: Ended,
    folder: TempDir,
}

fn run(arguments: &[&str]) -> Run {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = bncheck(&["run"]);
    command.args(arguments).arg("--output").arg(folder.path());
    command.env("PYTHONPATH", python_path()).env("PYTHONDONTWRITEBYTECODE", "1");
    Run { ended: ended(&mut command), folder }
}

impl Run {
    #[track_caller]
    fn results(&self) -> Value {
        let text = std::fs::read_to_string(self.folder.path().join("results.json"));
        let text = text.unwrap_or_else(|error| panic!("{error}: {:#?}", self.ended));
        serde_json::from_str(&text).expect("JSON")
    }

    /// The verdicts of a backend with their reasons, by case.
    #[track_caller]
    fn verdicts(&self, backend: &str) -> Vec<(String, String, String)> {
        let results = self.results();
        let text = |result: &Value, field: &str| result[field].as_str().unwrap_or_default().to_owned();
        let all = results["results"].as_array().expect("results").iter();
        all.filter(|result| result["backend"] == backend)
            .map(|result| (text(result, "case"), text(result, "verdict"), text(result, "reason")))
            .collect()
    }
}

/// A backend in Python that is numpy's but for this, in a class body.
struct Script {
    _folder: TempDir,
    path: PathBuf,
}

fn script(body: &str) -> Script {
    let body: String = body.lines().flat_map(|line| ["    ", line, "\n"]).collect();
    let text = format!(
        "import os, sys, time\nfrom bncheck_backend import LayerError, serve\nfrom numpy_bn import NumpyBatchNorm\n\n\n\
         class Odd(NumpyBatchNorm):\n    name = \"odd\"\n{body}\n\nserve(Odd())\n"
    );
    let folder = folder_with("odd.py", text);
    Script { path: folder.path().join("odd.py"), _folder: folder }
}

impl Script {
    fn command(&self) -> String {
        format!("python3 '{}'", self.path.display())
    }
}

const NUMPY: &str = "python3 backends/python/examples/numpy_bn.py";

/// Three cases, in this order.
const MEANS: &[&str] = &["exact/means", "dtype=f32", "--jobs", "1"];

fn means(command: &str, more: &[&str]) -> Run {
    run(&[MEANS, &["--backend-cmd", command], more].concat())
}

/// What is wrong with a command, before anything is run.
#[track_caller]
fn refused(code: i32, command: &str) -> String {
    let run = means(command, &[]);
    assert_eq!(run.ended.code, Some(code), "{:#?}", run.ended);
    assert!(!run.folder.path().join("results.json").exists(), "nothing is run");
    run.ended.stderr.replace(['│', '\n'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_numpy_backend_passes_every_quick_case() {
    let run = run(&["--backend-cmd", NUMPY]);
    assert_eq!(run.ended.code, Some(0), "{}", run.ended.stdout);
    let verdicts = run.verdicts("numpy");
    assert!(verdicts.len() > 1000, "{} cases", verdicts.len());
    let others: Vec<_> = verdicts.iter().filter(|(_, verdict, _)| verdict != "pass").collect();
    assert!(others.is_empty(), "{others:#?}");
}

#[test]
fn it_alone_is_run_unless_others_are_named() {
    let names = |run: &Run| -> Vec<String> {
        let results = run.results();
        let columns = results["run"]["backends"].as_array().expect("columns").iter();
        columns.map(|column| column["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&means(NUMPY, &[])), ["numpy"]);
    let both = means(NUMPY, &["--backend", "reference", "--backend-cmd", &format!("mine-2={NUMPY}")]);
    assert_eq!(names(&both), ["reference", "numpy", "mine-2"]);
    assert_eq!(both.ended.code, Some(0), "{:#?}", both.ended);
}

#[test]
fn one_case_is_replayed_on_it() {
    let mut replay = bncheck(&["replay", "exact/means[fill=zero,dtype=f32]", "--backend-cmd", NUMPY]);
    let ended = ended(replay.env("PYTHONPATH", python_path()));
    assert_eq!(ended.code, Some(0), "{ended:#?}");
    assert!(ended.stdout.contains("pass  numpy  exact/means[fill=zero,dtype=f32]"), "{}", ended.stdout);
}

#[test]
fn the_line_that_shows_a_failure_again_brings_it_along() {
    let wrong =
        script("def forward(self, call):\n    y, saved = super().forward(call)\n    return y + 1, saved");
    let run = means(&wrong.command(), &[]);
    assert_eq!(run.ended.code, Some(1), "{:#?}", run.ended);
    let line = run.ended.stdout.lines().find(|line| line.contains(" replay ")).expect("a line to copy");
    let line = line.trim().trim_start_matches("replay:").trim();
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(root()).env("PYTHONPATH", python_path());
    // As from a plain shell, and not as by `cargo run`, which has the worker built first.
    shell.env_remove("CARGO").env_remove("CARGO_PKG_NAME");
    let output = shell.assert().code(1).get_output().clone();
    assert!(String::from_utf8_lossy(&output.stdout).contains("fail  odd  exact/means"), "{line}: {output:?}");
}

#[test]
fn what_it_says_that_it_lacks_is_unsupported_with_its_reason() {
    let narrow = script("dtypes = [\"f64\"]");
    let run = means(&narrow.command(), &[]);
    let reason = "it computes with f64, not with f32";
    assert!(run.verdicts("odd").iter().all(|(_, verdict, why)| verdict == "unsupported" && why == reason));
    assert_eq!(run.ended.code, Some(1), "nothing was compared");
}

#[test]
fn a_crash_is_the_verdict_of_its_case_and_the_run_goes_on() {
    let crashing = script(
        "def unsupported(self, request):\n    if \"small\" in request[\"case\"]:\n        \
         print(\"out of luck\", file=sys.stderr, flush=True)\n        os.abort()",
    );
    let run = means(&crashing.command(), &[]);
    assert_eq!(run.ended.code, Some(1), "{:#?}", run.ended);
    let verdicts = run.verdicts("odd");
    let kinds: Vec<&str> = verdicts.iter().map(|(_, verdict, _)| verdict.as_str()).collect();
    assert_eq!(kinds, ["pass", "crash", "pass"]);
    assert!(verdicts[1].2.starts_with("the worker was ended by signal 6 (SIGABRT); it last said: "));
    assert!(verdicts[1].2.contains("out of luck"), "{}", verdicts[1].2);
}

#[test]
fn a_hang_is_stopped_after_the_timeout_and_the_run_goes_on() {
    let hanging = script(
        "def unsupported(self, request):\n    while \"small\" in request[\"case\"]:\n        time.sleep(1)",
    );
    let run = means(&hanging.command(), &["--timeout", "2.5"]);
    let verdicts = run.verdicts("odd");
    let kinds: Vec<&str> = verdicts.iter().map(|(_, verdict, _)| verdict.as_str()).collect();
    assert_eq!(kinds, ["pass", "timeout", "pass"], "{:#?}", run.ended);
    assert_eq!(verdicts[1].2, "no answer within 2.5 s; the worker was stopped");
}

#[test]
fn an_exception_is_an_answer_of_class_panic_and_its_text_cannot_move_the_cursor() {
    let raising = script("def forward(self, call):\n    raise RuntimeError(\"\\x1b[2J\\u202eno\")");
    let run = means(&raising.command(), &[]);
    assert!(run.verdicts("odd").iter().all(|(_, verdict, _)| verdict == "fail"), "{:#?}", run.ended);
    assert!(run.ended.stdout.contains("RuntimeError: \\u{1b}[2J\\u{202e}no"), "{}", run.ended.stdout);
    assert!(!run.ended.stdout.contains(['\u{1b}', '\u{202e}']));
}

#[test]
fn what_it_prints_does_not_get_into_its_answers() {
    let chatty = script(
        "def forward(self, call):\n    print(\"normalising\")\n    os.system(\"echo in a shell\")\n    \
         return super().forward(call)",
    );
    assert_eq!(means(&chatty.command(), &[]).ended.code, Some(0));
}

#[test]
fn two_of_the_same_name_are_refused() {
    let text = refused(2, &format!("reference={NUMPY}' --not-closed"));
    assert!(text.contains("its quotes are not closed"), "{text}");
    let both = means(NUMPY, &["--backend-cmd", NUMPY]);
    assert_eq!(both.ended.code, Some(2), "{:#?}", both.ended);
    assert!(both.ended.stderr.contains("two backends are called `numpy`"), "{}", both.ended.stderr);
    let taken = means(&format!("reference={NUMPY}"), &["--backend", "reference"]);
    assert!(taken.ended.stderr.contains("two backends are called `reference`"), "{}", taken.ended.stderr);
}

#[test]
fn a_command_that_is_no_backend_is_refused_in_a_sentence() {
    let folder = folder_with("plain.txt", "not a program");
    let path = folder.path().join("plain.txt");
    let path = path.to_str().expect("UTF-8");
    for (command, why) in [
        ("/nowhere/bn --fast", "cannot start /nowhere/bn: No such file or directory"),
        (path, "Permission denied"),
        (folder.path().to_str().expect("UTF-8"), "Permission denied"),
        ("false", "it did not greet: the worker ended with exit code 1"),
        ("true", "it did not greet: it said nothing; the worker ended with exit code 0"),
        ("echo Batch norm 2000, ready", "it did not greet: `Batch norm 20` is not the beginning of a frame"),
        ("python3 -c 'import nothing_of_the_kind'", "ModuleNotFoundError"),
    ] {
        let text = refused(5, command);
        assert!(text.contains("is not to be had as a backend: "), "{command}: {text}");
        assert!(text.contains(why), "{command}: no `{why}` in {text}");
    }
    // A file that says that it may be run, and is none: a shell's script, the system says.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("executable");
    let text = refused(5, path);
    assert!(text.contains("it did not greet: the worker ended with exit code 127; it last said: "), "{text}");
}

#[test]
fn one_that_speaks_another_protocol_is_refused_with_both_versions() {
    let odd = script("pass");
    let text = std::fs::read_to_string(&odd.path).expect("it is there");
    let other =
        text.replace("serve(Odd())", "import bncheck_backend.frames as f\nf.PROTOCOL = 99\nserve(Odd())");
    std::fs::write(&odd.path, other).expect("written");
    let text = refused(5, &odd.command());
    assert!(text.contains("it speaks protocol 99, this bncheck 4"), "{text}");
}

#[test]
fn a_name_that_no_backend_can_have_is_refused_with_a_way_out() {
    let text = refused(5, &script("name = \"my batch norm!\"").command());
    assert!(text.contains("it calls itself `my batch norm!`, which is no name for a backend"), "{text}");
    assert!(refused(2, "OMP_NUM_THREADS=1 python3 bn.py").contains("write `env OMP_NUM_THREADS=… COMMAND`"));
}

#[test]
fn a_timeout_that_is_none_is_refused() {
    for timeout in ["0", "-1", "NaN", "soon"] {
        let run = means(NUMPY, &["--timeout", timeout]);
        assert_eq!(run.ended.code, Some(2), "{timeout}: {:#?}", run.ended);
    }
}

#[test]
fn the_python_package_passes_its_own_tests() {
    let mut tests = Command::new("python3");
    tests.args(["-m", "unittest", "discover", "--start-directory", "tests"]);
    tests.current_dir(root().join("backends/python"));
    tests.env("PYTHONPATH", python_path()).env("PYTHONDONTWRITEBYTECODE", "1");
    let output = tests.output().expect("python3 is there");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let ran = text.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse::<u32>().ok());
    assert!(ran.is_some_and(|ran| ran >= 10), "{text}");
}
