//! How far each element of a sound answer may be from the exact one, on this very data.
//!
//! The bounds follow the standard model of floating point (Higham, *Accuracy and Stability of Numerical
//! Algorithms*, 2nd ed., ch. 2 to 4): every operation of a stable algorithm adds at most a few units roundoff
//! `u` of the size of its operands, a sum of n terms adds `g(n)·u·Σ|term|`, and errors of intermediate
//! results pass through the formulas to first order. `u` is that of the arithmetic (f32 for f16, bf16 and
//! f32 inputs); storing a result adds half a unit in the last place of its own type. The constants stand in
//! [`constants`], each with its reason.
//!
//! State is followed through the steps: the error that a running statistic or a weight may have carries over
//! to every later step that reads it. In a model, the error of a layer's output is that of the next one's input.

mod arithmetic;
mod backward;
pub mod constants;
mod forward;
mod leaf;
mod losses;
mod orders;
mod state;

use bn_api::{Action, DType, ErrorClass, Input, Observable, Request, Slot, StepAnswer, Tensor, TensorName};
use bn_cases::case::{Dictionary, Modes, is_within};

use arithmetic::Bounded;
pub use constants::Constants;
use forward::Incoming;
use leaf::{Call, Leaf};
use state::{PerChannel, View, observable};

/// How accurate a backend claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accuracy {
    /// The default: half-precision inputs are computed in f32, statistics stay in f32 within a pass, and each
    /// result is rounded to storage once.
    #[default]
    Sound,
    /// With the batch's statistics, too, the output is computed as `x·a + b`, with `a = gamma/sqrt(var + eps)` and
    /// `b = beta - mean·a`. About a mean that all others find exactly that loses as much as about one that is rounded.
    Folded,
    /// The same, and mean, sum of squares, variance and inverse standard deviation are rounded to the storage type before they are used.
    StatisticsRoundedToStorage,
    /// The same form, and every operation is rounded to the storage type.
    StorageArithmetic,
}

impl Accuracy {
    /// How many there are.
    pub const COUNT: usize = Accuracy::StorageArithmetic as usize + 1;
}

/// The budgets of one case: for each step, as in the answers, those of its tensors.
pub struct CaseBudget {
    steps: Vec<Vec<TensorBudget>>,
    /// The largest `|mean| / sqrt(var + eps)` of any channel that any forward normalises.
    pub kappa: f64,
}

/// What a tensor of a sound answer is like.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorBudget {
    name: TensorName,
    /// Its type in PyTorch.
    pub dtype: DType,
    /// How far each element may be from the exact one, in the order of the elements. Infinite where a sound
    /// implementation may overflow on the way.
    pub elements: Vec<f64>,
}

impl TensorBudget {
    /// A budget of one number an element.
    pub fn new(name: TensorName, dtype: DType, elements: Vec<f64>) -> Self {
        TensorBudget { name, dtype, elements }
    }
}

impl CaseBudget {
    /// Derives the budgets from the case's data and the exact answers. Those of a [widened](Request::widened) request
    /// are what float64 allows: computed and stored in it, and rounded to another type by a cast alone.
    pub fn derive(request: &Request, exact: &[StepAnswer], accuracy: Accuracy) -> Self {
        Self::derive_with(request, exact, accuracy, Constants::DERIVED)
    }

    /// The same with other constants than those that answers are judged by.
    pub fn derive_with(
        request: &Request,
        exact: &[StepAnswer],
        accuracy: Accuracy,
        constants: Constants,
    ) -> Self {
        let mut deriver = Deriver::new(request, accuracy, constants);
        let mut steps = Vec::with_capacity(exact.len());
        for (step, answer) in exact.iter().enumerate() {
            let before = step.checked_sub(1).map_or(answer, |before| &exact[before]);
            let mut budgets = match step.checked_sub(1).map(|index| &request.actions[index]) {
                Some(action) => deriver.step(action, before, answer),
                None => Vec::new(),
            };
            for leaf in &deriver.leaves {
                leaf.state_budgets(View { answer, path: &leaf.path }, &mut budgets);
            }
            steps.push(budgets);
        }
        CaseBudget { steps, kappa: deriver.kappa }
    }

