//! What is done with the layer.

use bn_cases::DType;
use bn_cases::format::{Fill, InputSpec, Step};
use proptest::prelude::*;

use super::data::{self, FillPlan};
use super::shape::{self, ShapePlan};

/// A step before it fits its case.
#[derive(Debug, Clone)]
pub enum StepPlan {
    Forward {
        no_grad: bool,
        shape: Option<ShapePlan>,
        fill: Option<FillPlan>,
    },
    Backward {
        grad: Option<FillPlan>,
    },
    Train,
    Eval,
    ZeroGrad,
    Sgd(f64),
    ResetRunningStats,
    /// A `set`, which fits any case as it is.
    Set(Step),
}

fn step() -> BoxedStrategy<StepPlan> {
    let own_shape = prop_oneof![3 => Just(None), 1 => shape::plan().prop_map(Some)];
    let own_fill = prop_oneof![2 => Just(None), 1 => data::input().prop_map(Some)];
    let forward = (prop::bool::weighted(0.15), own_shape, own_fill)
        .prop_map(|(no_grad, shape, fill)| StepPlan::Forward { no_grad, shape, fill });
    let own_grad = prop_oneof![3 => Just(None), 1 => data::grad()];
    let lr = prop::sample::select(vec![0.1, 1.0, 0.0, 1e-3, -0.1, 100.0]);
    prop_oneof![
        6 => forward,
        5 => own_grad.prop_map(|grad| StepPlan::Backward { grad }),
        1 => Just(StepPlan::Train),
        3 => Just(StepPlan::Eval),
        1 => Just(StepPlan::ZeroGrad),
        2 => lr.prop_map(StepPlan::Sgd),
        1 => Just(StepPlan::ResetRunningStats),
        1 => set(),
    ]
    .boxed()
}

/// An assignment to one attribute, or to two.
fn set() -> BoxedStrategy<StepPlan> {
    let momentum = prop::sample::select(vec![None, Some(0.0), Some(0.1), Some(0.5), Some(1.0), Some(1.5)]);
    let eps = prop::sample::select(vec![1e-12, 1e-5, 1e-3, 1.0]);
    let one =
        |momentum, eps, track_running_stats| StepPlan::Set(Step::Set { momentum, eps, track_running_stats });
    prop_oneof![
        momentum.clone().prop_map(move |momentum| one(Some(momentum), None, None)),
        eps.clone().prop_map(move |eps| one(None, Some(eps), None)),
        any::<bool>().prop_map(move |track| one(None, None, Some(track))),
        (momentum, eps).prop_map(move |(momentum, eps)| one(Some(momentum), Some(eps), None)),
    ]
    .boxed()
}

/// Sequences of steps.
pub fn plan() -> BoxedStrategy<Vec<StepPlan>> {
    prop::collection::vec(step(), 1..9).boxed()
}

/// The steps for a case of this dtype and shape. Before the first forward there is nothing to go back through:
/// a backward there becomes a forward.
pub fn fit(
    plan: Vec<StepPlan>,
    dtype: DType,
    shape: &[usize],
    grad: Option<&Fill>,
    fill: Option<&Fill>,
) -> Vec<Step> {
    // A fill that names places or elements fits one shape only.
    let fits_any =
        |fill: Option<&Fill>| !matches!(fill, Some(Fill::Special { .. } | Fill::Values(_) | Fill::Bits(_)));
    let mut latest: Option<Vec<usize>> = None;
    let mut steps = Vec::new();
    for step in plan {
        steps.push(match step {
            StepPlan::Train => Step::Train,
            StepPlan::Eval => Step::Eval,
            StepPlan::ZeroGrad => Step::ZeroGrad,
            StepPlan::Sgd(lr) => Step::Sgd { lr },
            StepPlan::ResetRunningStats => Step::ResetRunningStats,
            StepPlan::Set(step) => step,
            StepPlan::Backward { grad: own } => match &latest {
                None => {
                    latest = Some(shape.to_vec());
                    Step::Forward { no_grad: false, input: None }
                }
                Some(latest) => {
                    let mut own = own.and_then(|own| own.fit(dtype, latest));
                    let general = fits_any(grad);
                    if own.is_none() && !general && latest != shape {
                        own = Some(Fill::Correlated { mean: 0.5, strength: 1.0, noise: 1.0 });
                    }
                    Step::Backward { grad: own }
                }
            },
            StepPlan::Forward { no_grad, shape: own_shape, fill: own_fill } => {
                let own_shape = own_shape.map(|own| own.fit_like(shape)).filter(|own| own != shape);
                let here = own_shape.clone().unwrap_or_else(|| shape.to_vec());
                let mut own_fill = own_fill.and_then(|own| own.fit(dtype, &here));
                if own_fill.is_none() && own_shape.is_some() && !fits_any(fill) {
                    own_fill = Some(Fill::Normal { mean: 0.5, std: 2.0 });
                }
                latest = Some(here);
                let own = own_shape.is_some() || own_fill.is_some();
                Step::Forward {
                    no_grad,
                    input: own.then_some(InputSpec { shape: own_shape, fill: own_fill }),
                }
            }
        });
    }
    if latest.is_none() {
        steps.push(Step::Forward { no_grad: false, input: None });
    }
    steps
}
