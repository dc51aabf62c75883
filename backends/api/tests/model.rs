//! The rules of `torch.nn.Module` for what holds several layers, around a kernel whose numbers can be told in advance.

mod common;

use bn_api::{
    Action, Backend, BackendInfo, COUNTER, DType, Dictionary, ErrorClass, Frozen, InProcess, Input, Layer,
    LayerConfig, LayerError, LayerKind, Layout, ModuleLayer, Observable, Request, Responder, Response,
    Setting, Slot, StepAnswer, Tensor,
};
use bn_cases::case::{Part, Reach};
use common::{Toy, input, pair};

/// Layers of [`Toy`]; `calls` and `went_back` are those of all of them.
#[derive(Default)]
struct Toys(Toy);

impl Backend for Toys {
    fn info(&self) -> BackendInfo {
        let text = || "toys".to_owned();
        BackendInfo { name: text(), version: text(), about: text(), unobservable: Vec::new() }
    }

    fn create(&self, config: &LayerConfig) -> Result<Box<dyn Layer>, LayerError> {
        if config.eps == 0.0 {
            return Err(LayerError::other("no layer with eps 0"));
        }
        Ok(Box::new(ModuleLayer::new(self.0.clone(), config)))
    }
}

/// A stem of weight 2, and a block of two layers with weights 3 and 5.
const MODEL: [(&str, f64); 3] = [("stem", 2.0), ("block.a", 3.0), ("block.b", 5.0)];

fn layers() -> Vec<LayerConfig> {
    let named = |(path, weight): (&str, f64)| LayerConfig {
        path: path.to_owned(),
        weight: Some(pair(weight)),
        ..common::config()
    };
    MODEL.into_iter().map(named).collect()
}

/// What the model answers, step by step, the new one first.
fn ask(actions: Vec<Action>) -> Vec<StepAnswer> {
    answers(&Toys::default().0, layers(), actions)
}

fn answers(toy: &Toy, layers: Vec<LayerConfig>, actions: Vec<Action>) -> Vec<StepAnswer> {
    let request = Request { case: "model".to_owned(), layers, actions };
    match InProcess::new(Toys(toy.clone())).respond(&request) {
        Response::Answered(answers) => answers,
        other => panic!("{other:?}"),
    }
}

/// The last step's answer.
fn last(actions: Vec<Action>) -> StepAnswer {
    ask(actions).pop().unwrap()
}

fn failed(answer: &StepAnswer) -> ErrorClass {
    answer.error.as_ref().expect("it fails").class
}

/// The first element of a tensor, written `block.a.output`.
fn seen(answer: &StepAnswer, name: &str) -> Option<f64> {
    let name = name.to_owned().try_into().unwrap();
    answer.tensor(&name).map(|tensor| tensor.value(0))
}

/// Of the same tensor of each layer.
fn of_each(answer: &StepAnswer, tensor: Observable) -> [Option<f64>; 3] {
    MODEL.map(|(path, _)| seen(answer, &format!("{path}.{tensor}")))
}

fn ones(requires_grad: bool) -> Input {
    Input { tensor: Tensor::full(DType::F32, &[2, 2], 1.0), requires_grad, ..input(&[2, 2]) }
}

fn forward_on(at: &str, input: Input) -> Action {
    Action::Forward { at: at.to_owned(), input, no_grad: false }
}

fn forward(at: &str) -> Action {
    forward_on(at, ones(true))
}

fn backward() -> Action {
    Action::Backward { grad: Tensor::full(DType::F32, &[2, 2], 1.0), layout: Layout::Contiguous }
}

fn freeze(at: &str, what: Frozen) -> Action {
    Action::Freeze { at: at.to_owned(), what, reach: Reach::All, sticky: false }
}

fn save(at: &str) -> Action {
    Action::SaveState { at: at.to_owned(), name: "it".to_owned() }
}

