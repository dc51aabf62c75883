//! Files that ask for more than there is are refused, whatever way they ask, and soon.

use std::fmt::Write as _;

/// The messages about a file with this text.
fn refusal(text: &str) -> Vec<String> {
    let problems = bn_cases::load_str("suite.yaml", text).expect_err("the text is too much");
    problems.problems.into_iter().map(|problem| problem.message).collect()
}

fn case(fields: &str) -> String {
    format!("suite: example\ncases:\n  - name: first\n{fields}")
}

#[test]
fn cases_of_several_matrices_are_too_many_together() {
    let mut text = "suite: example\ndefaults: {mode: train, input: {shape: [4, 3]}}\ncases:\n".to_owned();
    let seeds: Vec<String> = (0..300).map(|seed| seed.to_string()).collect();
    let seeds = seeds.join(",");
    for name in ["a", "b"] {
        let _ = writeln!(text, "  - {{name: {name}, matrix: {{seed: [{seeds}], layer.eps: [{seeds}]}}}}");
    }
    assert_eq!(
        refusal(&text),
        ["with this case the file has 180000 cases; it may have 100000"],
        "each of the two may have as many"
    );
}

#[test]
fn a_matrix_of_large_cases_holds_too_many_values() {
    let values = vec!["0"; 30_000].join(",");
    let seeds: Vec<String> = (0..1000).map(|seed| seed.to_string()).collect();
    let text = case(&format!(
        "    mode: train\n    input: {{shape: [10000, 3], fill: {{values: [{values}]}}}}\n    matrix: {{seed: [{}]}}\n",
        seeds.join(",")
    ));
    let messages = refusal(&text);
    assert!(messages[0].starts_with("with this case all cases of the file hold 300"), "{messages:?}");
}

#[test]
fn features_without_any_element_are_memory_too() {
    let wrong = "    expect: [{step: 2, error: wrong_features}]\n    input: {shape: [4, 3]}\n";
    let text = case(&format!("    mode: train\n    layer: {{features: 1000000000000}}\n{wrong}"));
    assert_eq!(refusal(&text), ["layers of 1000000000000 features take 122070312 MiB after 3 steps"]);
    let text = case("    mode: train\n    input: {shape: [0, 1000000000000]}\n");
    let shape = "with the shape [0, 1000000000000] the case's tensors take 30517578 MiB as f64";
    assert_eq!(refusal(&text), [shape]);
}

#[test]
fn sizes_beside_a_zero_count() {
    let text = case("    mode: train\n    input: {shape: [0, 3, 9223372036854775807, 4]}\n");
    assert_eq!(
        refusal(&text),
        [
            "with the shape [0, 3, 9223372036854775807, 4] the case's tensors take more bytes than can be counted as f64"
        ]
    );
    assert!(
        bn_cases::load_str("suite.yaml", &case("    mode: train\n    input: {shape: [0, 3, 4]}\n")).is_ok()
    );
}

#[test]
fn layers_and_steps_have_a_limit() {
    let model: Vec<String> = (0..1001).map(|number| format!("{{name: l{number}}}")).collect();
    let text =
        case(&format!("    mode: train\n    model: [{}]\n    input: {{shape: [4, 3]}}\n", model.join(",")));
    assert_eq!(refusal(&text), ["the case has 1001 layers and 3 steps"]);
    let steps = vec!["train"; 50_001].join(",");
    let model = "model: [{name: a}, {name: b}]";
    let text = case(&format!("    {model}\n    steps: [forward, {steps}]\n    input: {{shape: [4, 3]}}\n"));
    assert_eq!(refusal(&text), ["the case has 2 layers and 50002 steps"]);
}

#[test]
fn a_matrix_has_a_limit_in_each_direction() {
    let axes: Vec<String> = (0..65).map(|number| format!("model.{number}.name: [a]")).collect();
    let text = case(&format!("    mode: train\n    matrix: {{{}}}\n", axes.join(", ")));
    assert_eq!(refusal(&text), ["the matrix has 65 axes; it may have 64"]);
    let path = vec!["children.0"; 40].join(".");
    let text = case(&format!("    mode: train\n    matrix: {{model.0.{path}.name: [a]}}\n"));
    assert_eq!(refusal(&text), ["the matrix path has more than 64 names"]);
    let rules = vec!["{seed: 1}"; 1001].join(",");
    let text = case(&format!("    mode: train\n    matrix: {{seed: [1, 2]}}\n    exclude: [{rules}]\n"));
    assert_eq!(refusal(&text), ["1001 combinations are excluded; a case may exclude 1000"]);
}

#[test]
fn after_a_thousand_mistakes_a_file_is_not_read_on() {
    let mut text = "suite: example\ndefaults: {mode: train}\ncases:\n".to_owned();
    for number in 0..5000 {
        let _ = writeln!(text, "  - {{name: c{number}, input: {{shape: [4, 3]}}, seed: many}}");
    }
    let messages = refusal(&text);
    assert_eq!(messages.len(), 1001);
    assert_eq!(messages[1000], "suite.yaml: these are the first 1000 mistakes");
}

#[test]
fn one_mistake_of_many_cases_does_not_hide_another() {
    let seeds: Vec<String> = (0..2000).map(|seed| seed.to_string()).collect();
    let seeds = seeds.join(",");
    let text = format!(
        "suite: example\ndefaults: {{mode: train, input: {{shape: [4, 3]}}}}\ncases:\n\
         \x20 - {{name: a, layer: {{eps: tiny}}, matrix: {{seed: [{seeds}]}}}}\n  - {{name: b, dtype: f23}}\n"
    );
    assert_eq!(refusal(&text).len(), 2);
}

#[test]
fn many_keys_and_many_cases_in_a_line_are_read_as_fast_as_few() {
    // Each took a minute when every one was compared with all before it.
    let keys: Vec<String> = (0..200_000).map(|number| format!("k{number}: 1")).collect();
    assert_eq!(refusal(&format!("suite: a\ncases: []\nb: {{{}}}\n", keys.join(","))).len(), 2);
    let cases: Vec<String> = (0..100_000).map(|number| format!("{{name: x{number}, mode: train}}")).collect();
    let text = format!("suite: a\ndefaults: {{input: {{shape: [4, 3]}}}}\ncases: [{}]\n", cases.join(","));
    assert_eq!(
        bn_cases::load_str("suite.yaml", &text).expect("it is within all limits").cases.len(),
        100_000
    );
}
