//! A model of layers: `torch.nn.Module`'s rules for what holds several. Every backend's layers are run by these.

use bn_cases::case::{Dictionary, Layout, Modes, Slot, is_within};
use bn_cases::{DType, ErrorClass, Observable, Tensor, TensorName};

use crate::{Action, Backend, Input, Layer, LayerConfig, LayerError, Output};

/// The entries of a state dictionary, in order.
pub type Entries = Vec<(String, Tensor)>;

/// The counter's name in a state dictionary.
pub const COUNTER: &str = "num_batches_tracked";

/// What a step gives of its own.
pub(crate) type Given = Vec<(TensorName, Tensor)>;

/// Layers in the order in which a forward runs them.
pub(crate) struct Model {
    leaves: Vec<Leaf>,
    modes: Modes,
    latest: Option<Latest>,
    saved: Vec<(String, Entries)>,
}

struct Leaf {
    path: String,
    layer: Box<dyn Layer>,
    /// `.grad` of its latest input.
    grad_input: Option<Tensor>,
}

/// The latest forward.
struct Latest {
    /// The layers that it ran, in order.
    run: Vec<Run>,
    /// Whether its output leads back to anything that requires a gradient.
    requires_grad: bool,
}

/// One layer of the latest forward.
struct Run {
    /// Its number.
    leaf: usize,
    /// Whether a gradient was asked of its input.
    input_requires_grad: bool,
    /// How its input, and so the gradient of it, lies in memory.
    layout: Layout,
}

impl Model {
    /// Makes the layers.
    ///
    /// # Errors
    /// What the backend's constructor raises.
    pub fn new(backend: &dyn Backend, layers: &[LayerConfig]) -> Result<Self, LayerError> {
        let make = |config: &LayerConfig| {
            Ok(Leaf { path: config.path.clone(), layer: backend.create(config)?, grad_input: None })
        };
        let leaves = layers.iter().map(make).collect::<Result<_, LayerError>>()?;
        let modes = Modes::new(layers.iter().map(|layer| layer.path.as_str()));
        Ok(Model { leaves, modes, latest: None, saved: Vec::new() })
    }

    /// Takes a step.
    ///
    /// # Errors
    /// What the layers raise.
    pub fn act(&mut self, action: &Action) -> Result<Given, LayerError> {
        match action {
            Action::Train { .. }
            | Action::Eval { .. }
            | Action::Freeze { .. }
            | Action::Unfreeze { .. }
            | Action::RequiresGrad { .. } => self.change_modes(action)?,
            Action::Forward { at, input, no_grad } => return self.forward(at, input, *no_grad),
            Action::Backward { grad, layout } => return self.backward(grad, *layout),
            Action::Cast { at, to, what } => self.each(at, |layer| layer.cast(what.slots(), *to))?,
            Action::ZeroGrad { at } => self.each(at, |layer| layer.zero_grad())?,
            Action::Sgd { at, lr } => self.each(at, |layer| layer.sgd(*lr))?,
            Action::ResetRunningStats { at } => self.each(at, |layer| layer.reset_running_stats())?,
            Action::Set { at, settings } => {
                self.each(at, |layer| settings.iter().try_for_each(|setting| layer.set(setting)))?;
                self.modes.apply(action);
            }
            Action::SaveState { at, name } => {
                let entries = self.state_dict(at)?;
                self.saved.retain(|(known, _)| known != name);
                self.saved.push((name.clone(), entries));
            }
            Action::LoadState { at, from, strict } => self.load_state_dict(at, from, *strict)?,
        }
        Ok(Vec::new())
    }

