//! What people get to read when a case file is wrong: the message, the place, and what would be right.
//!
//! Each snapshot is to be read as the person who made the mistake.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

mod common;
use common::drawn;

/// What is said about a file with this text.
fn refusal(text: &str) -> String {
    let problems = bn_cases::load_str("suite.yaml", text).expect_err("the text is wrong");
    drawn(&problems)
}

/// What is said about a file, by a name that is the same on every machine.
fn refusal_of_file(path: &Path) -> String {
    let problems = bn_cases::load(&[PathBuf::from(path)]).expect_err("the file is wrong");
    let folder = path.parent().expect("a folder").display().to_string();
    drawn(&problems).replace(&folder, "FOLDER").replace('\\', "/")
}

/// A suite around one case's fields.
fn case(fields: &str) -> String {
    format!("suite: example\ncases:\n  - name: first\n    input: {{shape: [4, 3]}}\n{fields}")
}

macro_rules! refused {
    ($($name:ident: $text:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(refusal(&$text));
        }
    )*};
}

refused! {
    // Keys and words.
    unknown_key: case("    mode: train\n    layer: {momemtum: 0.9}\n");
    unknown_key_of_the_suite: "suite: example\nabuot: nothing\ncases: [{name: a, mode: train, input: {shape: [4, 3]}}]\n";
    unknown_key_far_from_any: case("    mode: train\n    colour: red\n");
    unknown_fill: case("    mode: train\n    grad: {gaussian: {mean: 1}}\n");
    unknown_fill_parameter: case("    mode: train\n    grad: {normal: {mean: 1, sigma: 2}}\n");
    unknown_step: case("    steps: [train, forwards, backward]\n");
    unknown_dtype: case("    mode: train\n    dtype: float32\n");
    unknown_key_in_defaults: "suite: example\ndefaults:\n  layer: {epsilon: 1e-3}\n  input: {shape: [4, 3]}\ncases:\n  - {name: a, mode: train}\n  - {name: b, mode: eval}\n";
    duplicate_key: case("    mode: train\n    layer: {eps: 1e-3, affine: true, eps: 1e-5}\n");
    duplicate_case_name: "suite: example\ndefaults: {input: {shape: [4, 3]}}\ncases:\n  - {name: first, mode: train}\n  - {name: second, mode: train}\n  - {name: first, mode: eval}\n";
    key_without_value: case("    mode: train\n    layer:\n      weight:\n        normal:\n      eps:\n");
    two_fills_at_once: case("    mode: train\n    grad: {normal: {mean: 1}, constant: 2}\n");
    step_that_takes_nothing: case("    steps: [{train: true}, forward]\n");
    fill_that_needs_something: case("    mode: train\n    grad: constant\n");
    merge_key: "suite: example\ncases:\n  - &first {name: first, mode: train, input: {shape: [4, 3]}}\n  - {<<: *first, name: second}\n";
    tag: case("    mode: !training train\n");

    // Types.
    wrong_type: case("    mode: train\n    layer: {affine: 1, eps: tiny}\n");
    wrong_type_in_quotes: case("    mode: train\n    layer: {affine: \"true\"}\n");
    sequence_for_a_number: case("    mode: train\n    layer: {momentum: [0.1, 0.9]}\n");
    negative_size: "suite: example\ncases:\n  - {name: a, mode: train, input: {shape: [4, -3]}}\n";
    several_at_once: "suite: example\ndefaults: {dtype: f23}\ncases:\n  - name: first\n    mode: trian\n    layer: {momentum: ten, affin: false}\n    input: {shape: [4, three]}\n  - name: second\n    steps: [forward, {sgd: {rate: 1}}]\n";

    // The matrix.
    unknown_matrix_path: case("    mode: train\n    matrix: {layer.momentun: [0, 1]}\n");
    matrix_path_to_nowhere: case("    mode: train\n    matrix: {momentum: [0, 1]}\n");
    empty_matrix: case("    mode: train\n    matrix: {}\n");
    empty_axis: case("    mode: train\n    matrix: {dtype: []}\n");
    axis_without_list: case("    mode: train\n    matrix: {dtype: f32}\n");
    axis_value_twice: case("    mode: train\n    matrix: {dtype: [f32, f64, f32]}\n");
    axis_value_without_label: case("    mode: train\n    matrix: {grad: [{constant: 1}, {constant: 2}]}\n");
    axis_value_of_wrong_type: case("    mode: train\n    matrix: {dtype: [f32, f128]}\n");
    axis_too_long: format!("{}{}", case("    mode: train\n"), huge_matrix());
    exclude_matches_nothing: case("    mode: train\n    matrix: {dtype: [f32, f64]}\n    exclude: [{dtype: f16}]\n");
    exclude_names_no_axis: case("    mode: train\n    matrix: {dtype: [f32, f64]}\n    exclude: [{type: f32}]\n");
    exclude_leaves_nothing: case("    mode: train\n    matrix: {dtype: [f32, f64]}\n    exclude: [{dtype: f32}, {dtype: f64}]\n");

    // Shapes.
    shape_overflows: "suite: example\ncases:\n  - {name: a, mode: train, input: {shape: [4294967296, 4294967296, 4294967296]}}\n";
    shape_over_the_limit: "suite: example\ncases:\n  - {name: a, mode: train, input: {shape: [64, 512, 1024, 1024]}}\n";
    shapes_over_the_limit_together: "suite: example\ncases:\n  - {name: a, steps: [forward, forward, forward], input: {shape: [64, 64, 64, 64]}}\n";
    features_disagree: case("    mode: train\n    layer: {features: 4}\n");
    features_disagree_later: case("    steps: [forward, {forward: {input: {shape: [4, 5]}}}]\n");
    rank_too_high: "suite: example\ncases:\n  - {name: a, mode: train, input: {shape: [2, 3, 1, 1, 1, 1]}}\n";
    rank_changes: case("    steps: [forward, {forward: {input: {shape: [4, 3, 2, 2]}}}]\n");
    no_shape: "suite: example\ncases: [{name: a, mode: train}]\n";

    // Numbers.
    decimal_overflows: case("    mode: train\n    dtype: f16\n    grad: {values: [1, 2, 3, 70000, 5, 6, 7, 8, 9, 10, 11, 12]}\n");
    decimal_underflows: case("    mode: train\n    dtype: f16\n    layer: {weight: {values: [1, 1e-9, 3]}}\n");
    hexadecimal_does_not_fit: case("    mode: train\n    dtype: bf16\n    layer: {weight: {values: [1, 0x1.0001p0, 3]}}\n");
    double_overflows: case("    mode: train\n    layer: {eps: 1e400}\n");
    not_a_number: case("    mode: train\n    layer: {weight: {values: [1, two, 3]}}\n");
    pattern_too_wide: case("    mode: train\n    dtype: f16\n    layer: {weight: {bits: [0x3c00, 0x13c00, 0x3c00]}}\n");
    fill_overflows: case("    mode: train\n    dtype: f16\n    grad: {normal: {mean: 0, std: 10000}}\n");
    values_count: case("    mode: train\n    layer: {weight: {values: [1, 2]}}\n");
    index_outside: case("    mode: train\n    input: {shape: [4, 3], fill: {special: {base: {constant: 1}, at: [{index: [4, 0], value: .nan}]}}}\n").replacen("    input: {shape: [4, 3]}\n", "", 1);
    fill_of_the_wrong_role: case("    mode: train\n    layer: {weight: correlated}\n");

    // What does not go together.
    mode_and_steps: case("    mode: train\n    steps: [train, forward]\n");
    neither_mode_nor_steps: case("");
    backward_before_forward: case("    steps: [train, backward, forward]\n");
    weight_without_affine: case("    mode: train\n    layer: {affine: false, weight: {constant: 2}}\n");
    statistics_untracked: case("    mode: train\n    layer: {track_running_stats: false, running_mean: {constant: 2}}\n");
    parameters_of_another_type: case("    mode: train\n    dtype: f64\n    layer: {dtype: f32}\n");
    expectation_of_no_step: case("    mode: train\n    expect: [{step: 4, tensor: output, values: [1]}]\n");
    expectation_of_another_step: case("    mode: train\n    expect: [{step: 1, tensor: output, values: [1]}]\n");
    expectation_of_too_few: case("    mode: train\n    expect: [{step: 2, tensor: running_mean, values: [1]}]\n");
    expectation_of_nothing: case("    mode: train\n    expect: [{step: 2, tensor: running_mean}]\n");

    // Files that are not suites, or not YAML.
    empty_file: "";
    not_a_suite: "- name: first\n  mode: train\n";
    no_suite_name: "cases: [{name: a, mode: train, input: {shape: [4, 3]}}]\n";
    no_cases: "suite: example\n";
    no_case: "suite: example\ncases: []\n";
    names_with_spaces: "suite: my suite\ncases: [{name: first case, mode: train, input: {shape: [4, 3]}}]\n";
    tabs: "suite: example\ncases:\n\t- name: first\n";
    unclosed: "suite: example\ncases:\n  - {name: first, mode: train\n  - {name: second, mode: eval}\n";
    colon_in_plain_text: "suite: example\nabout: mind: the colon\ncases: []\n";
    unclosed_quote: "suite: example\nabout: \"never closed\ncases: []\n";
    unknown_alias: case("    mode: train\n    grad: *nowhere\n");
    two_documents: "suite: example\ncases: []\n---\nsuite: other\ncases: []\n";
    alias_bomb: bomb();
    too_many_values: format!("suite: [{}1]\n", "1,".repeat(2_000_000));
    too_deep: format!("suite: {}1{}\n", "[".repeat(5000), "]".repeat(5000));
    beyond_ascii: "suite: example\ncases:\n  - {name: a, about: \"größer als γ·x̂ — 漢字\", mode: trian, input: {shape: [4, 3]}}\n";
}

