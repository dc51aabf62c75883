//! Does a mistake reproduce an answer?

use bn_api::{BackendInfo, DType, Observable, StepAnswer, Tensor, TensorName};

use crate::budget::TensorBudget;
use crate::judge::{is_of_the_step, judge};
use crate::oracle::Expected;
use crate::results::{StepResult, Verdict};

/// How far apart two answers with the same mistake may be, in budgets of a sound one: each is off by up to one.
const BUDGETS: f64 = 2.0;

/// What is wrong by much is rounded as something large: the share of the mistake's own error that comes on top.
const SHARE_OF_ERROR: f64 = 0.01;

/// An answer that is wrong, and everything of it that a mistake has to reproduce.
pub struct Wrong<'a> {
    expected: &'a Expected<'a>,
    answers: &'a [StepAnswer],
    items: Vec<Item<'a>>,
    names: &'a [&'static str],
}

/// One tensor, or one error, of one step.
struct Item<'a> {
    step: usize,
    failed: bool,
    what: What<'a>,
}

enum What<'a> {
    Error { raised: bool },
    Tensor(Compared<'a>),
}

struct Compared<'a> {
    name: &'a TensorName,
    got: Option<&'a Tensor>,
    got_values: Vec<f64>,
    exact: Vec<f64>,
    budget: Option<&'a TensorBudget>,
}

impl<'a> Wrong<'a> {
    /// What is to be reproduced of an answer with these verdicts: whatever passed or failed. What is declared, and what
    /// cannot be judged or seen, says nothing.
    pub fn new(
        expected: &'a Expected<'a>,
        answers: &'a [StepAnswer],
        steps: &'a [StepResult],
        names: &'a [&'static str],
    ) -> Self {
        let counts = |verdict: Verdict| matches!(verdict, Verdict::Pass | Verdict::Fail);
        let mut items = Vec::new();
        for (number, (step, answer)) in steps.iter().zip(answers).enumerate() {
            let raised = answer.error.is_some();
            let error = step.error.as_ref().map_or(Verdict::Pass, |error| error.verdict);
            if counts(error) {
                let what = What::Error { raised };
                items.push(Item { step: number, failed: error == Verdict::Fail, what });
            }
            for tensor in step.tensors.iter().filter(|tensor| counts(tensor.verdict)) {
                let name = &tensor.tensor;
                let (got, exact) = (answer.tensor(name), expected.steps[number].tensor(name));
                let what = What::Tensor(Compared {
                    name,
                    got,
                    got_values: got.map(Tensor::values).unwrap_or_default(),
                    exact: exact.map(Tensor::values).unwrap_or_default(),
                    budget: expected.budget().of(number, name),
                });
                items.push(Item { step: number, failed: tensor.verdict == Verdict::Fail, what });
            }
        }
        Wrong { expected, answers, items, names }
    }

    /// Whether any of it failed.
    pub fn fails(&self) -> bool {
        self.items.iter().any(|item| item.failed)
    }

    /// The share of what is allowed that a mistake's answer uses; nothing where it is another answer. Stops at the
    /// first difference.
    pub fn fit(&self, suspect: &[StepAnswer]) -> Option<f64> {
        if suspect.len() != self.answers.len() {
            return None;
        }
        // What failed comes first: there most mistakes differ.
        let failed = self.items.iter().filter(|item| item.failed);
        let items = failed.chain(self.items.iter().filter(|item| !item.failed));
        let (mut worst, mut wrong, mut explained) = (0.0_f64, 0, 0);
        for item in items {
            let same = item.fit(&suspect[item.step])?;
            worst = worst.max(same.share);
            wrong += same.wrong;
            explained += same.explained;
        }
        // Where an answer is wrong by little, being right is close enough, and explains nothing.
        (2 * explained >= wrong && self.no_more(suspect)).then_some(worst)
    }

    /// For each item whether a mistake's answer is the same.
    pub fn compare(&self, suspect: &[StepAnswer]) -> Option<Vec<bool>> {
        let same = |item: &Item<'_>| item.fit(&suspect[item.step]).is_some();
        (suspect.len() == self.answers.len()).then(|| self.items.iter().map(same).collect())
    }

    /// For each item whether a mistake does not show there: its answer would pass.
    pub fn silent(&self, suspect: &[StepAnswer], info: &BackendInfo) -> Vec<bool> {
        let steps = judge(self.expected, self.expected.budget(), suspect, info, self.names);
        let passes = |verdict: Verdict| verdict != Verdict::Fail;
        let silent = |item: &Item<'_>| {
            let step = &steps[item.step];
            match &item.what {
                What::Error { .. } => step.error.as_ref().is_none_or(|error| passes(error.verdict)),
                What::Tensor(Compared { name, .. }) => {
                    let found = step.tensors.iter().find(|tensor| tensor.tensor == **name);
                    found.is_none_or(|tensor| passes(tensor.verdict))
                }
            }
        };
        self.items.iter().map(silent).collect()
    }

    /// The step of each item, and whether it failed.
    pub fn outline(&self) -> impl Iterator<Item = (usize, bool)> {
        self.items.iter().map(|item| (item.step, item.failed))
    }

    /// Whether every tensor of the suspect's answer is one of the wrong answer's or of the exact one's.
    fn no_more(&self, suspect: &[StepAnswer]) -> bool {
        let steps = suspect.iter().zip(self.answers).zip(&self.expected.steps);
        steps.into_iter().all(|((suspect, answer), exact)| {
            let own_judged = exact.error.is_some() == answer.error.is_some();
            suspect.tensors.iter().all(|(name, _)| {
                answer.tensor(name).is_some()
                    || exact.tensor(name).is_some()
                    || (is_of_the_step(name.tensor) && !own_judged)
            })
        })
    }
}