    /// The state of every layer.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn state(&self) -> Result<Given, LayerError> {
        let mut state = Vec::new();
        for leaf in &self.leaves {
            let tensors = leaf.layer.state()?.into_tensors();
            state.extend(tensors.into_iter().map(|(tensor, value)| (leaf.name(tensor), value)));
        }
        Ok(state)
    }

    fn each(
        &mut self,
        at: &str,
        mut act: impl FnMut(&mut dyn Layer) -> Result<(), LayerError>,
    ) -> Result<(), LayerError> {
        self.leaves
            .iter_mut()
            .filter(|leaf| is_within(at, &leaf.path))
            .try_for_each(|leaf| act(leaf.layer.as_mut()))
    }

    fn change_modes(&mut self, action: &Action) -> Result<(), LayerError> {
        let before = self.modes.layers().to_vec();
        self.modes.apply(action);
        // Every layer that train() or eval() reaches is told, whether that changes anything or not.
        let told = matches!(action, Action::Train { .. } | Action::Eval { .. });
        for ((leaf, before), now) in self.leaves.iter_mut().zip(&before).zip(self.modes.layers()) {
            if before.training != now.training || (told && is_within(action.at(), &leaf.path)) {
                leaf.layer.set_training(now.training)?;
            }
            if before.weight != now.weight {
                leaf.layer.set_requires_grad(Slot::Weight, now.weight)?;
            }
            if before.bias != now.bias {
                leaf.layer.set_requires_grad(Slot::Bias, now.bias)?;
            }
        }
        Ok(())
    }

    fn forward(&mut self, at: &str, input: &Input, no_grad: bool) -> Result<Given, LayerError> {
        // A forward that fails leaves nothing to go back through.
        self.latest = None;
        let mut latest = Latest { run: Vec::new(), requires_grad: input.requires_grad && !no_grad };
        let mut given = Vec::new();
        let mut next = Input { requires_grad: latest.requires_grad, ..input.clone() };
        for (number, leaf) in self.leaves.iter_mut().enumerate().filter(|(_, leaf)| is_within(at, &leaf.path))
        {
            leaf.grad_input = None;
            let layout = if next.layout == Layout::ChannelsLast { next.layout } else { Layout::Contiguous };
            latest.run.push(Run { leaf: number, input_requires_grad: next.requires_grad, layout });
            let Output { tensor, requires_grad } = leaf.layer.forward(&next, no_grad)?;
            given.push((leaf.name(Observable::Output), tensor.clone()));
            // An output lies as its input does where that is one of PyTorch's memory formats.
            next = Input { tensor, dtype: input.dtype, layout, requires_grad: requires_grad && !no_grad };
        }
        latest.requires_grad = next.requires_grad;
        self.latest = Some(latest);
        Ok(given)
    }

    fn backward(&mut self, grad: &Tensor, layout: Layout) -> Result<Given, LayerError> {
        let no_graph = |message| LayerError::new(ErrorClass::NoGraph, message);
        let latest = self.latest.as_ref().ok_or_else(|| no_graph("there is no output to go back from"))?;
        if !latest.requires_grad {
            return Err(no_graph("the latest output does not require grad and has no graph"));
        }
        let mut grad = grad.clone();
        let mut layout = layout;
        for run in latest.run.iter().rev() {
            let leaf = &mut self.leaves[run.leaf];
            let found = leaf.layer.backward(&grad, layout)?;
            if !run.input_requires_grad {
                break;
            }
            grad = found.ok_or_else(|| LayerError::other("no gradient arrived at the input"))?;
            accumulate(&mut leaf.grad_input, grad.clone());
            layout = run.layout;
        }
        let mut given = Vec::new();
        for run in &latest.run {
            let leaf = &self.leaves[run.leaf];
            let parameters = leaf.layer.gradients()?;
            let found = [
                (Observable::GradInput, leaf.grad_input.clone()),
                (Observable::GradWeight, parameters.weight),
                (Observable::GradBias, parameters.bias),
            ];
            given.extend(found.into_iter().filter_map(|(name, tensor)| Some((leaf.name(name), tensor?))));
        }
        Ok(given)
    }

    fn state_dict(&self, at: &str) -> Result<Entries, LayerError> {
        let mut entries = Vec::new();
        for leaf in self.leaves.iter().filter(|leaf| is_within(at, &leaf.path)) {
            let prefix = leaf.prefix(at);
            let state = leaf.layer.state()?;
            let named = [
                (Slot::Weight.name(), state.weight),
                (Slot::Bias.name(), state.bias),
                (Slot::RunningMean.name(), state.running_mean),
                (Slot::RunningVar.name(), state.running_var),
                (COUNTER, state.num_batches_tracked.map(count)),
            ];
            entries.extend(
                named.into_iter().filter_map(|(name, tensor)| Some((format!("{prefix}{name}"), tensor?))),
            );
        }
        Ok(entries)
    }

    /// `load_state_dict`: every layer takes what fits it, and only then anything is refused.
    fn load_state_dict(
        &mut self,
        at: &str,
        from: &Dictionary<Tensor>,
        strict: bool,
    ) -> Result<(), LayerError> {
        let mut entries = match &from.saved {
            None => Vec::new(),
            Some(name) => {
                let saved = self.saved.iter().find(|(known, _)| known == name);
                let none = || LayerError::other(format!("no state was saved as `{name}`"));
                saved.map(|(_, entries)| entries.clone()).ok_or_else(none)?
            }
        };
        entries.retain(|(name, _)| !from.without.contains(name));
        for (name, tensor) in &from.entries {
            entries.retain(|(known, _)| known != name);
            entries.push((name.clone(), tensor.clone()));
        }
        let mut report = Loaded::default();
        let mut claimed = Vec::new();
        for leaf in self.leaves.iter_mut().filter(|leaf| is_within(at, &leaf.path)) {
            let prefix = leaf.prefix(at);
            let own = entries.iter().filter_map(|(name, tensor)| {
                let name = name.strip_prefix(&prefix).filter(|name| !name.contains('.'))?;
                Some((name.to_owned(), tensor.clone()))
            });
            let own: Entries = own.collect();
            claimed.extend(own.iter().map(|(name, _)| format!("{prefix}{name}")));
            let loaded = leaf.layer.load_state(&own, from.version)?;
            let named = |names: Vec<String>| {
                names.into_iter().map(|name| format!("{prefix}{name}")).collect::<Vec<_>>()
            };
            report.missing.extend(named(loaded.missing));
            report.unexpected.extend(named(loaded.unexpected));
            report.misshapen.extend(named(loaded.misshapen));
        }
        report
            .unexpected
            .extend(entries.iter().map(|(name, _)| name).filter(|name| !claimed.contains(name)).cloned());
        report.verdict(strict)
    }
}

