//! A run with a result of every kind, read from JSON as `bncheck report` reads it.
#![allow(dead_code, reason = "each test takes what it needs")]

use bn_harness::results::RunResults;
use serde_json::{Value, json};

/// The run.
pub fn a_run() -> RunResults {
    of_json(json())
}

/// The run with every text of it, be it a name, a path or a reason, made another one.
pub fn with_texts(other: impl Fn(&str) -> String) -> RunResults {
    let mut run = json();
    change_texts(&mut run, "", &other);
    of_json(run)
}

/// So many backends that fail so many cases, each case for its reason.
pub fn failing(
    backends: usize,
    cases: usize,
    name: impl Fn(&str, usize) -> String,
    reason: impl Fn(usize) -> String,
) -> RunResults {
    let mut run = a_run();
    let backend = run.run.backends[1].clone();
    let (case, result) = (run.cases[0].clone(), run.results[11].clone());
    run.diagnoses.clear();
    run.deviation_errors.clear();
    run.run.backends = (0..backends)
        .map(|number| {
            let mut backend = backend.clone();
            backend.name = name("backend", number);
            backend
        })
        .collect();
    run.cases = (0..cases)
        .map(|number| {
            let mut case = case.clone();
            case.id = name("suite/case", number);
            case.file = name("file.yaml", 0);
            case.line = number;
            case
        })
        .collect();
    run.results = (0..cases)
        .flat_map(|case| (0..backends).map(move |backend| (case, backend)))
        .map(|(case, backend)| {
            let mut result = result.clone();
            result.case.clone_from(&run.cases[case].id);
            result.backend.clone_from(&run.run.backends[backend].name);
            result.reason = Some(reason(case));
            result.steps.clear();
            result
        })
        .collect();
    run
}

fn of_json(run: Value) -> RunResults {
    serde_json::from_value(run).expect("a run")
}

fn change_texts(value: &mut Value, key: &str, other: &impl Fn(&str) -> String) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| change_texts(value, key, other)),
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| change_texts(value, key, other)),
        // One of a list of words that the model knows.
        Value::String(_) if matches!(key, "verdict" | "class" | "kind") => {}
        Value::String(text) if key == "tensor" => *text = format!("{}.{text}", other("layer")),
        Value::String(text) => *text = other(text),
        _ => {}
    }
}

const SLOW: &str = "pitfalls/momentum/batches[momentum=0.1]";
const FAST: &str = "pitfalls/momentum/batches[momentum=0.3]";

fn cases() -> Value {
    let case = |id: &str, line: usize| {
        let suite = id.rsplit_once('/').map_or(id, |(suite, _)| suite);
        json!({"id": id, "suite": suite, "file": format!("cases/suites/{suite}.yaml"), "line": line, "kappa": 0.5})
    };
    json!([
        case(SLOW, 12),
        case(FAST, 12),
        case("errors/one-value[dtype=f32]", 31),
        case("dtypes/half", 7),
        case("eps/zero", 5),
        case("published/by-hand", 40),
        case("layers/nothing", 3),
    ])
}

/// A mistake that explains both failures.
fn biased() -> Value {
    json!([{
        "mistakes": [{"name": "biased-running-var", "about": "the running variance divides by n, not n - 1",
                      "link": "https://example.org/issue/7"}],
        "explains": 2, "fit": 0.4,
    }])
}

