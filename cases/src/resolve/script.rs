//! The steps of a case.

use std::borrow::Cow;

use crate::DType;
use crate::case::{Action, Frozen, Generated, Input, Layer, Layout, Setting, Slot, is_within};
use crate::data::Role;
use crate::format::{Fill, InputSpec, SetSpec, Step};
use crate::problem::did_you_mean;

use super::{MAX_CASE_BYTES, Resolver};

/// What later steps need to know of the earlier ones.
#[derive(Default)]
pub(super) struct Progress {
    forwards: u32,
    backwards: u32,
    /// Tensors given to `set` and `load_state`.
    pub(super) contents: u32,
    /// The latest input.
    latest: Option<Latest>,
    /// A forward was refused: what follows from that is not a mistake of its own.
    refused: bool,
    /// The names of the dictionaries that were saved, each with the names of its entries.
    pub(super) saved: Vec<(String, Vec<String>)>,
}

struct Latest {
    shape: Vec<usize>,
    dtype: DType,
    /// Whether anything was cast since.
    cast: bool,
}

impl Resolver<'_> {
    pub(super) fn script(&mut self, steps: &[(String, Cow<'_, Step>)], layers: &[Layer]) -> Vec<Action> {
        let mut progress = Progress::default();
        let mut script = Vec::new();
        for (index, (path, step)) in steps.iter().enumerate() {
            let Some(at) = self.address(path, step, layers) else { continue };
            let here = Here { path, number: index + 1, layers, at: &at };
            script.extend(self.action(here, step, &mut progress));
        }
        script
    }

    /// The part that a step speaks to: the empty path where it is the whole.
    fn address(&mut self, path: &str, step: &Step, layers: &[Layer]) -> Option<String> {
        let at = step.at().unwrap_or_default();
        let addressed = at.is_empty() || layers.iter().any(|layer| is_within(at, &layer.path));
        // The empty path is what a single layer has.
        if addressed && (step.at().is_none() || self.spec.model.is_some()) {
            return Some(at.to_owned());
        }
        let guess = did_you_mean(at, layers.iter().flat_map(|layer| parts(&layer.path)));
        let help = match (guess, self.paths(layers)) {
            (Some(guess), paths) if self.spec.model.is_some() => format!("{guess} {paths}"),
            (_, paths) => paths,
        };
        let name = self.fields.at(path).and_then(|node| node.sole_key()).unwrap_or_default();
        self.problem(&format!("{path}.{name}.at"), format!("no layer is at `{at}`"), help);
        None
    }

    fn action(&mut self, here: Here<'_>, step: &Step, progress: &mut Progress) -> Option<Action> {
        let (path, at) = (here.path, here.at.to_owned());
        Some(match step {
            Step::Train { .. } => Action::Train { at },
            Step::Eval { .. } => Action::Eval { at },
            Step::ZeroGrad { .. } => Action::ZeroGrad { at },
            Step::ResetRunningStats { .. } => Action::ResetRunningStats { at },
            Step::Freeze { what, reach, sticky, .. } => {
                self.freezes(here, *what);
                Action::Freeze { at, what: *what, reach: *reach, sticky: *sticky }
            }
            Step::Unfreeze { what, reach, .. } => Action::Unfreeze { at, what: *what, reach: *reach },
            Step::RequiresGrad { weight, bias, .. } => {
                if (weight, bias) == (&None, &None) {
                    self.problem(path, "`requires_grad` sets nothing", "`{requires_grad: {weight: false}}`");
                }
                Action::RequiresGrad { at, weight: *weight, bias: *bias }
            }
            Step::Cast { to, what, .. } => {
                let targets = here.targets();
                if !targets.into_iter().any(|layer| what.slots().iter().any(|slot| layer.has(*slot))) {
                    let message = "there is nothing here that could be cast";
                    let help = "layers without `affine` have no parameters, without `track_running_stats` no statistics";
                    self.problem(path, message, help);
                }
                if let Some(latest) = &mut progress.latest {
                    latest.cast = true;
                }
                Action::Cast { at, to: *to, what: *what }
            }
            Step::Set(set) => Action::Set { at, settings: self.settings(here, set, progress) },
            Step::Sgd { lr, .. } => {
                if !lr.is_finite() || *lr < 0.0 {
                    let message = "`lr` must be finite and not negative";
                    self.problem(&format!("{path}.sgd.lr"), message, "torch.optim.SGD refuses any other");
                }
                Action::Sgd { at, lr: *lr }
            }
            Step::Forward { no_grad, input, .. } => {
                let Some(input) = self.input(here, input.as_ref(), progress.forwards) else {
                    progress.refused = true;
                    return None;
                };
                progress.forwards += 1;
                let shape = input.tensor.shape.clone();
                progress.latest = Some(Latest { shape, dtype: input.dtype, cast: false });
                Action::Forward { at, input, no_grad: *no_grad }
            }
            Step::Backward { grad, layout } => {
                let grad = self.backward(path, grad.as_ref(), *layout, progress)?;
                Action::Backward { grad, layout: *layout }
            }
            Step::SaveState { name, .. } => {
                self.save_state(here, name, progress);
                Action::SaveState { at, name: name.clone() }
            }
            Step::LoadState(load) => {
                let from = self.dictionary(here, load, progress);
                Action::LoadState { at, from, strict: load.strict }
            }
        })
    }

    /// Freezing weight and bias where there are none is a mistake; statistics are frozen by the mode, which every
    /// layer has.
    fn freezes(&mut self, here: Here<'_>, what: Frozen) {
        if what == Frozen::Affine && !here.targets().iter().any(|layer| layer.has(Slot::Weight)) {
            self.problem(here.path, "there is no weight or bias here to freeze", "take `what: affine` out");
        }
    }

    fn settings(&mut self, here: Here<'_>, set: &SetSpec, progress: &mut Progress) -> Vec<Setting> {
        let path = here.path;
        let mut settings: Vec<Setting> = Vec::new();
        settings.extend(set.momentum.map(Setting::Momentum));
        settings.extend(set.eps.map(Setting::Eps));
        settings.extend(set.track_running_stats.map(Setting::TrackRunningStats));
        let tensors = [&set.weight, &set.bias, &set.running_mean, &set.running_var];
        for (slot, fill) in Slot::ALL.into_iter().zip(tensors) {
            let Some(fill) = fill else { continue };
            let place = format!("{path}.set.{}", slot.name());
            let tensor = fill.as_ref().and_then(|fill| self.content(here, &place, slot, fill, progress));
            if fill.is_none() || tensor.is_some() {
                settings.push(Setting::Tensor(slot, tensor));
            }
        }
        settings.extend(set.num_batches_tracked.map(Setting::NumBatchesTracked));
        if settings.is_empty() && tensors.iter().all(|fill| fill.is_none()) {
            self.problem(path, "`set` sets nothing", "`{set: {momentum: 0.5}}`");
        }
        for setting in &settings {
            let finite = match setting {
                Setting::Momentum(momentum) => momentum.is_none_or(f64::is_finite),
                Setting::Eps(eps) => eps.is_finite(),
                _ => true,
            };
            if !finite {
                self.problem(&format!("{path}.set"), format!("`{setting}` is not finite"), "");
            }
        }
        if set.num_batches_tracked.flatten().is_some_and(|count| count < 0) {
            self.problem(&format!("{path}.set.num_batches_tracked"), "a counter is not negative", "");
        }
        settings
    }

    /// A new tensor for the layers that a step speaks to, which must then be alike.
    fn content(
        &mut self,
        here: Here<'_>,
        place: &str,
        slot: Slot,
        fill: &Fill,
        progress: &mut Progress,
    ) -> Option<Generated> {
        let targets = here.targets();
        let form = |layer: &Layer| (layer.features, layer.dtype_of(slot));
        let (features, dtype) = form(targets[0]);
        if targets.iter().any(|layer| form(layer) != (features, dtype)) {
            let message = "the layers here differ in type or features";
            self.problem(place, message, "give the path of one: `at`");
            return None;
        }
        self.fill(place, fill, Role::of(slot), dtype, &[features]);
        Some(Self::generated(fill, Role::of(slot), dtype, vec![features], here.layers.len(), progress))
    }

    /// A tensor that comes with a step; those that layers are constructed with have the first occurrences.
    pub(super) fn generated(
        fill: &Fill,
        role: Role,
        dtype: DType,
        shape: Vec<usize>,
        layers: usize,
        progress: &mut Progress,
    ) -> Generated {
        let occurrence = layers as u32 + progress.contents;
        progress.contents += 1;
        Generated { fill: fill.clone(), role, occurrence, dtype, shape, one_sample: false }
    }

    fn input(
        &mut self,
        here: Here<'_>,
        own: Option<&InputSpec>,
        occurrence: u32,
    ) -> Option<Input<Generated>> {
        let case = &self.spec.input;
        let own_path = format!("{}.forward.input", here.path);
        let place = |given: bool, field: &str| {
            if given { format!("{own_path}.{field}") } else { format!("input.{field}") }
        };
        let own_shape = own.and_then(|own| own.shape.as_ref());
        let shape = own_shape.or(case.shape.as_ref())?;
        let shape_path = place(own_shape.is_some(), "shape");
        let own_fill = own.and_then(|own| own.fill.as_ref());
        let fill = own_fill.or(case.fill.as_ref()).cloned().unwrap_or(Fill::Normal { mean: 0.5, std: 2.0 });
        let fill_path = if own_fill.is_none() && case.fill.is_none() {
            "input".to_owned()
        } else {
            place(own_fill.is_some(), "fill")
        };
        let dtype = own.and_then(|own| own.dtype).or(case.dtype).unwrap_or(self.spec.dtype);
        let own_layout = own.and_then(|own| own.layout);
        let layout = own_layout.or(case.layout).unwrap_or_default();
        let asked = own.and_then(|own| own.requires_grad).or(case.requires_grad);
        let excused = self.expects_refusal(here.number);
        for layer in here.targets() {
            if excused {
                break;
            }
            if !layer.kind.takes(shape.len()) {
                let message = format!("a {:?} takes no input of rank {}", layer.kind, shape.len());
                self.problem(
                    &shape_path,
                    message,
                    "all inputs of a case have the rank of the first, or 2 and 3",
                );
                return None;
            }
            if shape[1] != layer.features {
                let message =
                    format!("the layer has {} features, this input {} channels", layer.features, shape[1]);
                self.problem(&shape_path, message, "the second number of a shape is the number of channels");
                return None;
            }
        }
        if asked == Some(true) && !dtype.is_float() {
            let message = "no gradient can be asked of integers";
            self.problem(
                &place(own.is_some_and(|own| own.requires_grad.is_some()), "requires_grad"),
                message,
                "take it out",
            );
        }
        self.layout(&place(own_layout.is_some(), "layout"), layout, shape)?;
        self.size(&shape_path, shape, here.targets().len())?;
        self.fill(&fill_path, &fill, Role::Input, dtype, shape);
        let one_sample = layout == Layout::Expanded;
        let tensor =
            Generated { fill, role: Role::Input, occurrence, dtype, shape: shape.clone(), one_sample };
        let requires_grad = asked.unwrap_or(true) && dtype.is_float();
        Some(Input { tensor, dtype, layout, requires_grad })
    }

    fn layout(&mut self, place: &str, layout: Layout, shape: &[usize]) -> Option<()> {
        if layout == Layout::ChannelsLast && !matches!(shape.len(), 4 | 5) {
            let message = format!("`channels_last` is for rank 4 and 5, this shape is {shape:?}");
            self.problem(place, message, "`permuted` is for any rank");
            return None;
        }
        Some(())
    }

    /// Counts the case's memory: input, output and both gradients of each layer's forward.
    fn size(&mut self, path: &str, shape: &[usize], layers: usize) -> Option<()> {
        let bytes = shape
            .iter()
            // A size of 0 leaves nothing of the others, which are multiplied by each other all the same.
            .try_fold(4 * layers * DType::F64.size(), |bytes, &size| bytes.checked_mul(size.max(1)))
            .and_then(|bytes| self.bytes.checked_add(bytes));
        match bytes {
            Some(bytes) if bytes <= MAX_CASE_BYTES => {
                self.bytes = bytes;
                Some(())
            }
            _ => {
                let size = bytes.map_or("more bytes than can be counted".to_owned(), |bytes| {
                    format!("{} MiB", bytes >> 20)
                });
                let message = format!("with the shape {shape:?} the case's tensors take {size} as f64");
                let limit = MAX_CASE_BYTES >> 20;
                let help =
                    format!("a case may take {limit} MiB: input, output and both gradients of every forward");
                self.problem(path, message, help);
                None
            }
        }
    }

    fn backward(
        &mut self,
        path: &str,
        own: Option<&Fill>,
        layout: Layout,
        progress: &mut Progress,
    ) -> Option<Generated> {
        let Some(latest) = &progress.latest else {
            if !progress.refused {
                self.problem(path, "a backward before any forward", "put a `forward` before it");
            }
            return None;
        };
        if latest.cast {
            let message = "a backward through a graph whose layers were cast since the forward";
            self.problem(
                path,
                message,
                "what PyTorch then does is an accident: put a `forward` between the two",
            );
            return None;
        }
        let shape = latest.shape.clone();
        let dtype = if latest.dtype.is_float() { latest.dtype } else { self.spec.dtype };
        let (fill, fill_path) = match (own, &self.spec.grad) {
            (Some(fill), _) => (fill.clone(), format!("{path}.backward.grad")),
            (None, Some(fill)) => (fill.clone(), "grad".to_owned()),
            (None, None) => (Fill::Correlated { mean: 0.5, strength: 1.0, noise: 1.0 }, path.to_owned()),
        };
        self.layout(&format!("{path}.backward.layout"), layout, &shape)?;
        self.fill(&fill_path, &fill, Role::Grad, dtype, &shape);
        let occurrence = progress.backwards;
        progress.backwards += 1;
        let one_sample = layout == Layout::Expanded;
        Some(Generated { fill, role: Role::Grad, occurrence, dtype, shape, one_sample })
    }
}

/// A path and those of what holds it, from the outside in: `block`, `block.inner`.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('.').map(|(end, _)| &path[..end]).chain([path])
}

/// A step and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Here<'a> {
    /// The path of its field.
    pub path: &'a str,
    /// Its number, from 1.
    pub number: usize,
    /// The layers of the case.
    pub layers: &'a [Layer],
    /// The part of the model that it speaks to.
    pub at: &'a str,
}

impl<'a> Here<'a> {
    /// The layers that it speaks to.
    pub fn targets(&self) -> Vec<&'a Layer> {
        self.layers.iter().filter(|layer| is_within(self.at, &layer.path)).collect()
    }
}
