//! Would a backend that does nothing be noticed? What a comparison can show, and what an answer looks like that was
//! never computed.
//!
//! For each tensor that a step gives or moves, the idle answers are held against the exact one: zeros, the step's own
//! input or gradient handed back, the bias without what is normalised, the state as it was. A tensor that would pass
//! with one of them has no power. A case whose forwards, or whose backwards, have no power in any tensor is vacuous,
//! unless an error is expected of it, or its `expect` says that the tensor is meant to be so.

use std::fmt::{self, Display};

use bn_api::{Action, BackendInfo, DType, Observable, Request, Setting, StepAnswer, Tensor, TensorName};
use bn_cases::case::{Published, PublishedAnswer, is_within};
use bn_cases::is_same_path;

use crate::budget::TensorBudget;
use crate::judge::{is_of_the_step, judges_any, passes};
use crate::oracle::Expected;
use crate::results::{StepResult, TensorResult, Verdict};

/// An answer that takes no computing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Idle {
    /// Zero everywhere.
    Zeros,
    /// What came into a forward.
    Input,
    /// What came into a backward.
    Gradient,
    /// As if all that is normalised were zero.
    Bias,
    /// The state as it was before the step.
    Unchanged,
}

impl Display for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Idle::Zeros => "zeros",
            Idle::Input => "the input, unchanged,",
            Idle::Gradient => "the incoming gradient, unchanged,",
            Idle::Bias => "the bias alone",
            Idle::Unchanged => "what it was before the step",
        })
    }
}

/// The numbers of an idle answer. No tensor is made of them: mostly the first of them is not what is due.
enum Numbers<'r> {
    Zeros,
    /// Those of this tensor.
    Of(&'r Tensor),
    /// One for all elements of a channel.
    PerChannel(Vec<f64>),
}

impl Numbers<'_> {
    /// That of element `index`, beside the exact tensor.
    fn at(&self, index: usize, exact: &Tensor) -> f64 {
        match self {
            Numbers::Zeros => 0.0,
            Numbers::Of(tensor) => tensor.value(index),
            Numbers::PerChannel(numbers) => exact.dtype().round(numbers[exact.channels().channel_of(index)]),
        }
    }

    /// Whether a tensor of the exact one's shape holds them, each rounded to its type.
    fn are_in(&self, got: &Tensor, exact: &Tensor) -> bool {
        match self {
            Numbers::Of(tensor) if tensor.dtype() == got.dtype() => *tensor == got,
            _ => (0..got.len()).all(|index| got.bits(index) == got.dtype().bits_of(self.at(index, exact))),
        }
    }
}

/// What a step asks of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Forward,
    Backward,
    /// The state alone.
    State,
}

/// What the comparison of one tensor after one step can show.
struct Power<'e> {
    name: TensorName,
    /// The type of a sound answer.
    dtype: DType,
    /// The idle answers that would pass.
    passing: Vec<(Idle, Numbers<'e>)>,
    /// Whether any element is judged, or there is none.
    judged: bool,
    /// Whether the case says that it is meant to be as it is.
    meant: bool,
}

impl Power<'_> {
    fn has_any(&self) -> bool {
        self.judged && (self.passing.is_empty() || self.meant)
    }

    /// "zeros and the bias alone would pass".
    fn weakness(&self) -> Option<String> {
        if !self.judged {
            return Some("anything would pass".to_owned());
        }
        let said: Vec<String> = self.passing.iter().map(|(idle, _)| idle.to_string()).collect();
        (!said.is_empty()).then(|| format!("{} would pass", said.join(" and ")))
    }
}

/// A step of a case, and what its comparisons can show.
struct Shown<'e> {
    asks: Asks,
    tensors: Vec<Power<'e>>,
    incoming: Incoming<'e>,
}

/// What came into each layer, by its path.
type Incoming<'e> = Vec<(&'e str, &'e Tensor)>;

fn into_layer<'e>(incoming: &Incoming<'e>, layer: &str) -> Option<&'e Tensor> {
    incoming.iter().find(|(path, _)| is_same_path(path, layer)).map(|(_, tensor)| *tensor)
}

