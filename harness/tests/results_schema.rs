//! `results.json` is what others build on: its schema is committed, and what an older bncheck of the same
//! `schema_version` has written is still read.

use std::path::Path;

use bn_harness::results::{RunResults, SCHEMA_VERSION, Verdict, json_schema};
use serde_json::Value;

fn committed() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/results.schema.json");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// The first results of schema version 1: whatever is added later may be missing.
const FIRST: &str = r#"{
"schema_version": 1,
"run": {"bncheck": "0.1.0", "oracle": "libtorch 2.11.0 (tch 0.24.0) in float64", "backends": [{"name": "candle", "version": "candle-nn 0.11.1", "about": "candle"}], "machine": {"os": "linux", "arch": "x86_64", "cpu": null, "threads": 2}, "jobs": 2, "seed": null, "flags": ["run"], "started_unix_ms": 1764000000000, "duration_ms": 12},
"cases": [
{"id": "a/one[dtype=f32]", "suite": "a", "file": "a.yaml", "line": 3, "kappa": 0.5}
],
"results": [
{"case": "a/one[dtype=f32]", "backend": "candle", "verdict": "fail", "budget_used": 2.5, "steps": [{"step": 0, "action": "new layer", "tensors": [{"tensor": "running_var", "verdict": "fail", "budget_used": 2.5, "total": 3, "mismatched": 1, "worst": {"index": [1], "expected": {"decimal": "1.0", "bits": "0x3f800000"}, "got": {"decimal": "2.0", "bits": "0x40000000"}, "ulps": 8388608, "budget": 0.4}}]}], "micros": 20}
],
"diagnoses": [],
"deviation_errors": []
}"#;

#[test]
fn the_committed_schema_is_the_one_the_model_gives() {
    let fresh = committed() == json_schema();
    assert!(fresh, "harness/schema/results.schema.json is stale: run `just schema` and commit it");
}

#[test]
fn the_first_results_of_this_version_are_still_read_and_valid() {
    let results: RunResults = serde_json::from_str(FIRST).expect("what was written once is read");
    assert_eq!((results.schema_version, results.results[0].verdict), (SCHEMA_VERSION, Verdict::Fail));
    let value: Value = serde_json::from_str(FIRST).expect("JSON");
    let validator = jsonschema::validator_for(&committed()).expect("the schema is one");
    let errors: Vec<String> =
        validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{}", errors.join("\n"));
}

#[test]
fn the_schema_refuses_another_version_and_an_unknown_verdict() {
    let validator = jsonschema::validator_for(&committed()).expect("the schema is one");
    for (from, to) in
        [("\"schema_version\": 1", "\"schema_version\": 2"), ("\"fail\", \"bu", "\"bad\", \"bu")]
    {
        let value: Value = serde_json::from_str(&FIRST.replacen(from, to, 1)).expect("JSON");
        assert!(!validator.is_valid(&value), "{to} is valid");
    }
}