fn load(at: &str, strict: bool, change: impl FnOnce(&mut Dictionary<Tensor>)) -> Action {
    let saved = Some("it".to_owned());
    let mut from = Dictionary { saved, without: Vec::new(), entries: Vec::new(), version: 2 };
    change(&mut from);
    Action::LoadState { at: at.to_owned(), from, strict }
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn layers_run_in_their_order_and_each_output_is_seen() {
    let answer = last(vec![forward("")]);
    assert_eq!(of_each(&answer, Observable::Output), [Some(2.0), Some(6.0), Some(30.0)]);
}

#[test]
fn a_part_is_run_by_itself() {
    let answers = ask(vec![forward("block"), forward("block.b"), forward("stem")]);
    assert_eq!(of_each(&answers[1], Observable::Output), [None, Some(3.0), Some(15.0)]);
    assert_eq!(of_each(&answers[2], Observable::Output), [None, None, Some(5.0)]);
    assert_eq!(of_each(&answers[3], Observable::Output), [Some(2.0), None, None]);
    let counters = of_each(&answers[3], Observable::NumBatchesTracked);
    assert_eq!(counters, [Some(1.0), Some(1.0), Some(2.0)]);
}

#[test]
fn the_state_of_every_layer_is_seen_after_every_step_whatever_it_speaks_to() {
    for answer in ask(vec![Action::Eval { at: "stem".to_owned() }]) {
        assert_eq!(of_each(&answer, Observable::Weight), [Some(2.0), Some(3.0), Some(5.0)]);
        assert_eq!(of_each(&answer, Observable::RunningVar), [Some(1.0); 3]);
    }
}

#[test]
fn a_backward_goes_through_the_layers_that_the_forward_ran() {
    let answer = last(vec![forward(""), backward()]);
    assert_eq!(of_each(&answer, Observable::GradInput), [Some(30.0), Some(15.0), Some(5.0)]);
    // The input of each layer, summed over two samples, times the gradient of its output.
    assert_eq!(of_each(&answer, Observable::GradWeight), [Some(2.0 * 15.0), Some(4.0 * 5.0), Some(12.0)]);
    assert_eq!(of_each(&answer, Observable::GradBias), [Some(30.0), Some(10.0), Some(2.0)]);
    let part = last(vec![forward("block.a"), backward()]);
    assert_eq!(of_each(&part, Observable::GradInput), [None, Some(3.0), None]);
}

#[test]
fn only_the_first_input_and_the_last_gradient_lie_as_the_case_says_unless_the_input_is_channels_last() {
    let laid = |layout, grad_layout, shape: &[usize]| {
        let toy = Toy::default();
        let mut model = layers();
        for layer in &mut model {
            layer.kind = LayerKind::for_rank(shape.len()).unwrap();
        }
        let back = Action::Backward { grad: Tensor::full(DType::F32, shape, 1.0), layout: grad_layout };
        let answers = answers(&toy, model, vec![forward_on("", Input { layout, ..input(shape) }), back]);
        assert!(answers.iter().all(|answer| answer.error.is_none()), "{answers:?}");
        let forwards: Vec<Layout> = toy.calls.borrow().iter().map(|call| call.layout).collect();
        (forwards, toy.went_back.borrow().clone())
    };
    let (contiguous, sliced, last) = (Layout::Contiguous, Layout::Sliced, Layout::ChannelsLast);
    let once = vec![sliced, contiguous, contiguous];
    assert_eq!(laid(sliced, sliced, &[2, 2]), (once.clone(), once.clone()));
    // The gradient of an input lies as the input does.
    let image = [2, 2, 1, 2];
    assert_eq!(laid(last, contiguous, &image), (vec![last; 3], vec![contiguous, last, last]));
    assert_eq!(laid(sliced, last, &image), (once, vec![last, contiguous, contiguous]));
}

#[test]
fn a_gradient_passes_through_a_frozen_layer_which_has_none_itself() {
    let answer = last(vec![freeze("block", Frozen::Affine), forward(""), backward()]);
    assert_eq!(of_each(&answer, Observable::GradInput), [Some(30.0), Some(15.0), Some(5.0)]);
    assert_eq!(of_each(&answer, Observable::GradWeight), [Some(30.0), None, None]);
    assert_eq!(of_each(&answer, Observable::GradBias), [Some(30.0), None, None]);
    assert_eq!(of_each(&answer, Observable::NumBatchesTracked), [Some(1.0); 3]);
}

#[test]
fn a_backward_stops_where_nothing_before_requires_a_gradient() {
    let toy = Toy::default();
    let actions = vec![freeze("stem", Frozen::Affine), forward_on("", ones(false)), backward()];
    let answer = answers(&toy, layers(), actions).pop().unwrap();
    assert_eq!(of_each(&answer, Observable::GradInput), [None, None, Some(5.0)]);
    assert_eq!(of_each(&answer, Observable::GradWeight), [None, Some(2.0 * 2.0 * 5.0), Some(2.0 * 6.0)]);
    assert_eq!(toy.went_back.borrow().len(), 2);
}

#[test]
fn one_parameter_that_is_trained_makes_a_graph_of_what_comes_after_it() {
    let requires_grad = Action::RequiresGrad { at: "block.a".to_owned(), weight: None, bias: Some(true) };
    let actions = vec![freeze("", Frozen::Affine), requires_grad, forward_on("", ones(false)), backward()];
    let answer = last(actions);
    assert_eq!(of_each(&answer, Observable::GradInput), [None, None, Some(5.0)]);
    assert_eq!(of_each(&answer, Observable::GradWeight), [None; 3]);
    assert_eq!(of_each(&answer, Observable::GradBias), [None, Some(10.0), None]);
}

#[test]
fn where_nothing_requires_a_gradient_there_is_no_graph() {
    let frozen = last(vec![freeze("", Frozen::Affine), forward_on("", ones(false)), backward()]);
    assert_eq!(failed(&frozen), ErrorClass::NoGraph);
    assert_eq!(failed(&last(vec![backward()])), ErrorClass::NoGraph);
    let under_no_grad = Action::Forward { at: String::new(), input: ones(true), no_grad: true };
    let answer = last(vec![forward(""), under_no_grad, backward()]);
    assert_eq!(failed(&answer), ErrorClass::NoGraph);
    assert_eq!(of_each(&answer, Observable::NumBatchesTracked), [Some(2.0); 3]);
}

#[test]
fn gradients_of_inputs_accumulate_over_backwards_and_start_again_with_a_forward() {
    let answers = ask(vec![forward(""), backward(), backward(), forward(""), backward()]);
    assert_eq!(of_each(&answers[3], Observable::GradInput), [Some(60.0), Some(30.0), Some(10.0)]);
    assert_eq!(of_each(&answers[5], Observable::GradInput), [Some(30.0), Some(15.0), Some(5.0)]);
    assert_eq!(seen(&answers[5], "stem.grad_bias"), Some(90.0));
}

#[test]
fn zeroing_and_descending_reach_the_part_they_are_told() {
    let descend = Action::Sgd { at: "block.a".to_owned(), lr: 0.5 };
    let answers = ask(vec![
        forward(""),
        backward(),
        descend,
        Action::ZeroGrad { at: "block".to_owned() },
        forward(""),
        backward(),
    ]);
    // 3 - 20 / 2, 0 - 10 / 2.
    assert_eq!(of_each(&answers[3], Observable::Weight), [Some(2.0), Some(-7.0), Some(5.0)]);
    assert_eq!(seen(&answers[3], "block.a.bias"), Some(-5.0));
    assert_eq!(of_each(&answers[6], Observable::GradBias), [Some(30.0 - 70.0), Some(10.0), Some(2.0)]);
}

#[test]
fn a_forward_that_fails_in_the_middle_gives_no_output_and_leaves_no_graph() {
    let mut model = layers();
    model[1] = LayerConfig { eps: -1.0, ..model[1].clone() };
    let answers = answers(&Toy::default(), model, vec![forward("stem"), forward(""), backward()]);
    assert_eq!(failed(&answers[2]), ErrorClass::EpsNotPositive);
    assert_eq!(of_each(&answers[2], Observable::Output), [None; 3]);
    assert_eq!(of_each(&answers[2], Observable::NumBatchesTracked), [Some(2.0), Some(1.0), Some(0.0)]);
    assert_eq!(failed(&answers[3]), ErrorClass::NoGraph);
}

#[test]
fn without_a_layer_every_step_fails_as_its_constructor_did() {
    let mut model = layers();
    model[2].eps = 0.0;
    let answers = answers(&Toy::default(), model, vec![forward("stem"), backward()]);
    assert_eq!(answers.len(), 3);
    assert!(answers.iter().all(|answer| failed(answer) == ErrorClass::Other && answer.tensors.is_empty()));
}

#[test]
fn attributes_types_and_statistics_are_changed_in_the_part_that_is_named() {
    let at = || "block".to_owned();
    let answers = ask(vec![
        forward(""),
        Action::ResetRunningStats { at: at() },
        Action::Set { at: at(), settings: vec![Setting::Tensor(Slot::Bias, None), Setting::Momentum(None)] },
        Action::Cast { at: at(), to: DType::F16, what: Part::RunningMean },
    ]);
    assert_eq!(of_each(&answers[2], Observable::NumBatchesTracked), [Some(1.0), Some(0.0), Some(0.0)]);
    assert_eq!(of_each(&answers[3], Observable::Bias), [Some(0.0), None, None]);
    let types = MODEL.map(|(path, _)| answers[4].of(path, Observable::RunningMean).unwrap().dtype());
    assert_eq!(types, [DType::F32, DType::F16, DType::F16]);
    assert_eq!(answers[4].of("block.a", Observable::Weight).unwrap().dtype(), DType::F32);
}

#[test]
fn a_new_parameter_in_a_frozen_part_is_trained_until_the_part_is_frozen_again() {
    let new =
        Action::Set { at: "stem".to_owned(), settings: vec![Setting::Tensor(Slot::Weight, Some(pair(7.0)))] };
    let frozen = || freeze("", Frozen::Affine);
    let trained = last(vec![frozen(), new.clone(), forward_on("", ones(false)), backward()]);
    assert_eq!(of_each(&trained, Observable::GradWeight), [Some(30.0), None, None]);
    let again = last(vec![frozen(), new, frozen(), forward_on("", ones(false)), backward()]);
    assert_eq!(failed(&again), ErrorClass::NoGraph);
}

/// How often each layer has trained after these steps and a forward.
fn trained(mut actions: Vec<Action>) -> [Option<f64>; 3] {
    actions.push(forward(""));
    of_each(&last(actions), Observable::NumBatchesTracked)
}

#[test]
fn a_sticky_freeze_outlives_the_models_train_and_others_do_not() {
    let freeze =
        |reach, sticky| Action::Freeze { at: "block".to_owned(), what: Frozen::Statistics, reach, sticky };
    let train = |at: &str| Action::Train { at: at.to_owned() };
    let (yes, no) = (Some(1.0), Some(0.0));
    assert_eq!(trained(vec![freeze(Reach::All, false)]), [yes, no, no]);
    assert_eq!(trained(vec![freeze(Reach::All, false), train("")]), [yes, yes, yes]);
    assert_eq!(trained(vec![freeze(Reach::All, true), train("")]), [yes, no, no]);
    assert_eq!(trained(vec![freeze(Reach::Children, true), train("block")]), [yes, no, no]);
    // A layer's own train() knows nothing of what is above it.
    assert_eq!(trained(vec![freeze(Reach::All, true), train("block.a")]), [yes, yes, no]);
    let unfreeze = Action::Unfreeze { at: "block".to_owned(), what: Frozen::Both, reach: Reach::All };
    assert_eq!(trained(vec![freeze(Reach::All, true), unfreeze, train("")]), [yes, yes, yes]);
}

#[test]
fn an_evaluation_reaches_the_part_that_is_named() {
    let eval = |at: &str| Action::Eval { at: at.to_owned() };
    assert_eq!(trained(vec![eval("block.b")]), [Some(1.0), Some(1.0), Some(0.0)]);
    assert_eq!(trained(vec![eval("")]), [Some(0.0); 3]);
}

#[test]
fn a_state_is_saved_under_the_names_below_its_part_and_loaded_into_another_of_the_same_form() {
    let answer = last(vec![forward("block.a"), save("block.a"), load("stem", true, |_| ())]);
    assert_eq!(answer.error, None);
    assert_eq!(of_each(&answer, Observable::Weight), [Some(3.0), Some(3.0), Some(5.0)]);
    assert_eq!(of_each(&answer, Observable::RunningMean), [Some(1.0), Some(1.0), Some(0.0)]);
    assert_eq!(of_each(&answer, Observable::NumBatchesTracked), [Some(1.0), Some(1.0), Some(0.0)]);
}

#[test]
fn what_is_saved_is_a_copy_and_a_second_one_takes_the_place_of_the_first() {
    let change = || Action::Set {
        at: "stem".to_owned(),
        settings: vec![Setting::Tensor(Slot::Bias, Some(pair(9.0)))],
    };
    let unchanged = last(vec![save(""), change(), load("", true, |_| ())]);
    assert_eq!((unchanged.error.clone(), seen(&unchanged, "stem.bias")), (None, Some(0.0)));
    let twice = last(vec![save(""), change(), save(""), forward(""), load("", true, |_| ())]);
    assert_eq!((seen(&twice, "stem.bias"), seen(&twice, "stem.num_batches_tracked")), (Some(9.0), Some(0.0)));
}

#[test]
fn entries_are_left_out_and_put_in_by_their_whole_names() {
    let actions = vec![
        save(""),
        load("", false, |from| {
            from.without = owned(&["stem.weight", "block.b.weight"]);
            from.entries =
                vec![("block.a.weight".to_owned(), pair(7.0)), ("stem.bias".to_owned(), pair(8.0))];
        }),
    ];
    let answer = last(actions);
    assert_eq!(answer.error, None);
    assert_eq!(of_each(&answer, Observable::Weight), [Some(2.0), Some(7.0), Some(5.0)]);
    assert_eq!(seen(&answer, "stem.bias"), Some(8.0));
}

#[test]
fn a_dictionary_of_another_part_lacks_what_is_elsewhere_and_has_what_nobody_knows() {
    let answer = last(vec![save("block"), load("", true, |_| ())]);
    let error = answer.error.unwrap();
    assert_eq!(error.class, ErrorClass::MissingEntry);
    let missing: Vec<String> = MODEL
        .iter()
        .flat_map(|(path, _)| {
            ["weight", "bias", "running_mean", "running_var", COUNTER].map(|name| format!("{path}.{name}"))
        })
        .collect();
    assert_eq!(error.message, format!("entries missing in the state dictionary: {}", missing.join(", ")));
    let lenient = last(vec![save("block"), load("", false, |_| ())]);
    assert_eq!(lenient.error, None);
}

#[test]
fn an_entry_below_a_layer_or_beside_all_of_them_is_unexpected() {
    for name in ["stem.deeper.weight", "head.weight", "weight", "stemweight"] {
        let unexpected = |strict| load("", strict, |from| from.entries = vec![(name.to_owned(), pair(1.0))]);
        let answer = last(vec![save(""), unexpected(true)]);
        let words = format!("entries unexpected in the state dictionary: {name}");
        assert_eq!(answer.error, Some(LayerError::new(ErrorClass::UnexpectedEntry, words)));
        assert_eq!(last(vec![save(""), unexpected(false)]).error, None);
    }
}

#[test]
fn of_several_mistakes_the_missing_comes_first_then_the_unexpected_then_the_shape_and_what_fits_is_loaded() {
    let mistakes = |missing: bool, unexpected: bool, strict| {
        let change = |from: &mut Dictionary<Tensor>| {
            from.entries = vec![
                ("stem.bias".to_owned(), Tensor::full(DType::F32, &[3], 1.0)),
                ("block.b.bias".to_owned(), pair(9.0)),
            ];
            if missing {
                from.without = owned(&["block.a.weight"]);
            }
            if unexpected {
                from.entries.push(("head".to_owned(), pair(1.0)));
            }
        };
        let answer = last(vec![save(""), load("", strict, change)]);
        assert_eq!((seen(&answer, "stem.bias"), seen(&answer, "block.b.bias")), (Some(0.0), Some(9.0)));
        failed(&answer)
    };
    assert_eq!(mistakes(true, true, true), ErrorClass::MissingEntry);
    assert_eq!(mistakes(false, true, true), ErrorClass::UnexpectedEntry);
    assert_eq!(mistakes(false, false, true), ErrorClass::EntryShape);
    // A wrong shape is an error whether the rest counts or not.
    assert_eq!(mistakes(true, true, false), ErrorClass::EntryShape);
}

#[test]
fn a_dictionary_of_version_1_needs_no_counters() {
    let old = |version| {
        load("", true, move |from| {
            from.version = version;
            from.without = MODEL.map(|(path, _)| format!("{path}.{COUNTER}")).to_vec();
        })
    };
    assert_eq!(last(vec![save(""), old(1)]).error, None);
    assert_eq!(failed(&last(vec![save(""), old(2)])), ErrorClass::MissingEntry);
}

#[test]
fn what_was_not_saved_cannot_be_loaded_and_an_empty_dictionary_can() {
    assert_eq!(failed(&last(vec![load("", true, |_| ())])), ErrorClass::Other);
    let empty = load("", false, |from| from.saved = None);
    assert_eq!(last(vec![empty]).error, None);
}

#[test]
fn a_layer_that_is_all_there_is_has_the_empty_path() {
    let toy = Toy::default();
    let actions = vec![forward(""), backward(), save(""), load("", true, |_| ())];
    let answers = answers(&toy, vec![common::config()], actions);
    assert_eq!(seen(&answers[1], "output"), Some(1.0));
    assert_eq!((seen(&answers[2], "grad_input"), seen(&answers[2], "grad_weight")), (Some(1.0), Some(2.0)));
    assert_eq!(answers[4].error, None);
}

#[test]
fn a_counter_is_loaded_with_all_its_bits() {
    let counter = (1_i64 << 60) + 1;
    let set = Action::Set { at: String::new(), settings: vec![Setting::NumBatchesTracked(Some(counter))] };
    let save = Action::SaveState { at: String::new(), name: "first".to_owned() };
    let from =
        Dictionary { saved: Some("first".to_owned()), without: Vec::new(), entries: Vec::new(), version: 2 };
    let load = Action::LoadState { at: String::new(), from, strict: true };
    let reset = Action::ResetRunningStats { at: String::new() };
    let answer = last(vec![set, save, reset, load]);
    let loaded = answer.of("stem", Observable::NumBatchesTracked).map(|counter| counter.bits(0));
    assert_eq!(loaded, Some(counter as u64));
}
