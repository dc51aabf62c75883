//! What one operation, one sum and one stored number may be off by.

use bn_api::DType;

use super::Accuracy;
use super::constants::{self, Constants};
use super::losses::Walk;
use super::orders::{equal_together, is_mostly_even};

/// The roundings that an answer may contain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arithmetic {
    /// The constants of the bounds.
    pub constants: Constants,
    /// The type of the computation.
    operations: DType,
    /// The unit roundoff of the computation.
    pub u: f64,
    /// The largest number of the computation.
    max: f64,
    /// The smallest number of the computation above zero. A product that falls below the normal numbers is off
    /// by up to half of this, however small it is: fl(a·b) = a·b·(1 + δ) + η (Higham 2002, §2.8).
    pub tiny: f64,
    /// The narrowest type that a configured number, such as the momentum, is held in.
    configured: DType,
    /// Relative rounding of mean and inverse standard deviation before they are used.
    pub statistics: f64,
    /// How far one that is rounded below the normal numbers may be off, however small it is.
    smallest_statistic: f64,
    /// The largest mean or inverse standard deviation before it is used.
    pub largest_statistic: f64,
    /// Whether the output may be computed as `x·a + b` with the batch's statistics, too.
    pub folds: bool,
    /// Whether the data has fewer bits than the computation, as that of a narrower type which is held in f64.
    pub coarse_data: bool,
}

impl Arithmetic {
    /// The arithmetic of a forward on an input of this type; `layer` is that of the layer's own tensors.
    pub fn new(input: DType, layer: DType, accuracy: Accuracy, constants: Constants) -> Self {
        let compute = if input == DType::F64 { DType::F64 } else { DType::F32 };
        let operations = if accuracy == Accuracy::StorageArithmetic { input } else { compute };
        let u = operations.unit_roundoff();
        let (max, tiny) = (operations.max_finite(), operations.smallest_subnormal());
        let configured = if matches!(accuracy, Accuracy::Sound | Accuracy::Folded) { compute } else { layer };
        let (statistics, smallest_statistic, largest_statistic) = match accuracy {
            Accuracy::StatisticsRoundedToStorage => {
                (layer.unit_roundoff(), layer.smallest_subnormal() / 2.0, layer.max_finite())
            }
            _ => (0.0, 0.0, max),
        };
        Arithmetic {
            constants,
            operations,
            u,
            max,
            tiny,
            configured,
            statistics,
            smallest_statistic,
            largest_statistic,
            folds: accuracy != Accuracy::Sound,
            coarse_data: false,
        }
    }

    /// Whether an intermediate result of this magnitude may overflow.
    pub fn overflows(self, magnitude: f64) -> bool {
        magnitude > self.max / constants::OVERFLOW_HEADROOM
    }

    /// How far a mean may be off by being rounded before it is used.
    pub fn rounded_statistic(self, mean: f64) -> f64 {
        let relative = self.statistics * mean.abs();
        if relative < self.smallest_statistic { self.smallest_statistic } else { relative }
    }

    /// How far a configured number may be from what is computed with.
    pub fn configured(self, number: f64) -> f64 {
        let exact = self.configured.round(number) == number;
        if exact { 0.0 } else { (self.u + self.statistics) * number.abs() }
    }

    /// The error of a sum of these terms, relative to the sum of their [`magnitudes`].
    ///
    /// Nothing where every partial sum is a number of the arithmetic. Otherwise rounding errors of different terms cancel
    /// like random numbers, and a sum's error grows with √n (Higham and Mary 2019), but for what is lost one way.
    pub fn sum(self, terms: &[f64], magnitudes: f64) -> f64 {
        if self.sums_exactly(terms, magnitudes) {
            return 0.0;
        }
        self.sum_that_rounds(terms, magnitudes)
    }

    /// The same of terms of which not every partial sum is a number of the arithmetic.
    fn sum_that_rounds(self, terms: &[f64], magnitudes: f64) -> f64 {
        // Coarse data are multiples of one number, and so is what is made of them in another way than here; all of it ends
        // in the same few bits. (Of 4,096 numbers of bf16 about 1, held in f64, the squares added one after the other
        // are off by 970 roundings, a quarter of n.)
        let coarse = if self.coarse_data { self.one_way(terms.len()) } else { 0.0 };
        let counts = self.constants.sum_drift;
        let drift = if counts == 0.0 { 0.0 } else { counts * self.drift(terms, magnitudes) }.max(coarse);
        self.with_drift(terms.len(), drift)
    }

