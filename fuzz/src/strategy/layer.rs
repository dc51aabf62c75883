//! A layer: configuration, types, the contents of parameters and buffers.

use bn_cases::DType;
use bn_cases::format::LayerSpec;
use proptest::prelude::*;

use super::data::{self, FillPlan};
use super::types::LayerTypes;

/// A layer before it has its channels and types.
#[derive(Debug, Clone)]
pub struct LayerPlan {
    eps: f64,
    momentum: Option<f64>,
    affine: bool,
    track_running_stats: bool,
    contents: [Option<FillPlan>; 4],
    num_batches_tracked: Option<i64>,
}

/// Mostly above zero, as it must be.
pub fn eps() -> BoxedStrategy<f64> {
    prop_oneof![
        15 => Just(1e-5),
        20 => prop::sample::select(vec![1e-3, 1e-12, 1e-8, 1.0, 0.1, 1e-6, 1e-4, 1e-2]),
        5 => (100..1000u32, 1..=14i32).prop_map(|(digits, decade)| {
            format!("{digits}e-{decade}").parse::<f64>().unwrap_or(1e-5).min(1.0)
        }),
        1 => prop::sample::select(vec![0.0, -1e-3]),
        1 => prop::sample::select(vec![10.0, 1e3]),
    ]
    .boxed()
}

pub fn momentum() -> BoxedStrategy<Option<f64>> {
    prop_oneof![
        3 => Just(Some(0.1)),
        2 => Just(None),
        2 => prop::sample::select(vec![0.0, 1.0, 0.5, 0.9, 0.01, 1e-6]).prop_map(Some),
        1 => prop::sample::select(vec![1.5, -0.5, 2.0, -1.0, 10.0]).prop_map(Some),
        1 => (0..1000u32).prop_map(|thousandths| Some(f64::from(thousandths) / 1000.0)),
    ]
    .boxed()
}

/// Numbers of batches that have been counted.
pub fn count() -> BoxedStrategy<i64> {
    prop::sample::select(vec![0, 1, 2, 9, 1000, 1 << 24, (1 << 53) - 1]).boxed()
}

/// Layers whose numbers may be anything.
pub fn plan() -> BoxedStrategy<LayerPlan> {
    with((data::parameter(), data::parameter(), data::parameter(), data::variance()))
}

/// Layers of a model, mostly with numbers that leave something for the next layer to normalise.
pub fn in_a_model() -> BoxedStrategy<LayerPlan> {
    let moderate = (
        data::moderate(&[1.5, 0.5, -0.75, 2.0, -3.0]),
        data::moderate(&[0.25, -1.0, 0.0, 4.0]),
        data::moderate(&[0.5, -1.0, 3.0, -6.0]),
        data::moderate(&[1.5, 0.5, 4.0, 20.0]),
    );
    prop_oneof![4 => with(moderate), 1 => plan()].boxed()
}

type Contents = BoxedStrategy<Option<FillPlan>>;

fn with(contents: (Contents, Contents, Contents, Contents)) -> BoxedStrategy<LayerPlan> {
    let switches = (prop::bool::weighted(0.85), prop::bool::weighted(0.85));
    let counter = prop_oneof![4 => Just(None), 1 => count().prop_map(Some)];
    (eps(), momentum(), switches, contents, counter)
        .prop_map(|(eps, momentum, (affine, tracked), (weight, bias, mean, var), counter)| LayerPlan {
            eps,
            momentum,
            affine,
            track_running_stats: tracked,
            contents: [
                weight.filter(|_| affine),
                bias.filter(|_| affine),
                mean.filter(|_| tracked),
                var.filter(|_| tracked),
            ],
            num_batches_tracked: counter.filter(|_| tracked),
        })
        .boxed()
}

impl LayerPlan {
    /// The layer with this many channels, in a case of this type.
    pub fn fit(&self, features: usize, dtype: DType, types: LayerTypes) -> LayerSpec {
        let parameters = types.parameters.unwrap_or(dtype);
        let statistics = types.statistics.unwrap_or(parameters);
        let [weight, bias, mean, var] = &self.contents;
        let fit =
            |plan: &Option<FillPlan>, dtype| plan.as_ref().and_then(|plan| plan.fit(dtype, &[features]));
        LayerSpec {
            kind: None,
            features: None,
            eps: self.eps,
            momentum: self.momentum,
            affine: self.affine,
            track_running_stats: self.track_running_stats,
            dtype: types.parameters,
            statistics_dtype: types.statistics,
            weight: fit(weight, parameters),
            bias: fit(bias, parameters),
            running_mean: fit(mean, statistics),
            running_var: fit(var, statistics),
            num_batches_tracked: self.num_batches_tracked,
        }
    }
}
