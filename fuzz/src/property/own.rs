//! Short requests of a property's own, made of what a case is about: a layer of it, its inputs, a gradient. The cases
//! that have the steps a property needs, in an order that it can follow, are few; those that have the data are many.

use bn_api::{
    Action, Input, LayerConfig, Observable, Request, Slot, StepAnswer, Tensor, TensorName, dtypes, is_within,
};

use super::ask::{Derived, End};
use super::compare::{OWN, step_name};
use super::exact::{Moments, moments};
use super::{Asked, Broken};

/// A layer of a case with inputs that it takes.
pub(super) struct Material<'r> {
    /// The layer as it is constructed, alone.
    pub layer: LayerConfig,
    /// Its inputs: all of the type of the first.
    pub inputs: Vec<&'r Input>,
    /// A gradient that the case goes back from after the first input.
    grad: Option<&'r Tensor>,
}

impl<'r> Material<'r> {
    /// The first layer that takes an input of two or more values a channel, with all such inputs that it is given
    /// first.
    pub fn of(request: &'r Request) -> Result<Self, End> {
        let mut material: Option<Material<'r>> = None;
        for (index, action) in request.actions.iter().enumerate() {
            let Action::Forward { at, input, .. } = action else { continue };
            let Some(layer) = request.layers.iter().find(|layer| is_within(at, &layer.path)) else {
                continue;
            };
            if !takes(layer, input) {
                continue;
            }
            match &mut material {
                None => {
                    let layer = LayerConfig { path: String::new(), ..layer.clone() };
                    let grad = gradient_after(request, index, input);
                    material = Some(Material { layer, inputs: vec![input], grad });
                }
                Some(known) if takes(&known.layer, input) && known.inputs[0].dtype == input.dtype => {
                    known.inputs.push(input);
                }
                Some(_) => {}
            }
        }
        material.ok_or(End::NotHere("no layer takes an input of two values a channel"))
    }

    /// The gradient to go back from after the first input: the case's own, or one of few digits.
    pub fn grad(&self) -> Tensor {
        let input = &self.inputs[0].tensor;
        let own = || {
            let quarters = (0..input.len()).map(|index| ((index * 7 + 3) % 13) as f64 * 0.25 - 1.5);
            Tensor::from_values(input.dtype(), input.shape(), quarters)
        };
        self.grad.cloned().unwrap_or_else(own)
    }

    /// The first input, moved forward.
    pub fn forward(&self) -> Action {
        forward(Input { requires_grad: true, ..self.inputs[0].clone() })
    }

    /// Weight of a channel.
    pub fn gamma(&self, channel: usize) -> f64 {
        self.layer.weight.as_ref().map_or(1.0, |weight| weight.value(channel))
    }

    /// Bias of a channel.
    pub fn beta(&self, channel: usize) -> f64 {
        self.layer.bias.as_ref().map_or(0.0, |bias| bias.value(channel))
    }

    /// The first input's mean and variance, channel by channel; nothing of a channel in which not all is finite.
    pub fn moments(&self) -> Vec<Option<Moments>> {
        moments(&self.inputs[0].tensor)
    }

    /// A request of this layer and these steps.
    pub fn request(&self, asked: &Asked<'_>, actions: Vec<Action>) -> Request {
        Request { case: asked.request.case.clone(), layers: vec![self.layer.clone()], actions }
    }
}

/// A forward of a whole model.
pub(super) fn forward(input: Input) -> Action {
    Action::Forward { at: String::new(), input, no_grad: false }
}

/// Training mode of a whole model.
pub(super) fn train() -> Action {
    Action::Train { at: String::new() }
}

/// Evaluation mode of a whole model.
pub(super) fn eval() -> Action {
    Action::Eval { at: String::new() }
}

/// Whether nothing is refused in training.
fn takes(layer: &LayerConfig, input: &Input) -> bool {
    let shape = input.tensor.shape();
    let types = Slot::ALL.into_iter().filter(|slot| layer.has(*slot)).map(|slot| layer.dtype_of(slot));
    layer.eps > 0.0
        && layer.kind.takes(shape.len())
        && shape[1] == layer.features
        && input.tensor.channels().values > 1
        && input.tensor.len() > 1
        && dtypes::check(input.dtype, types).is_ok()
}

