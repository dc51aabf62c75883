//! Compares two answers of one backend, of which one follows from the other.

use bn_api::{DType, ErrorClass, Request, StepAnswer, Tensor, TensorName};
use bn_harness::budget::CaseBudget;

use super::ask::{Derived, End};
use super::{Asked, Broken};

/// How much the comparison itself may be off by, relative to its terms: a product, a sum and a difference in f64.
pub(super) const OWN: f64 = 4.0 * DType::F64.unit_roundoff();

/// How the answers to a changed request follow from those to the original.
pub(super) trait Relation {
    /// The step of the changed request that step number `step` of the original has become.
    fn step(&self, step: usize) -> usize {
        step
    }

    /// Where each element of a tensor of the changed answer is in the original's, of this shape; nothing where it is
    /// where it was.
    fn places(&self, _name: &TensorName, _original: &[usize]) -> Option<Vec<usize>> {
        None
    }

    /// The factor, and what is added, that make an element of the original's tensor out of one of the changed, by
    /// channel.
    fn back(&self, _name: &TensorName, _channel: usize) -> (f64, f64) {
        (1.0, 0.0)
    }
}

/// Asks a changed request and compares.
pub(super) fn anew(asked: &mut Asked<'_>, changed: &Request, relation: &impl Relation) -> Result<usize, End> {
    let answers = asked.ask(changed)?;
    let derived = Derived::of(changed, asked.accuracy);
    compare(asked, changed, &answers, Allowed::Derived(&derived), relation)
}

/// The same with a request whose exact answers are those of the original, as are the terms of its sums: so are then
/// the budgets.
pub(super) fn anew_alike(
    asked: &mut Asked<'_>,
    changed: &Request,
    relation: &impl Relation,
) -> Result<usize, End> {
    let answers = asked.ask(changed)?;
    compare(asked, changed, &answers, Allowed::AsMuch, relation)
}

/// Compares the answers to a changed request with those to the original.
pub(super) fn compare(
    asked: &Asked<'_>,
    changed: &Request,
    answers: &[StepAnswer],
    allowed: Allowed<'_>,
    relation: &impl Relation,
) -> Result<usize, End> {
    let pair = Pair {
        request: asked.request,
        original: asked.answers,
        allowed: asked.budget(),
        changed: answers,
        changed_allowed: allowed,
    };
    Ok(pair.agree(relation).map_err(|broken| broken.by(changed))?)
}

/// What a relation must hold between.
pub(super) struct Pair<'p> {
    /// The original's request, for the names of its steps.
    pub request: &'p Request,
    /// The answers to it.
    pub original: &'p [StepAnswer],
    /// How far those may be from the exact ones.
    pub allowed: &'p CaseBudget,
    /// The answers to the changed request.
    pub changed: &'p [StepAnswer],
    /// How far those may be from the exact ones.
    pub changed_allowed: Allowed<'p>,
}

/// How far the answers to the changed request may be from the exact ones.
pub(super) enum Allowed<'p> {
    /// As far as those to the original: both have the same exact answers, and sums of the same terms.
    AsMuch,
    /// As far as derived.
    Derived(&'p Derived<'p>),
}

