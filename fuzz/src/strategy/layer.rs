//! The layer: configuration, dtypes, the contents of parameters and buffers.

use bn_cases::DType;
use bn_cases::format::LayerSpec;
use proptest::prelude::*;

use super::data::{self, FillPlan};

/// A layer before it has its channels.
#[derive(Debug, Clone)]
pub struct LayerPlan {
    /// The type of the input.
    pub dtype: DType,
    /// Whether parameters are f32 beside a half input.
    mixed: bool,
    eps: f64,
    momentum: Option<f64>,
    affine: bool,
    track_running_stats: bool,
    contents: [Option<FillPlan>; 4],
    num_batches_tracked: Option<i64>,
}

fn dtype() -> BoxedStrategy<(DType, bool)> {
    prop_oneof![
        5 => Just((DType::F32, false)),
        2 => Just((DType::F16, false)),
        2 => Just((DType::Bf16, false)),
        1 => Just((DType::F16, true)),
        1 => Just((DType::Bf16, true)),
        2 => Just((DType::F64, false)),
    ]
    .boxed()
}

fn eps() -> BoxedStrategy<f64> {
    prop_oneof![
        3 => Just(1e-5),
        4 => prop::sample::select(vec![1e-3, 1e-12, 1e-8, 1.0, 0.1, 1e-6, 1e-4, 1e-2]),
        1 => (100..1000u32, 1..=14i32).prop_map(|(digits, decade)| {
            format!("{digits}e-{decade}").parse::<f64>().unwrap_or(1e-5).min(1.0)
        }),
    ]
    .boxed()
}

fn momentum() -> BoxedStrategy<Option<f64>> {
    prop_oneof![
        3 => Just(Some(0.1)),
        2 => Just(None),
        2 => prop::sample::select(vec![0.0, 1.0, 0.5, 0.9, 0.01, 1e-6]).prop_map(Some),
        1 => prop::sample::select(vec![1.5, -0.5, 2.0, -1.0, 10.0]).prop_map(Some),
        1 => (0..1000u32).prop_map(|thousandths| Some(f64::from(thousandths) / 1000.0)),
    ]
    .boxed()
}

fn counter() -> BoxedStrategy<Option<i64>> {
    prop_oneof![
        4 => Just(None),
        1 => prop::sample::select(vec![0, 1, 2, 9, 1000, 1 << 24, (1 << 53) - 1]).prop_map(Some),
    ]
    .boxed()
}

/// Layers.
pub fn plan() -> BoxedStrategy<LayerPlan> {
    let contents = (data::parameter(), data::parameter(), data::parameter(), data::variance());
    let switches = (prop::bool::weighted(0.85), prop::bool::weighted(0.85));
    (dtype(), eps(), momentum(), switches, contents, counter())
        .prop_map(|((dtype, mixed), eps, momentum, (affine, tracked), (weight, bias, mean, var), counter)| {
            LayerPlan {
                dtype,
                mixed,
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
            }
        })
        .boxed()
}

impl LayerPlan {
    /// The layer with this many channels.
    pub fn fit(&self, features: usize) -> LayerSpec {
        let own = self.mixed.then_some(DType::F32);
        let dtype = own.unwrap_or(self.dtype);
        let [weight, bias, running_mean, running_var] =
            self.contents.each_ref().map(|plan| plan.as_ref().and_then(|plan| plan.fit(dtype, &[features])));
        LayerSpec {
            kind: None,
            features: None,
            eps: self.eps,
            momentum: self.momentum,
            affine: self.affine,
            track_running_stats: self.track_running_stats,
            dtype: own,
            weight,
            bias,
            running_mean,
            running_var,
            num_batches_tracked: self.num_batches_tracked,
        }
    }
}
