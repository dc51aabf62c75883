//! Layers as they are constructed, and the usual types.

use bn_cases::DType;
use bn_cases::format::{CaseSpec, InputSpec, LayerSpec};

use super::fills::each_layer;

/// The case with the defaults of its fields: all of the layer's at once, then one after the other.
pub fn usual(spec: &CaseSpec) -> Vec<CaseSpec> {
    let mut smaller = Vec::new();
    let mut propose = |change: &dyn Fn(&mut CaseSpec)| {
        let mut spec = spec.clone();
        change(&mut spec);
        smaller.push(spec);
    };
    propose(&|spec| spec.layer = LayerSpec::default());
    propose(&|spec| {
        let InputSpec { shape, .. } = std::mem::take(&mut spec.input);
        spec.input.shape = shape;
    });
    propose(&|spec| {
        spec.dtype = DType::F32;
        each_layer(spec, &|layer| (layer.dtype, layer.statistics_dtype) = (None, None));
    });
    propose(&|spec| spec.dtype = DType::F32);
    propose(&|spec| each_layer(spec, &|layer| (layer.dtype, layer.statistics_dtype) = (None, None)));
    propose(&|spec| spec.input.dtype = None);
    propose(&|spec| spec.input.layout = None);
    propose(&|spec| spec.input.requires_grad = None);
    propose(&|spec| spec.seed = 0);
    propose(&|spec| spec.about = None);
    let plain = LayerSpec::default();
    for change in FIELDS {
        propose(&|spec| change(&mut spec.layer, &plain));
        propose(&|spec| each_layer(spec, &|layer| change(layer, &plain)));
    }
    smaller
}

/// Sets a field to its default.
type Change = fn(&mut LayerSpec, &LayerSpec);

const FIELDS: [Change; 13] = [
    |layer, plain| layer.kind = plain.kind,
    |layer, plain| layer.features = plain.features,
    |layer, plain| layer.eps = plain.eps,
    |layer, plain| layer.momentum = plain.momentum,
    |layer, plain| layer.affine = plain.affine,
    |layer, plain| layer.track_running_stats = plain.track_running_stats,
    |layer, plain| layer.dtype = plain.dtype,
    |layer, plain| layer.statistics_dtype = plain.statistics_dtype,
    |layer, plain| layer.weight.clone_from(&plain.weight),
    |layer, plain| layer.bias.clone_from(&plain.bias),
    |layer, plain| layer.running_mean.clone_from(&plain.running_mean),
    |layer, plain| layer.running_var.clone_from(&plain.running_var),
    |layer, plain| layer.num_batches_tracked = plain.num_batches_tracked,
];

/// Numbers that are nearer to the usual ones, where these themselves do not do.
pub fn plainer(spec: &CaseSpec) -> Vec<CaseSpec> {
    let mut smaller = Vec::new();
    for momentum in [Some(0.1), Some(1.0), Some(0.5), None, Some(0.0)] {
        smaller.push(CaseSpec { layer: LayerSpec { momentum, ..spec.layer.clone() }, ..spec.clone() });
    }
    for eps in [1e-5, 1e-3, 1.0] {
        smaller.push(CaseSpec { layer: LayerSpec { eps, ..spec.layer.clone() }, ..spec.clone() });
    }
    for seed in 0..4 {
        smaller.push(CaseSpec { seed, ..spec.clone() });
    }
    smaller
}