impl Pair<'_> {
    /// How many elements were compared, all of which are as near as two sound answers are.
    ///
    /// # Errors
    /// The first that is not.
    pub fn agree(&self, relation: &impl Relation) -> Result<usize, Broken> {
        let mut compared = 0;
        for (step, original) in self.original.iter().enumerate() {
            let Some(changed) = self.changed.get(relation.step(step)) else { break };
            compared += self.step(relation, step, original, changed)?;
        }
        Ok(compared)
    }

    fn step(
        &self,
        relation: &impl Relation,
        step: usize,
        original: &StepAnswer,
        changed: &StepAnswer,
    ) -> Result<usize, Broken> {
        let at = || step_name(self.request, step);
        // Of an error in the backend's own words nothing is known but that it is one.
        let class = |answer: &StepAnswer| answer.error.as_ref().map(|error| error.class);
        let own_words = |answer: &StepAnswer| class(answer) == Some(ErrorClass::Other);
        let both_raise = original.error.is_some() && changed.error.is_some();
        let is_unknown = both_raise && (own_words(original) || own_words(changed));
        if class(original) != class(changed) && !is_unknown {
            let words = |answer: &StepAnswer| {
                answer.error.as_ref().map_or_else(|| "no error".to_owned(), ToString::to_string)
            };
            let (original, changed) = (words(original), words(changed));
            let what = format!("{}: {original}, and of the changed request {changed}", at());
            return Err(Broken::at(step, None, what));
        }
        let missing = |name: &TensorName, whose: &str| {
            let what = format!("{}: {whose} has no {name}, and the other has", at());
            Err(Broken::at(step, Some(name.clone()), what))
        };
        if let Some((name, _)) = changed.tensors.iter().find(|(name, _)| original.tensor(name).is_none()) {
            return missing(name, "the answer");
        }
        let mut compared = 0;
        for (name, of_original) in &original.tensors {
            let Some(of_changed) = changed.tensor(name) else {
                return missing(name, "that to the changed request");
            };
            compared += self.tensor(relation, step, name, of_original, of_changed)?;
        }
        Ok(compared)
    }

    fn tensor(
        &self,
        relation: &impl Relation,
        step: usize,
        name: &TensorName,
        original: &Tensor,
        changed: &Tensor,
    ) -> Result<usize, Broken> {
        let places = relation.places(name, original.shape());
        let fits = places.as_ref().map_or(original.len(), Vec::len) == changed.len();
        if !fits || original.dtype() != changed.dtype() {
            let of = |tensor: &Tensor| format!("{} of shape {:?}", tensor.dtype(), tensor.shape());
            let (at, original, changed) = (step_name(self.request, step), of(original), of(changed));
            let what = format!("{at}: {name} is {original}, and of the changed request {changed}");
            return Err(Broken::at(step, Some(name.clone()), what));
        }
        // What has another shape than it should have is the differential property's to say.
        let Some(allowed) = self.allowed.of(step, name) else { return Ok(0) };
        if allowed.elements.len() != original.len() {
            return Ok(0);
        }
        let channels = changed.channels();
        let (ours, theirs) = (original.values(), changed.values());
        let mut compared = 0;
        for (index, &value) in theirs.iter().enumerate() {
            let place = places.as_ref().map_or(index, |places| places[index]);
            let (due, budget) = (ours[place], allowed.elements[place]);
            let (factor, added) = relation.back(name, channels.channel_of(index));
            let got = if (factor, added) == (1.0, 0.0) { value } else { factor * value + added };
            if !budget.is_finite() {
                continue;
            }
            // Mostly the budget of one of them is enough, and the other need not be known.
            if (due - got).abs() <= budget {
                compared += 1;
                continue;
            }
            let other = match self.changed_allowed {
                Allowed::AsMuch => Some(budget),
                Allowed::Derived(derived) => derived
                    .get()
                    .and_then(|all| all.of(relation.step(step), name))
                    .map(|it| it.elements[index]),
            };
            let Some(other) = other.filter(|other| other.is_finite()) else { continue };
            // What is put back is rounded, below the normal numbers of f64 by more.
            let own = if (factor, added) == (1.0, 0.0) {
                0.0
            } else {
                OWN * (due.abs() + added.abs()) + f64::MIN_POSITIVE
            };
            let within = budget + factor.abs() * other + own;
            compared += 1;
            if !may_both_be(changed.dtype(), due, got, within) {
                let (at, index) = (step_name(self.request, step), original.position(place));
                let scaled = if (factor, added) == (1.0, 0.0) { "" } else { ", put back," };
                let what = format!(
                    "{at}: {name} at {index:?} is {due:e}, and of the changed request{scaled} {got:e}: {:e} apart, where \
                     two sound answers are at most {within:e}",
                    (due - got).abs()
                );
                return Err(Broken::at(step, Some(name.clone()), what));
            }
        }
        Ok(compared)
    }
}

