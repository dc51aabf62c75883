//! Makes a request of another one, tensor by tensor.

use bn_api::{Action, Input, LayerConfig, Layout, Request, Setting, Slot, Tensor};
use bn_cases::case::Dictionary;

/// What becomes of the tensors of a request. What is not said stays.
pub(super) trait Rewrite {
    /// The input of step number `step`.
    fn input(&self, _step: usize, input: &Input) -> Input {
        input.clone()
    }

    /// The gradient that step number `step` goes back from, and how it lies.
    fn grad(&self, _step: usize, grad: &Tensor, layout: Layout) -> (Tensor, Layout) {
        (grad.clone(), layout)
    }

    /// The contents of a layer's tensor, wherever they are given.
    fn contents(&self, _slot: Slot, contents: &Tensor) -> Tensor {
        contents.clone()
    }

    /// A layer, whose contents have been seen to.
    fn layer(&self, layer: LayerConfig) -> LayerConfig {
        layer
    }

    /// An assignment that has no tensor.
    fn setting(&self, setting: &Setting) -> Setting {
        setting.clone()
    }
}

/// The request that is made of this one.
pub(super) fn rewritten(request: &Request, by: &impl Rewrite) -> Request {
    let layers = request.layers.iter().map(|layer| by.layer(layer_of(layer, by))).collect();
    let actions = request.actions.iter().enumerate();
    Request {
        case: request.case.clone(),
        layers,
        actions: actions.map(|(index, action)| action_of(index + 1, action, by)).collect(),
    }
}

fn layer_of(layer: &LayerConfig, by: &impl Rewrite) -> LayerConfig {
    let contents = |slot| layer.contents(slot).map(|contents| by.contents(slot, contents));
    LayerConfig {
        path: layer.path.clone(),
        weight: contents(Slot::Weight),
        bias: contents(Slot::Bias),
        running_mean: contents(Slot::RunningMean),
        running_var: contents(Slot::RunningVar),
        kind: layer.kind,
        features: layer.features,
        eps: layer.eps,
        momentum: layer.momentum,
        affine: layer.affine,
        track_running_stats: layer.track_running_stats,
        dtype: layer.dtype,
        statistics_dtype: layer.statistics_dtype,
        num_batches_tracked: layer.num_batches_tracked,
        held_in: layer.held_in,
    }
}

fn action_of(step: usize, action: &Action, by: &impl Rewrite) -> Action {
    match action {
        Action::Forward { at, input, no_grad } => {
            Action::Forward { at: at.clone(), input: by.input(step, input), no_grad: *no_grad }
        }
        Action::Backward { grad, layout } => {
            let (grad, layout) = by.grad(step, grad, *layout);
            Action::Backward { grad, layout }
        }
        Action::Set { at, settings } => {
            let setting = |setting: &Setting| match setting {
                Setting::Tensor(slot, Some(new)) => Setting::Tensor(*slot, Some(by.contents(*slot, new))),
                other => by.setting(other),
            };
            Action::Set { at: at.clone(), settings: settings.iter().map(setting).collect() }
        }
        Action::LoadState { at, from, strict } => {
            let entry = |(name, tensor): &(String, Tensor)| {
                let tensor = slot_of(name).map_or_else(|| tensor.clone(), |slot| by.contents(slot, tensor));
                (name.clone(), tensor)
            };
            let Dictionary { saved, without, entries, version } = from;
            let (saved, without) = (saved.clone(), without.clone());
            let entries = entries.iter().map(entry).collect();
            let from = Dictionary { saved, without, entries, version: *version };
            Action::LoadState { at: at.clone(), from, strict: *strict }
        }
        other => other.clone(),
    }
}

/// The tensor that an entry of a state dictionary is for, whichever layer's.
fn slot_of(entry: &str) -> Option<Slot> {
    let name = entry.rsplit('.').next().unwrap_or(entry);
    Slot::ALL.into_iter().find(|slot| slot.name() == name)
}

/// The slices of a tensor along a dimension, in another order, or some of them alone: slice k of the new one is slice
/// `from[k]` of the tensor.
///
/// # Panics
/// When there is no such dimension or slice.
pub(super) fn slices(tensor: &Tensor, dimension: usize, from: &[usize]) -> Tensor {
    let mut shape = tensor.shape().to_vec();
    let cut = Cut::of(&shape, dimension);
    shape[dimension] = from.len();
    let (bytes, size) = (tensor.bytes(), tensor.dtype().size());
    let mut new = Vec::with_capacity(cut.outer * from.len() * cut.inner * size);
    for start in cut.starts(from) {
        new.extend_from_slice(&bytes[start * size..(start + cut.inner) * size]);
    }
    let count: usize = shape.iter().product();
    Tensor::from_bytes(tensor.dtype(), shape, new)
        .unwrap_or_else(|| unreachable!("{count} elements along dimension {dimension}"))
}

/// Where each element of [`slices`] is in the tensor of this shape that they are of.
pub(super) fn places(shape: &[usize], dimension: usize, from: &[usize]) -> Vec<usize> {
    let cut = Cut::of(shape, dimension);
    cut.starts(from).flat_map(|start| start..start + cut.inner).collect()
}

/// A shape cut along a dimension.
struct Cut {
    outer: usize,
    size: usize,
    inner: usize,
}

impl Cut {
    fn of(shape: &[usize], dimension: usize) -> Self {
        let (outer, inner) = (&shape[..dimension], &shape[dimension + 1..]);
        Cut { outer: outer.iter().product(), size: shape[dimension], inner: inner.iter().product() }
    }

    /// The first elements of the slices.
    fn starts(&self, from: &[usize]) -> impl Iterator<Item = usize> {
        let (size, inner) = (self.size, self.inner);
        (0..self.outer).flat_map(move |outer| from.iter().map(move |slice| (outer * size + slice) * inner))
    }
}

/// Numbers below `count` in an order that has no neighbours of before where it can: every 0.6 `count`-th, round and
/// round.
pub(super) fn shuffled(count: usize) -> Vec<usize> {
    let near = (count * 5).div_ceil(8).max(1);
    let stride = (near..near + count.max(1)).find(|stride| gcd(*stride, count) == 1).unwrap_or(1);
    (0..count).map(|k| (k * stride + count / 2) % count).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use bn_api::DType;

    use super::*;

    #[test]
    fn slices_are_taken_along_their_dimension_and_their_places_are_known() {
        let tensor = Tensor::from_values(DType::F16, &[2, 3, 2], (0..12).map(f64::from));
        let taken = slices(&tensor, 1, &[2, 0]);
        assert_eq!((taken.shape(), taken.values()), (&[2, 2, 2][..], vec![4., 5., 0., 1., 10., 11., 6., 7.]));
        let samples = slices(&tensor, 0, &[1, 0]);
        assert_eq!(samples.values()[..6], [6., 7., 8., 9., 10., 11.]);
        for (dimension, from) in [(0, vec![1, 0]), (1, vec![2, 0]), (2, vec![1])] {
            let by_place = places(tensor.shape(), dimension, &from);
            let values: Vec<f64> = by_place.into_iter().map(|place| tensor.value(place)).collect();
            assert_eq!(values, slices(&tensor, dimension, &from).values());
        }
    }

    #[test]
    fn what_is_shuffled_is_all_there_and_not_where_it_was() {
        for count in 0..300 {
            let mut order = shuffled(count);
            if count > 1 {
                assert!(order.iter().enumerate().any(|(k, from)| k != *from), "{count}: {order:?}");
            }
            order.sort_unstable();
            assert_eq!(order, (0..count).collect::<Vec<_>>());
        }
    }
}
