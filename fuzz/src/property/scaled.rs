//! Channels stretched and moved.

use bn_api::{Action, DType, Input, LayerConfig, Observable, Request, Setting, Slot, Tensor, TensorName};

use super::ask::{Derived, End, said};
use super::compare::{Allowed, Pair, Relation};
use super::permuted::inputs;
use super::rewrite::{Rewrite, rewritten};
use super::{Asked, Broken, Held, Property};

/// Every channel c becomes a·(x + b), its running statistics with it, and eps a²·eps: the output is the same, the gradient of
/// the input 1/a of what it was, and all else what it was.
///
/// a is a power of two and b, of each channel its own, a half or a quarter of the power of two above the channel. So that sums of both are numbers of
/// the type, the data is first put on the grid that they are on, and both requests, on the grid and changed, are asked.
pub struct Scaled;

impl Property for Scaled {
    fn name(&self) -> &'static str {
        "scaled-channels"
    }

    fn about(&self) -> &'static str {
        "channels that are stretched and moved, and eps with them, are normalised to the same"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        said(scaled(asked))
    }
}

fn scaled(asked: &mut Asked<'_>) -> Result<usize, End> {
    let affine = Affine::of(asked.request)?;
    let coarse = rewritten(asked.request, &OnGrid(&affine));
    let changed = rewritten(&coarse, &affine);
    if !affine.is_exact(&changed, &coarse) {
        return Err(End::NotHere("what it is changed to is beyond the type"));
    }
    let original = asked.ask(&coarse)?;
    let answers = asked.ask(&changed)?;
    let (of_original, of_changed) =
        (Derived::of(&coarse, asked.accuracy), Derived::of(&changed, asked.accuracy));
    let pair = Pair {
        request: &coarse,
        original: &original,
        allowed: of_original.get().ok_or(End::NotHere("the arbiter has no answer"))?,
        changed: &answers,
        changed_allowed: Allowed::Derived(&of_changed),
    };
    Ok(pair.agree(&affine).map_err(|broken| broken.by(&changed))?)
}

/// What becomes of a layer of one.
struct Affine {
    /// a.
    factor: f64,
    /// b, and the grid that a channel's data is put on, channel by channel.
    channels: Vec<Moved>,
}

#[derive(Clone, Copy)]
struct Moved {
    by: f64,
    grid: f64,
}

impl Affine {
    fn of(request: &Request) -> Result<Self, End> {
        let [layer] = &request.layers[..] else {
            return Err(End::NotHere("a model: only its first layer would change"));
        };
        let undoes = |action: &Action| match action {
            Action::ResetRunningStats { .. } => {
                Some("statistics are reset to what is not changed with the data")
            }
            Action::Cast { what, .. } if what.slots().iter().any(|slot| !slot.is_parameter()) => {
                Some("statistics are rounded by a cast, to other numbers than the changed ones")
            }
            Action::LoadState { from, .. } => {
                let rounds = |(name, entry): &(String, Tensor)| {
                    name.starts_with("running") && entry.dtype() != layer.statistics_dtype
                };
                from.entries.iter().any(rounds).then_some("statistics are rounded as they are loaded")
            }
            _ => None,
        };
        if let Some(why) = request.actions.iter().find_map(undoes) {
            return Err(End::NotHere(why));
        }
        let mut largest = vec![0.0_f64; layer.features];
        let mut dtype = layer.statistics_dtype;
        let mut note = |tensor: &Tensor, channels: usize| {
            if channels != layer.features || !tensor.dtype().is_float() {
                return;
            }
            if tensor.dtype().precision() < dtype.precision() {
                dtype = tensor.dtype();
            }
            let of = tensor.channels();
            for (index, value) in
                tensor.values().into_iter().enumerate().filter(|(_, value)| value.is_finite())
            {
                let largest = &mut largest[of.channel_of(index)];
                *largest = largest.max(value.abs());
            }
        };
        inputs(request)
            .for_each(|input| note(&input.tensor, input.tensor.shape().get(1).copied().unwrap_or(0)));
        means(request).for_each(|mean| note(mean, mean.len()));
        let most = largest.iter().copied().fold(0.0, f64::max);
        let moved = |(channel, largest): (usize, &f64)| {
            let above = power_of_two_above(*largest, dtype);
            let by = above * [0.5, -0.5, 0.25, -0.25][channel % 4];
            Moved { by, grid: (2.0 * above * 2.0 * dtype.unit_roundoff()).max(dtype.smallest_subnormal()) }
        };
        let channels = largest.iter().enumerate().map(moved).collect();
        Ok(Affine { factor: if most > 1.0 { 0.25 } else { 4.0 }, channels })
    }

    fn each(&self, tensor: &Tensor, channels: usize, of: impl Fn(Moved, f64) -> f64) -> Tensor {
        if channels != self.channels.len() || !tensor.dtype().is_float() {
            // It is refused, whatever it holds.
            return tensor.clone();
        }
        let by = tensor.channels();
        let values = tensor.values().into_iter().enumerate();
        let values = values.map(|(index, value)| of(self.channels[by.channel_of(index)], value));
        Tensor::from_values(tensor.dtype(), tensor.shape(), values)
    }

    fn moved(&self, tensor: &Tensor, channels: usize) -> Tensor {
        self.each(tensor, channels, |moved, value| self.factor * (value + moved.by))
    }

