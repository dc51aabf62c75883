//! Wrong case files end with 3, the place, and what would be right. What each message looks like in full is
//! pinned where the format is: `cases/tests/bad_input.rs`.

use std::fmt::Write as _;

mod common;
use common::{bncheck, ended, folder_with};

/// What is said about a file with this text.
#[track_caller]
fn refusal(text: impl AsRef<[u8]>) -> String {
    let folder = folder_with("bad.yaml", text);
    let ended = ended(bncheck(&["run", "--suites", "bad.yaml"]).current_dir(folder.path()));
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert_eq!(ended.stdout, "");
    ended.stderr
}

/// A suite around one case's fields, which start in line 5.
fn case(fields: &str) -> String {
    format!("suite: bad\ncases:\n  - name: first\n    input: {{shape: [4, 3]}}\n{fields}")
}

/// Whether the file is refused at this place, with a caret and these words.
#[track_caller]
fn is_refused(text: &str, place: &str, words: &[&str]) {
    let refusal = refusal(text);
    assert!(refusal.contains(&format!("[bad.yaml:{place}]")), "not at {place}:\n{refusal}");
    assert!(refusal.contains("here") || refusal.contains('▲') || refusal.contains('┬'), "{refusal}");
    let flat = refusal.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in words {
        assert!(flat.contains(part), "no `{part}` in:\n{refusal}");
    }
}

#[test]
fn unknown_key() {
    let text = case("    mode: train\n    layer: {momemtum: 0.9}\n");
    is_refused(&text, "6:13", &["unknown key `momemtum`", "did you mean `momentum`?"]);
}

#[test]
fn wrong_type() {
    let text = case("    mode: train\n    layer: {affine: 1}\n");
    is_refused(&text, "6:21", &["true", "false"]);
}

#[test]
fn duplicate_key() {
    let text = case("    mode: train\n    mode: eval\n");
    is_refused(&text, "6:5", &["mode"]);
}

#[test]
fn unknown_matrix_path() {
    let text = case("    mode: train\n    matrix: {layer.momentun: [0, 1]}\n");
    is_refused(&text, "6:14", &["momentun", "did you mean"]);
}

#[test]
fn empty_matrix() {
    is_refused(&case("    mode: train\n    matrix: {}\n"), "6:13", &["matrix"]);
}

#[test]
fn duplicate_case_name() {
    let text = "suite: bad\ndefaults: {input: {shape: [4, 3]}, mode: train}\ncases:\n  - {name: one}\n  - {name: one}\n";
    is_refused(text, "5:12", &["two cases named `one`", "the first is in line 4"]);
}

#[test]
fn shape_that_overflows() {
    let text = "suite: bad\ncases:\n  - {name: a, mode: train, input: {shape: [4294967296, 4294967296, 4294967296]}}\n";
    is_refused(text, "3:43", &["shape"]);
}

#[test]
fn shape_beyond_the_memory_limit() {
    let text = "suite: bad\ncases:\n  - {name: a, mode: train, input: {shape: [64, 512, 1024, 1024]}}\n";
    is_refused(text, "3:43", &["MiB"]);
}

#[test]
fn features_that_disagree_with_the_shape() {
    let text = case("    mode: train\n    layer: {features: 4}\n");
    is_refused(&text, "6:23", &["4", "3"]);
}

#[test]
fn alias_bomb() {
    let mut text = "suite: bad\nlevel0: &level0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..9 {
        let aliases = [format!("*level{}", level - 1).as_str(); 9].join(", ");
        let _ = writeln!(text, "level{level}: &level{level} [{aliases}]");
    }
    let start = std::time::Instant::now();
    assert!(refusal(text).contains("bad.yaml"));
    assert!(start.elapsed().as_secs() < 20, "took {:?}", start.elapsed());
}

#[test]
fn invalid_utf8() {
    let refusal = refusal(b"suite: bad\nabout: gr\xf6\xdfer\ncases: []\n");
    assert!(refusal.contains("bad.yaml") && refusal.contains("UTF-8"), "{refusal}");
}

#[test]
fn unreadable_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = ended(bncheck(&["list", "--suites", "missing.yaml"]).current_dir(folder.path()));
    assert_eq!(ended.code, Some(3), "{ended:#?}");
    assert!(ended.stderr.contains("missing.yaml") && ended.stderr.contains("No such file"), "{ended:#?}");
}

#[test]
fn decimal_that_overflows_its_type() {
    let text = case("    mode: train\n    dtype: f16\n    layer: {weight: {values: [1, 70000, 3]}}\n");
    is_refused(&text, "7:34", &["70000", "f16"]);
}

#[test]
fn several_mistakes_are_reported_at_once() {
    let text = "suite: bad
cases:
  - name: first
    mode: trian
    layer: {momemtum: 0.9, eps: tiny}
    input: {shape: [4, 3]}
  - name: second
    mode: eval
    dtype: float32
    input: {shape: [4, -3]}
";
    insta::assert_snapshot!(refusal(text));
}

#[test]
fn every_command_that_reads_cases_refuses_them() {
    let folder = folder_with("bad.yaml", "suite: bad\n");
    for arguments in [&["list"][..], &["run"], &["replay", "bad/a"], &["explain", "bad/a"]] {
        let mut command = bncheck(arguments);
        let ended = ended(command.args(["--suites", "bad.yaml"]).current_dir(folder.path()));
        assert_eq!(ended.code, Some(3), "{arguments:?}: {ended:#?}");
    }
}
