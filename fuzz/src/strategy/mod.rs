//! Strategies for whole cases.
//!
//! [`case`] draws a plan whose parts know nothing of each other, and then makes them fit: sizes to the limit of
//! elements, numbers to the dtype's range, backwards to a forward before them, paths to the parts of the model.
//! Parts that are drawn apart also shrink apart, so that a find ends as a small case.

mod data;
mod layer;
mod model;
mod number;
mod parts;
mod shape;
mod steps;
mod types;

use bn_cases::DType;
use bn_cases::case::LayerKind;
use bn_cases::format::{CaseSpec, LayerSpec, ModelNode, Tier};
use proptest::prelude::*;

use data::FillPlan;
use layer::LayerPlan;
use model::{Model, ModelPlan};
pub(crate) use number::short;
pub use parts::{Choice, Parts};
pub use shape::MAX_ELEMENTS;
use shape::ShapePlan;
use steps::{Around, InputPlan, StepPlan};
use types::LayerTypes;

/// Whole cases, each of which [`bn_cases::load_str`] reads once [`crate::render::suite`] has written it.
pub fn case() -> impl Strategy<Value = CaseSpec> {
    let data = (shape::plan(), steps::input(), data::grad(), seed());
    (types::case(), layer::plan(), model::plan(), data, steps::plan()).prop_map(fit)
}

fn seed() -> std::ops::Range<u64> {
    0..1000
}

/// The plan of a case.
type Plan = (
    (DType, LayerTypes),
    LayerPlan,
    Option<ModelPlan>,
    (ShapePlan, InputPlan, Option<FillPlan>, u64),
    Vec<StepPlan>,
);

/// The case whose parts fit each other.
fn fit(((dtype, types), layer, model, (shape, input, grad, seed), steps): Plan) -> CaseSpec {
    let shape = shape.fit();
    let (features, rank) = (shape[1], shape.len());
    let mut layer = layer.fit(features, dtype, types);
    let mut model = Model::fit(model.as_ref(), &layer, features, dtype, rank);
    let around = Around { dtype, shape: &shape, model: &model, input: &input, grad: grad.as_ref() };
    let fitted = steps::fit(steps, around);
    if fitted.says_features {
        let say = |layer: &mut LayerSpec| {
            (layer.kind, layer.features) = (LayerKind::for_rank(rank), Some(features));
        };
        say(&mut layer);
        each_layer(model.nodes.as_deref_mut().unwrap_or_default(), &say);
    }
    CaseSpec {
        about: None,
        tier: Tier::Quick,
        layer,
        model: model.nodes,
        dtype,
        input: fitted.input,
        grad: fitted.grad,
        mode: None,
        steps: Some(fitted.steps),
        seed,
        expect: fitted.expect,
    }
}

fn each_layer(nodes: &mut [ModelNode], act: &impl Fn(&mut LayerSpec)) {
    for node in nodes {
        node.layer.iter_mut().for_each(act);
        each_layer(node.children.as_deref_mut().unwrap_or_default(), act);
    }
}
