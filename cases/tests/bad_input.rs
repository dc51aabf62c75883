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

/// The same around a case with a model of two layers.
fn model(fields: &str) -> String {
    case(&format!("    model: [{{name: stem}}, {{name: block, children: [{{name: inner}}]}}]\n{fields}"))
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
    expectation_of_no_step: case("    mode: train\n    expect: [{step: 4, tensor: output, values: [1]}]\n");
    expectation_of_another_step: case("    mode: train\n    expect: [{step: 1, tensor: output, values: [1]}]\n");
    expectation_of_too_few: case("    mode: train\n    expect: [{step: 2, tensor: running_mean, values: [1]}]\n");
    expectation_of_nothing: case("    mode: train\n    expect: [{step: 2, tensor: running_mean}]\n");

    // Models and their paths.
    step_at_an_unknown_path: model("    steps: [train, {freeze: {at: block.iner}}, forward]\n");
    step_at_a_path_without_a_model: case("    steps: [{train: {at: block}}, forward]\n");
    step_at_a_path_that_is_cut_short: model("    steps: [train, {forward: {at: blo}}]\n");
    two_parts_of_one_name: case("    mode: train\n    model: [{name: stem}, {name: head}, {name: stem}]\n");
    part_that_is_layer_and_block: case("    mode: train\n    model:\n      - name: stem\n        layer: {eps: 1e-3}\n        children: [{name: inner}]\n");
    part_without_children: case("    mode: train\n    model: [{name: stem}, {name: block, children: []}]\n");
    model_without_parts: case("    mode: train\n    model: []\n");
    part_with_a_dot_in_its_name: case("    mode: train\n    model: [{name: block.inner}]\n");
    part_without_a_name: case("    mode: train\n    model: [{layer: {eps: 1e-3}}]\n");
    part_with_an_unknown_key: case("    mode: train\n    model: [{name: stem, layers: {eps: 1e-3}}]\n");
    features_disagree_in_a_model: case("    mode: train\n    model: [{name: stem}, {name: head, layer: {features: 5}}]\n");
    contents_of_an_inner_layer: case("    mode: train\n    model: [{name: stem}, {name: head, layer: {weight: {values: [1, 2]}}}]\n");
    expectation_of_no_layer: model("    mode: train\n    expect: [{step: 2, tensor: num_batches_tracked, values: [1]}]\n");
    expectation_of_an_unknown_layer: model("    mode: train\n    expect: [{step: 2, layer: inner, tensor: num_batches_tracked, values: [1]}]\n");
    expectation_of_a_layer_without_a_model: case("    mode: train\n    expect: [{step: 2, layer: stem, tensor: num_batches_tracked, values: [1]}]\n");

    // Freezing, requires_grad, casts.
    freeze_of_an_unknown_kind: case("    steps: [{freeze: {what: running_mean}}, forward]\n");
    freeze_with_an_unknown_reach: model("    steps: [{freeze: {reach: recursive}}, forward]\n");
    freeze_of_weights_that_are_not_there: case("    layer: {affine: false}\n    steps: [train, {freeze: {what: affine}}, forward]\n");
    requires_grad_of_nothing: case("    steps: [requires_grad, forward]\n");
    cast_of_nothing: case("    layer: {track_running_stats: false}\n    steps: [train, {cast: {to: f16, what: statistics}}, forward]\n");
    cast_to_nothing: case("    steps: [train, {cast: {what: weight}}, forward]\n");
    cast_to_integers: case("    steps: [train, {cast: {to: i64}}, forward]\n");
    cast_to_an_unknown_type: case("    steps: [train, {cast: {to: half}}, forward]\n");
    cast_of_an_unknown_part: case("    steps: [train, {cast: {to: f16, what: buffers}}, forward]\n");
    backward_after_a_cast: case("    steps: [train, forward, {cast: {to: f16}}, backward]\n");

    // Assignments.
    set_with_nothing: case("    steps: [train, set, forward]\n");
    set_of_a_part_with_nothing: model("    steps: [train, {set: {at: stem}}, forward]\n");
    set_of_an_unknown_attribute: case("    steps: [train, {set: {affine: false}}, forward]\n");
    set_of_too_many_values: case("    steps: [train, {set: {running_mean: {values: [1, 2, 3, 4]}}}, forward]\n");
    set_of_a_negative_counter: case("    steps: [train, {set: {num_batches_tracked: -1}}, forward]\n");
    set_of_eps_to_null: case("    steps: [train, {set: {eps: null}}, forward]\n");
    set_of_layers_that_differ: case("    model: [{name: stem}, {name: head, layer: {dtype: f64}}]\n    steps: [train, {set: {running_mean: {constant: 1}}}, forward]\n");

    // State dictionaries.
    load_of_an_unknown_state: case("    steps: [train, {save_state: {name: before}}, forward, {load_state: {from: befor}}]\n");
    load_of_what_is_saved_later: case("    steps: [train, {load_state: {from: before}}, {save_state: {name: before}}]\n");
    load_of_nothing: case("    steps: [train, forward, load_state]\n");
    load_of_an_empty_dictionary: case("    steps: [train, forward, {load_state: {strict: false}}]\n");
    load_of_another_shape_in_a_model: model("    steps: [train, forward, {load_state: {strict: false, entries: {stem.bias: {values: [1, 2, 3]}, block.inner.weight: {values: [1, 2]}}}}]\n");
    load_of_a_number_that_overflows: case("    dtype: f16\n    steps: [train, forward, {load_state: {strict: false, entries: {weight: {values: [1, 70000, 3]}}}}]\n");
    load_without_what_is_not_there: case("    layer: {affine: false}\n    steps: [{save_state: {name: before}}, forward, {load_state: {from: before, without: [running_mean, weight]}}]\n");
    load_without_the_layers_path: model("    steps: [{save_state: {name: before}}, forward, {load_state: {from: before, without: [weight]}}]\n");
    load_of_another_shape: case("    steps: [train, forward, {load_state: {entries: {weight: {values: [1, 2]}}, strict: false}}]\n");
    load_of_a_version_to_come: case("    steps: [{save_state: {name: before}}, forward, {load_state: {from: before, version: 3}}]\n");
    save_without_a_name: case("    steps: [train, save_state, forward]\n");
    save_with_an_empty_name: case("    steps: [train, {save_state: {name: \"\"}}, forward]\n");

    // Layouts and inputs.
    channels_last_of_rows: "suite: example\ncases:\n  - {name: a, mode: train, input: {shape: [4, 3, 5], layout: channels_last}}\n";
    gradient_with_channels_last_of_rows: case("    steps: [train, forward, {backward: {layout: channels_last}}]\n");
    unknown_layout: "suite: example\ncases:\n  - {name: a, mode: train, input: {shape: [4, 3, 5], layout: strided}}\n";
    gradient_of_integers: case("    steps: [train, {forward: {input: {dtype: i64, requires_grad: true}}}]\n    expect: [{step: 2, error: dtype_mismatch}]\n");
    integers_with_fractions: case("    steps: [train, {forward: {input: {shape: [2, 1], dtype: i64, fill: {values: [1, 1.5]}}}}]\n    expect: [{step: 2, error: dtype_mismatch}]\n");
    constant_integer_with_a_fraction: case("    steps: [train, {forward: {input: {dtype: i64, fill: {constant: 0.5}}}}]\n    expect: [{step: 2, error: dtype_mismatch}]\n");
    layer_of_integers: case("    mode: train\n    layer: {dtype: i64}\n");

    // Tiers and stories.
    unknown_tier: case("    mode: train\n    tier: slow\n");
    story_without_a_field: "suite: example\nstory:\n  formula: y = x\n  goes_wrong: everything\n  documented: [\"https://example.org (an example)\"]\ncases: [{name: a, mode: train, input: {shape: [4, 3]}}]\n";
    story_of_one_sentence: "suite: example\nstory: Once upon a time.\ncases: [{name: a, mode: train, input: {shape: [4, 3]}}]\n";
    documented_in_one_place: "suite: example\nstory: {formula: a, goes_wrong: b, right: c, documented: \"https://example.org\"}\ncases: [{name: a, mode: train, input: {shape: [4, 3]}}]\n";

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