/// Why a backend has no gradients, where it says that none can be seen of it.
fn no_gradients(info: &BackendInfo) -> Option<&str> {
    let why = |tensor| {
        let known = info.unobservable.iter().find(|known| known.tensor == tensor)?;
        Some(known.reason.as_str())
    };
    let [input, weight, bias] =
        [Observable::GradInput, Observable::GradWeight, Observable::GradBias].map(why);
    input.filter(|_| weight.is_some() && bias.is_some())
}

/// What the comparisons of a case can show.
pub struct Vacuity<'e> {
    expected: &'e Expected<'e>,
    steps: Vec<Shown<'e>>,
}

impl<'e> Vacuity<'e> {
    /// Holds the idle answers against the exact ones.
    pub fn of(expected: &'e Expected<'e>, published: &[Published]) -> Self {
        let mut reader = Reader::new(expected, published);
        let steps = (0..expected.steps.len()).map(|step| reader.step(step)).collect();
        Vacuity { expected, steps }
    }

    /// Why the case shows nothing, whoever answers; nothing where it does show something.
    pub fn of_case(&self) -> Option<String> {
        self.blind(&|_, power| power.has_any()).map(|(asks, steps)| {
            let mut reasons = Vec::new();
            for (number, step) in steps {
                for power in &step.tensors {
                    let weak =
                        power.weakness().map(|what| format!("step {number}: as {} {what}", power.name));
                    reasons.extend(weak);
                }
            }
            let more = reasons.len().saturating_sub(3);
            reasons.truncate(3);
            if more > 0 {
                reasons.push(format!("and {more} more"));
            }
            let subject = match asks {
                Asks::Forward => "a forward that computes nothing",
                Asks::Backward => "a backward that computes nothing",
                Asks::State => "a layer that holds nothing",
            };
            [vec![format!("{subject} would pass")], reasons].concat().join("\n")
        })
    }