    /// The budget of a tensor.
    pub fn of(&self, step: usize, tensor: &TensorName) -> Option<&TensorBudget> {
        self.steps.get(step)?.iter().find(|budget| budget.name == *tensor)
    }
}

type Budgets = Vec<TensorBudget>;

struct Deriver {
    accuracy: Accuracy,
    leaves: Vec<Leaf>,
    modes: Modes,
    /// The latest forward: the layers that it ran, and whether each one's input required a gradient.
    run: Vec<(usize, bool)>,
    /// State dictionaries by name.
    saved: Vec<(String, Vec<Saved>)>,
    kappa: f64,
}

/// An entry of a saved state dictionary.
#[derive(Clone)]
struct Saved {
    name: String,
    dtype: DType,
    errors: PerChannel,
}

impl Deriver {
    fn new(request: &Request, accuracy: Accuracy, constants: Constants) -> Self {
        Deriver {
            accuracy,
            leaves: request.layers.iter().map(|layer| Leaf::new(layer, constants)).collect(),
            modes: Modes::new(request.layers.iter().map(|layer| layer.path.as_str())),
            run: Vec::new(),
            saved: Vec::new(),
            kappa: 0.0,
        }
    }

    fn at<'a>(&'a mut self, at: &'a str) -> impl Iterator<Item = &'a mut Leaf> {
        self.leaves.iter_mut().filter(move |leaf| is_within(at, &leaf.path))
    }

    /// The budgets of what a step itself gives; moves the state's errors.
    fn step(&mut self, action: &Action, before: &StepAnswer, after: &StepAnswer) -> Budgets {
        self.modes.apply(action);
        match action {
            Action::Train { .. }
            | Action::Eval { .. }
            | Action::Freeze { .. }
            | Action::Unfreeze { .. }
            | Action::RequiresGrad { .. } => {}
            Action::ResetRunningStats { at } => {
                // The first layer that lacks something ends it.
                let _ = self.at(at).all(|leaf| leaf.reset_running_stats(before));
            }
            Action::ZeroGrad { at } => self.at(at).for_each(|leaf| leaf.state.zero_grad()),
            Action::Sgd { at, lr } => {
                let accuracy = self.accuracy;
                self.at(at).for_each(|leaf| leaf.sgd(*lr, accuracy, before, after));
            }
            Action::Set { at, settings } => {
                self.at(at).for_each(|leaf| settings.iter().for_each(|setting| leaf.set(setting)));
            }
            Action::Cast { at, to, what } => {
                self.at(at)
                    .for_each(|leaf| what.slots().iter().for_each(|slot| leaf.cast(*slot, *to, before)));
            }
            Action::SaveState { at, name } => self.save(at, name, before),
            Action::LoadState { at, from, .. } => self.load(at, from, after),
            Action::Forward { at, input, no_grad } => {
                return self.forward(at, input, *no_grad, before, after);
            }
            Action::Backward { grad, .. } => return self.backward(grad, after),
        }
        Vec::new()
    }

    fn forward(
        &mut self,
        at: &str,
        input: &Input,
        no_grad: bool,
        before: &StepAnswer,
        after: &StepAnswer,
    ) -> Budgets {
        let Deriver { leaves, modes, run, .. } = self;
        run.clear();
        let failed = after.error.is_some();
        // Of a forward that fails on its way, the layers before have moved all the same. Those that come after the last
        // one of which that is seen may have been run, and have not moved.
        let moved = |leaf: &Leaf| {
            Slot::ALL.into_iter().any(|slot| {
                let of = |answer| View { answer, path: &leaf.path }.tensor(observable(slot));
                of(before) != of(after)
            })
        };
        let reached: Vec<usize> =
            (0..leaves.len()).filter(|&leaf| is_within(at, &leaves[leaf].path)).collect();
        let count = if failed {
            reached.iter().rposition(|&leaf| moved(&leaves[leaf])).map_or(0, |last| last + 1)
        } else {
            reached.len()
        };
        let mut budgets = Vec::new();
        let mut incoming = Incoming {
            values: input.tensor.values(),
            errors: None,
            shape: input.tensor.shape().to_vec(),
            dtype: input.dtype,
            requires_grad: input.requires_grad && !no_grad,
        };
        for (position, &number) in reached.iter().enumerate() {
            let leaf = &mut leaves[number];
            let mode = &modes.layers()[number];
            if position >= count && !leaf.takes(&incoming.shape) {
                break;
            }
            run.push((number, incoming.requires_grad));
            let call = Call { mode, no_grad, accuracy: self.accuracy, unseen: position >= count };
            let (budget, next) = leaf.forward(incoming, call, before, after);
            if position < count {
                let kappa = leaf.pass.iter().flat_map(forward::Pass::channels).map(|channel| channel.kappa);
                self.kappa = kappa.fold(self.kappa, f64::max);
            }
            budgets.extend(budget);
            let Some(next) = next else { break };
            incoming = next;
        }
        if failed {
            run.clear();
            return Vec::new();
        }
        budgets
    }