/// Whether two answers are both sound that may be this far apart.
///
/// Neither bound is infinite, so that what is no number is none in either, and the same; where one is infinite and
/// the other is not, the other must be near enough to where the type ends on that side.
fn may_both_be(dtype: DType, one: f64, other: f64, within: f64) -> bool {
    if one.is_nan() || other.is_nan() {
        return one.is_nan() && other.is_nan();
    }
    match (one.is_finite(), other.is_finite()) {
        (true, true) => (one - other).abs() <= within * (1.0 + OWN),
        (true, false) => dtype.rounds_to_infinity(one * other.signum() + within),
        (false, true) => dtype.rounds_to_infinity(other * one.signum() + within),
        (false, false) => one == other || dtype.rounds_to_infinity(within / 2.0),
    }
}

/// `step 3, backward`.
pub(super) fn step_name(request: &Request, step: usize) -> String {
    let name = step.checked_sub(1).and_then(|index| request.actions.get(index));
    format!("step {step}, {}", name.map_or("new layer", |action| action.name()))
}

/// Whether every tensor of two answers has the same bits; of what is NaN only that it is.
///
/// # Errors
/// The first thing that differs; `is_due` says of which steps it counts.
pub(super) fn same_bits(
    request: &Request,
    one: &[StepAnswer],
    other: &[StepAnswer],
    mut is_due: impl FnMut(usize) -> bool,
) -> Result<usize, End> {
    let mut compared = 0;
    for (step, (one, other)) in one.iter().zip(other).enumerate() {
        if !is_due(step) {
            continue;
        }
        let at = || step_name(request, step);
        let class = |answer: &StepAnswer| answer.error.as_ref().map(|error| error.class);
        let names = |answer: &StepAnswer| -> Vec<TensorName> {
            answer.tensors.iter().map(|(name, _)| name.clone()).collect()
        };
        if class(one) != class(other) || names(one) != names(other) {
            let what = format!("{}: another error is raised, or there are other tensors", at());
            return Err(Broken::at(step, None, what).into());
        }
        for ((name, one), (_, other)) in one.tensors.iter().zip(&other.tensors) {
            let alike = one.dtype() == other.dtype() && one.shape() == other.shape();
            let differs = |index: &usize| {
                one.bits(*index) != other.bits(*index)
                    && !(one.value(*index).is_nan() && other.value(*index).is_nan())
            };
            let different = if !alike {
                Some("another type or shape".to_owned())
            } else if one.bytes() == other.bytes() {
                None
            } else {
                (0..one.len()).find(differs).map(|index| {
                    let (place, one, other) = (one.position(index), one.value(index), other.value(index));
                    format!("at {place:?} {one:e} once and {other:e} the other time")
                })
            };
            if let Some(different) = different {
                return Err(
                    Broken::at(step, Some(name.clone()), format!("{}: {name} is {different}", at())).into()
                );
            }
            compared += one.len();
        }
    }
    Ok(compared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_answers_are_as_far_apart_as_both_budgets_together_and_no_further() {
        let both = |one, other| may_both_be(DType::F16, one, other, 0.5);
        assert!(both(1.0, 1.5) && both(1.5, 1.0) && !both(1.0, 1.5 + 1e-9));
        assert!(both(f64::NAN, f64::NAN) && !both(f64::NAN, 1.0) && !both(1.0, f64::NAN));
        let infinite = f64::INFINITY;
        assert!(both(infinite, infinite) && !both(infinite, -infinite) && !both(infinite, f64::NAN));
        assert!(both(infinite, 65_519.5) && both(65_519.5, infinite) && !both(-65_519.5, infinite));
        assert!(!both(infinite, 65_504.0));
        // Where almost anything is allowed the other side is within reach as well.
        let wide = |one, other| may_both_be(DType::F16, one, other, 1e6);
        assert!(wide(0.0, -infinite) && wide(-infinite, 1.0) && wide(infinite, -infinite));
    }
}