    /// Why nothing that could show a mistake was compared of this backend's answers, and the verdict on them. Where a
    /// backend says that it has no gradients, a case that asks for them is none for it; what its forwards gave was compared.
    pub fn of_results(&self, results: &[StepResult], info: &BackendInfo) -> Option<(Verdict, String)> {
        let compared = |step: usize, power: &Power<'_>| {
            let result = results.get(step);
            let result = result
                .and_then(|result| result.tensors.iter().find(|tensor| tensor.tensor == power.name))
                .filter(|tensor| tensor.was_compared());
            power.has_any() && result.is_some()
        };
        self.blind(&compared).map(|(asks, _)| {
            let subject = match (asks, no_gradients(info)) {
                (Asks::Backward, Some(why)) => {
                    let reason = format!("what a backward gives is not there to compare: {why}");
                    return (Verdict::Unsupported, reason);
                }
                (Asks::Forward, _) => "what a forward gives or moves",
                (Asks::Backward, None) => "what a backward gives",
                (Asks::State, _) => "what the layer holds",
            };
            (Verdict::Vacuous, format!("nothing was compared of {subject}"))
        })
    }

    /// The first kind of step that the case has and of which `shows` holds for no tensor, with those steps.
    fn blind(&self, shows: &dyn Fn(usize, &Power<'_>) -> bool) -> Option<(Asks, Vec<(usize, &Shown<'e>)>)> {
        if self.expected.steps.iter().any(|step| step.error.is_some()) {
            return None;
        }
        let of = |asks: Asks| self.steps.iter().enumerate().filter(move |(_, step)| step.asks == asks);
        // What a layer holds is the subject only where nothing is computed with it.
        let computed = [Asks::Forward, Asks::Backward].into_iter().filter(|&asks| of(asks).next().is_some());
        let mut subjects: Vec<Asks> = computed.collect();
        if subjects.is_empty() {
            subjects.push(Asks::State);
        }
        let blind = |asks: &Asks| {
            !of(*asks).any(|(number, step)| step.tensors.iter().any(|power| shows(number, power)))
        };
        subjects.into_iter().find(blind).map(|asks| (asks, of(asks).collect()))
    }

    /// Says of each tensor what it could not show, and of a wrong one where it looks as if nothing was computed.
    /// `before` is what the backend answered to the case before this one.
    pub fn annotate(&self, results: &mut [StepResult], answers: &[StepAnswer], before: &[StepAnswer]) {
        for result in results {
            let step = result.step;
            for tensor in &mut result.tensors {
                let of_step = &self.steps[step];
                let power = of_step.tensors.iter().find(|power| power.name == tensor.tensor);
                let Some(got) = answers[step].tensor(&tensor.tensor) else { continue };
                match tensor.verdict {
                    Verdict::Fail => {
                        if let Some(what) = self.not_computed(step, &tensor.tensor, got, answers, before) {
                            add_note(tensor, what);
                        }
                    }
                    Verdict::Pass => {
                        let Some(power) = power.filter(|power| power.judged) else { continue };
                        let own = power.passing.iter().find(|(_, numbers)| {
                            got.dtype() == power.dtype && self.is_apart(step, &tensor.tensor, numbers, got)
                        });
                        if let Some((idle, _)) = own {
                            tensor.verdict = Verdict::Vacuous;
                            let what = idle.to_string();
                            let what = what.trim_end_matches(',');
                            add_note(
                                tensor,
                                format!("the answer is {what}, and passes only as the budget is wide"),
                            );
                        } else if let Some(what) = power.weakness().filter(|_| step > 0) {
                            add_note(tensor, format!("{what} as well"));
                        }
                    }
                    _ => {}
                }
            }
        }
    }

    /// Whether an answer is an idle one, and that is not what the exact one is in the tensor's type, nor near it.
    fn is_apart(&self, step: usize, name: &TensorName, idle: &Numbers<'_>, got: &Tensor) -> bool {
        let Some(exact) = self.expected.steps[step].tensor(name) else { return false };
        let Some(budget) = self.expected.budget().of(step, name) else { return false };
        idle.are_in(got, exact)
            && budget.elements.iter().enumerate().any(|(index, &allowed)| {
                let (exact, idle) = (exact.value(index), got.value(index));
                budget.dtype.round(exact) != idle && (exact - idle).abs() > NEAR * allowed
            })
    }

    /// What an answer that is wrong was taken from.
    fn not_computed(
        &self,
        step: usize,
        name: &TensorName,
        got: &Tensor,
        answers: &[StepAnswer],
        before: &[StepAnswer],
    ) -> Option<String> {
        let exact = self.expected.steps[step].tensor(name)?;
        if got.is_empty() || got.shape() != exact.shape() {
            return None;
        }
        let all = |is: &dyn Fn(f64) -> bool, tensor: &Tensor| tensor.values().into_iter().all(is);
        let only = |is: &dyn Fn(f64) -> bool| all(is, got) && !all(is, exact);
        if only(&|value| value.is_nan()) {
            return Some("every element is NaN".to_owned());
        }
        if only(&|value| value == 0.0) {
            return Some("every element is 0".to_owned());
        }
        let incoming = into_layer(&self.steps[step].incoming, &name.layer);
        if incoming.is_some_and(|incoming| incoming.cast(got.dtype()) == *got) {
            match name.tensor {
                Observable::Output => return Some("the output is the input, unchanged".to_owned()),
                Observable::GradInput => {
                    return Some("grad_input is the incoming gradient, unchanged".to_owned());
                }
                _ => {}
            }
        }
        let earlier = (0..step).rev().find_map(|earlier| Some((earlier, answers[earlier].tensor(name)?)));
        if let Some((earlier, known)) = earlier
            && known == got
            && self.expected.steps[earlier].tensor(name) != Some(exact)
        {
            return Some(format!("it is that of step {earlier}, bit for bit"));
        }
        let values = got.values();
        let varies = |values: &[f64]| values.iter().any(|value| *value != values[0]);
        if varies(&values) {
            let of_before = before.iter().flat_map(|answer| &answer.tensors);
            let stale =
                of_before.filter(|(name, _)| is_of_the_step(name.tensor)).any(|(_, tensor)| tensor == got);
            return (stale && is_of_the_step(name.tensor))
                .then(|| "it is in the answer to the case before this one, bit for bit".to_owned());
        }
        (values.len() > 1 && varies(&exact.values())).then(|| format!("every element is {:?}", values[0]))
    }
}