fn gradient_after<'r>(request: &'r Request, forward: usize, input: &Input) -> Option<&'r Tensor> {
    let after = request.actions[forward + 1..].iter();
    let own = after.take_while(|action| !matches!(action, Action::Forward { .. }));
    own.filter_map(|action| match action {
        Action::Backward { grad, .. } => Some(grad),
        _ => None,
    })
    .find(|grad| grad.shape() == input.tensor.shape() && grad.dtype() == input.tensor.dtype())
}

/// The answers to a request of a property's own, with how far they may be from the exact ones.
pub(super) struct Answered<'r> {
    request: &'r Request,
    answers: Vec<StepAnswer>,
    derived: Derived<'r>,
}

/// A tensor of an answer.
pub(super) struct Seen<'a> {
    /// Its elements.
    pub values: Vec<f64>,
    /// How far each may be from the exact one: not finite where it may be anything.
    pub budget: &'a [f64],
}

impl Seen<'_> {
    /// An element and its budget; nothing where it may be anything, or is no number.
    pub fn at(&self, index: usize) -> Option<(f64, f64)> {
        let (value, budget) = (self.values[index], self.budget[index]);
        (value.is_finite() && budget.is_finite()).then_some((value, budget))
    }
}

impl<'r> Answered<'r> {
    /// Asks.
    pub fn new(asked: &mut Asked<'_>, request: &'r Request) -> Result<Self, End> {
        let answers = asked.ask(request)?;
        // A layer that refuses what it should take is the differential property's to notice.
        if answers.iter().any(|answer| answer.error.is_some()) {
            return Err(End::NotHere("the backend refuses a step of the property's own"));
        }
        Ok(Answered { request, answers, derived: Derived::of(request, asked.accuracy) })
    }

    /// A tensor after a step.
    pub fn seen(&self, step: usize, tensor: Observable) -> Result<Seen<'_>, End> {
        let name = TensorName::from(tensor);
        let values = self.answers[step].tensor(&name).ok_or(End::NotHere("the layer has no such tensor"))?;
        let budget = self.derived.get().and_then(|all| all.of(step, &name));
        let budget =
            budget.filter(|budget| budget.elements.len() == values.len() && budget.dtype == values.dtype());
        let budget = budget.ok_or(End::NotHere("a tensor has another type or shape than PyTorch's"))?;
        Ok(Seen { values: values.values(), budget: &budget.elements })
    }

    /// The answers.
    pub fn answers(&self) -> &[StepAnswer] {
        &self.answers
    }

    /// The budget of a tensor after a step.
    pub fn allowed(&self, step: usize, name: &TensorName) -> Option<Vec<f64>> {
        Some(self.derived.get()?.of(step, name)?.elements.clone())
    }

    /// Says that something of a tensor is not what it must be.
    pub fn broken(
        &self,
        step: usize,
        tensor: Observable,
        what: &str,
        got: f64,
        due: f64,
        within: f64,
    ) -> End {
        let at = step_name(self.request, step);
        let what = format!("{at}: {what} is {got:e}, where {due:e} is due, and {within:e} more or less");
        Broken::at(step, Some(tensor.into()), what).by(self.request).into()
    }

    /// Notes that a number was compared with what is due, and may be off by `within`, the budgets, and what the
    /// numbers that it was computed of (`terms` together) may have been rounded by here. Nothing is said where a
    /// bound is not finite.
    pub fn near(
        &self,
        (step, tensor): (usize, Observable),
        what: impl Fn() -> String,
        (got, due): (f64, f64),
        within: f64,
        terms: f64,
    ) -> Result<usize, End> {
        // Below the normal numbers products lose what they please.
        let within = within + 4.0 * OWN * (terms + got.abs() + due.abs()) + f64::MIN_POSITIVE;
        if !(got.is_finite() && due.is_finite() && within.is_finite()) {
            return Ok(0);
        }
        if (got - due).abs() <= within {
            Ok(1)
        } else {
            Err(self.broken(step, tensor, &what(), got, due, within))
        }
    }
}
