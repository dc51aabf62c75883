//! Several mistakes in one value: each is found, once, at its place.

use std::collections::BTreeMap;

use super::*;
use crate::yaml::parse;

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    eps: f64,
    #[serde(default)]
    features: Option<u8>,
    #[serde(default)]
    shapes: Vec<Vec<usize>>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Debug, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Step {
    Train,
    Forward {
        #[serde(default)]
        no_grad: bool,
    },
    Constant(f64),
}

/// The value, or each problem as `line:column message`.
fn read<T: DeserializeOwned>(text: &str) -> Result<T, Vec<String>> {
    let source = Source::new("test.yaml", text);
    let mut problems = Vec::new();
    let tree = parse(&source, &mut problems).expect("YAML");
    let value = decode(&source, &tree, &mut problems);
    let shown = problems.iter().map(|problem| {
        let (line, column) = problem.line_and_column().expect("a place");
        format!("{line}:{column} {}", problem.message)
    });
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        Some(_) => panic!("a value although something is wrong: {problems:?}"),
        None => Err(shown.collect()),
    }
}

#[test]
fn what_is_right_is_read() {
    let layer: Layer = read(
        "eps: 1e-5\nshapes: [[2, 3], []]\nsteps: [train, forward, {forward: {no_grad: true}}, {constant: 2}]",
    )
    .expect("nothing is wrong");
    let steps = vec![
        Step::Train,
        Step::Forward { no_grad: false },
        Step::Forward { no_grad: true },
        Step::Constant(2.0),
    ];
    assert_eq!(layer, Layer { eps: 1e-5, features: None, shapes: vec![vec![2, 3], vec![]], steps });
}

#[test]
fn every_mistake_is_reported_once_in_the_order_of_the_file() {
    let text = "epsilon: 1\nfeatures: 300\nshapes: [[2, x, 4, -1], 7]\nsteps: [trayn, forward, {forward: {grad: 1}}]";
    assert_eq!(
        read::<Layer>(text),
        Err(vec![
            "1:1 unknown key `epsilon`".to_owned(),
            "2:11 expected a whole number from 0 to 255, found `300`".to_owned(),
            "3:14 expected a whole number, not negative, found `x`".to_owned(),
            "3:20 expected a whole number, not negative, found `-1`".to_owned(),
            "3:25 expected a sequence, found `7`".to_owned(),
            "4:9 unknown word `trayn`".to_owned(),
            "4:36 unknown key `grad`".to_owned(),
            "1:1 `eps` is missing".to_owned(),
        ])
    );
}

#[test]
fn a_field_that_is_wrong_is_not_reported_as_missing_too() {
    assert_eq!(read::<Layer>("eps: tiny"), Err(vec!["1:6 expected a number, found `tiny`".to_owned()]));
    assert_eq!(read::<Layer>("eps:"), Err(vec!["1:1 expected a number, found nothing (null)".to_owned()]));
}

#[test]
fn the_same_mistake_in_two_places_is_two_mistakes() {
    let text = "a: {eps: x}\nb: {eps: 1}\nc: {eps: x}\nd: {features: 1}";
    assert_eq!(
        read::<BTreeMap<String, Layer>>(text),
        Err(vec![
            "1:10 expected a number, found `x`".to_owned(),
            "3:10 expected a number, found `x`".to_owned(),
            "4:4 `eps` is missing".to_owned(),
        ])
    );
}

#[test]
fn what_is_wrong_as_a_whole_ends_the_reading() {
    assert_eq!(read::<Layer>("[1, 2]"), Err(vec!["1:1 expected a mapping, found a sequence".to_owned()]));
    assert_eq!(read::<f64>("x"), Err(vec!["1:1 expected a number, found `x`".to_owned()]));
}

#[test]
fn quoted_numbers_are_strings_but_for_literals() {
    assert_eq!(
        read::<u8>("\"1\""),
        Err(vec!["1:1 expected a whole number from 0 to 255, found the string \"1\"".to_owned()])
    );
    assert_eq!(
        read::<Vec<Literal>>("[\"0x1p3\", 0.10, .inf]")
            .map(|list| list.into_iter().map(|Literal(text)| text).collect()),
        Ok(vec!["0x1p3".to_owned(), "0.10".to_owned(), ".inf".to_owned()])
    );
}