    /// The same of n terms that are few numbers, many times each, but which these are is not known.
    pub fn alike(self, n: usize) -> f64 {
        self.with_drift(n, self.one_way(n.min(constants::SEQUENTIAL)))
    }

    /// The most that a sum of n terms in a row loses where all roundings go one way: half a unit of a partial sum, of which
    /// the mean is half of the sum.
    fn one_way(self, n: usize) -> f64 {
        0.5 * n as f64 * self.u
    }

    /// What is lost one way, and what is lost by chance besides.
    fn with_drift(self, n: usize, drift: f64) -> f64 {
        drift.hypot(self.random(n))
    }

    /// The error of a sum of n terms whose roundings cancel like random numbers, relative to the sum of magnitudes.
    pub fn random(self, n: usize) -> f64 {
        let block = n.min(constants::SEQUENTIAL) as f64;
        self.constants.sum_growth * (1.0 + block.sqrt()) * self.u
    }

    /// Whether partial sums of these terms are all numbers of the arithmetic, whichever of them are added up first: they
    /// are multiples of some power of two, of which the arithmetic can count as many as they are together.
    pub fn sums_exactly(self, terms: &[f64], magnitudes: f64) -> bool {
        // Up to and with 1/u of them, but the sum of magnitudes is itself rounded, and may be that number and a little more.
        let is_counted = |place: i32| {
            let quantum = f64::from(place).exp2();
            quantum >= self.tiny && magnitudes * self.u < quantum
        };
        // Mostly the first term already says no.
        let mut least = i32::MAX;
        for place in terms.iter().filter_map(|term| last_place(*term)) {
            if place < least {
                if !is_counted(place) {
                    return false;
                }
                least = place;
            }
        }
        if least == i32::MAX { terms.iter().all(|term| *term == 0.0) } else { !self.overflows(magnitudes) }
    }

    /// What a sequential sum of these terms loses because roundings go one way, relative to the sum of magnitudes.
    ///
    /// A partial sum is a multiple of the last place g of its own size. Adding t to it is therefore adding t rounded to
    /// a multiple of g: what is lost depends on t alone, and terms that are alike, or in step with g as those of an even
    /// slope can be, lose the same again and again. There is a g for each size of the partial sums, and the terms that
    /// are added while they have it follow each other, from the front or from the back.
    /// Equal terms may lie apart in memory and be added together. And every s-th term of an even slope is an even slope, s
    /// times as steep, which may be in step with g where the whole is not.
    fn drift(self, terms: &[f64], magnitudes: f64) -> f64 {
        let strides: &[usize] = if is_mostly_even(terms) { &constants::STRIDES } else { &[] };
        let strided = strides.iter().filter(|stride| **stride < terms.len()).map(|stride| {
            (0..*stride).flat_map(|first| terms.iter().skip(first).step_by(*stride).copied()).collect()
        });
        let orders = equal_together(terms).into_iter().chain(strided);
        let drifts = orders.map(|order: Vec<f64>| self.drift_in_order(&order, magnitudes));
        drifts.fold(self.drift_in_order(terms, magnitudes), f64::max)
    }

    fn drift_in_order(self, terms: &[f64], magnitudes: f64) -> f64 {
        let n = terms.len();
        let block = n.min(constants::SEQUENTIAL);
        let blocks = n as f64 / block as f64;
        let largest = magnitudes / blocks;
        if !largest.is_normal() || self.overflows(largest) {
            return 0.0;
        }
        let below = power_of_two_below(largest);
        // Terms that are mostly of one sign take the partial sum through each size once, and what is lost at each adds
        // up. Of others nothing is known but that it may stay at one.
        let sum = terms.iter().sum::<f64>().abs();
        let passes_once = sum * 4.0 > magnitudes;
        let detour = magnitudes / sum;
        let lost = Walk::over(terms, |mut walk| {
            let mut lost = 0.0_f64;
            // On a grid that is finer by more than √n no more is lost than by chance, though every term be rounded by
            // half of it.
            for halvings in 0..=block.ilog2() / 2 {
                let from = below / f64::from(halvings).exp2();
                walk.round_to(2.0 * self.u * from);
                if passes_once {
                    lost += walk.largest_run(detour * if halvings == 0 { largest - from } else { from });
                } else {
                    lost = lost.max(walk.largest_run_of_all());
                }
            }
            lost
        });
        blocks * lost / magnitudes
    }

