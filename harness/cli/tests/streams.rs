//! Data on standard output, everything else on standard error; colours only where they are wanted; a reader
//! that goes away.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

mod common;
use common::{bncheck, ended, program, root};

/// A run with one failure in it, so that every colour is there.
fn colourful() -> (tempfile::TempDir, assert_cmd::Command) {
    let folder = common::folder_with(
        "mine.yaml",
        "{suite: mine, cases: [{name: a, input: {shape: [4, 3]}, mode: train}]}\n",
    );
    let mut command = bncheck(&["run", "--backend", "tch-nn,reference", "--suites"]);
    command.arg(folder.path().join("mine.yaml")).arg("--output").arg(folder.path());
    (folder, command)
}

#[test]
fn away_from_a_terminal_there_are_no_colours() {
    let (_folder, mut command) = colourful();
    let ended = ended(&mut command);
    assert_eq!(ended.code, Some(1));
    assert!(!ended.stdout.contains('\u{1b}') && !ended.stderr.contains('\u{1b}'), "{ended:#?}");
}

#[test]
fn colours_can_be_forced_and_no_color_wins() {
    let (_folder, mut command) = colourful();
    assert!(ended(command.env("CLICOLOR_FORCE", "1")).stdout.contains("\u{1b}[31mfail"));
    assert!(!ended(command.env("NO_COLOR", "1")).stdout.contains('\u{1b}'));
}

#[test]
fn json_never_has_colours() {
    let (_folder, mut command) = colourful();
    let text = ended(command.args(["--format", "json"]).env("CLICOLOR_FORCE", "1")).stdout;
    serde_json::from_str::<serde_json::Value>(&text).expect("JSON and nothing else");
}

#[test]
fn progress_and_messages_go_to_standard_error() {
    let (_folder, mut command) = colourful();
    let ended = ended(&mut command);
    assert!(ended.stderr.starts_with("running 1 case\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains("results: "), "{}", ended.stderr);
    assert!(!ended.stdout.contains("running"), "{}", ended.stdout);
}

#[test]
fn errors_leave_standard_output_empty() {
    let ended = ended(&mut bncheck(&["list", "no-such-case"]));
    assert_eq!(ended.stdout, "");
    assert!(ended.stderr.contains("no case is selected"));
}

/// Reads one line of `bncheck`'s output and goes away; the exit code and standard error.
fn read_one_line(arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(program())
        .args(arguments)
        .current_dir(root())
        .env_remove("CARGO_PKG_NAME")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut line = String::new();
    let mut output = BufReader::with_capacity(64, child.stdout.take().expect("piped"));
    output.read_line(&mut line).expect("a line");
    drop(output);
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    // More than a pipe holds.
    for arguments in [&["list", "--format", "json"][..], &["list"], &["schema"], &["completions", "bash"]] {
        assert_eq!(read_one_line(arguments), (Some(0), String::new()), "{arguments:?}");
    }
}