    /// Whether nothing that has been changed was rounded: it can be changed back.
    fn is_exact(&self, changed: &Request, coarse: &Request) -> bool {
        let back = |tensor: &Tensor, channels: usize, due: &Tensor| {
            let back = self.each(tensor, channels, |moved, value| value / self.factor - moved.by);
            same_numbers(&back, due)
        };
        let channels = |input: &Input| input.tensor.shape().get(1).copied().unwrap_or(0);
        let inputs_are = inputs(changed)
            .zip(inputs(coarse))
            .all(|(changed, coarse)| back(&changed.tensor, channels(changed), &coarse.tensor));
        let means_are = means(changed).zip(means(coarse)).all(|(new, old)| back(new, new.len(), old));
        let squared = self.factor * self.factor;
        let variances_are = variances(changed)
            .zip(variances(coarse))
            .all(|(new, old)| same_numbers(&self.each(new, new.len(), |_, value| value / squared), old));
        inputs_are && means_are && variances_are
    }
}

fn same_numbers(one: &Tensor, other: &Tensor) -> bool {
    let (one, other) = (one.values(), other.values());
    one.iter().zip(&other).all(|(one, other)| one == other || (one.is_nan() && other.is_nan()))
}

/// The smallest power of two that is larger than a number, within the range of a type.
fn power_of_two_above(number: f64, dtype: DType) -> f64 {
    let mut power = dtype.smallest_subnormal().max(f64::MIN_POSITIVE) / dtype.unit_roundoff();
    while power <= number && power < dtype.max_finite() / 4.0 {
        power *= 2.0;
    }
    power
}

/// The contents of running statistics, wherever a request gives them.
fn contents(request: &Request, slot: Slot) -> impl Iterator<Item = &Tensor> {
    let of_layers = request.layers.iter().filter_map(move |layer| layer.contents(slot));
    let of_actions = request.actions.iter().flat_map(move |action| {
        let found: Vec<&Tensor> = match action {
            Action::Set { settings, .. } => settings
                .iter()
                .filter_map(|setting| match setting {
                    Setting::Tensor(of, Some(new)) if *of == slot => Some(new),
                    _ => None,
                })
                .collect(),
            Action::LoadState { from, .. } => {
                let own = from.entries.iter().filter(|(name, _)| name == slot.name());
                own.map(|(_, entry)| entry).collect()
            }
            _ => Vec::new(),
        };
        found
    });
    of_layers.chain(of_actions)
}

fn means(request: &Request) -> impl Iterator<Item = &Tensor> {
    contents(request, Slot::RunningMean)
}

fn variances(request: &Request) -> impl Iterator<Item = &Tensor> {
    contents(request, Slot::RunningVar)
}

/// The data on the grid that its change is on.
struct OnGrid<'a>(&'a Affine);

impl OnGrid<'_> {
    fn put(&self, tensor: &Tensor, channels: usize) -> Tensor {
        let nearest = |value: f64, grid: f64| {
            let steps = value / grid;
            // Beyond these every number is on it.
            if steps.abs() < 4.5e15 { steps.round_ties_even() * grid } else { value }
        };
        self.0.each(tensor, channels, |moved, value| nearest(value, moved.grid))
    }
}

impl Rewrite for OnGrid<'_> {
    fn input(&self, _: usize, input: &Input) -> Input {
        let Input { dtype, layout, requires_grad, .. } = *input;
        let tensor = self.put(&input.tensor, input.tensor.shape().get(1).copied().unwrap_or(0));
        Input { tensor, dtype, layout, requires_grad }
    }

    fn contents(&self, slot: Slot, contents: &Tensor) -> Tensor {
        if slot == Slot::RunningMean { self.put(contents, contents.len()) } else { contents.clone() }
    }

    fn layer(&self, layer: LayerConfig) -> LayerConfig {
        // What the constructor would put there is changed as well.
        let given = |contents: Option<Tensor>, slot, value| {
            let full = || Tensor::full(layer.dtype_of(slot), &[layer.features], value);
            contents.or_else(|| layer.has(slot).then(full))
        };
        let mean = given(layer.running_mean.clone(), Slot::RunningMean, 0.0);
        let var = given(layer.running_var.clone(), Slot::RunningVar, 1.0);
        LayerConfig { running_mean: mean, running_var: var, ..layer }
    }
}

impl Rewrite for Affine {
    fn input(&self, _: usize, input: &Input) -> Input {
        let Input { dtype, layout, requires_grad, .. } = *input;
        let tensor = self.moved(&input.tensor, input.tensor.shape().get(1).copied().unwrap_or(0));
        Input { tensor, dtype, layout, requires_grad }
    }

    fn contents(&self, slot: Slot, contents: &Tensor) -> Tensor {
        match slot {
            Slot::RunningMean => self.moved(contents, contents.len()),
            Slot::RunningVar => {
                self.each(contents, contents.len(), |_, value| value * self.factor * self.factor)
            }
            Slot::Weight | Slot::Bias => contents.clone(),
        }
    }

    fn layer(&self, layer: LayerConfig) -> LayerConfig {
        LayerConfig { eps: layer.eps * self.factor * self.factor, ..layer }
    }

    fn setting(&self, setting: &Setting) -> Setting {
        match setting {
            Setting::Eps(eps) => Setting::Eps(eps * self.factor * self.factor),
            other => other.clone(),
        }
    }
}

impl Relation for Affine {
    fn back(&self, name: &TensorName, channel: usize) -> (f64, f64) {
        match name.tensor {
            Observable::GradInput => (self.factor, 0.0),
            Observable::RunningMean => {
                (1.0 / self.factor, self.channels.get(channel).map_or(0.0, |moved| -moved.by))
            }
            Observable::RunningVar => (1.0 / (self.factor * self.factor), 0.0),
            _ => (1.0, 0.0),
        }
    }
}
