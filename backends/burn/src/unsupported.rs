//! What burn's layer has no words for.

use bn_api::{Action, DType, Lacks, Layout, Modes, Request, Setting, is_within};

const NO_COUNTER: &str = "burn's BatchNorm has no counter of batches";

const CUMULATIVE: &str = "burn's BatchNorm has no cumulative average: its momentum is an f64, never none";

const UNTRACKED: &str = "burn's BatchNorm always has running statistics, and moves them whenever it trains";

/// What a layer lacks altogether.
pub const LACKS: Lacks = Lacks {
    cumulative_average: Some(CUMULATIVE),
    untracked: Some(UNTRACKED),
    reset: Some("burn's BatchNorm has no reset_running_stats"),
    settings: None,
    new_tensors: None,
    requires_grad: None,
    cast: Some("burn's modules have no cast: a layer of another type is another layer"),
    mixed_layer: None,
    state_dict: None,
    integers: Some(
        "burn's BatchNorm takes tensors of floats: an Int tensor is of another type to the compiler",
    ),
    layouts: None,
    counter: Some(NO_COUNTER),
};

const NO_HALF: &str = "burn-ndarray computes in f32 and f64, and not in f16 or bf16";

const NO_BARE_LAYER: &str = "burn's BatchNorm always has gamma and beta: there is no affine=False";

const LOADS_F32: &str = "burn loads a record in the default type of its device, which is f32 here for good";

const NO_RETAINED_GRAPH: &str = "burn's backward uses its graph up: there is no retain_graph";

const NO_EXPANDED_GRADIENT: &str =
    "burn gives an expanded input's gradient for the one sample that is stored, summed over the batch";

const ALWAYS_THERE: &str = "the tensors of burn's BatchNorm are always there: none can be taken away";

const ALWAYS_STRICT: &str =
    "burn's records have no strict=False: a field that the file lacks is always an error";

/// Why a request cannot be expressed, or `None` when it can.
pub fn reason(request: &Request) -> Option<String> {
    let layers = &request.layers;
    let loads = request.actions.iter().any(|action| matches!(action, Action::LoadState { .. }));
    let whole = [
        (has_half(request), NO_HALF),
        (layers.iter().any(|layer| !layer.affine), NO_BARE_LAYER),
        (loads && layers.iter().any(|layer| layer.dtype != DType::F32), LOADS_F32),
    ];
    let reason = whole.iter().find(|(lacking, _)| *lacking).map(|(_, reason)| *reason);
    let reason = reason.map(str::to_owned).or_else(|| LACKS.reason(request));
    let reason = reason.or_else(|| request.actions.iter().find_map(action).map(str::to_owned));
    reason.or_else(|| goes_back_twice(request).then(|| NO_RETAINED_GRAPH.to_owned()))
}

/// Whether anything is of a type that burn-ndarray does not compute in. A dictionary's entries are converted.
fn has_half(request: &Request) -> bool {
    let half = |dtype| matches!(dtype, DType::F16 | DType::Bf16);
    let in_step = |action: &Action| match action {
        Action::Forward { input, .. } => half(input.dtype),
        Action::Set { settings, .. } => settings
            .iter()
            .any(|setting| matches!(setting, Setting::Tensor(_, Some(tensor)) if half(tensor.dtype()))),
        _ => false,
    };
    request.layers.iter().any(|layer| half(layer.dtype) || half(layer.statistics_dtype))
        || request.actions.iter().any(in_step)
}

/// What of a step cannot be expressed.
fn action(action: &Action) -> Option<&'static str> {
    match action {
        Action::Forward { input, no_grad, .. } => {
            let asked = input.layout == Layout::Expanded && input.requires_grad && !no_grad;
            asked.then_some(NO_EXPANDED_GRADIENT)
        }
        Action::LoadState { strict, .. } => (!strict).then_some(ALWAYS_STRICT),
        Action::Set { settings, .. } => settings.iter().find_map(|setting| match setting {
            Setting::Momentum(None) => Some(CUMULATIVE),
            Setting::TrackRunningStats(_) => Some(UNTRACKED),
            Setting::NumBatchesTracked(_) => Some(NO_COUNTER),
            Setting::Tensor(_, None) => Some(ALWAYS_THERE),
            Setting::Momentum(Some(_)) | Setting::Eps(_) | Setting::Tensor(_, Some(_)) => None,
        }),
        _ => None,
    }
}

