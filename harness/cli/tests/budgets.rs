//! How much of the budgets is used, and of their constants needed.
#![cfg(feature = "libtorch")]

mod common;

use common::{bncheck, ended, folder_with};
use serde_json::Value;

#[test]
fn uses_of_sound_methods_and_of_libtorch_and_the_needs_of_constants_are_told() {
    let folder =
        folder_with("one.yaml", "{suite: one, cases: [{name: a, input: {shape: [4, 3]}, mode: train}]}\n");
    let path = folder.path().to_str().unwrap();
    let ended = ended(&mut bncheck(&["budgets", "--cases", "0", "--format", "json", "--suites", path]));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let results: Value = serde_json::from_str(&ended.stdout).unwrap();
    let libtorch = &results["libtorch"]["methods"][0];
    assert_eq!(
        (&libtorch["name"], &libtorch["judged"], &results["left_out"]),
        (&Value::from("libtorch"), &Value::from(1), &Value::from(0))
    );
    let needs = results["needs"].as_array().unwrap();
    assert!(needs.len() >= 8, "{needs:#?}");
    for need in needs {
        let share = need["share"].as_f64().unwrap();
        assert!((0.25..=1.0).contains(&share) && need["by"]["case"].is_string(), "{need}");
    }
}
