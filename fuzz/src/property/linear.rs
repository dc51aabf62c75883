//! A gradient in two parts.

use bn_api::{Action, Layout, Observable, Request, StepAnswer, Tensor};

use super::ask::{Derived, End, said};
use super::compare::{OWN, step_name};
use super::own::{Answered, Material};
use super::rewrite::{Rewrite, rewritten};
use super::{Asked, Broken, Held, Property};

/// The gradients are linear in that of the output: with every other element of it, and with those between times -2,
/// they add up to what they are with all, G(dy) = G(dy₁) - G(-2·dy₂)/2, within b + b₁ + b₂/2 where b are the budgets
/// of the three. Parts of this kind are exact in every type.
///
/// That goes for all backwards up to the first step of an optimizer, after which everything depends on them.
pub struct LinearGradient;

impl Property for LinearGradient {
    fn name(&self) -> &'static str {
        "linear-gradient"
    }

    fn about(&self) -> &'static str {
        "the gradients of two parts of a gradient add up to those of the whole"
    }

    fn check(&self, asked: &mut Asked<'_>) -> Result<Held, Broken> {
        said(is_linear(asked))
    }
}

fn is_linear(asked: &mut Asked<'_>) -> Result<usize, End> {
    let actions = &asked.request.actions;
    let is_backward = |action: &Action| matches!(action, Action::Backward { .. });
    let first = actions.iter().position(is_backward).unwrap_or(actions.len());
    let is_sgd = |action: &Action| matches!(action, Action::Sgd { .. });
    let end = actions[first..].iter().position(is_sgd).map_or(actions.len(), |sgd| first + sgd);
    if first < end {
        let whole = Request { actions: actions[..end].to_vec(), ..asked.request.clone() };
        let (answers, budget) = (asked.answers, asked.expected.budget_for(asked.accuracy));
        let parts = Parts::ask(asked, &whole)?;
        let allowed = |step: usize, name: &_| budget.of(step, name).map(|it| it.elements.clone());
        return parts.add_up(&whole, &answers[..=end], &allowed);
    }
    // A case without a backward has one here.
    let material = Material::of(asked.request)?;
    let backward = Action::Backward { grad: material.grad(), layout: Layout::Contiguous };
    let whole = material.request(asked, vec![material.forward(), backward]);
    let answered = Answered::new(asked, &whole)?;
    let parts = Parts::ask(asked, &whole)?;
    let allowed = |step: usize, name: &_| answered.allowed(step, name);
    parts.add_up(&whole, answered.answers(), &allowed)
}

/// The answers to both parts.
struct Parts {
    requests: [Request; 2],
    answers: [Vec<StepAnswer>; 2],
    /// What the second part was multiplied with.
    factor: f64,
    accuracy: bn_harness::budget::Accuracy,
}

impl Parts {
    fn ask(asked: &mut Asked<'_>, whole: &Request) -> Result<Self, End> {
        // Where twice as much would be too large it is as much.
        let doubles = |action: &Action| match action {
            Action::Backward { grad, .. } => grad
                .values()
                .into_iter()
                .all(|value| !value.is_finite() || !grad.dtype().rounds_to_infinity(2.0 * value)),
            _ => true,
        };
        let factor = if whole.actions.iter().all(doubles) { -2.0 } else { -1.0 };
        let requests = [
            rewritten(whole, &Half { odd: false, factor: 1.0 }),
            rewritten(whole, &Half { odd: true, factor }),
        ];
        let answers = [asked.ask(&requests[0])?, asked.ask(&requests[1])?];
        Ok(Parts { requests, answers, factor, accuracy: asked.accuracy })
    }