impl Item<'_> {
    fn fit(&self, suspect: &StepAnswer) -> Option<Same> {
        match &self.what {
            What::Error { raised } => (suspect.error.is_some() == *raised).then(Same::default),
            What::Tensor(compared) => compared.fit(suspect.tensor(compared.name)),
        }
    }
}

/// How the same two answers are.
#[derive(Default)]
struct Same {
    /// The share used of what is allowed.
    share: f64,
    /// How many elements of the answer are outside their budgets.
    wrong: usize,
    /// How many of these the mistake explains.
    explained: usize,
}

impl Compared<'_> {
    fn fit(&self, suspect: Option<&Tensor>) -> Option<Same> {
        let (got, suspect) = match (self.got, suspect) {
            (None, None) => return Some(Same::default()),
            (Some(got), Some(suspect)) => (got, suspect),
            _ => return None,
        };
        if got.dtype() != suspect.dtype() || got.shape() != suspect.shape() {
            return None;
        }
        let budget = self.budget.map(|budget| &budget.elements).filter(|budget| {
            budget.len() == self.got_values.len() && self.exact.len() == self.got_values.len()
        });
        let mut same = Same::default();
        for (index, &got) in self.got_values.iter().enumerate() {
            let suspect = suspect.value(index);
            let share = match budget {
                Some(budget) => {
                    let of = Element { exact: self.exact[index], got, suspect, budget: budget[index] };
                    same.wrong += usize::from(of.is_wrong());
                    same.explained += usize::from(of.is_wrong() && of.is_explained());
                    of.share()
                }
                None => unlike_the_exact(self.got?.dtype(), got, suspect),
            };
            same.share = same.share.max(share?);
        }
        Some(same)
    }
}

/// One element of an answer, and the same one of a mistake's.
struct Element {
    exact: f64,
    got: f64,
    suspect: f64,
    budget: f64,
}

impl Element {
    /// Whether the answer is outside its budget; of finite numbers alone.
    fn is_wrong(&self) -> bool {
        (self.got - self.exact).abs() > self.budget
    }

    /// Whether the mistake is off as the answer is: as far at least by half, or outside the budget on the same side.
    fn is_explained(&self) -> bool {
        let (error, own) = (self.got - self.exact, self.suspect - self.exact);
        (error - own).abs() <= error.abs() / 2.0 || (own.abs() > self.budget && own * error > 0.0)
    }

