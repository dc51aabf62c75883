//! One layer on its way through the steps: its attributes, the errors of its state, its latest forward.

use bn_api::{DType, LayerConfig, Observable, Setting, Slot, StepAnswer};
use bn_cases::case::LayerMode;

use super::arithmetic::{Arithmetic, Bounded, stored_as_infinite};
use super::backward;
use super::constants::Constants;
use super::forward::{Incoming, Pass};
use super::state::{Accumulated, State, View, observable};
use super::{Accuracy, Budgets, budget};

/// How a forward is run.
#[derive(Clone, Copy)]
pub(crate) struct Call<'a> {
    pub mode: &'a LayerMode,
    pub no_grad: bool,
    pub accuracy: Accuracy,
    /// Whether it is not known to have been run, and moved nothing if it was.
    pub unseen: bool,
}

pub(crate) struct Leaf {
    pub path: String,
    /// The layer as it is now.
    config: LayerConfig,
    pub state: State,
    pub pass: Option<Pass>,
    constants: Constants,
}

impl Leaf {
    pub fn new(config: &LayerConfig, constants: Constants) -> Self {
        let state = State::new(config, constants);
        Leaf { path: config.path.clone(), config: config.clone(), state, pass: None, constants }
    }

    pub fn features(&self) -> usize {
        self.config.features
    }

    /// The name of a tensor in the state dictionary of the part `at`.
    pub fn entry(&self, at: &str, slot: Slot) -> String {
        let below = self.path.strip_prefix(at).unwrap_or(&self.path).trim_start_matches('.');
        if below.is_empty() { slot.name().to_owned() } else { format!("{below}.{}", slot.name()) }
    }

    /// The statistics become constants, one after the other up to the first that is missing. Says whether none is.
    pub fn reset_running_stats(&mut self, before: &StepAnswer) -> bool {
        if !self.config.track_running_stats {
            return true;
        }
        for slot in [Slot::RunningMean, Slot::RunningVar] {
            if (View { answer: before, path: &self.path }).tensor(observable(slot)).is_none() {
                return false;
            }
            let dtype = self.state.dtype(slot);
            self.state.replace(slot, dtype);
            self.touch(slot);
        }
        View { answer: before, path: &self.path }.tensor(Observable::NumBatchesTracked).is_some()
    }

    /// Notes that a tensor was changed in place, which the graph may refer to.
    pub fn touch(&mut self, slot: Slot) {
        if let Some(pass) = &mut self.pass {
            pass.changed |= pass.refers_to.contains(&slot);
        }
    }

    pub fn set(&mut self, setting: &Setting) {
        match setting {
            Setting::Momentum(momentum) => self.config.momentum = *momentum,
            Setting::Eps(eps) => self.config.eps = *eps,
            Setting::TrackRunningStats(track) => self.config.track_running_stats = *track,
            Setting::NumBatchesTracked(_) => {}
            Setting::Tensor(slot, _) => {
                self.state.replace(*slot, self.config.dtype_of(*slot));
                if let Some(pass) = &mut self.pass {
                    pass.refers_to.retain(|referred| referred != slot);
                    match slot {
                        Slot::Weight => pass.wanted.weight = false,
                        Slot::Bias => pass.wanted.bias = false,
                        Slot::RunningMean | Slot::RunningVar => {}
                    }
                }
            }
        }
    }

    pub fn cast(&mut self, slot: Slot, to: DType, before: &StepAnswer) {
        if let Some(tensor) = (View { answer: before, path: &self.path }).tensor(observable(slot)) {
            self.state.cast(slot, to, tensor);
        }
    }

    /// The type that an input of this type is held in. Integers are not converted.
    fn held(&self, input: DType) -> DType {
        self.config.held_in.filter(|_| input.is_float()).unwrap_or(input)
    }

    /// The first of the layer's types, which says what mixed types are computed in; the input's where it has none.
    fn first_dtype(&self, input: DType, before: View<'_>, handed: bool) -> DType {
        let is_handed = |slot: &Slot| handed || matches!(slot, Slot::Weight | Slot::Bias);
        let present =
            Slot::ALL.into_iter().filter(is_handed).find(|slot| before.tensor(observable(*slot)).is_some());
        present.map_or(input, |slot| self.state.dtype(slot))
    }

