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
//! to every later step that reads it.

mod arithmetic;
mod backward;
pub mod constants;
mod forward;
mod state;

use bn_api::{Action, LayerConfig, Observable, Request, Setting, StepAnswer, Tensor};

use arithmetic::{Arithmetic, storage, stored_as_infinite, times};
use state::{PerChannel, State};

/// How accurate a backend claims to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accuracy {
    /// The default: half-precision inputs are computed in f32, statistics stay in f32 within a pass, and each
    /// result is rounded to storage once.
    #[default]
    Sound,
    /// Mean and inverse standard deviation are rounded to the storage type before they are used.
    StatisticsRoundedToStorage,
    /// Every operation is rounded to the storage type.
    StorageArithmetic,
}

impl Accuracy {
    /// How many there are.
    pub const COUNT: usize = Accuracy::StorageArithmetic as usize + 1;
}

/// The budgets of one case: for each step, as in the answers, those of its tensors.
pub struct CaseBudget {
    steps: Vec<Vec<(Observable, Vec<f64>)>>,
    /// The largest `|mean| / sqrt(var + eps)` of any channel that any forward normalises.
    pub kappa: f64,
}

impl CaseBudget {
    /// Derives the budgets from the case's data and the exact answers.
    pub fn derive(request: &Request, exact: &[StepAnswer], accuracy: Accuracy) -> Self {
        let mut deriver = Deriver::new(request, accuracy);
        let mut steps = Vec::with_capacity(exact.len());
        for (step, answer) in exact.iter().enumerate() {
            let before = step.checked_sub(1).map_or(answer, |before| &exact[before]);
            let own = match step.checked_sub(1).map(|index| &request.actions[index]) {
                Some(action) => deriver.step(action, before, answer),
                None => Vec::new(),
            };
            steps.push(deriver.with_state(own, answer));
        }
        CaseBudget { steps, kappa: deriver.kappa }
    }

    /// The budget of each element of a tensor, in the order of its elements. Infinite where a sound
    /// implementation may overflow on the way.
    pub fn of(&self, step: usize, tensor: Observable) -> Option<&[f64]> {
        let (_, budget) = self.steps.get(step)?.iter().find(|(known, _)| *known == tensor)?;
        Some(budget)
    }
}

type Budgets = Vec<(Observable, Vec<f64>)>;

struct Deriver<'r> {
    request: &'r Request,
    arithmetic: Arithmetic,
    /// The layer as it is now.
    layer: LayerConfig,
    state: State,
    training: bool,
    pass: Option<forward::Pass>,
    kappa: f64,
}

impl<'r> Deriver<'r> {
    fn new(request: &'r Request, accuracy: Accuracy) -> Self {
        Deriver {
            request,
            arithmetic: Arithmetic::new(request, accuracy),
            layer: request.layer.clone(),
            state: State::new(request.layer.features),
            training: true,
            pass: None,
            kappa: 0.0,
        }
    }

    /// The budgets of what a step itself gives; moves the state's errors.
    fn step(&mut self, action: &'r Action, before: &StepAnswer, after: &StepAnswer) -> Budgets {
        match action {
            Action::Train => self.training = true,
            Action::Eval => self.training = false,
            Action::ResetRunningStats => self.state.reset_running_stats(),
            Action::ZeroGrad => self.state.zero_grad(),
            Action::Sgd { lr } => self.sgd(*lr, before, after),
            Action::Set(settings) => settings.iter().for_each(|setting| self.set(*setting)),
            Action::Forward { input, .. } => {
                self.pass = None;
                if after.error.is_none() {
                    return self.forward(input, before, after);
                }
            }
            Action::Backward { grad_output } => {
                if after.error.is_none()
                    && let Some(pass) = &mut self.pass
                {
                    return backward::budgets(pass, &mut self.state, self.request, grad_output, after);
                }
            }
        }
        Vec::new()
    }

    fn set(&mut self, setting: Setting) {
        match setting {
            Setting::Momentum(momentum) => self.layer.momentum = momentum,
            Setting::Eps(eps) => self.layer.eps = eps,
            Setting::TrackRunningStats(track) => self.layer.track_running_stats = track,
        }
    }

    fn forward(&mut self, input: &'r Tensor, before: &StepAnswer, after: &StepAnswer) -> Budgets {
        let layer = &self.layer;
        let use_batch_stats = self.training || before.tensor(Observable::RunningMean).is_none();
        let pass = forward::Pass::new(layer, self.arithmetic, input, use_batch_stats, before, &self.state);
        self.kappa = pass.channels().map(|channel| channel.kappa).fold(self.kappa, f64::max);
        let budget = pass.output(layer, &self.state, before);
        if self.training && layer.track_running_stats {
            let counter = after.tensor(Observable::NumBatchesTracked).map_or(1.0, |counter| counter.value(0));
            let momentum = layer.momentum.unwrap_or(1.0 / counter);
            pass.move_running_stats(&mut self.state, layer.dtype, momentum, before, after);
        }
        self.pass = Some(pass);
        vec![(Observable::Output, budget)]
    }

    fn sgd(&mut self, lr: f64, before: &StepAnswer, after: &StepAnswer) {
        let dtype = self.request.layer.dtype;
        let arithmetic = self.arithmetic;
        let u = arithmetic.u;
        let pairs = [
            (Observable::Weight, &mut self.state.weight, &self.state.grad_weight),
            (Observable::Bias, &mut self.state.bias, &self.state.grad_bias),
        ];
        for (name, error, grad_error) in pairs {
            let (Some(old), Some(new)) = (before.tensor(name), after.tensor(name)) else { continue };
            for channel in 0..error.len() {
                let (old, new) = (old.value(channel), new.value(channel));
                let moved = (old - new).abs();
                let rounding = constants::UPDATE * u * (old.abs() + moved) + storage(dtype, moved);
                // A learning rate of 0 does not undo that a gradient is infinite.
                error[channel] += times(lr.abs(), grad_error[channel]) + rounding + storage(dtype, new);
                let unbounded = grad_error[channel].is_infinite() || arithmetic.overflows(moved);
                if unbounded || stored_as_infinite(dtype, new, error[channel]) {
                    error[channel] = f64::INFINITY;
                }
            }
        }
    }

    /// Adds the budgets of the state after a step.
    fn with_state(&self, mut own: Budgets, answer: &StepAnswer) -> Budgets {
        let state: [(Observable, &PerChannel); 4] = [
            (Observable::RunningMean, &self.state.running_mean),
            (Observable::RunningVar, &self.state.running_var),
            (Observable::Weight, &self.state.weight),
            (Observable::Bias, &self.state.bias),
        ];
        for (name, error) in state {
            if answer.tensor(name).is_some() {
                own.push((name, error.clone()));
            }
        }
        if answer.tensor(Observable::NumBatchesTracked).is_some() {
            own.push((Observable::NumBatchesTracked, vec![0.0]));
        }
        own
    }
}