/// The share of its budget within which an exact answer counts as an idle one: where that is right but for the
/// rounding of float64.
const NEAR: f64 = 1e-3;

fn add_note(tensor: &mut TensorResult, what: String) {
    match &mut tensor.note {
        Some(note) => {
            note.push_str("; ");
            note.push_str(&what);
        }
        None => tensor.note = Some(what),
    }
}

/// Goes through the steps.
struct Reader<'r, 'p> {
    expected: &'r Expected<'r>,
    published: &'p [Published],
    request: &'r Request,
    /// Whether training is to move each layer's running statistics.
    moves: Vec<bool>,
    /// The layers of the latest forward.
    run: Vec<&'r str>,
}

impl<'r, 'p> Reader<'r, 'p> {
    fn new(expected: &'r Expected<'r>, published: &'p [Published]) -> Self {
        let request = expected.request;
        let moves = request.layers.iter().map(|layer| layer.momentum != Some(0.0)).collect();
        Reader { expected, published, request, moves, run: Vec::new() }
    }

    fn step(&mut self, step: usize) -> Shown<'r> {
        let action = step.checked_sub(1).map(|index| &self.request.actions[index]);
        let asks = match action {
            Some(Action::Forward { .. }) => Asks::Forward,
            Some(Action::Backward { .. }) => Asks::Backward,
            _ => Asks::State,
        };
        if let Some(Action::Set { at, settings }) = action {
            for setting in settings {
                if let Setting::Momentum(momentum) = setting {
                    for (layer, moves) in self.request.layers.iter().zip(&mut self.moves) {
                        if is_within(at, &layer.path) {
                            *moves = *momentum != Some(0.0);
                        }
                    }
                }
            }
        }
        let incoming = self.incoming(step, action);
        let exact = &self.expected.steps[step];
        let mut tensors = Vec::new();
        for (name, tensor) in &exact.tensors {
            // Whoever counts has not computed.
            if asks != Asks::State && name.tensor == Observable::NumBatchesTracked {
                continue;
            }
            let Some(budget) = self.expected.budget().of(step, name) else { continue };
            let Some(idle) = self.idle_answers(step, name, tensor, &incoming) else { continue };
            tensors.push(self.power(step, name, tensor, budget, idle));
        }
        Shown { asks, tensors, incoming }
    }

    fn power(
        &self,
        step: usize,
        name: &TensorName,
        exact: &Tensor,
        budget: &TensorBudget,
        idle: Vec<(Idle, Numbers<'r>)>,
    ) -> Power<'r> {
        let judged = exact.is_empty() || judges_any(exact, budget);
        let before = step.checked_sub(1).and_then(|before| self.expected.budget().of(before, name));
        let would_pass = |idle: Idle, numbers: &Numbers<'_>| {
            // State that keeps its type where it should change it has not passed.
            let keeps_type =
                idle != Idle::Unchanged || before.is_none_or(|before| before.dtype == budget.dtype);
            let has_its_shape = match numbers {
                Numbers::Of(tensor) => tensor.shape() == exact.shape(),
                Numbers::Zeros | Numbers::PerChannel(_) => true,
            };
            let comparable = !exact.is_empty() && has_its_shape;
            let rounded = |index: usize| budget.dtype.round(numbers.at(index, exact));
            keeps_type && comparable && passes(exact, budget, rounded)
        };
        let given = self.published.iter().any(|known| {
            known.step == step
                && matches!(&known.what, PublishedAnswer::Tensor { tensor, .. } if tensor == name)
        });
        // Of a weight of zeros, the bias or zeros are what is to come.
        let weight = self.expected.steps[step].of(&name.layer, Observable::Weight);
        let no_weight = weight.is_some_and(|weight| weight.values().iter().all(|&value| value == 0.0));
        let meant = given || (no_weight && matches!(name.tensor, Observable::Output | Observable::GradInput));
        let passing = idle.into_iter().filter(|(idle, numbers)| would_pass(*idle, numbers)).collect();
        Power { name: name.clone(), dtype: budget.dtype, passing, judged, meant }
    }

    /// What comes into each layer in a forward or a backward.
    fn incoming(&mut self, step: usize, action: Option<&'r Action>) -> Incoming<'r> {
        let exact = &self.expected.steps[step];
        let (first, given, order): (&'r Tensor, _, Vec<&'r str>) = match action {
            Some(Action::Forward { at, input, .. }) => {
                let paths = self.request.layers.iter().map(|layer| layer.path.as_str());
                self.run = paths.filter(|path| is_within(at, path)).collect();
                (&input.tensor, Observable::Output, self.run.clone())
            }
            Some(Action::Backward { grad, .. }) => {
                (grad, Observable::GradInput, self.run.iter().rev().copied().collect())
            }
            _ => return Vec::new(),
        };
        let mut incoming = Vec::new();
        let mut next = Some(first);
        for path in order {
            let Some(tensor) = next else { break };
            incoming.push((path, tensor));
            next = exact.of(path, given);
        }
        incoming
    }

    /// The idle answers of a tensor; nothing where it is state that the step is not to move.
    fn idle_answers(
        &self,
        step: usize,
        name: &TensorName,
        exact: &Tensor,
        incoming: &Incoming<'r>,
    ) -> Option<Vec<(Idle, Numbers<'r>)>> {
        let zeros = (Idle::Zeros, Numbers::Zeros);
        if !is_of_the_step(name.tensor) {
            let Some(before) = step.checked_sub(1).map(|before| &self.expected.steps[before]) else {
                return Some(vec![zeros]);
            };
            let known = before.tensor(name)?;
            let moved = known != exact || self.is_due(step, name, before);
            return moved.then(|| vec![(Idle::Unchanged, Numbers::Of(known))]);
        }
        let mut idle = vec![zeros];
        let incoming = into_layer(incoming, &name.layer).filter(|incoming| incoming.shape() == exact.shape());
        match name.tensor {
            Observable::Output => {
                idle.extend(incoming.map(|input| (Idle::Input, Numbers::Of(input))));
                idle.extend(self.bias_alone(step, name).map(|bias| (Idle::Bias, Numbers::PerChannel(bias))));
            }
            Observable::GradInput => idle.extend(incoming.map(|grad| (Idle::Gradient, Numbers::Of(grad)))),
            _ => {}
        }
        Some(idle)
    }

    /// Whether training has gone through the layer in this step, and is to move this tensor.
    fn is_due(&self, step: usize, name: &TensorName, before: &'r StepAnswer) -> bool {
        let counter = |answer: &'r StepAnswer| answer.of(&name.layer, Observable::NumBatchesTracked);
        let counted = counter(before) != counter(&self.expected.steps[step]);
        let moves = self
            .request
            .layers
            .iter()
            .zip(&self.moves)
            .any(|(layer, moves)| *moves && is_same_path(&layer.path, &name.layer));
        let is_forward = matches!(&self.request.actions[step - 1], Action::Forward { .. });
        let statistic = matches!(name.tensor, Observable::RunningMean | Observable::RunningVar);
        let failed = self.expected.steps[step].error.is_some();
        counted && moves && is_forward && statistic && !failed
    }

    /// The bias, where it is not zeros.
    fn bias_alone(&self, step: usize, name: &TensorName) -> Option<Vec<f64>> {
        let bias = self.expected.steps[step].of(&name.layer, Observable::Bias)?.values();
        bias.iter().any(|&value| value != 0.0).then_some(bias)
    }
}