    fn backward(&mut self, grad: &Tensor, after: &StepAnswer) -> Budgets {
        // It may end at a graph that was changed: the layers that it has gone through have their gradients.
        let ends = after.error.as_ref().is_some_and(|error| error.class == ErrorClass::GraphChanged);
        if after.error.is_some() && !ends {
            return Vec::new();
        }
        let mut incoming: Vec<Bounded> = grad.values().into_iter().map(Bounded::exactly).collect();
        let mut reaches = true;
        for &(number, input_requires_grad) in self.run.iter().rev() {
            let changed = self.leaves[number].pass.as_ref().is_some_and(|pass| pass.changed);
            if !reaches || (ends && changed) {
                break;
            }
            incoming = self.leaves[number].backward(&incoming, &self.modes.layers()[number], after);
            reaches = input_requires_grad;
        }
        if ends {
            return Vec::new();
        }
        let of_run = self.run.iter().map(|&(number, _)| &self.leaves[number]);
        of_run.flat_map(|leaf| leaf.gradient_budgets(after)).collect()
    }

    fn save(&mut self, at: &str, name: &str, before: &StepAnswer) {
        let mut entries = Vec::new();
        for leaf in self.leaves.iter().filter(|leaf| is_within(at, &leaf.path)) {
            for slot in Slot::ALL {
                if (View { answer: before, path: &leaf.path }).tensor(observable(slot)).is_some() {
                    let (name, dtype) = (leaf.entry(at, slot), leaf.state.dtype(slot));
                    entries.push(Saved { name, dtype, errors: leaf.state.error(slot).clone() });
                }
            }
        }
        self.saved.retain(|(known, _)| known != name);
        self.saved.push((name.to_owned(), entries));
    }

    fn load(&mut self, at: &str, from: &Dictionary<Tensor>, after: &StepAnswer) {
        let saved = from.saved.as_ref().and_then(|name| self.saved.iter().find(|(known, _)| known == name));
        let saved = saved.map(|(_, entries)| entries.clone()).unwrap_or_default();
        for leaf in self.leaves.iter_mut().filter(|leaf| is_within(at, &leaf.path)) {
            for slot in Slot::ALL {
                let name = leaf.entry(at, slot);
                let given = from.entries.iter().find(|(known, _)| *known == name);
                let kept = saved.iter().find(|entry| entry.name == name && !from.without.contains(&name));
                let (dtype, errors) = match (given, kept) {
                    (Some((_, tensor)), _) if tensor.shape() == [leaf.features()] => {
                        (tensor.dtype(), vec![0.0; leaf.features()])
                    }
                    (None, Some(entry)) if entry.errors.len() == leaf.features() => {
                        (entry.dtype, entry.errors.clone())
                    }
                    _ => continue,
                };
                // What the layer does not have takes nothing.
                let path = leaf.path.clone();
                let Some(tensor) = (View { answer: after, path: &path }).tensor(observable(slot)) else {
                    continue;
                };
                leaf.state.copy(slot, dtype, &errors, tensor);
                leaf.touch(slot);
            }
        }
    }
}

fn budget(path: &str, tensor: Observable, dtype: DType, elements: Vec<f64>) -> TensorBudget {
    TensorBudget::new(TensorName::new(path, tensor), dtype, elements)
}
