//! The committed JSON Schema is the one that the types give, and editors that use it accept every suite.

use std::path::Path;

use bn_cases::yaml::{Kind, Node, parse};
use bn_cases::{Source, format};
use serde_json::{Map, Value};

mod common;
use common::{suite_files, text_of};

fn schema_path() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/suite.schema.json")
}

#[test]
fn the_committed_schema_is_the_one_the_types_give() {
    // Compared as values: the order of keys depends on features that other crates of a build ask for.
    let committed = std::fs::read_to_string(schema_path()).ok();
    let committed: Option<Value> = committed.and_then(|text| serde_json::from_str(&text).ok());
    let fresh = committed == Some(format::json_schema());
    assert!(fresh, "{} is stale: run `just schema` and commit it", schema_path().display());
}

#[test]
fn every_suite_validates_against_the_schema() {
    let validator = validator();
    for file in suite_files() {
        let suite = to_json(&tree(&text_of(&file)));
        let errors: Vec<String> = validator
            .iter_errors(&suite)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{}:\n{}", file.display(), errors.join("\n"));
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let mistakes = [
        "suite: s\ncases: [{name: a, mode: trayn}]",
        "suite: s\ncases: [{name: a, mode: train, layer: {epsilon: 1}}]",
        "suite: s\ncases: [{name: a, mode: train, layer: {eps: tiny}}]",
        "suite: s\ncases: [{name: a, steps: [forwards]}]",
        "suite: s\ncases: [{name: a, mode: train, input: {shape: []}}]",
        "suite: s\ncases: [{name: a, mode: train, grad: {gauss: {mean: 1}}}]",
        "suite: s\ncases: [{name: a, mode: train, input: {shape: [4, 3], layout: strided}}]",
        "suite: s\ncases: [{name: a, mode: train, tier: slow, input: {shape: [4, 3]}}]",
        "suite: s\ncases: [{name: a, mode: train, model: [{layer: {}}], input: {shape: [4, 3]}}]",
        "suite: s\ncases: [{name: a, steps: [{freeze: {what: weights}}], input: {shape: [4, 3]}}]",
        "suite: s\ncases: [{name: a, steps: [cast], input: {shape: [4, 3]}}]",
        "suite: s\ncases: [{name: a, steps: [{set: {affine: true}}], input: {shape: [4, 3]}}]",
        "suite: s\ncases: [{name: a, steps: [{load_state: {version: 3}}], input: {shape: [4, 3]}}]",
        "suite: s\nstory: {formula: y}\ncases: [{name: a, mode: train, input: {shape: [4, 3]}}]",
        "suite: s\ncases: [{name: a b, mode: train}]",
        "suite: s\ncases: [{mode: train}]",
        "cases: [{name: a, mode: train}]",
        "suite: s",
        "suite: s\ncase: []\ncases: [{name: a, mode: train}]",
    ];
    let validator = validator();
    for text in mistakes {
        assert!(!validator.is_valid(&to_json(&tree(text))), "accepted:\n{text}");
        assert!(bn_cases::load_str("mistake.yaml", text).is_err(), "the reader accepted:\n{text}");
    }
}

fn validator() -> jsonschema::Validator {
    let text = std::fs::read_to_string(schema_path()).expect("the schema is committed");
    let schema: Value = serde_json::from_str(&text).expect("the schema is JSON");
    jsonschema::validator_for(&schema).expect("the schema is a JSON Schema")
}

fn tree(text: &str) -> Node {
    let mut problems = Vec::new();
    let tree = parse(&Source::new("suite.yaml", text), &mut problems).expect("YAML");
    assert!(problems.is_empty(), "{problems:?}");
    tree
}

/// What an editor makes of the YAML. Numbers that JSON has no word for (.nan, .inf) stay text.
fn to_json(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Scalar { text, quoted: false } => match &**text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => match text.strip_prefix("0x").map(|digits| u64::from_str_radix(digits, 16)) {
                Some(Ok(number)) => number.into(),
                _ => serde_json::from_str::<serde_json::Number>(text)
                    .map_or_else(|_| Value::String(text.to_string()), Value::Number),
            },
        },
        Kind::Scalar { text, quoted: true } => Value::String(text.to_string()),
        Kind::Seq(items) => items.iter().map(to_json).collect(),
        Kind::Map(entries) => Value::Object(
            entries.iter().map(|entry| (entry.key.to_string(), to_json(&entry.value))).collect::<Map<_, _>>(),
        ),
    }
}
