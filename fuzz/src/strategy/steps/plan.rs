//! Steps before they fit their case.

use bn_cases::DType;
use bn_cases::case::{Frozen, Layout, Part, Reach, Setting, Slot};
use proptest::prelude::*;

use super::super::data::{self, FillPlan};
use super::super::layer;
use super::super::shape::{self, ShapePlan};
use super::super::types::{self, InputType};
use super::states::{self, LoadPlan};

/// A step before it fits its case.
#[derive(Debug, Clone)]
pub struct StepPlan {
    /// Which part of a model, by its number modulo how many there are; nothing is the whole.
    pub at: Option<usize>,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    Forward { no_grad: bool, shape: Option<ShapePlan>, input: InputPlan, wrong: Option<Wrong> },
    Backward { grad: Option<FillPlan>, layout: Layout },
    Train,
    Eval,
    Freeze { what: Frozen, reach: Reach, sticky: bool },
    Unfreeze { what: Frozen, reach: Reach },
    RequiresGrad { weight: Option<bool>, bias: Option<bool> },
    Cast { to: DType, what: Part },
    ZeroGrad,
    Sgd(f64),
    ResetRunningStats,
    Set(Vec<Setting<FillPlan>>),
    SaveState { name: &'static str },
    LoadState(LoadPlan),
}

/// An input before it fits. What is not given is the case's, or of the case itself the format's default.
#[derive(Debug, Clone)]
pub struct InputPlan {
    pub fill: Option<FillPlan>,
    pub dtype: InputType,
    pub layout: Option<Layout>,
    pub requires_grad: Option<bool>,
}

/// An input that the layers refuse.
#[derive(Debug, Clone, Copy)]
pub enum Wrong {
    Features,
    Rank,
}

/// The input of a whole case.
pub fn input() -> BoxedStrategy<InputPlan> {
    let layout = prop_oneof![5 => Just(None), 1 => layout().prop_map(Some)];
    (data::input().prop_map(Some), types::of_inputs(), layout, requires_grad())
        .prop_map(|(fill, dtype, layout, requires_grad)| InputPlan { fill, dtype, layout, requires_grad })
        .boxed()
}

fn layout() -> BoxedStrategy<Layout> {
    let layouts =
        [Layout::Contiguous, Layout::Permuted, Layout::ChannelsLast, Layout::Sliced, Layout::Expanded];
    prop::sample::select(layouts.to_vec()).boxed()
}

fn requires_grad() -> BoxedStrategy<Option<bool>> {
    prop_oneof![12 => Just(None), 1 => Just(Some(true)), 2 => Just(Some(false))].boxed()
}

fn forward() -> BoxedStrategy<What> {
    let shape = prop_oneof![3 => Just(None), 1 => shape::plan().prop_map(Some)];
    let fill = prop_oneof![2 => Just(None), 1 => data::input().prop_map(Some)];
    let layout = prop_oneof![5 => Just(None), 1 => layout().prop_map(Some)];
    let input = (fill, types::of_one_input(), layout, requires_grad())
        .prop_map(|(fill, dtype, layout, requires_grad)| InputPlan { fill, dtype, layout, requires_grad });
    let wrong = prop_oneof![
        40 => Just(None),
        1 => prop::sample::select(vec![Wrong::Features, Wrong::Rank]).prop_map(Some),
    ];
    (prop::bool::weighted(0.15), shape, input, wrong)
        .prop_map(|(no_grad, shape, input, wrong)| What::Forward { no_grad, shape, input, wrong })
        .boxed()
}

fn frozen() -> BoxedStrategy<(Frozen, Reach)> {
    let what = prop::sample::select(vec![Frozen::Statistics, Frozen::Affine, Frozen::Both]);
    let reach = prop_oneof![2 => Just(Reach::All), 1 => Just(Reach::Children)];
    (what, reach).boxed()
}

fn cast() -> BoxedStrategy<What> {
    let parts =
        [Part::Parameters, Part::Statistics, Part::Weight, Part::Bias, Part::RunningMean, Part::RunningVar];
    let what = prop_oneof![2 => Just(Part::Layer), 1 => prop::sample::select(parts.to_vec())];
    (types::float(), what).prop_map(|(to, what)| What::Cast { to, what }).boxed()
}

/// An assignment to one attribute.
fn setting() -> BoxedStrategy<Setting<FillPlan>> {
    let new = prop_oneof![
        4 => data::moderate(&[1.0, 0.5, 2.0, 3.0]),
        1 => data::parameter(),
        1 => Just(None),
    ];
    let slot = prop::sample::select(Slot::ALL.to_vec());
    let count = prop_oneof![3 => layer::count().prop_map(Some), 1 => Just(None)];
    prop_oneof![
        2 => layer::momentum().prop_map(Setting::Momentum),
        2 => layer::eps().prop_map(Setting::Eps),
        2 => any::<bool>().prop_map(Setting::TrackRunningStats),
        3 => (slot, new).prop_map(|(slot, new)| Setting::Tensor(slot, new)),
        1 => count.prop_map(Setting::NumBatchesTracked),
    ]
    .boxed()
}

fn what() -> BoxedStrategy<What> {
    let own_grad = prop_oneof![3 => Just(None), 1 => data::grad()];
    let grad_layout = prop_oneof![6 => Just(Layout::Contiguous), 1 => layout()];
    let backward = (own_grad, grad_layout).prop_map(|(grad, layout)| What::Backward { grad, layout });
    let lr = prop::sample::select(vec![0.1, 1.0, 0.0, 1e-3, 0.5, 100.0]);
    let freeze = (frozen(), prop::bool::weighted(0.3)).prop_map(|((what, reach), sticky)| What::Freeze {
        what,
        reach,
        sticky,
    });
    let unfreeze = frozen().prop_map(|(what, reach)| What::Unfreeze { what, reach });
    let requires_grad = (prop::option::of(any::<bool>()), prop::option::of(any::<bool>()))
        .prop_map(|(weight, bias)| What::RequiresGrad { weight, bias });
    let name = prop::sample::select(vec!["first", "second"]);
    prop_oneof![
        12 => forward(),
        10 => backward,
        2 => Just(What::Train),
        4 => Just(What::Eval),
        2 => Just(What::ZeroGrad),
        3 => lr.prop_map(What::Sgd),
        1 => Just(What::ResetRunningStats),
        2 => freeze,
        1 => unfreeze,
        1 => requires_grad,
        2 => cast(),
        2 => prop::collection::vec(setting(), 1..3).prop_map(What::Set),
        1 => name.prop_map(|name| What::SaveState { name }),
        2 => states::load().prop_map(What::LoadState),
    ]
    .boxed()
}

/// Sequences of steps.
pub fn plan() -> BoxedStrategy<Vec<StepPlan>> {
    let at = prop_oneof![3 => Just(None), 1 => (0..5usize).prop_map(Some)];
    let step = (at, what()).prop_map(|(at, what)| StepPlan { at, what });
    prop::collection::vec(step, 1..10).boxed()
}
