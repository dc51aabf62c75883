//! Channels stretched and moved.

use bn_api::{Action, DType, Input, LayerConfig, Observable, Request, Setting, Slot, Tensor, TensorName};

use super::ask::{Derived, End, said};
use super::compare::{Allowed, Pair, Relation};
use super::permuted::inputs;
use super::rewrite::{Rewrite, rewritten};
use super::{Asked, Broken, Held, Property};

/// Every channel c becomes a·(x + b), its running statistics with it, and eps a²·eps: the output is the same, the
/// gradient of the input 1/a of what it was, and all else what it was.
///
/// a is a power of two and b, of each channel its own, a half or a quarter of the power of two above the channel. So
/// that sums of both are numbers of the type, the data is first put on the grid that they are on, and both requests,
/// on the grid and changed, are asked.
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
        // A layer that holds nothing takes any number of channels.
        if inputs(request).any(|input| input.tensor.shape().get(1) != Some(&layer.features)) {
            return Err(End::NotHere("an input has other channels than the layer"));
        }
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
            // It is refused, whatever it holds: integers, and entries of another shape.
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

    /// Whether nothing that has been changed was rounded.
    fn is_exact(&self, changed: &Request, coarse: &Request) -> bool {
        let moved =
            |moved: Moved, old: f64| exact_sum(old, moved.by).and_then(|sum| exact_product(self.factor, sum));
        let squared = |_: Moved, old: f64| exact_product(self.factor * self.factor, old);
        let channels = |input: &Input| input.tensor.shape().get(1).copied().unwrap_or(0);
        let mut inputs = inputs(changed).zip(inputs(coarse));
        let mut means = means(changed).zip(means(coarse));
        let mut variances = variances(changed).zip(variances(coarse));
        inputs.all(|(new, old)| self.are(&new.tensor, &old.tensor, channels(new), moved))
            && means.all(|(new, old)| self.are(new, old, new.len(), moved))
            && variances.all(|(new, old)| self.are(new, old, new.len(), squared))
    }

    /// Whether the elements of a tensor are what they are to be, of those of the old one.
    fn are(
        &self,
        new: &Tensor,
        old: &Tensor,
        channels: usize,
        due: impl Fn(Moved, f64) -> Option<f64>,
    ) -> bool {
        if channels != self.channels.len() || !new.dtype().is_float() {
            return true;
        }
        let of = new.channels();
        new.values().into_iter().zip(old.values()).enumerate().all(|(index, (new, old))| {
            let due = if old.is_finite() { due(self.channels[of.channel_of(index)], old) } else { Some(old) };
            due.is_some_and(|due| due == new || (due.is_nan() && new.is_nan()))
        })
    }
}

/// The sum of two numbers, where f64 holds it (Knuth's two-sum).
fn exact_sum(a: f64, b: f64) -> Option<f64> {
    let sum = a + b;
    let of_b = sum - a;
    ((a - (sum - of_b)) + (b - of_b) == 0.0).then_some(sum)
}

/// A power of two times a number, where f64 holds it: below the normal numbers bits are lost.
fn exact_product(power: f64, number: f64) -> Option<f64> {
    let product = power * number;
    (product / power == number).then_some(product)
}

/// The smallest power of two that is larger than a number, with room for its grid below it and for what it is changed
/// to above.
fn power_of_two_above(number: f64, dtype: DType) -> f64 {
    let least = dtype.smallest_subnormal().max(f64::MIN_POSITIVE) / dtype.unit_roundoff();
    let number = number.clamp(least, dtype.max_finite() / 8.0);
    2.0 * f64::from_bits(number.to_bits() & 0x7ff0_0000_0000_0000)
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

#[cfg(test)]
mod tests {
    use bn_api::{LayerKind, Layout};

    use super::*;

    fn request(values: [f64; 4]) -> Request {
        let tensor = Tensor::from_values(DType::F32, &[2, 2], values);
        let input = Input { tensor, dtype: DType::F32, layout: Layout::Contiguous, requires_grad: true };
        Request {
            case: String::new(),
            layers: vec![LayerConfig::new(LayerKind::BatchNorm1d, 2, DType::F32)],
            actions: vec![Action::Forward { at: String::new(), input, no_grad: false }],
        }
    }

    #[test]
    fn what_is_changed_is_not_rounded_whatever_the_data() {
        for values in [[0.0; 4], [1.0, 2.0, 3.0, 4.0], [0.1, 1e-9, -0.3, 1e9], [1e-40, 1e38, -1e-38, 0.0]] {
            let request = request(values);
            let affine = Affine::of(&request).expect("one layer");
            let coarse = rewritten(&request, &OnGrid(&affine));
            let changed = rewritten(&coarse, &affine);
            assert!(affine.is_exact(&changed, &coarse), "{values:?}");
            assert_ne!(changed, coarse);
            let largest = values.into_iter().fold(0.0, |one: f64, other| one.max(other.abs()));
            for (coarse, value) in inputs(&coarse).flat_map(|input| input.tensor.values()).zip(values) {
                assert!((coarse - value).abs() <= largest * 2_f64.powi(-22), "{coarse} of {value}");
            }
        }
    }

    #[test]
    fn what_is_beyond_the_type_is_noticed() {
        let mut request = request([1e-6, 2e-6, 3e-6, 4e-6]);
        let is_exact = |request: &Request| {
            let affine = Affine::of(request).expect("one layer");
            let coarse = rewritten(request, &OnGrid(&affine));
            affine.is_exact(&rewritten(&coarse, &affine), &coarse)
        };
        assert!(is_exact(&request));
        request.layers[0].running_var = Some(Tensor::full(DType::F32, &[2], 3e38));
        assert!(!is_exact(&request));
        // A mean that swallows what it is moved by, which halves of another type limit.
        let mut request = self::request([1.0, 2.0, 3.0, 4.0]);
        let Action::Forward { input, .. } = &mut request.actions[0] else { unreachable!("it is one") };
        (input.dtype, input.tensor) = (DType::F16, input.tensor.cast(DType::F16));
        request.layers[0].running_mean = Some(Tensor::full(DType::F32, &[2], 2e15));
        assert!(!is_exact(&request));
        // A variance below the normal numbers, of which nothing is left when it is scaled down.
        let mut request = self::request([1.0, 2.0, 3.0, 4.0]);
        request.layers[0].statistics_dtype = DType::F64;
        request.layers[0].running_var = Some(Tensor::full(DType::F64, &[2], 5e-324));
        assert!(!is_exact(&request));
    }
}