impl Leaf {
    fn name(&self, tensor: Observable) -> TensorName {
        TensorName::new(&self.path, tensor)
    }

    /// What its entries' names begin with in the dictionary of the part `at`.
    fn prefix(&self, at: &str) -> String {
        let below = self.path.strip_prefix(at).unwrap_or(&self.path).trim_start_matches('.');
        if below.is_empty() { String::new() } else { format!("{below}.") }
    }
}

/// What `load_state_dict` has to complain about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// Tensors of the layer that the dictionary does not have.
    pub missing: Vec<String>,
    /// Entries that the layer does not have.
    pub unexpected: Vec<String>,
    /// Entries of another shape than the layer's tensor.
    pub misshapen: Vec<String>,
}

impl Loaded {
    /// The error of the first kind there is; a wrong shape is one even where missing and unexpected entries are not.
    fn verdict(self, strict: bool) -> Result<(), LayerError> {
        let kinds = [
            (self.missing, ErrorClass::MissingEntry, "missing", strict),
            (self.unexpected, ErrorClass::UnexpectedEntry, "unexpected", strict),
            (self.misshapen, ErrorClass::EntryShape, "of another shape", true),
        ];
        for (names, class, what, counts) in kinds {
            if counts && !names.is_empty() {
                let message = format!("entries {what} in the state dictionary: {}", names.join(", "));
                return Err(LayerError::new(class, message));
            }
        }
        Ok(())
    }
}

/// The counter as a tensor.
pub(crate) fn count(batches: i64) -> Tensor {
    Tensor::from_bit_patterns(DType::I64, &[], [batches as u64])
}

/// Adds a gradient to what is there, rounding each sum once to its dtype.
pub(crate) fn accumulate(sum: &mut Option<Tensor>, new: Tensor) {
    *sum = Some(match sum.take() {
        None => new,
        Some(old) => {
            let values = (0..old.len()).map(|i| old.value(i) + new.value(i));
            Tensor::from_values(old.dtype(), old.shape(), values)
        }
    });
}
