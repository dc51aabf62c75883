//! Runs of any size that look like real ones: names, fields and words as the suites' cases have them, shares of budgets and
//! times that vary, and a share of results that fail. Always the same for the same size.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::collections::HashMap;

use bn_harness::results::{
    CaseInfo, CaseResult, Picture, RunResults, StepResult, SuiteInfo, Verdict, WrittenCase,
};
use serde_json::json;

/// Cases of one written case: those of its matrix.
const VARIANTS: usize = 12;

/// Written cases of a suite.
const WRITTEN: usize = 10;

/// Failing results of a written case and backend that have pictures: as many as the runner keeps.
const DRAWN: usize = 8;

/// What a run is made of.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// How many cases.
    pub cases: usize,
    /// How many backends.
    pub backends: usize,
    /// How many steps each case takes after the new layer; each compares six tensors.
    pub steps: usize,
    /// How many of a thousand results fail.
    pub failing: usize,
    /// Whether every failing result has a picture, and a large one; else the first ones of each written case and backend.
    pub all_drawn: bool,
}

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    /// From 0 to below 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A run of this size.
pub fn run(size: Size) -> RunResults {
    let mut numbers = Numbers(size.cases as u64 + 1);
    let backends: Vec<_> = (0..size.backends)
        .map(|n| json!({"name": format!("backend-{n}"), "version": format!("crate {n}.1.0"), "about": "one of several"}))
        .collect();
    let mut results: RunResults = serde_json::from_value(json!({
        "schema_version": 1,
        "run": {
            "bncheck": "0.1.0", "oracle": "libtorch 2.11.0 in float64", "backends": backends,
            "machine": {"os": "linux", "arch": "x86_64", "cpu": "a processor", "threads": 2},
            "jobs": 2, "seed": null, "flags": ["run", "--tier", "full"], "started_unix_ms": 1_790_000_000_000_u64, "duration_ms": 61_500
        },
        "cases": [], "results": [], "deviation_errors": []
    }))
    .expect("the run is one");
    let steps = steps(size.steps);
    let mut drawn = HashMap::new();
    let mut mistaken = vec![false; size.backends];
    for number in 0..size.cases {
        if number.is_multiple_of(VARIANTS) {
            // A mistake shows in several cases of one written case; in three of four here.
            let share = size.failing as f64 / 1000.0 / 0.75;
            mistaken.fill_with(|| numbers.next() < share);
        }
        let case = case(number, size.steps, &mut numbers);
        add_written(&mut results.suites, &case, number);
        for (backend, &is_mistaken) in mistaken.iter().enumerate() {
            let fails = size.failing >= 1000 || is_mistaken && numbers.next() < 0.75;
            let drawn = drawn.entry((number / VARIANTS, backend)).or_insert(0);
            let draws = fails && (*drawn < DRAWN || size.all_drawn);
            *drawn += usize::from(draws);
            results.results.push(result(
                &case.id,
                backend,
                fails,
                draws.then_some(size.all_drawn),
                &steps,
                &mut numbers,
            ));
        }
        results.cases.push(case);
    }
    results
}

fn case(number: usize, steps: usize, numbers: &mut Numbers) -> CaseInfo {
    let momentum = ["null", "0.1", "0.9", "1"][number % 4];
    let dtype = ["f16", "f32", "f64"][number % VARIANTS / 4];
    let written = number / VARIANTS;
    let suite = format!("suite/{}", written / WRITTEN);
    let name = format!("several-batches-{}", written % WRITTEN);
    let words = format!(
        "BatchNorm2d({}, eps=1e-5, momentum={momentum}, affine=True, track_running_stats=True), parameters {dtype}\n\
         input {dtype}\n{}",
        written % 7 + 1,
        scripted(steps, written % 7 + 1),
    );
    let channels = (written % 7 + 1).to_string();
    serde_json::from_value(json!({
        "id": format!("{suite}/{name}[momentum={momentum},dtype={dtype}]"),
        "suite": suite, "name": name, "file": format!("cases/suites/suite-{}.yaml", written / WRITTEN), "line": written % WRITTEN * 9 + 4,
        "kappa": 10f64.powf(numbers.next() * 4.0 - 1.0), "shape": [8, written % 7 + 1, 5, 5], "words": words,
        "fields": {
            "dtype": dtype, "half_layers": (dtype == "f16").to_string(), "input.dtype": dtype, "input.fill.normal.mean": "0.5",
            "input.fill.normal.std": "2", "input.shape": format!("[8, {channels}, 5, 5]"), "kind": "BatchNorm2d", "layer.affine": "true",
            "layer.dtype": dtype, "layer.eps": "1e-5", "layer.features": channels, "layer.momentum": momentum, "momentum": momentum,
            "layer.statistics_dtype": dtype, "layer.track_running_stats": "true", "layers": "1", "layouts": "contiguous",
            "name": name, "seed": "0", "steps": "train forward forward eval forward", "suite": suite, "tier": "full", "trains": "true"
        }
    }))
    .expect("the case is one")
}

/// The steps in words.
fn scripted(steps: usize, channels: usize) -> String {
    let step = |step| format!("  {step:>2}. forward  [8, {channels}, 5, 5], normal(mean 0.5, std 2)");
    (1..=steps).map(step).collect::<Vec<_>>().join("\n") + "\n"
}