/// 400 × 400 cases.
fn huge_matrix() -> String {
    let values: Vec<String> = (0..400).map(|value| value.to_string()).collect();
    let values = values.join(", ");
    format!("    matrix:\n      seed: [{values}]\n      layer.momentum: [{values}]\n")
}

/// Nine levels of nine aliases: 9^9 values from a few hundred bytes.
fn bomb() -> String {
    let mut text = "suite: example\nlevel0: &level0 [1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..9 {
        let aliases = [format!("*level{}", level - 1).as_str(); 9].join(", ");
        let _ = writeln!(text, "level{level}: &level{level} [{aliases}]");
    }
    text
}

#[test]
fn a_bomb_is_refused_before_it_goes_off() {
    let start = std::time::Instant::now();
    refusal(&bomb());
    assert!(start.elapsed().as_secs() < 10, "took {:?}", start.elapsed());
}

#[test]
fn invalid_utf8() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("latin1.yaml");
    std::fs::write(&path, b"suite: example\nabout: gr\xf6\xdfer\ncases: []\n").expect("written");
    insta::assert_snapshot!(refusal_of_file(&path));
}

#[test]
fn missing_file() {
    let folder = tempfile::tempdir().expect("a folder");
    insta::assert_snapshot!(refusal_of_file(&folder.path().join("missing.yaml")));
}

