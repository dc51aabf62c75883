//! Runs that are killed, stopped or hindered, and gone on with: `run --resume`.
#![cfg(unix)]

mod common;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{bncheck, ended, folder_with, program, root, without_times};
use serde_json::Value;
use tempfile::TempDir;

/// Some 200 cases on three backends: a run of a second or two.
const SOME: &[&str] =
    &["exact/*", "pitfalls/1-momentum/*", "--tier", "quick", "--backend", "reference,candle,tch-nn"];

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// `bncheck run`, which is not waited for.
fn start(arguments: &[&str], output: &Path) -> Child {
    let mut command = Command::new(program());
    command.arg("run").args(arguments).arg("--output").arg(output).current_dir(root());
    // As from a plain shell, and not as by `cargo run`, which has the worker built first.
    command.env_remove("CARGO").env_remove("CARGO_PKG_NAME");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("it can be started")
}

fn run(arguments: &[&str], output: &Path) -> Output {
    start(arguments, output).wait_with_output().expect("it ends")
}

fn resumed(arguments: &[&str], output: &Path) -> Output {
    run(&[arguments, &["--resume"]].concat(), output)
}

/// What results.json holds, without what may differ from run to run.
#[track_caller]
fn results(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("results.json")).expect("results.json is there");
    let mut results = serde_json::from_str(&text).expect("JSON");
    without_times(&mut results);
    results
}

