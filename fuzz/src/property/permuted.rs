//! Samples, and channels, in another order, or apart.

use bn_api::{Action, Input, LayerConfig, Layout, Observable, Request, Slot, Tensor, TensorName};

use super::ask::{End, said};
use super::compare::{Relation, anew};
use super::rewrite::{Rewrite, places, rewritten, shuffled, slices};
use super::{Asked, Broken, Held, Property};

/// Whether a tensor is of the shape of a batch.
pub(super) fn is_of_a_batch(name: &TensorName) -> bool {
    matches!(name.tensor, Observable::Output | Observable::GradInput)
}

/// The inputs of a request.
pub(super) fn inputs(request: &Request) -> impl Iterator<Item = &Input> {
    request.actions.iter().filter_map(|action| match action {
        Action::Forward { input, .. } => Some(input),
        _ => None,
    })
}

/// The samples of every input, and of every gradient, in another order: outputs and gradients of inputs come in that
/// order, and all else is as it was. What a channel's statistics are of is the same numbers, added up in another
/// order.
pub struct Batch;

impl Property for Batch {
    fn name(&self) -> &'static str {
        "permuted-batch"
    }

    fn about(&self) -> &'static str {
        "samples in another order give their outputs in that order, and the same statistics"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        let several = |input: &Input| input.tensor.shape().first().is_some_and(|samples| *samples > 1);
        if !inputs(asked.request).any(several) {
            return Ok(Held::NotHere("no input has two samples"));
        }
        let changed = rewritten(asked.request, &Samples);
        said(anew(asked, &changed, &Samples))
    }
}

struct Samples;

fn reordered(tensor: &Tensor) -> Tensor {
    match tensor.shape().first() {
        Some(samples) if *samples > 1 => slices(tensor, 0, &shuffled(*samples)),
        _ => tensor.clone(),
    }
}

impl Rewrite for Samples {
    fn input(&self, _: usize, input: &Input) -> Input {
        let Input { dtype, layout, requires_grad, .. } = *input;
        Input { tensor: reordered(&input.tensor), dtype, layout, requires_grad }
    }

    fn grad(&self, _: usize, grad: &Tensor, layout: Layout) -> (Tensor, Layout) {
        (reordered(grad), layout)
    }
}

impl Relation for Samples {
    fn places(&self, name: &TensorName, original: &[usize]) -> Option<Vec<usize>> {
        let samples = *original.first()?;
        is_of_a_batch(name).then(|| places(original, 0, &shuffled(samples)))
    }
}

/// The channels of every input, gradient and tensor of the layers in another order: everything that has channels
/// comes in that order.
pub struct Channels;

impl Property for Channels {
    fn name(&self) -> &'static str {
        "permuted-channels"
    }

    fn about(&self) -> &'static str {
        "channels in another order, of inputs and layers, give everything in that order"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        let features = match features(asked.request) {
            Ok(features) => features,
            Err(why) => return Ok(Held::NotHere(why)),
        };
        let order = Order { features, from: shuffled(features) };
        let changed = rewritten(asked.request, &order);
        said(anew(asked, &changed, &order))
    }
}

/// The channels in two layers, the first third of them in one: both together give what one layer gives.
pub struct Split;

impl Property for Split {
    fn name(&self) -> &'static str {
        "split-channels"
    }

    fn about(&self) -> &'static str {
        "the channels split between two layers give what one layer gives"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        said(split(asked))
    }
}

fn split(asked: &mut Asked<'_>) -> Result<usize, End> {
    let features = features(asked.request).map_err(End::NotHere)?;
    // Of an input of other channels it would be a part that has as many as it should, or not.
    if inputs(asked.request).any(|input| input.tensor.shape().get(1) != Some(&features)) {
        return Err(End::NotHere("an input has other channels than the layers"));
    }
    let third = features.div_ceil(3);
    let mut compared = 0;
    for part in [0..third, third..features] {
        let part = Order { features, from: part.collect() };
        let changed = rewritten(asked.request, &part);
        compared += anew(asked, &changed, &part)?;
    }
    Ok(compared)
}

/// The features that all layers have, more than one.
///
/// # Errors
/// Why they have not.
pub(super) fn features(request: &Request) -> Result<usize, &'static str> {
    let features = request.layers.first().map_or(0, |layer| layer.features);
    if request.layers.iter().any(|layer| layer.features != features) {
        return Err("the layers have different numbers of channels");
    }
    if features < 2 { Err("there is one channel") } else { Ok(features) }
}

/// Channels in an order, or some of them.
struct Order {
    /// How many there are.
    features: usize,
    /// Which of them.
    from: Vec<usize>,
}

impl Order {
    /// A tensor that has as many channels along this dimension, with these in order.
    fn of(&self, tensor: &Tensor, dimension: usize) -> Tensor {
        match tensor.shape().get(dimension) {
            Some(channels) if *channels == self.features => slices(tensor, dimension, &self.from),
            // It is refused, whatever it holds.
            _ => tensor.clone(),
        }
    }
}

impl Rewrite for Order {
    fn layer(&self, layer: LayerConfig) -> LayerConfig {
        LayerConfig { features: self.from.len(), ..layer }
    }

    fn input(&self, _: usize, input: &Input) -> Input {
        let Input { dtype, layout, requires_grad, .. } = *input;
        Input { tensor: self.of(&input.tensor, 1), dtype, layout, requires_grad }
    }

    fn grad(&self, _: usize, grad: &Tensor, layout: Layout) -> (Tensor, Layout) {
        (self.of(grad, 1), layout)
    }

    fn contents(&self, _: Slot, contents: &Tensor) -> Tensor {
        if contents.shape().len() == 1 { self.of(contents, 0) } else { contents.clone() }
    }
}

impl Relation for Order {
    fn places(&self, name: &TensorName, original: &[usize]) -> Option<Vec<usize>> {
        let dimension = usize::from(is_of_a_batch(name));
        let ordered = original.get(dimension) == Some(&self.features);
        ordered.then(|| places(original, dimension, &self.from))
    }
}