#[test]
fn a_folder_that_is_named_like_a_suite_is_searched() {
    let folder = tempfile::tempdir().expect("a folder");
    let odd = folder.path().join("suite.yaml");
    std::fs::create_dir(&odd).expect("made");
    std::fs::write(odd.join("a.yaml"), "suite: a\ncases: [{name: a, mode: train, input: {shape: [4, 3]}}]")
        .expect("written");
    let suites = bn_cases::load(&[folder.path().to_owned()]).expect("nothing is wrong");
    assert_eq!(suites.len(), 1);
}

#[test]
fn file_that_is_too_large() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.yaml");
    let file = std::fs::File::create(&path).expect("made");
    file.set_len(17 << 20).expect("a hole of 17 MiB");
    insta::assert_snapshot!(refusal_of_file(&path));
}

#[test]
fn mistakes_in_two_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("a.yaml", "suite: a\ncases: [{name: a, mode: trian, input: {shape: [4, 3]}}]\n");
    write("b.yaml", "suite: b\ncases: [{name: b, mod: train, input: {shape: [4, 3]}}]\n");
    write("readme.md", "not a suite, and not read");
    let problems = bn_cases::load(&[folder.path().to_owned()]).expect_err("both are wrong");
    let text = drawn(&problems).replace(&folder.path().display().to_string(), "FOLDER").replace('\\', "/");
    insta::assert_snapshot!(text);
}

#[test]
fn same_id_in_two_files() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a.yaml", "b.yaml"] {
        let text = "suite: same\ncases: [{name: a, mode: train, input: {shape: [4, 3]}}]\n";
        std::fs::write(folder.path().join(name), text).expect("written");
    }
    let problems = bn_cases::load(&[folder.path().to_owned()]).expect_err("ids must be unique");
    let text = drawn(&problems).replace(&folder.path().display().to_string(), "FOLDER").replace('\\', "/");
    insta::assert_snapshot!(text);
}

#[test]
fn the_same_file_named_twice_is_read_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.yaml");
    std::fs::write(&path, "suite: a\ncases: [{name: a, mode: train, input: {shape: [4, 3]}}]\n")
        .expect("written");
    let suites = bn_cases::load(&[path.clone(), folder.path().to_owned(), path]).expect("nothing is wrong");
    assert_eq!(suites.len(), 1);
}