/// What was said on standard error, without the line breaks and margins of a terminal.
fn stderr(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).replace('│', " ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Says something to a process.
fn signal(name: &str, child: &Child) {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(sent.expect("kill is there").success());
}

/// How many cases are recorded in a folder, whole or not.
fn recorded(folder: &Path) -> usize {
    let text = std::fs::read(folder.join("journal.jsonl")).unwrap_or_default();
    text.split(|byte| *byte == b'\n').count().saturating_sub(2)
}

/// Waits until a run has recorded so many cases, or has ended.
fn wait_for(cases: usize, child: &mut Child, folder: &Path) {
    let since = Instant::now();
    while recorded(folder) < cases && child.try_wait().expect("it is ours").is_none() {
        assert!(since.elapsed() < Duration::from_secs(100), "it journals nothing");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Numbers that look like chance, and are the same each time.
fn chance(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn however_often_it_is_killed_the_results_are_those_of_a_run_that_was_not() {
    let whole = folder();
    assert!(run(SOME, whole.path()).status.success());
    let whole = results(whole.path());
    let (mut kills, mut state) = (0, 20_150_211);
    while kills < 50 {
        let folder = folder();
        loop {
            let before = recorded(folder.path());
            let mut child = start(&[SOME, &["--resume"]].concat(), folder.path());
            // Somewhere: before the first case, or after some, in the middle of whatever it does then.
            let cases = chance(&mut state) % 40;
            if cases > 0 {
                wait_for(before + cases as usize, &mut child, folder.path());
            }
            std::thread::sleep(Duration::from_micros(chance(&mut state) % 5000));
            let has_ended = child.try_wait().expect("it is ours").is_some();
            child.kill().expect("killed");
            let output = child.wait_with_output().expect("it ends");
            if has_ended {
                assert!(output.status.success(), "{output:?}");
                break;
            }
            kills += 1;
        }
        assert!(results(folder.path()) == whole, "after {kills} kills the results are others");
        assert!(!folder.path().join("journal.jsonl").exists(), "nothing is left to go on with");
    }
}

#[test]
fn workers_do_not_outlive_a_run_that_is_killed() {
    let folder = folder();
    let mark = folder.path().join("alive");
    // It does not notice that its input ends.
    let script = format!(
        "cat > /dev/null & printf '{}'; while sleep 0.05; do date > '{}'; done",
        hello(),
        mark.display()
    );
    let script = folder_with("hangs.sh", script);
    let command = format!("sh '{}'", script.path().join("hangs.sh").display());
    let output = folder.path().join("out");
    let mut child = start(&["exact/*", "--timeout", "100", "--backend-cmd", &command], &output);
    let since = Instant::now();
    while !mark.exists() && since.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().expect("killed");
    child.wait().expect("it ends");
    std::thread::sleep(Duration::from_millis(500));
    std::fs::remove_file(&mark).expect("it was alive");
    std::thread::sleep(Duration::from_millis(500));
    assert!(!mark.exists(), "it lives on");
}

/// A greeting for `printf`.
fn hello() -> String {
    use bn_api::BackendInfo;
    use bn_api::wire::{Hello, Message};
    let (name, version) = ("hangs".to_owned(), "1".to_owned());
    let hello = Hello::new(&BackendInfo { name, version, about: String::new(), unobservable: Vec::new() });
    let frame = Message::Hello(hello).encode().expect("it is small");
    frame.iter().fold(String::new(), |text, byte| text + &format!("\\{byte:03o}"))
}

#[test]
fn ctrl_c_says_what_was_done_and_what_to_type_and_that_goes_on() {
    let whole = folder();
    assert!(run(SOME, whole.path()).status.success());
    let folder = folder();
    let mut child = start(SOME, folder.path());
    wait_for(20, &mut child, folder.path());
    signal("INT", &child);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    let (text, said) = (String::from_utf8_lossy(&output.stdout), stderr(&output));
    assert!(text.contains("incomplete: it was stopped after "), "{text}");
    assert!(text.contains("reference"), "a summary: {text}");
    assert!(!folder.path().join("results.json").exists(), "the results are not whole");
    let line = said.split_once("To go on: ").expect(&said).1;
    let mut shell = Command::new("sh");
    shell.args(["-c", line]).current_dir(root()).env_remove("CARGO").env_remove("CARGO_PKG_NAME");
    let output = shell.output().expect("a shell");
    assert!(output.status.success(), "{line}: {output:?}");
    assert!(stderr(&output).contains(" cases are done already; going on after them"), "{}", stderr(&output));
    assert!(results(folder.path()) == results(whole.path()));
}

#[test]
fn a_case_that_hangs_does_not_hold_up_ctrl_c() {
    let folder = folder();
    let script = folder_with("hangs.sh", format!("printf '{}'; exec sleep 100", hello()));
    let command = format!("sh '{}'", script.path().join("hangs.sh").display());
    let mut child = start(&["exact/*", "--timeout", "100", "--backend-cmd", &command], folder.path());
    // Until it is asked something.
    while !folder.path().join("journal.jsonl").exists() && child.try_wait().expect("it is ours").is_none() {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_secs(2));
    let since = Instant::now();
    signal("INT", &child);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(since.elapsed() < Duration::from_secs(20), "it took {:?}", since.elapsed());
    assert!(String::from_utf8_lossy(&output.stdout).contains("it was stopped after 0 of "), "{output:?}");
}

#[test]
fn two_runs_do_not_write_to_one_folder_and_the_second_says_so() {
    let folder = folder();
    let mut first = start(SOME, folder.path());
    wait_for(1, &mut first, folder.path());
    let second = run(SOME, folder.path());
    let report = ended(bncheck(&["report"]).arg(folder.path()).arg("--output").arg(folder.path()));
    assert_eq!(second.status.code(), Some(2), "{second:?}");
    let expected = format!("is in use by another bncheck (process {})", first.id());
    let said = stderr(&second);
    assert!(said.contains(&expected), "{said}");
    assert_eq!(report.code, Some(2), "{report:?}");
    assert!(first.wait_with_output().expect("it ends").status.success());
    assert!(run(SOME, folder.path()).status.success(), "now it is free");
}

#[test]
fn a_run_that_is_another_one_is_not_gone_on_with() {
    let folder = folder();
    let mut child = start(SOME, folder.path());
    wait_for(5, &mut child, folder.path());
    child.kill().expect("killed");
    child.wait().expect("it ends");
    let other = resumed(&["exact/*", "--backend", "reference"], folder.path());
    assert_eq!(other.status.code(), Some(2), "{other:?}");
    let said = stderr(&other);
    assert!(said.contains("is of another run: the backends: it was"), "{said}");
    // Without --resume it is run, and what was there is kept.
    let other = run(&["exact/means", "--backend", "reference"], folder.path());
    assert!(other.status.success(), "{other:?}");
    assert!(stderr(&other).contains("a run that was stopped here is kept as"), "{}", stderr(&other));
    assert!(folder.path().join("journal.old.jsonl").exists());
    let nothing = resumed(&["exact/means", "--backend", "reference"], folder.path());
    assert!(nothing.status.success(), "{nothing:?}");
    assert!(stderr(&nothing).contains("no run was stopped in"), "{}", stderr(&nothing));
}

#[test]
fn a_record_with_a_damaged_end_is_run_again_from_there() {
    let whole = folder();
    assert!(run(SOME, whole.path()).status.success());
    let folder = folder();
    let mut child = start(SOME, folder.path());
    wait_for(12, &mut child, folder.path());
    child.kill().expect("killed");
    child.wait().expect("it ends");
    let path = folder.path().join("journal.jsonl");
    let mut bytes = std::fs::read(&path).expect("read");
    // As a file system leaves it that has lost its power.
    let end = bytes.len();
    bytes[end - 3000..].fill(0);
    std::fs::write(&path, bytes).expect("written");
    let output = resumed(SOME, folder.path());
    assert!(output.status.success(), "{output:?}");
    assert!(stderr(&output).contains("the end of the journal is damaged"), "{}", stderr(&output));
    assert!(results(folder.path()) == results(whole.path()));
    std::fs::write(&path, "{}\n").expect("written");
    let output = resumed(SOME, folder.path());
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(stderr(&output).contains("it does not begin as one"), "{}", stderr(&output));
}

#[test]
fn a_full_disk_ends_the_run_with_a_sentence_and_what_was_done_is_kept() {
    let whole = folder();
    assert!(run(SOME, whole.path()).status.success());
    let folder = folder();
    // No file may grow beyond 200 blocks of 512 bytes, and the signal for that is ignored, as it is of a full disk.
    let line = format!(
        "trap '' XFSZ; ulimit -f 200; exec '{}' run {} --output '{}'",
        program().display(),
        SOME.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        folder.path().display()
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &line]).current_dir(root()).env_remove("CARGO").env_remove("CARGO_PKG_NAME");
    let output = shell.output().expect("a shell");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = stderr(&output);
    assert!(said.contains("cannot write") && said.contains("journal.jsonl"), "{said}");
    assert!(said.contains("To go on: "), "{said}");
    let output = resumed(SOME, folder.path());
    assert!(output.status.success(), "{output:?}");
    assert!(results(folder.path()) == results(whole.path()));
}
