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

mod backward;
pub mod constants;
mod forward;
mod state;

use bn_api::{Action, DType, LayerConfig, Observable, Request, Setting, StepAnswer, Tensor};

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

/// The roundings that an answer may contain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arithmetic {
    /// The unit roundoff of the computation.
    u: f64,
    /// The largest number of the computation.
    max: f64,
    /// The smallest number of the computation above zero. A product that falls below the normal numbers is off
    /// by up to half of this, however small it is: fl(a·b) = a·b·(1 + δ) + η (Higham 2002, §2.8).
    tiny: f64,
    /// The narrowest type that a configured number, such as the momentum, is held in.
    configured: DType,
    /// Relative rounding of mean and inverse standard deviation before they are used.
    statistics: f64,
    /// The largest mean or inverse standard deviation before it is used.
    largest_statistic: f64,
}

impl Arithmetic {
    fn new(request: &Request, accuracy: Accuracy) -> Self {
        let input = request.layer.input_dtype;
        let compute = if input == DType::F64 { DType::F64 } else { DType::F32 };
        let u = match (accuracy, input) {
            (Accuracy::StorageArithmetic, _) => input.unit_roundoff(),
            // The oracle computes in f64 as well: both may be off.
            (_, DType::F64) => constants::F64_ORACLE_SHARE * compute.unit_roundoff(),
            _ => compute.unit_roundoff(),
        };
        let operations = if accuracy == Accuracy::StorageArithmetic { input } else { compute };
        let (max, tiny) = (operations.max_finite(), operations.smallest_subnormal());
        let configured = if accuracy == Accuracy::Sound { compute } else { request.layer.dtype };
        let (statistics, largest_statistic) = match accuracy {
            Accuracy::StatisticsRoundedToStorage => {
                (request.layer.dtype.unit_roundoff(), request.layer.dtype.max_finite())
            }
            _ => (0.0, max),
        };
        Arithmetic { u, max, tiny, configured, statistics, largest_statistic }
    }

    /// Whether an intermediate result of this magnitude may overflow.
    fn overflows(self, magnitude: f64) -> bool {
        magnitude > self.max / constants::OVERFLOW_HEADROOM
    }

    /// How far a configured number may be from what is computed with.
    fn configured(self, number: f64) -> f64 {
        let exact = self.configured.round(number) == number;
        if exact { 0.0 } else { (self.u + self.statistics) * number.abs() }
    }

    /// The error of a sum of these terms, relative to the sum of their magnitudes.
    ///
    /// Rounding errors of different terms cancel like random numbers, and a sum's error grows with √n (Higham
    /// and Mary 2019), unless terms are so alike that the partial sums are rounded the same way again and again:
    /// then it grows with their number, as the worst case does. All terms may be alike, or many about a few
    /// levels, as in a constant channel with an outlier: most of its squared deviations are the same.
    fn sum(self, terms: &[f64]) -> f64 {
        let n = terms.len() as f64;
        let random = constants::SUM_GROWTH * n.sqrt();
        let magnitudes = terms.iter().map(|term| term.abs()).sum::<f64>();
        let alike = if constants::ALIKE_GROWTH * n > random && magnitudes.is_finite() {
            constants::ALIKE_GROWTH * self.alike(terms, magnitudes)
        } else {
            0.0
        };
        (constants::SUM_BASE + random.max(alike)) * self.u
    }

    /// How many of the terms are rounded alike where they are added up, each counted in full where its addition
    /// may be off by a whole rounding. Adding a term is off by no more than the term itself.
    fn alike(self, terms: &[f64], magnitudes: f64) -> f64 {
        let n = terms.len() as f64;
        let rounding = self.u * magnitudes;
        let mean = terms.iter().sum::<f64>() / n;
        let std = (terms.iter().map(|term| (term - mean) * (term - mean)).sum::<f64>() / n).sqrt();
        if std <= constants::ALIKE * n * self.u * mean.abs() {
            return n;
        }
        let off = |term: &f64| (term.abs() / (constants::ALIKE_GROWTH * rounding)).min(1.0);
        // Equal terms one after the other are rounded alike, run by run; different runs like random numbers.
        let runs = terms.chunk_by(|a, b| a == b).map(|run| run.len() as f64 * off(&run[0]));
        let of_runs = runs.map(|size| size * size).sum::<f64>().sqrt();
        let mut sorted = terms.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let (level, share) = (constants::LEVEL * rounding, constants::LEVEL_SHARE * n);
        let (mut first, mut alike) = (0, 0.0);
        while first < sorted.len() {
            let end = first + sorted[first..].partition_point(|&term| term <= sorted[first] + level);
            if (end - first) as f64 >= share {
                alike += sorted[first..end].iter().map(off).sum::<f64>();
                first = end;
            } else {
                first += 1;
            }
        }
        of_runs.max(alike)
    }
}

/// Half a unit in the last place of `value` in `dtype`.
pub(crate) fn storage(dtype: DType, value: f64) -> f64 {
    constants::STORAGE * dtype.unit_roundoff() * value.abs() + dtype.smallest_subnormal()
}

/// Whether a number this far from `value` may be infinite once it is stored.
pub(crate) fn stored_as_infinite(dtype: DType, value: f64, error: f64) -> bool {
    value.is_finite() && dtype.round(value.abs() + error).is_infinite()
}

/// A product with a bound: 0 times an infinite bound is no bound.
pub(crate) fn times(factor: f64, bound: f64) -> f64 {
    if bound.is_infinite() { f64::INFINITY } else { factor * bound }
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