fn results() -> Value {
    let result = |case: &str, backend: &str, verdict: &str, reason: Option<&str>, steps: Value| {
        json!({
            "case": case, "backend": backend, "verdict": verdict, "reason": reason,
            "budget_used": (verdict == "pass").then_some(0.31), "steps": steps, "micros": 1_250,
        })
    };
    let plain = |case: &str, backend: &str, verdict: &str| result(case, backend, verdict, None, json!([]));
    let said = |case: &str, backend: &str, verdict: &str, reason: &str| {
        result(case, backend, verdict, Some(reason), json!([]))
    };
    let diagnosed = |case: &str| {
        let mut result = result(case, "candle", "fail", None, json!([differs(2, "running_var")]));
        result["diagnosis"] = biased();
        result
    };
    let accepted = json!([{
        "step": 1, "action": "forward",
        "error": {"verdict": "fail", "expected": {"class": "one_value_per_channel",
                  "message": "Expected more than 1 value per channel when training"}, "got": null},
    }]);
    let in_doubt = "step 2: the file says output[0] is 1.0 ± 0.0, the oracle 1.5 (worked by hand)";
    let killed = |number: u32| {
        format!("process {number} was ended by signal 11 (SIGSEGV); it last said: loading\n\tat kernel.cu:31")
    };
    json!([
        plain(SLOW, "reference", "pass"),
        diagnosed(SLOW),
        said(SLOW, "mine", "crash", &killed(4711)),
        plain(FAST, "reference", "pass"),
        diagnosed(FAST),
        said(FAST, "mine", "crash", &killed(4713)),
        plain("errors/one-value[dtype=f32]", "reference", "pass"),
        said(
            "errors/one-value[dtype=f32]",
            "candle",
            "known",
            "trains-on-one-value: One value is accepted. (https://example.org/1)",
        ),
        result("errors/one-value[dtype=f32]", "mine", "fail", None, accepted),
        plain("dtypes/half", "reference", "pass"),
        said("dtypes/half", "candle", "unsupported", "there is no layer of f16"),
        result(
            "dtypes/half",
            "mine",
            "fail",
            None,
            json!([differs(1, "output"), differs(2, "running_mean")]),
        ),
        plain("eps/zero", "reference", "pass"),
        said(
            "eps/zero",
            "candle",
            "fixed",
            "the declared deviation `takes-eps-zero` does not occur here any more",
        ),
        said("eps/zero", "mine", "error", "the worker does not speak the protocol of version 3"),
        said("published/by-hand", "reference", "suspect", in_doubt),
        said("published/by-hand", "candle", "suspect", in_doubt),
        said("published/by-hand", "mine", "suspect", in_doubt),
        plain("layers/nothing", "reference", "vacuous"),
        plain("layers/nothing", "candle", "vacuous"),
        said("layers/nothing", "mine", "timeout", "no answer within 60 s"),
    ])
}

fn json() -> Value {
    let column = |name: &str, version: &str| json!({"name": name, "version": version, "about": "what it is"});
    json!({
        "schema_version": 1,
        "run": {
            "bncheck": "0.1.0", "oracle": "libtorch 2.11.0 in float64",
            "backends": [column("reference", "bn-reference 0.1.0"), column("candle", "candle-nn 0.11.1"), column("mine", "mine 3")],
            "machine": {"os": "linux", "arch": "x86_64", "cpu": "Some CPU @ 2.0 GHz", "threads": 2},
            "jobs": 2, "seed": 7, "flags": ["run", "--tier", "full", "--suites", "my suites"],
            "started_unix_ms": 1_700_000_000_000_u64, "duration_ms": 1540,
            "selections": [{"suites": ["my suites"], "tier": "full"}],
        },
        "cases": cases(),
        "results": results(),
        "deviation_errors": ["candle: the declared deviation `old` covers no case; take it out"],
        "diagnoses": [{"backend": "candle", "failing": 2, "replayed": 2, "explanations": [{"explains": 2, "alike": biased()}]}],
        "changes": {
            "baseline": {"source": "main/results.json", "bncheck": "0.1.0", "oracle": "libtorch 2.11.0 in float64", "started_unix_ms": 0},
            "factor": 2.0, "compared": 20, "notes": ["the baseline has no backend `mine`"],
            "transitions": [
                {"case": SLOW, "backend": "candle", "kind": "newly_failing",
                 "before": {"verdict": "pass", "budget_used": 0.2}, "after": {"verdict": "fail", "budget_used": null}},
                {"case": "eps/zero", "backend": "reference", "kind": "budget_up",
                 "before": {"verdict": "pass", "budget_used": 0.1}, "after": {"verdict": "pass", "budget_used": 0.31}},
            ],
        },
    })
}

fn differs(step: usize, tensor: &str) -> Value {
    json!({
        "step": step, "action": "forward",
        "tensors": [{
            "tensor": tensor, "verdict": "fail", "budget_used": 41234.5, "total": 4, "mismatched": 3,
            "worst": {"index": [2], "expected": {"decimal": "0.05", "bits": "0x3d4ccccd"},
                      "got": {"decimal": "0.1", "bits": "0x3dcccccd"}, "ulps": 8_388_608, "budget": 1.25e-6},
            "note": "beside PyTorch's own error",
        }],
    })
}