fn add_written(suites: &mut Vec<SuiteInfo>, case: &CaseInfo, number: usize) {
    if number.is_multiple_of(VARIANTS * WRITTEN) {
        suites.push(
            serde_json::from_value(json!({
                "name": case.suite, "file": case.file, "about": "Several batches, one after another.",
                "defaults": "defaults:\n  layer: {features: 4, eps: 1e-5}\n", "written": []
            }))
            .expect("the suite is one"),
        );
    }
    if number.is_multiple_of(VARIANTS) {
        let yaml = format!(
            "  - name: {}\n    matrix:\n      layer.momentum: [null, 0.1, 0.9, 1]\n      dtype: [f16, f32, f64]\n    steps: [train, forward, forward, eval, forward]\n",
            case.name
        );
        let written = WrittenCase { name: case.name.clone(), line: case.line, about: None, yaml };
        suites.last_mut().expect("a suite has been added").written.push(written);
    }
}

fn steps(count: usize) -> Vec<StepResult> {
    let tensor = |name: &str| json!({"tensor": name, "verdict": "pass", "budget_used": 0.5, "total": 800});
    let names = ["output", "running_mean", "running_var", "num_batches_tracked", "weight", "bias"];
    let step = |step: usize| {
        let tensors: Vec<_> = names[usize::from(step == 0)..].iter().map(|name| tensor(name)).collect();
        json!({"step": step, "action": if step == 0 { "new layer" } else { "forward" }, "tensors": tensors})
    };
    let steps: Vec<_> = (0..=count).map(step).collect();
    serde_json::from_value(json!(steps)).expect("the steps are some")
}

fn result(
    case: &str,
    backend: usize,
    fails: bool,
    draws: Option<bool>,
    steps: &[StepResult],
    numbers: &mut Numbers,
) -> CaseResult {
    let mut steps = steps.to_vec();
    for tensor in steps.iter_mut().flat_map(|step| &mut step.tensors) {
        tensor.budget_used = Some(numbers.next().powi(2));
    }
    if fails && let Some(tensor) = steps.last_mut().and_then(|step| step.tensors.first_mut()) {
        let used = 10f64.powf(numbers.next() * 5.0);
        (tensor.verdict, tensor.budget_used, tensor.mismatched) = (Verdict::Fail, Some(used), 37);
        tensor.worst = serde_json::from_value(json!({
            "index": [3, 1, 2, 4], "expected": {"decimal": "0.125", "bits": "0x3e000000"},
            "got": {"decimal": format!("{}", numbers.next()), "bits": "0x3e0f1e2d"}, "ulps": 991_789, "budget": used / 1e6
        }))
        .ok();
        tensor.picture = draws.map(|is_large| Box::new(picture(is_large, numbers)));
    }
    let used =
        steps.iter().flat_map(|step| &step.tensors).filter_map(|tensor| tensor.budget_used).reduce(f64::max);
    let verdict = if fails { Verdict::Fail } else { Verdict::Pass };
    CaseResult {
        case: case.to_owned(),
        backend: format!("backend-{backend}"),
        verdict,
        reason: None,
        budget_used: used,
        steps,
        diagnosis: Vec::new(),
        micros: 50 + (numbers.next() * 2000.0) as u64,
    }
}

/// A picture; a large one is as large as any.
fn picture(is_large: bool, numbers: &mut Numbers) -> Picture {
    let (rows, columns) = if is_large { (16, 32) } else { (8, 4) };
    let cells = rows * columns;
    let mut bits = || format!("{:08x}", (numbers.next() * f64::from(u32::MAX)) as u32);
    let expected: Vec<String> = (0..cells).map(|_| bits()).collect();
    let got: Vec<String> = (0..cells).map(|_| bits()).collect();
    let used: Vec<f64> = (0..cells).map(|_| (numbers.next() * 1e4).round() / 100.0).collect();
    let worst: Vec<_> = (0..37)
        .map(|place| {
            let value = numbers.next();
            json!({
                "index": [place / 8, place % 4, place % 5, 1],
                "expected": {"decimal": value.to_string(), "bits": format!("{:#010x}", (value as f32).to_bits())},
                "got": {"decimal": (value * 1.001).to_string(), "bits": format!("{:#010x}", ((value * 1.001) as f32).to_bits())},
                "ulps": (numbers.next() * 1e4) as u64, "budget": numbers.next() * 1e-6, "used": numbers.next() * 50.0
            })
        })
        .collect();
    let magnitudes: Vec<_> = (-6..3)
        .map(|exponent| {
            json!({"exponent": exponent, "count": 80, "error": numbers.next() * 1e-4, "budget": numbers.next() * 1e-6,
                   "smallest_budget": 1e-8, "largest_budget": 1e-5})
        })
        .collect();
    serde_json::from_value(json!({
        "dtype": "f32", "shape": [8, 4, 5, 5],
        "heat": {"rows": rows, "columns": columns, "samples": 1, "channels": 1, "used": used, "outside": vec![1; cells],
                 "places": (0..cells).map(|cell| cell * 25).collect::<Vec<_>>(), "expected": expected, "got": got},
        "ulps": [{"from": 0, "count": 700, "outside": 0}, {"from": 64, "count": 63, "outside": 0}, {"from": 1024, "count": 37, "outside": 37}],
        "magnitudes": magnitudes,
        "classes": [{"expected": "positive", "got": "positive", "count": 800, "outside": 37, "first": [0, 0, 1, 1]}],
        "worst": worst
    }))
    .expect("the picture is one")
}