    fn add_up(
        &self,
        whole: &Request,
        answers: &[StepAnswer],
        allowed: &dyn Fn(usize, &bn_api::TensorName) -> Option<Vec<f64>>,
    ) -> Result<usize, End> {
        let derived = [0, 1].map(|part| Derived::of(&self.requests[part], self.accuracy));
        let gradients = [Observable::GradInput, Observable::GradWeight, Observable::GradBias];
        let mut compared = 0;
        for (step, answer) in answers.iter().enumerate() {
            for (name, tensor) in answer.tensors.iter().filter(|(name, _)| gradients.contains(&name.tensor)) {
                let [Some(one), Some(two)] = [0, 1].map(|part| self.answers[part][step].tensor(name)) else {
                    let what =
                        format!("{}: of a part of the gradient there is no {name}", step_name(whole, step));
                    return Err(Broken::at(step, Some(name.clone()), what).by(&self.requests[0]).into());
                };
                let Some(budget) = allowed(step, name).filter(|it| it.len() == tensor.len()) else {
                    continue;
                };
                if one.len() != tensor.len() || two.len() != tensor.len() {
                    continue;
                }
                let (all, one, two) = (tensor.values(), one.values(), two.values());
                for index in 0..all.len() {
                    let (due, first, second) = (all[index], one[index], two[index] / self.factor);
                    let got = first + second;
                    if !(budget[index].is_finite() && due.is_finite() && got.is_finite()) {
                        continue;
                    }
                    if (due - got).abs() <= budget[index] {
                        compared += 1;
                        continue;
                    }
                    let of = |part: usize| -> Option<f64> {
                        let elements = &derived[part].get()?.of(step, name)?.elements;
                        elements.get(index).copied().filter(|it| it.is_finite())
                    };
                    let (Some(of_first), Some(of_second)) = (of(0), of(1)) else { continue };
                    // Below the normal numbers of f64 a half loses its last bit.
                    let own = OWN * (due.abs() + first.abs() + second.abs()) + f64::MIN_POSITIVE;
                    let within = budget[index] + of_first + of_second / self.factor.abs() + own;
                    compared += 1;
                    if (due - got).abs() > within {
                        let (at, place) = (step_name(whole, step), tensor.position(index));
                        let what = format!(
                            "{at}: {name} at {place:?} is {due:e}, and those of two parts of the gradient add up to \
                             {got:e}: sound ones are at most {within:e} apart"
                        );
                        return Err(Broken::at(step, Some(name.clone()), what).by(&self.requests[1]).into());
                    }
                }
            }
        }
        Ok(compared)
    }
}

/// Every other element of a gradient, times a factor; 0 in the place of the others.
struct Half {
    odd: bool,
    factor: f64,
}

impl Rewrite for Half {
    fn grad(&self, _: usize, grad: &Tensor, layout: Layout) -> (Tensor, Layout) {
        // Neighbours along the batch, the channels and the places are of different parts; where one sample stands for
        // all of them, along the batch they are not.
        let channels = grad.channels();
        let sample = grad.shape().iter().skip(1).product::<usize>().max(1);
        let places = (sample / channels.count.max(1)).max(1);
        let odd = |index: usize| {
            let number = if layout == Layout::Expanded { 0 } else { index / sample };
            !(number + channels.channel_of(index) + index % places).is_multiple_of(2)
        };
        let part = grad.values().into_iter().enumerate();
        let part = part.map(|(index, value)| if odd(index) == self.odd { self.factor * value } else { 0.0 });
        (Tensor::from_values(grad.dtype(), grad.shape(), part), layout)
    }
}

#[cfg(test)]
mod tests {
    use bn_api::DType;

    use super::*;

    #[test]
    fn both_parts_are_the_whole_and_have_some_of_every_channel() {
        for shape in [vec![4, 3], vec![2, 4, 5], vec![3, 2, 2, 3], vec![2, 1, 1, 2, 2]] {
            let count: usize = shape.iter().product();
            let grad = Tensor::from_values(DType::Bf16, &shape, (0..count).map(|k| k as f64 - 7.5));
            let part = |odd, factor| Half { odd, factor }.grad(1, &grad, Layout::Contiguous).0.values();
            let (one, two) = (part(false, 1.0), part(true, -2.0));
            for (index, value) in grad.values().into_iter().enumerate() {
                assert_eq!(one[index] - two[index] / 2.0, value, "{shape:?}");
                assert!(one[index] == 0.0 || two[index] == 0.0);
            }
            let channels = grad.channels();
            for channel in 0..channels.count {
                assert!(channels.indices(channel).any(|index| one[index] != 0.0), "{shape:?}");
                assert!(channels.indices(channel).any(|index| two[index] != 0.0), "{shape:?}");
            }
        }
    }

    #[test]
    fn samples_that_one_stands_for_stay_alike() {
        let grad = Tensor::from_values(DType::F32, &[2, 2, 2], (1..5).chain(1..5).map(f64::from));
        let (part, _) = Half { odd: true, factor: -2.0 }.grad(1, &grad, Layout::Expanded);
        assert_eq!(part, part.repeat_first_sample());
        assert_eq!(part.values()[..4], [0.0, -4.0, -6.0, 0.0]);
    }
}
