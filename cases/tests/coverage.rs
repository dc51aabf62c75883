//! Every word of the format, and every boundary that counts, is exercised by some case of the suites. The words are
//! read from the JSON Schema: one that is added asks for a case.

mod common;

use std::collections::BTreeSet;

use bn_cases::case::{
    Action, Dictionary, Frozen, Generated, Input, Layer, Layout, Modes, Part, PublishedAnswer, Reach,
    Setting, is_within,
};
use bn_cases::format::{Fill, Mode, Tier, json_schema};
use bn_cases::{Case, Channels};
use serde_json::Value;

/// Words that no case can exercise, each with its reason.
const EXEMPT: [(&str, &str); 2] = [
    ("ErrorClass panic", "how a backend fails, never what PyTorch does"),
    ("ErrorClass other", "stands for errors that have no class of their own"),
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
const BOUNDARIES: [&str; 87] = [
    // Shapes.
    "rank 2",
    "rank 3",
    "rank 4",
    "rank 5",
    "n = 0 in training",
    "n = 1 in training",
    "n = 2 in training",
    "n = 3 in training",
    "n = 0 in evaluation",
    "n = 1 in evaluation",
    "one channel",
    "no channel",
    "more channels than values",
    // Layers.
    "momentum null",
    "momentum 0",
    "momentum 1",
    "momentum above 1",
    "momentum below 0",
    "eps not positive",
    "no affine",
    "no running statistics",
    "neither affine nor running statistics",
    "half input beside f32 parameters",
    "statistics of another type than the parameters",
    "seed",
    // Models.
    "model of one layer",
    "model of two layers",
    "model of three layers",
    "layer in a block",
    "layer in a block of a block",
    "layers of different types in a model",
    "forward through a part",
    "train of a part",
    "eval of a part",
    "zero_grad of a part",
    "sgd of a part",
    "reset_running_stats of a part",
    "set of a part",
    "cast of a part",
    "freeze of a part",
    "unfreeze of a part",
    "requires_grad of a part",
    "save_state of a part",
    "load_state of a part",
    "expected of one layer of a model",
    // Inputs and gradients.
    "no_grad",
    "input without gradient",
    "input of a type of its own",
    "i64 input",
    "empty input in another layout",
    "contiguous gradient of another input",
    "channels_last gradient of another input",
    "permuted gradient of another input",
    "sliced gradient of another input",
    "expanded gradient of another input",
    // Freezing.
    "sticky freeze of direct children",
    "freeze affine, sticky",
    "freeze both, sticky",
    "freeze statistics, sticky",
    "freeze without stickiness",
    "unfreeze affine",
    "unfreeze both",
    "unfreeze statistics",
    "requires_grad weight",
    "requires_grad bias",
    "requires_grad both",
    // Assignments.
    "set momentum",
    "set eps",
    "set track_running_stats",
    "set weight",
    "set bias",
    "set running_mean",
    "set running_var",
    "set num_batches_tracked",
    "set weight to null",
    "set bias to null",
    "set running_mean to null",
    "set running_var to null",
    "set num_batches_tracked to null",
    // State dictionaries.
    "state of version 1",
    "state of version 2",
    "state that starts empty",
    "state with an entry put in",
    "state without an entry",
    "state not read strictly",
    "state with a wrong shape, not read strictly",
    "story",
];

fn found_in(case: &Case, found: &mut BTreeSet<String>) {
    let spec = &case.spec();
    let mut note = |word: String| {
        found.insert(word);
    };
    note(format!("DType {}", spec.dtype));
    note(format!("Tier {}", spec.tier.name()));
    match spec.mode {
        Some(Mode::Train) => note("Mode train".to_owned()),
        Some(Mode::Eval) => note("Mode eval".to_owned()),
        None => {}
    }
    for layer in case.layers.iter() {
        note_layer(case, layer, &mut note);
    }
    if let Some(first) = case.layers.first().filter(|layer| !layer.path.is_empty()) {
        let count = ["one layer", "two layers", "three layers"].get(case.layers.len() - 1);
        note(format!("model of {}", count.unwrap_or(&"many layers")));
        if case.layers.iter().any(|layer| layer.dtype != first.dtype) {
            note("layers of different types in a model".to_owned());
        }
    }
    let facts = [("seed", spec.seed != 0), ("story", case.story.is_some())];
    for (word, _) in facts.into_iter().filter(|(_, holds)| *holds) {
        note(word.to_owned());
    }
    for published in case.published.iter() {
        match &published.what {
            PublishedAnswer::Tensor { tensor, .. } => {
                note(format!("Observable {}", tensor.tensor));
                if !tensor.layer.is_empty() {
                    note("expected of one layer of a model".to_owned());
                }
            }
            PublishedAnswer::Error(class) => note(format!("ErrorClass {class}")),
        }
    }
    let mut modes = Modes::new(case.layers.iter().map(|layer| layer.path.as_str()));
    let mut latest = Layout::Contiguous;
    for action in case.script.iter() {
        modes.apply(action);
        note_step(case, action, &modes, &mut latest, &mut note);
    }
}

fn note_layer(case: &Case, layer: &Layer, note: &mut dyn FnMut(String)) {
    note(format!("LayerKind {:?}", layer.kind));
    let spec = &layer.spec;
    let momentum = match spec.momentum {
        None => "momentum null",
        Some(0.0) => "momentum 0",
        Some(1.0) => "momentum 1",
        Some(momentum) if momentum > 1.0 => "momentum above 1",
        Some(momentum) if momentum < 0.0 => "momentum below 0",
        Some(_) => "momentum between 0 and 1",
    };
    note(momentum.to_owned());
    let depth = layer.path.matches('.').count();
    let facts = [
        ("eps not positive", spec.eps <= 0.0),
        ("no affine", !spec.affine),
        ("no running statistics", !spec.track_running_stats),
        ("neither affine nor running statistics", !spec.affine && !spec.track_running_stats),
        ("half input beside f32 parameters", layer.dtype != case.dtype && case.dtype.is_half()),
        ("statistics of another type than the parameters", layer.statistics_dtype != layer.dtype),
        ("layer in a block", depth == 1),
        ("layer in a block of a block", depth == 2),
    ];
    for (word, _) in facts.into_iter().filter(|(_, holds)| *holds) {
        note(word.to_owned());
    }
    for fill in [&spec.weight, &spec.bias, &spec.running_mean, &spec.running_var].into_iter().flatten() {
        note_fill(fill, note);
    }
}

/// Matches without a catch-all, so that a new step asks for a place here. `modes` are those after the step, `latest`
/// is the layout of the latest input.
fn note_step(case: &Case, action: &Action, modes: &Modes, latest: &mut Layout, note: &mut dyn FnMut(String)) {
    let name = action.name();
    let name = name.split(' ').next().unwrap_or(name);
    note(format!("Step {name}"));
    if !action.at().is_empty() {
        let part =
            if name == "forward" { "forward through a part".to_owned() } else { format!("{name} of a part") };
        note(part);
    }
    match action {
        Action::Backward { grad, layout } => {
            note_fill(&grad.fill, note);
            note(format!("Layout {}", layout.name()));
            if layout != latest {
                note(format!("{} gradient of another input", layout.name()));
            }
        }
        Action::Forward { at, input, no_grad } => {
            if *no_grad {
                note("no_grad".to_owned());
            }
            note_input(case, input, note);
            *latest = input.layout;
            let values = Channels::of(&input.tensor.shape).values;
            for layer in modes.layers().iter().filter(|layer| is_within(at, &layer.path)) {
                let mode = if layer.training { "training" } else { "evaluation" };
                note(format!("n = {values} in {mode}"));
            }
        }
        Action::Freeze { what, reach, sticky, .. } => {
            note(format!("Frozen {}", frozen(*what)));
            note(format!("Reach {}", reached(*reach)));
            match (sticky, reach) {
                (false, _) => note("freeze without stickiness".to_owned()),
                (true, Reach::Children) => note("sticky freeze of direct children".to_owned()),
                (true, Reach::All) => note(format!("freeze {}, sticky", frozen(*what))),
            }
        }
        Action::Unfreeze { what, reach, .. } => {
            note(format!("unfreeze {}", frozen(*what)));
            note(format!("Reach {}", reached(*reach)));
        }
        Action::RequiresGrad { weight, bias, .. } => note(match (weight, bias) {
            (Some(_), None) => "requires_grad weight".to_owned(),
            (None, Some(_)) => "requires_grad bias".to_owned(),
            _ => "requires_grad both".to_owned(),
        }),
        Action::Cast { to, what, .. } => {
            note(format!("DType {to}"));
            note(format!("Part {}", part(*what)));
        }
        Action::Set { settings, .. } => {
            for setting in settings {
                note_setting(setting, note);
            }
        }
        Action::LoadState { from, strict, .. } => note_dictionary(case, from, *strict, note),
        Action::Train { .. }
        | Action::Eval { .. }
        | Action::ZeroGrad { .. }
        | Action::Sgd { .. }
        | Action::ResetRunningStats { .. }
        | Action::SaveState { .. } => {}
    }
}

fn note_input(case: &Case, input: &Input<Generated>, note: &mut dyn FnMut(String)) {
    let tensor = &input.tensor;
    note_fill(&tensor.fill, note);
    let channels = Channels::of(&tensor.shape);
    note(format!("Layout {}", input.layout.name()));
    note(format!("InputType {}", input.dtype));
    note(format!("rank {}", tensor.shape.len()));
    let facts = [
        ("one channel", channels.count == 1),
        ("no channel", channels.count == 0),
        ("more channels than values", channels.count > channels.values),
        ("input without gradient", !input.requires_grad && input.dtype.is_float()),
        ("input of a type of its own", input.dtype != case.dtype),
        ("i64 input", !input.dtype.is_float()),
        ("empty input in another layout", channels.values == 0 && input.layout != Layout::Contiguous),
    ];
    for (word, _) in facts.into_iter().filter(|(_, holds)| *holds) {
        note(word.to_owned());
    }
}

fn note_setting(setting: &Setting, note: &mut dyn FnMut(String)) {
    let word = match setting {
        Setting::Momentum(_) => "set momentum".to_owned(),
        Setting::Eps(_) => "set eps".to_owned(),
        Setting::TrackRunningStats(_) => "set track_running_stats".to_owned(),
        Setting::Tensor(slot, Some(tensor)) => {
            note_fill(&tensor.fill, note);
            format!("set {}", slot.name())
        }
        Setting::Tensor(slot, None) => format!("set {} to null", slot.name()),
        Setting::NumBatchesTracked(Some(_)) => "set num_batches_tracked".to_owned(),
        Setting::NumBatchesTracked(None) => "set num_batches_tracked to null".to_owned(),
    };
    note(word);
}

fn note_dictionary(case: &Case, from: &Dictionary<Generated>, strict: bool, note: &mut dyn FnMut(String)) {
    note(format!("state of version {}", from.version));
    let features = case.layers[0].features;
    let wrong_shape = |tensor: &Generated| tensor.shape.first().is_some_and(|&elements| elements != features);
    let facts = [
        ("state that starts empty", from.saved.is_none()),
        ("state with an entry put in", !from.entries.is_empty()),
        ("state without an entry", !from.without.is_empty()),
        ("state not read strictly", !strict),
        (
            "state with a wrong shape, not read strictly",
            !strict && from.entries.iter().any(|(_, tensor)| wrong_shape(tensor)),
        ),
    ];
    for (word, _) in facts.into_iter().filter(|(_, holds)| *holds) {
        note(word.to_owned());
    }
}

fn frozen(what: Frozen) -> &'static str {
    match what {
        Frozen::Statistics => "statistics",
        Frozen::Affine => "affine",
        Frozen::Both => "both",
    }
}

