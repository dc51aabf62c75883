//! What the strategy reaches.

use std::collections::BTreeSet;

use bn_api::{InProcess, Request};
use bn_cases::case::{Action, Case, Layout, Part, Setting, Slot};
use bn_cases::format::{CaseSpec, Fill, LoadSpec, ModelNode, Step};
use bn_cases::{DType, ErrorClass};
use bn_fuzz::property::loads_as_it_is;
use bn_fuzz::strategy;
use bn_harness::oracle::Expected;
use bn_reference::{Arbiter, Reference};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngSeed, TestRunner};

const CASES: usize = 2500;

#[test]
fn the_strategy_reaches_all_it_claims_to() {
    let seed = RngSeed::Fixed(20_150_211);
    let mut runner =
        TestRunner::new(Config { failure_persistence: None, rng_seed: seed, ..Config::default() });
    let strategy = strategy::case();
    let mut seen = BTreeSet::new();
    for _ in 0..CASES {
        let spec = strategy.new_tree(&mut runner).expect("nothing is filtered").current();
        let case = loads_as_it_is(&spec).unwrap_or_else(|why| panic!("{why}"));
        note_spec(&spec, &mut seen);
        note_case(&case, &mut seen);
        note_answer(&case, &mut seen);
    }
    let missing: Vec<String> = claims().into_iter().filter(|claim| !seen.contains(claim)).collect();
    assert!(missing.is_empty(), "{CASES} cases have no {missing:?}");
}

fn claims() -> Vec<String> {
    let mut claims: Vec<String> = Vec::new();
    let mut claim = |what: &str, kinds: &[&str]| {
        claims.extend(kinds.iter().map(|kind| format!("{what} {kind}")));
    };
    let modes = ["train", "eval", "freeze", "unfreeze", "requires_grad"];
    let passes = ["forward", "forward (no_grad)", "backward", "zero_grad", "sgd"];
    let changes = ["reset_running_stats", "set", "cast", "save_state", "load_state"];
    for steps in [modes, passes, changes] {
        claim("step", &steps);
        // A backward goes back through whatever the latest forward ran.
        claim("path of", &steps.map(|step| if step == "backward" { "forward" } else { step }));
    }
    let random = ["normal", "uniform", "channels", "correlated"];
    let fixed = ["constant", "ramp", "exact", "special", "values", "bits"];
    claim("fill", &random);
    claim("fill", &fixed);
    let types = DType::FLOATS.map(DType::name);
    claim("dtype", &types);
    claim("cast to", &types);
    claim("input of type", &types);
    claim("input of type", &["i64"]);
    claim("f16 with", &["f32", "f64"]);
    claim("bf16 with", &["f32", "f16"]);
    claim("f32 with statistics of", &["f64", "f16"]);
    claim("rank", &["2", "3", "4", "5"]);
    claim("momentum", &["null", "0", "0.1", "1", "beyond"]);
    claim("layers", &["1", "2", "3"]);
    claim("model", &["nested", "deep", "with layers in common"]);
    let layouts = ["contiguous", "channels_last", "permuted", "sliced", "expanded"];
    claim("input", &layouts);
    claim("gradient", &layouts);
    let parts = ["Layer", "Parameters", "Statistics", "Weight", "Bias", "RunningMean", "RunningVar"];
    claim("cast of", &parts);
    claim("freeze", &["Statistics", "Affine", "Both", "All", "Children", "sticky"]);
    claim("set", &["momentum", "eps", "track_running_stats", "num_batches_tracked"]);
    claim("set", &Slot::ALL.map(Slot::name));
    claim("take away", &Slot::ALL.map(Slot::name));
    claim("take away", &["num_batches_tracked"]);
    claim("load_state", &["from a saved one", "entries", "without", "version 1", "not strict"]);
    claim("one", &["channel", "value a channel"]);
    claim("no", &["affine", "track_running_stats", "value", "gradient of the input"]);
    let forward = [
        ErrorClass::OneValuePerChannel,
        ErrorClass::EpsNotPositive,
        ErrorClass::WrongRank,
        ErrorClass::WrongFeatures,
        ErrorClass::DtypeMismatch,
        ErrorClass::MissingBuffer,
    ];
    let later = [
        ErrorClass::NoGraph,
        ErrorClass::GraphChanged,
        ErrorClass::MissingEntry,
        ErrorClass::UnexpectedEntry,
        ErrorClass::EntryShape,
    ];
    claim("error", &forward.map(ErrorClass::name));
    claim("error", &later.map(ErrorClass::name));
    claim("kappa", &["above 1e4"]);
    claims
}

/// Notes what a case contains as it is written.
fn note_spec(spec: &CaseSpec, seen: &mut BTreeSet<String>) {
    let mut note = |what: &str| {
        seen.insert(what.to_owned());
    };
    note(&format!("dtype {}", spec.dtype));
    let mut fills = vec![spec.input.fill.as_ref(), spec.grad.as_ref()];
    let layer = &spec.layer;
    fills.extend([&layer.weight, &layer.bias, &layer.running_mean, &layer.running_var].map(Option::as_ref));
    for step in spec.steps.iter().flatten() {
        match step {
            Step::Forward { input: Some(input), .. } => fills.push(input.fill.as_ref()),
            Step::Backward { grad, .. } => fills.push(grad.as_ref()),
            Step::LoadState(load) => note_load(load, &mut note),
            _ => {}
        }
    }
    for fill in fills.into_iter().flatten() {
        note_fill(fill, &mut note);
    }
    let common = |node: &ModelNode| node.layer.is_none() && node.children.is_none();
    for node in spec.model.iter().flatten() {
        let children = node.children.as_deref().unwrap_or_default();
        let inner = children.iter().flat_map(|child| child.children.as_deref().unwrap_or_default());
        for (what, is) in [
            ("model nested", !children.is_empty()),
            ("model deep", inner.clone().next().is_some()),
            ("model with layers in common", common(node) || children.iter().chain(inner).any(common)),
        ] {
            if is {
                note(what);
            }
        }
    }
}