    /// How much of what is allowed lies between the two; nothing where it is more.
    fn share(&self) -> Option<f64> {
        let Element { exact, got, suspect, budget } = *self;
        if budget == f64::INFINITY {
            return Some(0.0);
        }
        if budget.is_nan() {
            return (got.is_finite() == suspect.is_finite()).then_some(0.0);
        }
        if let Some(same) = classes(got, suspect) {
            return same.then_some(0.0);
        }
        let apart = (got - suspect).abs();
        if apart == 0.0 {
            return Some(0.0);
        }
        let own = if exact.is_finite() { (suspect - exact).abs() } else { suspect.abs() };
        Some(apart / (BUDGETS * budget + SHARE_OF_ERROR * own)).filter(|share| *share <= 1.0)
    }
}

/// Two elements of a tensor that PyTorch does not have, or not like this: equal but for the last bits.
fn unlike_the_exact(dtype: DType, got: f64, suspect: f64) -> Option<f64> {
    if let Some(same) = classes(got, suspect) {
        return same.then_some(0.0);
    }
    let apart = (got - suspect).abs();
    let ulp = dtype.ulps_between(dtype.bits_of(got), dtype.bits_of(suspect));
    (apart <= SHARE_OF_ERROR * got.abs() || ulp.is_some_and(|ulps| ulps <= 1)).then_some(0.0)
}

/// Whether two elements are the same where one is not a finite number; nothing where both are.
fn classes(got: f64, suspect: f64) -> Option<bool> {
    if got.is_nan() || suspect.is_nan() {
        return Some(got.is_nan() && suspect.is_nan());
    }
    (got.is_infinite() || suspect.is_infinite()).then_some(got == suspect)
}

/// An answer as another program with the same mistakes might give it: every number moved by up to this share of its
/// budget, to either side, the same way each time.
pub fn blurred(expected: &Expected<'_>, answers: &[StepAnswer], share: f64) -> Vec<StepAnswer> {
    let mut blurred = answers.to_vec();
    for (step, answer) in blurred.iter_mut().enumerate() {
        for (name, tensor) in &mut answer.tensors {
            let Some(budget) = expected.budget().of(step, name) else { continue };
            if name.tensor == Observable::NumBatchesTracked || budget.elements.len() != tensor.len() {
                continue;
            }
            let mut noise = Noise((step as u64) << 32 | name.tensor as u64);
            let moved: Vec<f64> = tensor
                .values()
                .into_iter()
                .zip(&budget.elements)
                .map(|(value, budget)| {
                    let by = share * budget * noise.next();
                    if by.is_finite() { value + by } else { value }
                })
                .collect();
            *tensor = Tensor::from_values(tensor.dtype(), tensor.shape(), moved);
        }
    }
    blurred
}

/// Numbers from -1 to 1 without a pattern (`SplitMix64`).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(exact: f64, got: f64, suspect: f64, budget: f64) -> Element {
        Element { exact, got, suspect, budget }
    }

    #[test]
    fn two_answers_with_the_same_mistake_may_be_two_budgets_apart() {
        assert_eq!(element(1.0, 2.0, 2.0, 0.1).share(), Some(0.0));
        assert!(element(1.0, 2.0, 2.2, 0.1).share().is_some());
        assert_eq!(element(1.0, 2.0, 2.3, 0.1).share(), None);
    }

    #[test]
    fn what_is_wrong_by_much_may_be_further_off() {
        assert!(element(0.0, 1000.0, 1009.0, 0.0).share().is_some());
        assert_eq!(element(0.0, 1000.0, 1011.0, 0.0).share(), None);
    }

    #[test]
    fn being_right_explains_nothing() {
        assert!(!element(1.0, 1.15, 1.0, 0.1).is_explained());
        assert!(!element(1.0, 1.15, 0.9, 0.1).is_explained());
        assert!(element(1.0, 1.15, 1.1, 0.1).is_explained());
        assert!(element(1.0, 1.15, 1.35, 0.1).is_explained());
    }

    #[test]
    fn what_is_not_a_number_is_the_same_or_not() {
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        assert_eq!(element(1.0, nan, nan, 0.1).share(), Some(0.0));
        assert_eq!(element(1.0, nan, inf, 0.1).share(), None);
        assert_eq!(element(1.0, inf, -inf, 0.1).share(), None);
        assert_eq!(element(1.0, inf, 1.0, inf).share(), Some(0.0));
        assert_eq!(element(nan, inf, nan, nan).share(), Some(0.0));
    }
}