    /// Whether inputs of this shape fit it.
    pub fn takes(&self, shape: &[usize]) -> bool {
        self.config.kind.takes(shape.len()) && shape[1] == self.config.features
    }

    /// The budget of the output, and what the next layer gets; nothing where the layer was not run.
    pub fn forward(
        &mut self,
        input: Incoming,
        call: Call<'_>,
        before: &StepAnswer,
        after: &StepAnswer,
    ) -> (Budgets, Option<Incoming>) {
        let Call { mode, no_grad, accuracy, unseen } = call;
        let held = self.held(input.dtype);
        let coarse_data = held != input.dtype;
        let input = Incoming { dtype: held, ..input };
        let before = View { answer: before, path: &self.path };
        let after = View { answer: after, path: &self.path };
        let has = |name| before.tensor(name).is_some();
        let (has_mean, has_var) = (has(Observable::RunningMean), has(Observable::RunningVar));
        let use_batch_stats = mode.training || !(has_mean || has_var);
        // In training, statistics that are not tracked are not handed to the kernel.
        let handed = !mode.training || self.config.track_running_stats;
        let layer = self.first_dtype(input.dtype, before, handed);
        let mut arithmetic = Arithmetic::new(input.dtype, layer, accuracy, self.constants);
        arithmetic.coarse_data = coarse_data;
        let (shape, dtype) = (input.shape.clone(), self.output_dtype(&input, before));
        let input_requires_grad = input.requires_grad;
        let mut pass = Pass::new(self.config.eps, arithmetic, input, use_batch_stats, before, &self.state);
        pass.wanted.weight = !no_grad && mode.weight && has(Observable::Weight);
        pass.wanted.bias = !no_grad && mode.bias && has(Observable::Bias);
        let refers_to_running = handed && has_mean && has_var && !pass.input.is_empty();
        pass.refers_to.extend(has(Observable::Weight).then_some(Slot::Weight));
        pass.refers_to
            .extend([Slot::RunningMean, Slot::RunningVar].into_iter().filter(|_| refers_to_running));
        let (values, errors) = pass.output(dtype, &self.state, before);
        if mode.training && self.config.track_running_stats {
            let counter = after.tensor(Observable::NumBatchesTracked).map(|counter| counter.value(0));
            // Without a counter, the cumulative average weighs new batches with 0.
            let momentum =
                self.config.momentum.unwrap_or_else(|| counter.map_or(0.0, |counter| 1.0 / counter));
            if unseen && !pass.may_have_moved(momentum, before) {
                return (Vec::new(), None);
            }
            if unseen && momentum == 0.0 {
                // The old statistics and no share of the new are the old ones, unless the new ones overflow.
                pass.lose_running_stats(&mut self.state);
            } else {
                let unmoved = unseen.then(|| self.state.clone());
                pass.move_running_stats(&mut self.state, momentum, before, after);
                if let Some(unmoved) = unmoved {
                    self.state.may_also_be(&unmoved);
                }
            }
        }
        let budgets = match after.tensor(Observable::Output) {
            Some(_) => vec![budget(&self.path, Observable::Output, dtype, errors.clone())],
            None => Vec::new(),
        };
        let requires_grad = input_requires_grad || pass.wanted.weight || pass.wanted.bias;
        self.pass = Some(pass);
        // What may be stored as infinite may be anything to the next layer.
        let stored =
            |(&value, error)| if stored_as_infinite(dtype, value, error) { f64::INFINITY } else { error };
        let errors = values.iter().zip(errors).map(stored).collect();
        (budgets, Some(Incoming { values, errors: Some(errors), shape, dtype, requires_grad }))
    }

    /// The type of the output: the input's. Of integers only an empty batch is taken; it becomes what it is scaled by.
    fn output_dtype(&self, input: &Incoming, before: View<'_>) -> DType {
        let scales =
            [Slot::Weight, Slot::Bias].into_iter().find(|slot| before.tensor(observable(*slot)).is_some());
        match scales {
            Some(slot) if !input.dtype.is_float() => self.state.dtype(slot),
            _ => input.dtype,
        }
    }

