//! The suites of this repository: they load, their ids are what they were, and any YAML reader reads them alike.
//! What they cover is in `coverage.rs`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bn_cases::Source;
use bn_cases::case::Action;
use bn_cases::yaml::{Kind, Node, parse};
use serde_yaml_original::Value;

mod common;
use common::{suite_files, suites, suites_folder, text_of};

#[test]
fn there_are_at_least_400_cases() {
    let cases: usize = suites().iter().map(|suite| suite.cases.len()).sum();
    assert!((400..=1000).contains(&cases), "{cases} cases");
}

#[test]
fn ids_are_unique_and_what_they_were() {
    let mut list = String::new();
    let mut known = BTreeSet::new();
    for case in suites().iter().flat_map(|suite| &suite.cases) {
        assert!(known.insert(case.id.clone()), "{} stands here twice", case.id);
        writeln!(list, "{}", case.id).expect("writing to a string");
    }
    insta::assert_snapshot!(list);
}

#[test]
fn every_suite_is_named_after_its_file_and_says_what_it_is_about() {
    for (suite, file) in suites().iter().zip(suite_files()) {
        let place = file.strip_prefix(suites_folder()).expect("in the folder").with_extension("");
        assert_eq!(suite.name, place.to_string_lossy());
        assert!(suite.about.is_some(), "{} has no `about`", suite.name);
    }
}

#[test]
fn every_file_tells_editors_where_the_schema_is() {
    for file in suite_files() {
        let depth = file.strip_prefix(suites_folder()).expect("in the folder").components().count();
        let up = "../".repeat(depth);
        let line = format!("# yaml-language-server: $schema={up}schema/suite.schema.json\n");
        assert!(text_of(&file).starts_with(&line), "{} does not start with\n{line}", file.display());
    }
}

#[test]
fn cases_are_small() {
    let mut elements_of_all = 0;
    for case in suites().iter().flat_map(|suite| &suite.cases) {
        let elements: usize = case.script.iter().map(elements_of).sum();
        let allowed = 50_000 * case.script.len();
        assert!(elements <= allowed, "{} has {elements} elements", case.id);
        elements_of_all += elements;
    }
    // What a run over all backends can get through in seconds.
    assert!(elements_of_all <= 5_000_000, "{elements_of_all} elements in all");
}

fn elements_of(action: &Action) -> usize {
    match action {
        Action::Forward { input: tensor, .. } | Action::Backward { grad: tensor } => {
            tensor.shape.iter().product()
        }
        _ => 0,
    }
}

#[test]
fn the_original_serde_yaml_reads_every_file_alike() {
    for file in suite_files() {
        let text = text_of(&file);
        let mut problems = Vec::new();
        let ours = parse(&Source::new(file.to_string_lossy(), text.as_str()), &mut problems).expect("YAML");
        let theirs: Value = serde_yaml_original::from_str(&text).expect("YAML to the original, too");
        assert!(problems.is_empty(), "{problems:?}");
        if let Err(place) = same(&ours, &theirs) {
            panic!("{}: the two readers differ at `{place}`", file.display());
        }
    }
}

/// Whether both trees are the same; if not, where they differ.
fn same(ours: &Node, theirs: &Value) -> Result<(), String> {
    let under = |segment: &str, result: Result<(), String>| {
        result.map_err(
            |place| {
                if place.is_empty() { segment.to_owned() } else { format!("{segment}.{place}") }
            },
        )
    };
    let alike = match (&ours.kind, theirs) {
        (Kind::Null, Value::Null) => true,
        (Kind::Scalar { text, quoted: false }, Value::Bool(value)) => *text == value.to_string(),
        (Kind::Scalar { text, quoted: false }, Value::Number(value)) => same_number(text, value),
        (Kind::Scalar { text, quoted }, Value::String(value)) => {
            text == value && (*quoted || !["true", "false", "null", "~"].contains(&text.as_str()))
        }
        (Kind::Seq(ours), Value::Sequence(theirs)) => {
            for (index, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                under(&index.to_string(), same(ours, theirs))?;
            }
            ours.len() == theirs.len()
        }
        (Kind::Map(ours), Value::Mapping(theirs)) => {
            for (ours, (key, value)) in ours.iter().zip(theirs) {
                if key.as_str() != Some(&ours.key) {
                    return Err(ours.key.clone());
                }
                under(&ours.key, same(&ours.value, value))?;
            }
            ours.len() == theirs.len()
        }
        _ => false,
    };
    if alike { Ok(()) } else { Err(String::new()) }
}

fn same_number(text: &str, value: &serde_yaml_original::Number) -> bool {
    if let (Some(digits), Some(value)) = (text.strip_prefix("0x"), value.as_u64()) {
        return u64::from_str_radix(digits, 16) == Ok(value);
    }
    match (bn_cases::number::parse_f64(text), value.as_f64()) {
        (Ok(ours), Some(theirs)) => {
            ours.to_bits() == theirs.to_bits() || ours == theirs || (ours.is_nan() && theirs.is_nan())
        }
        _ => false,
    }
}

#[test]
fn the_example_of_the_documentation_is_what_it_says() {
    let page = text_of(&suites_folder().join("../../docs/case-format.md"));
    let example =
        page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let suite = bn_cases::load_str("docs/case-format.md", example)
        .unwrap_or_else(|problems| panic!("{}", common::drawn(&problems)));
    let ids: Vec<&str> = suite.cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids.len(), 5);
    assert_eq!(ids[..2], ["tutorial/one-batch", "tutorial/three-batches[momentum=null,dtype=f32]"]);
}