    /// The error of the mean of these terms in a sound algorithm, relative to the mean of their magnitudes.
    ///
    /// That of their sum, but for a mean that is kept up to date (Welford 1962): `drift` is what that loses one way.
    pub fn mean(self, terms: &[f64], magnitudes: f64, sums_exactly: bool, drift: f64) -> f64 {
        let sum = if sums_exactly { 0.0 } else { self.sum_that_rounds(terms, magnitudes) };
        self.with_drift(terms.len(), drift).max(sum)
    }

    /// What is lost one way where mean and sum of squares are kept up to date (Welford 1962): of the mean, relative to the
    /// mean of magnitudes, and of the variance.
    ///
    /// What the mean moves by is added to it on the grid of its own size, and what is lost goes one way where every value
    /// moves the mean by as much, as on an even slope. It is known by doing it, from the front and from the back.
    pub fn welford(self, terms: &[f64], magnitudes: f64, mean: f64, var: f64) -> (f64, f64) {
        if self.constants.sum_drift == 0.0 {
            return (0.0, 0.0);
        }
        let whole = terms.len();
        let (mut of_mean, mut of_squares) = (0.0, 0.0);
        for terms in terms.chunks(constants::SEQUENTIAL) {
            let n = terms.len() as f64;
            let (mean, squares) = if terms.len() == whole {
                (mean, var * n)
            } else {
                let mean = terms.iter().sum::<f64>() / n;
                (mean, terms.iter().map(|term| (term - mean) * (term - mean)).sum())
            };
            // One loop a type, which is faster than to ask for the type of each number.
            let [forwards, backwards] = match self.operations {
                DType::F64 => Welford::both_ways(terms, |number| DType::F64.round(number)),
                DType::F32 => Welford::both_ways(terms, |number| DType::F32.round(number)),
                other => Welford::both_ways(terms, |number| other.round(number)),
            };
            of_mean += (forwards.mean - mean).abs().max((backwards.mean - mean).abs()) * n;
            of_squares += (forwards.squares - squares).abs().max((backwards.squares - squares).abs());
        }
        let counted = |drift: f64| if drift.is_finite() { self.constants.sum_drift * drift } else { 0.0 };
        (counted(of_mean / magnitudes), counted(of_squares / whole as f64))
    }

    /// The mean of these terms as Welford has it: m += (x - m)/k.
    fn kept_up_to_date(self, terms: impl Iterator<Item = f64>) -> f64 {
        terms.fold(Welford::default(), |so_far, term| so_far.with(term, |number| self.round(number))).mean
    }

    /// Whether the mean of these terms, whose sums are exact, comes out exactly of every sound algorithm: of those that
    /// divide a sum by n or multiply it with 1/n, and of those that keep a mean up to date (Welford 1962), value by value
    /// from the front, from the back, or every second to eighth value at a time.
    pub fn means_exactly(self, terms: &[f64], mean: f64) -> bool {
        let n = terms.len();
        if !n.is_power_of_two() || self.round(mean) != mean {
            return false;
        }
        if self.kept_up_to_date(terms.iter().rev().copied()) != mean {
            return false;
        }
        let lanes = [1, 2, 4, 8].into_iter().filter(|lanes| lanes * 2 <= n || *lanes == 1);
        let mut every = lanes.flat_map(|lanes| (0..lanes).map(move |lane| (lanes, lane)));
        every.all(|(lanes, lane)| {
            self.kept_up_to_date(terms.iter().skip(lane).step_by(lanes).copied()) == mean
        })
    }

    /// Whether `(1-m)·old + m·new` is computed without a rounding, and `old + m·(new - old)` and `new + (1-m)·(old - new)` are.
    pub fn averages_exactly(self, momentum: f64, old: f64, new: f64) -> bool {
        let sum = |a: f64, b: f64| {
            let sum = a + b;
            // The error of a sum is what is left when its terms are taken away again (Knuth).
            let of_b = sum - a;
            let exactly = (a - (sum - of_b)) + (b - of_b) == 0.0;
            (exactly && self.round(sum) == sum).then_some(sum)
        };
        let product = |a: f64, b: f64| {
            let product = a * b;
            (a.mul_add(b, -product) == 0.0 && self.round(product) == product).then_some(product)
        };
        let kept = || sum(1.0, -momentum);
        let weighed = || sum(product(kept()?, old)?, product(momentum, new)?);
        let moved = || sum(old, product(momentum, sum(new, -old)?)?);
        let moved_back = || sum(new, product(kept()?, sum(old, -new)?)?);
        let forms = [weighed(), moved(), moved_back()];
        self.round(momentum) == momentum && forms.iter().all(Option::is_some)
    }