    /// Moves the errors of the gradients; gives the gradient of the layer's input, that of this backward alone.
    pub fn backward(
        &mut self,
        grad_output: &[Bounded],
        mode: &LayerMode,
        after: &StepAnswer,
    ) -> Vec<Bounded> {
        let after = View { answer: after, path: &self.path };
        match &mut self.pass {
            Some(pass) => backward::go_back(pass, &mut self.state, grad_output, mode, after),
            None => Vec::new(),
        }
    }

    /// The budgets of the gradients that are seen after a backward.
    pub fn gradient_budgets(&self, after: &StepAnswer) -> Budgets {
        let after = View { answer: after, path: &self.path };
        let mut budgets = Vec::new();
        let mut add = |name, dtype, errors: Option<Vec<f64>>| {
            if let (Some(_), Some(errors)) = (after.tensor(name), errors) {
                budgets.push(budget(&self.path, name, dtype, errors));
            }
        };
        if let Some(pass) = &self.pass {
            add(Observable::GradInput, pass.dtype, Some(pass.grad_input.clone()));
        }
        let errors = |grad: &'_ Option<Accumulated>| grad.as_ref().map(|grad| grad.errors.clone());
        add(Observable::GradWeight, self.state.dtype(Slot::Weight), errors(&self.state.grad_weight));
        add(Observable::GradBias, self.state.dtype(Slot::Bias), errors(&self.state.grad_bias));
        budgets
    }

    pub fn sgd(&mut self, lr: f64, accuracy: Accuracy, before: &StepAnswer, after: &StepAnswer) {
        if self.state.grad_weight.is_some() {
            self.touch(Slot::Weight);
        }
        let constants = self.constants;
        let dtypes = [Slot::Weight, Slot::Bias].map(|slot| self.state.dtype(slot));
        let State { weight, bias, grad_weight, grad_bias, .. } = &mut self.state;
        let pairs = [
            (Observable::Weight, dtypes[0], weight, grad_weight),
            (Observable::Bias, dtypes[1], bias, grad_bias),
        ];
        for (name, dtype, error, grad) in pairs {
            let of = |answer| View { answer, path: &self.path }.tensor(name);
            let (Some(old), Some(new), Some(grad)) = (of(before), of(after), grad) else { continue };
            // The optimizer computes in the parameter's type, halves in f32.
            let arithmetic = Arithmetic::new(dtype, dtype, accuracy, constants);
            for (channel, error) in error.iter_mut().enumerate() {
                let (old, new) = (old.value(channel), new.value(channel));
                let moved = (old - new).abs();
                let rounding =
                    constants.update * arithmetic.u * (old.abs() + moved) + constants.storage(dtype, moved);
                // A learning rate of 0 does not undo that a gradient is infinite.
                let grad = Bounded { value: grad.seen[channel], error: grad.errors[channel] };
                let sum = *error + lr.abs() * grad.error + rounding + constants.storage(dtype, new);
                let old = Bounded { value: old, error: *error };
                let sum = Bounded::made_of(&[old, grad], new, sum).error;
                let overflows = moved.is_finite() && arithmetic.overflows(moved);
                let anything = overflows || stored_as_infinite(dtype, new, sum);
                *error = if anything { f64::INFINITY } else { sum };
            }
        }
    }

    /// The budgets of the state after a step.
    pub fn state_budgets(&self, answer: View<'_>, budgets: &mut Budgets) {
        for slot in Slot::ALL {
            if answer.tensor(observable(slot)).is_some() {
                let errors = self.state.error(slot).clone();
                budgets.push(budget(&self.path, observable(slot), self.state.dtype(slot), errors));
            }
        }
        if answer.tensor(Observable::NumBatchesTracked).is_some() {
            budgets.push(budget(&self.path, Observable::NumBatchesTracked, DType::I64, vec![0.0]));
        }
    }
}
