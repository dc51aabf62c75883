//! The errors that a layer's state may have, channel by channel.

use bn_api::{DType, LayerConfig, Observable, Slot, StepAnswer, Tensor};

use super::arithmetic::stored_as_infinite;
use super::constants::Constants;

/// One bound a channel.
pub(crate) type PerChannel = Vec<f64>;

/// The answer to one step, as far as it is of one layer.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub answer: &'a StepAnswer,
    /// The layer's path.
    pub path: &'a str,
}

impl<'a> View<'a> {
    pub fn tensor(self, name: Observable) -> Option<&'a Tensor> {
        self.answer.of(self.path, name)
    }
}

/// What a slot's tensor is called among the observed ones.
pub(crate) fn observable(slot: Slot) -> Observable {
    match slot {
        Slot::Weight => Observable::Weight,
        Slot::Bias => Observable::Bias,
        Slot::RunningMean => Observable::RunningMean,
        Slot::RunningVar => Observable::RunningVar,
    }
}

/// How far each number of a layer's state may be from the exact one, and of which type it is: PyTorch's, or the one
/// that everything is held in.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub running_mean: PerChannel,
    pub running_var: PerChannel,
    pub weight: PerChannel,
    pub bias: PerChannel,
    /// Nothing where no gradient has accumulated.
    pub grad_weight: Option<Accumulated>,
    pub grad_bias: Option<Accumulated>,
    /// Types, in the order of [`Slot::ALL`].
    dtypes: [DType; 4],
    /// The type that all of them are held in, where it is not their own.
    held_in: Option<DType>,
    constants: Constants,
}

/// A gradient that has accumulated.
#[derive(Debug, Clone)]
pub(crate) struct Accumulated {
    pub errors: PerChannel,
    /// The exact gradient as it was last seen.
    pub seen: Vec<f64>,
}

impl State {
    /// A new layer: its contents are given, or constants, and exact.
    pub fn new(layer: &LayerConfig, constants: Constants) -> Self {
        let exact = vec![0.0; layer.features];
        State {
            running_mean: exact.clone(),
            running_var: exact.clone(),
            weight: exact.clone(),
            bias: exact,
            grad_weight: None,
            grad_bias: None,
            dtypes: Slot::ALL.map(|slot| layer.held_in.unwrap_or(layer.dtype_of(slot))),
            held_in: layer.held_in,
            constants,
        }
    }

    pub fn dtype(&self, slot: Slot) -> DType {
        self.dtypes[slot as usize]
    }

    pub fn error(&self, slot: Slot) -> &PerChannel {
        match slot {
            Slot::Weight => &self.weight,
            Slot::Bias => &self.bias,
            Slot::RunningMean => &self.running_mean,
            Slot::RunningVar => &self.running_var,
        }
    }

    fn error_mut(&mut self, slot: Slot) -> &mut PerChannel {
        match slot {
            Slot::Weight => &mut self.weight,
            Slot::Bias => &mut self.bias,
            Slot::RunningMean => &mut self.running_mean,
            Slot::RunningVar => &mut self.running_var,
        }
    }

    /// A tensor of this type whose elements are given, and exact.
    pub fn replace(&mut self, slot: Slot, dtype: DType) {
        self.dtypes[slot as usize] = self.held_in.unwrap_or(dtype);
        self.error_mut(slot).fill(0.0);
        match slot {
            Slot::Weight => self.grad_weight = None,
            Slot::Bias => self.grad_bias = None,
            Slot::RunningMean | Slot::RunningVar => {}
        }
    }

    /// New elements, of a tensor of type `from` that may be off by `errors`, rounded to the slot's own type. `after`
    /// holds them exactly, and not rounded.
    pub fn copy(&mut self, slot: Slot, from: DType, errors: &[f64], after: &Tensor) {
        let (dtype, constants) = (self.dtype(slot), self.constants);
        let one = |(&error, value): (&f64, f64)| {
            if from == dtype || dtype.round(value) == value && error == 0.0 {
                error
            } else if error.is_infinite() || stored_as_infinite(dtype, value, error) {
                f64::INFINITY
            } else {
                error + constants.storage(dtype, value)
            }
        };
        *self.error_mut(slot) = errors.iter().zip(after.values()).map(one).collect();
    }

    /// Rounds a slot's elements, which `before` holds exactly, and their gradients to another type.
    pub fn cast(&mut self, slot: Slot, to: DType, before: &Tensor) {
        self.dtypes[slot as usize] = self.held_in.unwrap_or(to);
        let constants = self.constants;
        let errors = self.error(slot).clone();
        *self.error_mut(slot) = rounded(self.constants, to, &errors, &before.values());
        let grad = match slot {
            Slot::Weight => &mut self.grad_weight,
            Slot::Bias => &mut self.grad_bias,
            Slot::RunningMean | Slot::RunningVar => return,
        };
        if let Some(Accumulated { errors, seen }) = grad {
            *errors = rounded(constants, to, errors, seen);
            for value in seen.iter_mut() {
                *value = to.round(*value);
            }
        }
    }

    /// The running statistics may have these errors as well.
    pub fn may_also_be(&mut self, other: &State) {
        for slot in [Slot::RunningMean, Slot::RunningVar] {
            let errors = self.error_mut(slot).iter_mut().zip(other.error(slot));
            errors.for_each(|(error, other)| *error = error.max(*other));
        }
    }

    pub fn zero_grad(&mut self) {
        (self.grad_weight, self.grad_bias) = (None, None);
    }
}

/// The errors of numbers that may be off by `errors` and are then rounded: the exact one and the answer may be rounded
/// apart. What is exact is rounded the same everywhere, and so is what is too large for the type.
fn rounded(constants: Constants, dtype: DType, errors: &[f64], values: &[f64]) -> PerChannel {
    let one = |(&error, &value): (&f64, &f64)| {
        if error == 0.0 || dtype.rounds_to_infinity((value.abs() - error).max(0.0)) {
            0.0
        } else if error.is_infinite() || stored_as_infinite(dtype, value, error) {
            f64::INFINITY
        } else {
            error + 2.0 * constants.storage(dtype, value)
        }
    };
    errors.iter().zip(values).map(one).collect()
}