    /// The number of the computation nearest to this one.
    pub fn round(self, number: f64) -> f64 {
        self.operations.round(number)
    }

    /// Half a unit in the last place of `value` in `dtype`.
    pub fn storage(self, dtype: DType, value: f64) -> f64 {
        self.constants.storage(dtype, value)
    }
}

/// Mean and sum of squared deviations, kept up to date (Welford 1962): m += (x - m)/k and s += (x - m)·(x - m'), about the
/// mean before and after.
#[derive(Clone, Copy, Default)]
struct Welford {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Welford {
    /// Those of these terms from the front and from the back.
    fn both_ways(terms: &[f64], round: impl Fn(f64) -> f64) -> [Self; 2] {
        let ends = terms.iter().zip(terms.iter().rev());
        ends.fold(Default::default(), |[forwards, backwards]: [Self; 2], (first, last)| {
            [forwards.with(*first, &round), backwards.with(*last, &round)]
        })
    }

    #[inline]
    fn with(self, term: f64, round: impl Fn(f64) -> f64) -> Self {
        let count = self.count + 1.0;
        let off = round(term - self.mean);
        let mean = round(self.mean + round(off / count));
        let square = round(off * round(term - mean));
        Welford { count, mean, squares: round(self.squares + square) }
    }
}

/// The sum of the magnitudes of some terms.
pub(crate) fn magnitudes(terms: &[f64]) -> f64 {
    terms.iter().map(|term| term.abs()).sum()
}

/// The exponent of the largest power of two that a number is a multiple of; nothing of what is 0 or no number.
fn last_place(number: f64) -> Option<i32> {
    if number == 0.0 || !number.is_finite() {
        return None;
    }
    let bits = number.to_bits();
    let (exponent, fraction) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
    let (exponent, significand) =
        if exponent == 0 { (-1074, fraction) } else { (exponent as i32 - 1075, fraction | (1 << 52)) };
    Some(exponent + significand.trailing_zeros() as i32)
}

/// The largest power of two that is no larger than a normal number's magnitude.
fn power_of_two_below(number: f64) -> f64 {
    f64::from_bits(number.to_bits() & 0x7ff0_0000_0000_0000)
}

/// Whether a number this far from `value` may be infinite once it is stored.
pub(crate) fn stored_as_infinite(dtype: DType, value: f64, error: f64) -> bool {
    value.is_finite() && dtype.rounds_to_infinity(value.abs() + error)
}

/// A number and the bound on its error: infinite where a sound answer may be anything, NaN where no answer is a number.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bounded {
    pub value: f64,
    pub error: f64,
}

impl Bounded {
    /// A number that is given.
    pub fn exactly(value: f64) -> Self {
        Bounded { value, error: 0.0 }
    }

    /// A sum, or product, of these, whose error is this where all of them are numbers in every answer.
    pub fn made_of(parts: &[Bounded], value: f64, error: f64) -> Self {
        let error = if parts.iter().any(|part| part.is_no_number()) {
            f64::NAN
        } else if value.is_finite() && parts.iter().all(|part| part.error.is_finite()) {
            error
        } else {
            // One of them may be anything, or what is made of them overflows even here.
            f64::INFINITY
        };
        Bounded { value, error }
    }

    /// Whether it is infinite, or NaN, in every answer. So is then what is multiplied with it or added to it.
    fn is_no_number(self) -> bool {
        self.error.is_nan() || (!self.value.is_finite() && self.error.is_finite())
    }
}

