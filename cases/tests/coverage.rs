//! Every word of the format, and every boundary that counts, is exercised by some case of the suites. The words are
//! read from the JSON Schema: one that is added asks for a case.

mod common;

use std::collections::BTreeSet;

use bn_cases::Case;
use bn_cases::case::{Action, PublishedAnswer, Setting};
use bn_cases::format::{Fill, Mode, json_schema};
use serde_json::Value;

/// Words that no case can exercise, each with its reason.
const EXEMPT: [(&str, &str); 3] = [
    ("ErrorClass panic", "how a backend fails, never what PyTorch does"),
    ("ErrorClass other", "stands for errors that have no class of their own"),
    ("ErrorClass dtype_mismatch", "types that do not go together cannot be written in a case yet"),
];

/// `Step forward`, `Fill normal` …: the alternatives of the schema's definitions.
fn words_of_the_format() -> BTreeSet<String> {
    let schema = json_schema();
    let definitions = schema["$defs"].as_object().expect("the schema has definitions");
    let mut words = BTreeSet::new();
    for (name, definition) in definitions {
        let alternatives = definition["oneOf"].as_array().into_iter().flatten();
        for alternative in alternatives {
            let word = alternative["const"].as_str().or_else(|| alternative["required"][0].as_str());
            words.extend(word.map(|word| format!("{name} {word}")));
        }
        let listed = definition["enum"].as_array().into_iter().flatten();
        words.extend(listed.filter_map(Value::as_str).map(|word| format!("{name} {word}")));
    }
    words
}

/// What the suites must have beside the words.
const BOUNDARIES: [&str; 25] = [
    "rank 2",
    "rank 3",
    "rank 4",
    "rank 5",
    "n = 0 in training",
    "n = 1 in training",
    "n = 2 in training",
    "n = 3 in training",
    "n = 1 in evaluation",
    "one channel",
    "more channels than values",
    "momentum null",
    "momentum 0",
    "momentum 1",
    "momentum above 1",
    "momentum below 0",
    "eps not positive",
    "no affine",
    "no running statistics",
    "half input beside f32 parameters",
    "no_grad",
    "set momentum",
    "set eps",
    "set track_running_stats",
    "seed",
];

fn found_in(case: &Case, found: &mut BTreeSet<String>) {
    let spec = &case.spec;
    let mut note = |word: String| {
        found.insert(word);
    };
    note(format!("DType {}", spec.dtype));
    note(format!("LayerKind {:?}", case.layer.kind));
    match spec.mode {
        Some(Mode::Train) => note("Mode train".to_owned()),
        Some(Mode::Eval) => note("Mode eval".to_owned()),
        None => {}
    }
    let layer = &spec.layer;
    let momentum = match layer.momentum {
        None => "momentum null",
        Some(0.0) => "momentum 0",
        Some(1.0) => "momentum 1",
        Some(momentum) if momentum > 1.0 => "momentum above 1",
        Some(momentum) if momentum < 0.0 => "momentum below 0",
        Some(_) => "momentum between 0 and 1",
    };
    note(momentum.to_owned());
    let facts = [
        ("eps not positive", layer.eps <= 0.0),
        ("no affine", !layer.affine),
        ("no running statistics", !layer.track_running_stats),
        ("half input beside f32 parameters", case.layer.dtype != spec.dtype),
        ("seed", spec.seed != 0),
    ];
    for (word, _) in facts.into_iter().filter(|(_, holds)| *holds) {
        note(word.to_owned());
    }
    for published in &case.published {
        note(match &published.what {
            PublishedAnswer::Tensor { tensor, .. } => format!("Observable {tensor}"),
            PublishedAnswer::Error(class) => format!("ErrorClass {class}"),
        });
    }
    for fill in [&layer.weight, &layer.bias, &layer.running_mean, &layer.running_var].into_iter().flatten() {
        note_fill(fill, &mut note);
    }
    let mut training = true;
    for action in &case.script {
        note_step(action, &mut training, &mut note);
    }
}

/// Matches without a catch-all, so that a new step asks for a place here.
fn note_step(action: &Action, training: &mut bool, note: &mut dyn FnMut(String)) {
    let name = action.name();
    note(format!("Step {}", name.split(' ').next().unwrap_or(name)));
    match action {
        Action::Train => *training = true,
        Action::Eval => *training = false,
        Action::Backward { grad } => note_fill(&grad.fill, note),
        Action::Forward { input, no_grad } => {
            note_fill(&input.fill, note);
            if *no_grad {
                note("no_grad".to_owned());
            }
            let channels = bn_cases::Channels::of(&input.shape);
            note(format!("rank {}", input.shape.len()));
            let mode = if *training { "training" } else { "evaluation" };
            note(format!("n = {} in {mode}", channels.values));
            if channels.count == 1 {
                note("one channel".to_owned());
            }
            if channels.count > channels.values {
                note("more channels than values".to_owned());
            }
        }
        Action::Set(settings) => {
            for setting in settings {
                note(match setting {
                    Setting::Momentum(_) => "set momentum".to_owned(),
                    Setting::Eps(_) => "set eps".to_owned(),
                    Setting::TrackRunningStats(_) => "set track_running_stats".to_owned(),
                });
            }
        }
        Action::ZeroGrad | Action::Sgd { .. } | Action::ResetRunningStats => {}
    }
}

/// Matches without a catch-all, so that a new fill asks for a place here.
fn note_fill(fill: &Fill, note: &mut dyn FnMut(String)) {
    let word = match fill {
        Fill::Normal { .. } => "normal",
        Fill::Uniform { .. } => "uniform",
        Fill::Constant(_) => "constant",
        Fill::Channels { .. } => "channels",
        Fill::Ramp { along, .. } => {
            note(format!("Along {along:?}").to_lowercase().replace("along", "Along"));
            "ramp"
        }
        Fill::Exact { .. } => "exact",
        Fill::Correlated { .. } => "correlated",
        Fill::Special { base, .. } => {
            note_fill(base, note);
            "special"
        }
        Fill::Values(_) => "values",
        Fill::Bits(_) => "bits",
    };
    note(format!("Fill {word}"));
}

#[test]
fn some_case_exercises_every_word_and_every_boundary() {
    let suites = common::suites();
    let mut found = BTreeSet::new();
    for case in suites.iter().flat_map(|suite| &suite.cases) {
        found_in(case, &mut found);
    }
    let exempt: BTreeSet<String> = EXEMPT.iter().map(|(word, _)| (*word).to_owned()).collect();
    let mut wanted = words_of_the_format();
    assert!(wanted.len() > 40, "the schema's words were not found: {wanted:?}");
    assert!(exempt.is_subset(&wanted), "an exemption is no longer needed");
    assert!(exempt.is_disjoint(&found), "an exemption is no longer needed");
    wanted.extend(BOUNDARIES.map(str::to_owned));
    let missing: Vec<&String> = wanted.difference(&exempt).filter(|word| !found.contains(*word)).collect();
    assert!(missing.is_empty(), "no case of the suites has: {missing:#?}");
}