fn reached(reach: Reach) -> &'static str {
    match reach {
        Reach::All => "all",
        Reach::Children => "children",
    }
}

fn part(part: Part) -> &'static str {
    match part {
        Part::Layer => "layer",
        Part::Parameters => "parameters",
        Part::Statistics => "statistics",
        Part::Weight => "weight",
        Part::Bias => "bias",
        Part::RunningMean => "running_mean",
        Part::RunningVar => "running_var",
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

/// What the quick cases, or all of them, exercise.
fn found(quick: bool) -> BTreeSet<String> {
    let suites = common::suites();
    let mut found = BTreeSet::new();
    for case in suites.iter().flat_map(|suite| &suite.cases) {
        if !quick || case.tier == Tier::Quick {
            found_in(case, &mut found);
        }
    }
    found
}

#[test]
fn some_case_exercises_every_word_and_every_boundary() {
    let found = found(false);
    let exempt: BTreeSet<String> = EXEMPT.iter().map(|(word, _)| (*word).to_owned()).collect();
    let mut wanted = words_of_the_format();
    assert!(wanted.len() > 70, "the schema's words were not found: {wanted:?}");
    assert!(exempt.is_subset(&wanted), "an exemption is no longer needed");
    assert!(exempt.is_disjoint(&found), "an exemption is no longer needed");
    wanted.extend(BOUNDARIES.map(str::to_owned));
    let missing: Vec<&String> = wanted.difference(&exempt).filter(|word| !found.contains(*word)).collect();
    assert!(missing.is_empty(), "no case of the suites has: {missing:#?}");
}

#[test]
fn quick_cases_exercise_all_that_the_full_ones_do() {
    let quick = found(true);
    let mut wanted = words_of_the_format();
    wanted.extend(BOUNDARIES.map(str::to_owned));
    let late = |word: &&String| *word != "Tier full" && *word != "seed";
    let found = found(false);
    let missing: Vec<&String> =
        wanted.intersection(&found).filter(|word| !quick.contains(*word)).filter(late).collect();
    assert!(missing.is_empty(), "only full cases have: {missing:#?}");
}