/// A product with a bound: 0 times an infinite bound is no bound.
pub(crate) fn times(factor: f64, bound: f64) -> f64 {
    if bound.is_infinite() { f64::INFINITY } else { factor * bound }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn single() -> Arithmetic {
        Arithmetic::new(DType::F32, DType::F32, Accuracy::Sound, Constants::DERIVED)
    }

    /// The error that a sum of these terms may have.
    fn allowed(arithmetic: Arithmetic, terms: &[f64]) -> f64 {
        arithmetic.sum(terms, magnitudes(terms))
    }

    /// What a sequential sum in f32 is off by, relative to the sum of magnitudes.
    fn lost(terms: &[f64]) -> f64 {
        let sequential = terms.iter().fold(0.0_f32, |sum, term| sum + *term as f32);
        let magnitudes = terms.iter().map(|term| term.abs()).sum::<f64>();
        (f64::from(sequential) - terms.iter().sum::<f64>()).abs() / magnitudes
    }

    #[test]
    fn sums_of_multiples_of_a_power_of_two_are_exact() {
        let multiples: Vec<f64> = (0..1000).map(|k| f64::from(k - 300) * 0.25).collect();
        assert_eq!((allowed(single(), &multiples), lost(&multiples)), (0.0, 0.0));
        assert!(allowed(single(), &[16_777_216.0, 1.0]) > 0.0);
        assert!(allowed(single(), &[0.1; 3]) > 0.0);
        assert_eq!(allowed(single(), &[0.0, -0.0]), 0.0);
        assert!(allowed(single(), &[f64::NAN, 1.0]) > 0.0);
        let double = Arithmetic::new(DType::F64, DType::F64, Accuracy::Sound, Constants::DERIVED);
        assert!(
            allowed(double, &[1.0, 1.0 + f64::EPSILON]) > 0.0,
            "2^53 + 1 of them, which f64 adds up to 2^53"
        );
    }

    #[test]
    fn what_goes_one_way_is_known() {
        // Constants, two levels, and an even slope that is in step with the grid.
        let slope = |from: f64, to: f64, n: usize| -> Vec<f64> {
            (0..n).map(|k| f64::from((from + (to - from) * k as f64 / (n - 1) as f64) as f32)).collect()
        };
        let f32s = |value: f32, n: usize| vec![f64::from(value); n];
        let levels = [f32s(0.1, 20_000), f32s(3.3, 300), f32s(0.7, 20_000)].concat();
        for terms in [f32s(0.1, 60_000), f32s(1.3, 5_000), levels, slope(-100.0, 0.1, 1935)] {
            let (lost, allowed) = (lost(&terms), allowed(single(), &terms));
            assert!(lost > single().random(terms.len()) * 0.5, "{lost} is nothing to speak of");
            assert!(lost <= allowed && allowed <= 8.0 * lost, "{lost} of {allowed}");
        }
    }

    #[test]
    fn a_slope_in_step_with_the_grid_in_another_order_is_known() {
        // 15 samples of a ramp over 112 places; every seventh value.
        let ramp = |k: i32| f64::from((1000.0 - 1000.0 * f64::from(k % 112) / 111.0) as f32);
        let terms: Vec<f64> = (0..15 * 112).map(ramp).collect();
        let order = (0..7).flat_map(|first| terms.iter().skip(first).step_by(7).copied());
        let (in_order, every_seventh) = (lost(&terms), lost(&order.collect::<Vec<_>>()));
        assert!(every_seventh > 4.0 * in_order, "{every_seventh} is not much beside {in_order}");
        assert!(every_seventh <= allowed(single(), &terms), "{every_seventh}");
    }

    #[test]
    fn a_sequential_sum_of_two_million_is_not_sound() {
        let terms = vec![100.5; 2_000_000];
        assert!(lost(&terms) > 2.0 * allowed(single(), &terms));
    }

    #[test]
    fn means_come_out_exactly_where_pairs_cancel_at_every_distance() {
        // The Thue-Morse sequence of signs: every second to eighth term is a Thue-Morse sequence again.
        let signs = |k: u32| if k.count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
        let mirrored: Vec<f64> = (0..64).map(|k| 96.0 + 0.5 * signs(k)).collect();
        assert!(single().means_exactly(&mirrored, 96.0));
        let sorted: Vec<f64> = (0..64).map(|k| if k < 32 { 96.5 } else { 95.5 }).collect();
        assert!(!single().means_exactly(&sorted, 96.0));
        assert!(single().means_exactly(&[0.1_f32; 8].map(f64::from), f64::from(0.1_f32)));
        assert!(!single().means_exactly(&[3.0; 3], 3.0), "1/3 is rounded");
    }

    #[test]
    fn averages_are_exact_in_all_forms_or_not_at_all() {
        assert!(single().averages_exactly(0.5, 3.0, 96.0));
        assert!(!single().averages_exactly(0.1, 3.0, 96.0));
        assert!(!single().averages_exactly(0.5, 1e8, 1.5));
    }
}