/// Whether a graph is gone back through twice.
fn goes_back_twice(request: &Request) -> bool {
    let mut modes = Modes::new(request.layers.iter().map(|layer| layer.path.as_str()));
    // Of the latest forward: whether burn has a graph of it, and whether that is used up.
    let (mut graph, mut used) = (false, false);
    for action in &request.actions {
        modes.apply(action);
        match action {
            Action::Forward { at, no_grad, .. } => {
                // An evaluation has none.
                let last = modes.layers().iter().rfind(|layer| is_within(at, &layer.path));
                graph = !no_grad && last.is_some_and(|layer| layer.training);
                used = false;
            }
            Action::Backward { .. } if used => return true,
            Action::Backward { .. } => used = graph,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use bn_api::worked_example as example;
    use bn_api::{Dictionary, Input, LayerConfig, Part, Slot, Tensor};

    use super::*;

    fn ask(layer: LayerConfig, actions: Vec<Action>) -> Option<String> {
        reason(&Request { case: String::new(), layers: vec![layer], actions })
    }

    fn plain() -> LayerConfig {
        example::config(DType::F32)
    }

    fn forward(input: Input, no_grad: bool) -> Action {
        Action::Forward { at: String::new(), input, no_grad }
    }

    fn backward() -> Action {
        let (grad, layout) = (example::grad_output(DType::F32), Layout::Contiguous);
        Action::Backward { grad, layout }
    }

    fn input() -> Input {
        example::input(DType::F32)
    }

    #[test]
    fn half_types_are_unsupported_wherever_they_are_computed_with() {
        for half in [DType::F16, DType::Bf16] {
            assert_eq!(ask(example::config(half), vec![]).as_deref(), Some(NO_HALF));
            let mixed = LayerConfig { statistics_dtype: half, ..plain() };
            assert_eq!(ask(mixed, vec![]).as_deref(), Some(NO_HALF));
            assert_eq!(ask(plain(), vec![forward(example::input(half), false)]).as_deref(), Some(NO_HALF));
            let settings = vec![Setting::Tensor(Slot::Bias, Some(Tensor::full(half, &[2], 1.0)))];
            let set = Action::Set { at: String::new(), settings };
            assert_eq!(ask(plain(), vec![set]).as_deref(), Some(NO_HALF));
        }
        for dtype in [DType::F32, DType::F64] {
            assert_eq!(ask(example::config(dtype), vec![forward(example::input(dtype), false)]), None);
        }
    }

    #[test]
    fn a_layer_always_has_parameters_and_statistics() {
        let bare = LayerConfig { affine: false, ..plain() };
        assert_eq!(ask(bare, vec![]).as_deref(), Some(NO_BARE_LAYER));
        let untracked = LayerConfig { track_running_stats: false, ..plain() };
        assert_eq!(ask(untracked, vec![]).as_deref(), Some(UNTRACKED));
        let cumulative = LayerConfig { momentum: None, ..plain() };
        assert_eq!(ask(cumulative, vec![]).as_deref(), Some(CUMULATIVE));
    }

    #[test]
    fn of_the_settings_a_part_is_unsupported() {
        let tensor = Tensor::full(DType::F32, &[2], 1.0);
        let cases = [
            (Setting::Momentum(Some(0.5)), None),
            (Setting::Momentum(None), Some(CUMULATIVE)),
            (Setting::Eps(1.0), None),
            (Setting::TrackRunningStats(true), Some(UNTRACKED)),
            (Setting::NumBatchesTracked(Some(3)), Some(NO_COUNTER)),
            (Setting::Tensor(Slot::RunningVar, Some(tensor)), None),
            (Setting::Tensor(Slot::RunningVar, None), Some(ALWAYS_THERE)),
        ];
        for (setting, expected) in cases {
            let name = setting.to_string();
            let set = Action::Set { at: String::new(), settings: vec![setting] };
            assert_eq!(ask(plain(), vec![set]).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn of_layouts_and_state_dictionaries_a_part_is_unsupported() {
        let expanded = |no_grad| forward(Input { layout: Layout::Expanded, ..input() }, no_grad);
        assert_eq!(ask(plain(), vec![expanded(false)]).as_deref(), Some(NO_EXPANDED_GRADIENT));
        assert_eq!(ask(plain(), vec![expanded(true)]), None);
        let load = |strict| {
            let from = Dictionary { saved: None, without: Vec::new(), entries: Vec::new(), version: 2 };
            vec![Action::LoadState { at: String::new(), from, strict }]
        };
        assert_eq!(ask(plain(), load(false)).as_deref(), Some(ALWAYS_STRICT));
        assert_eq!(ask(plain(), load(true)), None);
        assert_eq!(ask(example::config(DType::F64), load(true)).as_deref(), Some(LOADS_F32));
    }

    #[test]
    fn a_graph_is_gone_back_through_once() {
        let eval = || Action::Eval { at: String::new() };
        let twice = vec![forward(input(), false), backward(), backward()];
        assert_eq!(ask(plain(), twice).as_deref(), Some(NO_RETAINED_GRAPH));
        let again = vec![forward(input(), false), backward(), forward(input(), false), backward()];
        assert_eq!(ask(plain(), again), None);
        // Where there is none, both are refused by the layer.
        for forward in [vec![eval(), forward(input(), false)], vec![forward(input(), true)]] {
            let steps = forward.into_iter().chain([backward(), backward()]).collect();
            assert_eq!(ask(plain(), steps), None);
        }
    }

    #[test]
    fn what_a_layer_lacks_altogether_is_unsupported() {
        let all = String::new;
        let steps = [
            (Action::ResetRunningStats { at: all() }, LACKS.reset),
            (Action::Cast { at: all(), to: DType::F64, what: Part::Layer }, LACKS.cast),
            (forward(Input { dtype: DType::I64, ..input() }, false), LACKS.integers),
        ];
        for (step, expected) in steps {
            let name = step.name();
            assert!(expected.is_some());
            assert_eq!(ask(plain(), vec![step]).as_deref(), expected, "{name}");
        }
    }
}