fn note_load(load: &LoadSpec, note: &mut dyn FnMut(&str)) {
    let kinds = [
        ("from a saved one", load.from.is_some()),
        ("entries", !load.entries.is_empty()),
        ("without", !load.without.is_empty()),
        ("version 1", load.version == 1),
        ("not strict", !load.strict),
    ];
    kinds.iter().filter(|(_, is)| *is).for_each(|(kind, _)| note(&format!("load_state {kind}")));
}

fn note_fill(fill: &Fill, note: &mut dyn FnMut(&str)) {
    note(match fill {
        Fill::Normal { .. } => "fill normal",
        Fill::Uniform { .. } => "fill uniform",
        Fill::Constant(_) => "fill constant",
        Fill::Channels { .. } => "fill channels",
        Fill::Ramp { .. } => "fill ramp",
        Fill::Exact { .. } => "fill exact",
        Fill::Correlated { .. } => "fill correlated",
        Fill::Special { .. } => "fill special",
        Fill::Values(_) => "fill values",
        Fill::Bits(_) => "fill bits",
    });
    if let Fill::Special { base, .. } = fill {
        note_fill(base, note);
    }
}

/// Notes what a case contains as it is run.
fn note_case(case: &Case, seen: &mut BTreeSet<String>) {
    let dtype = case.dtype;
    let mut note = |what: String| {
        seen.insert(what);
    };
    note(format!("layers {}", case.layers.len()));
    for layer in case.layers.iter() {
        note(format!("{dtype} with {}", layer.dtype));
        if layer.dtype == dtype {
            note(format!("{dtype} with statistics of {}", layer.statistics_dtype));
        }
        match layer.spec.momentum {
            None => note("momentum null".to_owned()),
            Some(momentum) if (0.0..=1.0).contains(&momentum) => note(format!("momentum {momentum}")),
            Some(_) => note("momentum beyond".to_owned()),
        }
        let lacks =
            [("no affine", !layer.spec.affine), ("no track_running_stats", !layer.spec.track_running_stats)];
        lacks.iter().filter(|(_, lacks)| *lacks).for_each(|(what, _)| note((*what).to_owned()));
    }
    for action in case.script.iter() {
        note(format!("step {}", action.name()));
        if !action.at().is_empty() {
            note(format!("path of {}", action.name()));
        }
        match action {
            Action::Forward { input, .. } => {
                let shape = &input.tensor.shape;
                let elements: usize = shape.iter().product();
                assert!(elements <= strategy::MAX_ELEMENTS, "{shape:?}");
                note(format!("rank {}", shape.len()));
                note(format!("input of type {}", input.dtype));
                note(format!("input {}", input.layout.name()));
                let kinds = [
                    ("one channel", shape[1] == 1),
                    ("one value a channel", elements == shape[1]),
                    ("no value", elements == 0),
                    ("no gradient of the input", !input.requires_grad),
                ];
                kinds.iter().filter(|(_, is)| *is).for_each(|(kind, _)| note((*kind).to_owned()));
            }
            Action::Backward { layout, .. } => note(format!("gradient {}", Layout::name(*layout))),
            Action::Freeze { what, reach, sticky, .. } => {
                note(format!("freeze {what:?}"));
                note(format!("freeze {reach:?}"));
                note(format!("freeze {}", if *sticky { "sticky" } else { "once" }));
            }
            Action::Cast { to, what, .. } => {
                note(format!("cast to {to}"));
                note(format!("cast of {}", part(*what)));
            }
            Action::Set { settings, .. } => settings.iter().for_each(|setting| note(assigned(setting))),
            _ => {}
        }
    }
}

fn part(what: Part) -> String {
    format!("{what:?}")
}

fn assigned(setting: &Setting) -> String {
    match setting {
        Setting::Momentum(_) => "set momentum".to_owned(),
        Setting::Eps(_) => "set eps".to_owned(),
        Setting::TrackRunningStats(_) => "set track_running_stats".to_owned(),
        Setting::Tensor(slot, Some(_)) => format!("set {}", slot.name()),
        Setting::Tensor(slot, None) => format!("take away {}", slot.name()),
        Setting::NumBatchesTracked(Some(_)) => "set num_batches_tracked".to_owned(),
        Setting::NumBatchesTracked(None) => "take away num_batches_tracked".to_owned(),
    }
}

/// Notes what comes of a case: errors that are due are part of the claim.
fn note_answer(case: &Case, seen: &mut BTreeSet<String>) {
    let request = Request::from_case(case);
    let mut oracle = InProcess::new(Reference);
    let expected = Expected::ask(&mut oracle, &mut InProcess::new(Arbiter), &request).expect("both answer");
    let errors = expected.steps.iter().filter_map(|answer| answer.error.as_ref());
    seen.extend(errors.map(|error| format!("error {}", error.class)));
    seen.extend((expected.budget().kappa > 1e4).then(|| "kappa above 1e4".to_owned()));
}
