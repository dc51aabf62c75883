//! The suites of this repository: they load, their ids are what they were, and any YAML reader reads them alike.
//! What they cover is in `coverage.rs`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use bn_cases::case::{Action, Input};
use bn_cases::format::Tier;
use bn_cases::yaml::{Kind, Node, parse};
use bn_cases::{Source, Suite};
use serde_yaml_original::Value;

mod common;
use common::{suite_files, suites, suites_folder, text_of};

#[test]
fn a_quick_run_has_a_thousand_cases_from_every_suite_and_a_full_one_over_two_thousand() {
    let in_tier = |suite: &Suite, tier| suite.cases.iter().filter(|case| case.is_in(tier)).count();
    let suites = suites();
    let sum = |tier| suites.iter().map(|suite| in_tier(suite, tier)).sum::<usize>();
    let (quick, full) = (sum(Tier::Quick), sum(Tier::Full));
    assert!((900..=1250).contains(&quick), "{quick} quick cases");
    assert!((2000..=3000).contains(&full), "{full} cases in all");
    for suite in &suites {
        assert!(in_tier(suite, Tier::Quick) > 0, "{} is nowhere in a quick run", suite.name);
    }
}

#[test]
fn every_pitfall_has_its_suite_and_its_story() {
    let suites = suites();
    let pitfalls: Vec<&Suite> = suites.iter().filter(|suite| suite.name.starts_with("pitfalls/")).collect();
    let names: Vec<&str> = pitfalls.iter().map(|suite| &*suite.name).collect();
    let wanted = ["1-momentum", "2-statistics", "3-forward-moves-statistics", "4-freezing", "5-frozen-half"];
    assert_eq!(names, wanted.map(|name| format!("pitfalls/{name}")));
    for suite in pitfalls {
        let story = suite.story.as_ref().unwrap_or_else(|| panic!("{} has no story", suite.name));
        for text in [&story.formula, &story.goes_wrong, &story.right] {
            assert!(text.len() > 80, "{} tells too little: {text}", suite.name);
        }
        let links = story.documented.iter().filter(|link| link.starts_with("https://"));
        assert!(links.clone().count() >= 2, "{} names too few places", suite.name);
        assert!(
            links.clone().all(|link| link.contains(" (")),
            "{}: say what stands at each link",
            suite.name
        );
    }
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
        assert_eq!(*suite.name, *place.to_string_lossy());
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
    let (mut elements_of_quick, mut elements_of_all) = (0, 0);
    for case in suites().iter().flat_map(|suite| &suite.cases) {
        let elements: usize = case.script.iter().map(elements_of).sum();
        let allowed = match case.id.as_str() {
            // It takes hundreds of thousands of values for an accumulator to drift.
            "conditioning/drifting-sums" => 2_000_000,
            // And tens of thousands for the product of two counts to be more than 32 bits hold.
            "shapes/sizes/halves-that-differ" => 200_000,
            _ => 50_000 * case.script.len(),
        };
        assert!(elements <= allowed, "{} has {elements} elements", case.id);
        elements_of_all += elements;
        if case.is_in(Tier::Quick) {
            elements_of_quick += elements;
        }
    }
    // What a run over all backends can get through in seconds.
    assert!(elements_of_quick <= 4_000_000, "{elements_of_quick} elements in quick cases");
    assert!(elements_of_all <= 9_000_000, "{elements_of_all} elements in all");
}

fn elements_of(action: &Action) -> usize {
    match action {
        Action::Forward { input: Input { tensor, .. }, .. } | Action::Backward { grad: tensor, .. } => {
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
        (Kind::Scalar { text, quoted: false }, Value::Bool(value)) => **text == *value.to_string(),
        (Kind::Scalar { text, quoted: false }, Value::Number(value)) => same_number(text, value),
        (Kind::Scalar { text, quoted }, Value::String(value)) => {
            **text == **value && (*quoted || !["true", "false", "null", "~"].contains(&&**text))
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
                    return Err(ours.key.to_string());
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
