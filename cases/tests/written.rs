//! What a case keeps of its file, for reports: its lines, and its fields.

use bn_cases::case::LONGEST_FIELD;
use bn_cases::{Case, Suite, load_str};

const SUITE: &str = "\
suite: written
# About defaults.
defaults:
  layer: {features: 3, eps: 1e-3}
  input: {shape: [4, 3]}

# A comment on the cases.
cases:
  - name: first
    about: It has two lines more.
    matrix: {dtype: [f32, f64]}
    mode: train

  # This belongs to the second.
  - name: second
    steps:
      - train
      - forward
  - {name: third, mode: eval}
";

fn suite(text: &str) -> Suite {
    load_str("written.yaml", text).unwrap_or_else(|problems| panic!("{problems:?}"))
}

fn lines_of<'a>(suite: &'a Suite, name: &str) -> (usize, &'a str) {
    let case = suite.cases.iter().find(|case| *case.name == *name).expect("the case is there");
    (case.written.line, &case.written.yaml)
}

#[test]
fn a_case_keeps_its_own_lines_and_the_defaults() {
    let suite = suite(SUITE);
    let first =
        "- name: first\n  about: It has two lines more.\n  matrix: {dtype: [f32, f64]}\n  mode: train";
    assert_eq!(lines_of(&suite, "first"), (9, first));
    assert_eq!(lines_of(&suite, "second"), (15, "- name: second\n  steps:\n    - train\n    - forward"));
    assert_eq!(lines_of(&suite, "third"), (19, "- {name: third, mode: eval}"));
    let defaults = "defaults:\n  layer: {features: 3, eps: 1e-3}\n  input: {shape: [4, 3]}";
    assert!(suite.cases.iter().all(|case| &*case.written.defaults == defaults));
}

#[test]
fn cases_of_one_line_share_it() {
    let suite = suite(
        "suite: s\ndefaults: {input: {shape: [4, 3]}}\ncases: [{name: a, mode: train}, {name: b, mode: eval}]\n",
    );
    let line = "cases: [{name: a, mode: train}, {name: b, mode: eval}]";
    assert_eq!((lines_of(&suite, "a"), lines_of(&suite, "b")), ((3, line), (3, line)));
}

#[test]
fn keys_after_the_cases_are_not_part_of_the_last() {
    let suite =
        suite("cases:\n  - name: a\n    input: {shape: [4, 3]}\n    mode: train\n# the name\nsuite: s\n");
    assert_eq!(lines_of(&suite, "a"), (2, "- name: a\n  input: {shape: [4, 3]}\n  mode: train"));
    assert_eq!(&*suite.cases[0].written.defaults, "");
}

#[test]
fn long_lines_and_many_of_them_are_cut() {
    let values = "0.5, ".repeat(200);
    let comments = "    # more\n".repeat(100);
    let text = format!(
        "suite: s\ncases:\n  - name: a\n    input: {{shape: [200, 1], fill: {{values: [{values}]}}}}\n{comments}    mode: eval\n"
    );
    let suite = suite(&text);
    let (_, yaml) = lines_of(&suite, "a");
    assert_eq!(yaml.lines().count(), 61);
    assert!(yaml.lines().all(|line| line.chars().count() <= 121), "{yaml}");
    assert_eq!(yaml.lines().last(), Some("# … and 43 lines more"));
}

#[test]
fn fields_are_those_that_a_filter_asks_for() {
    let suite = suite(SUITE);
    let case: &Case = &suite.cases[1];
    let fields = case.all_fields();
    for (path, value) in &fields {
        assert_eq!(case.field(path).as_ref(), Some(value), "{path}");
    }
    let field = |path: &str| fields.get(path).map(String::as_str);
    assert_eq!(field("dtype"), Some("f64"));
    assert_eq!(field("layer.eps"), Some("1e-3"));
    assert_eq!(field("layer.momentum"), Some("0.1"));
    assert_eq!(field("input.shape"), Some("[4, 3]"));
    assert_eq!(field("input.shape.1"), Some("3"));
    assert_eq!(field("trains"), Some("true"));
    assert_eq!(field("kind"), Some("BatchNorm1d"));
    assert!(field("about").is_none());
    assert!(fields.values().all(|value| value.len() <= LONGEST_FIELD));
}
