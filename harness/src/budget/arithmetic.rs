//! What one operation, one sum and one stored number may be off by.

use bn_api::DType;

use super::{Accuracy, constants};

/// The roundings that an answer may contain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arithmetic {
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
    /// The largest mean or inverse standard deviation before it is used.
    pub largest_statistic: f64,
    /// Whether the data has fewer bits than the computation, as that of a narrower type which is held in f64.
    pub coarse_data: bool,
}

impl Arithmetic {
    /// The arithmetic of a forward on an input of this type; `layer` is that of the layer's own tensors.
    pub fn new(input: DType, layer: DType, accuracy: Accuracy) -> Self {
        let compute = if input == DType::F64 { DType::F64 } else { DType::F32 };
        let operations = if accuracy == Accuracy::StorageArithmetic { input } else { compute };
        let u = operations.unit_roundoff();
        let (max, tiny) = (operations.max_finite(), operations.smallest_subnormal());
        let configured = if accuracy == Accuracy::Sound { compute } else { layer };
        let (statistics, largest_statistic) = match accuracy {
            Accuracy::StatisticsRoundedToStorage => (layer.unit_roundoff(), layer.max_finite()),
            _ => (0.0, max),
        };
        Arithmetic { u, max, tiny, configured, statistics, largest_statistic, coarse_data: false }
    }

    /// Whether an intermediate result of this magnitude may overflow.
    pub fn overflows(self, magnitude: f64) -> bool {
        magnitude > self.max / constants::OVERFLOW_HEADROOM
    }

    /// How far a configured number may be from what is computed with.
    pub fn configured(self, number: f64) -> f64 {
        let exact = self.configured.round(number) == number;
        if exact { 0.0 } else { (self.u + self.statistics) * number.abs() }
    }

    /// The error of a sum of these terms, relative to the sum of their magnitudes.
    ///
    /// Rounding errors of different terms cancel like random numbers, and a sum's error grows with √n (Higham
    /// and Mary 2019), unless terms are so alike that the partial sums are rounded the same way again and again:
    /// then it grows with their number, as the worst case does. All terms may be alike, or many about a few
    /// levels, as in a constant channel with an outlier: most of its squared deviations are the same. Of coarse data any
    /// terms may be: made of multiples of one number, they end in the same few bits, whatever they are scaled by. (Of
    /// 4,096 numbers of bf16 about 1, held in f64, the squares added one after the other are off by 970 roundings, 15
    /// √n, and a quarter of n.)
    pub fn sum(self, terms: &[f64]) -> f64 {
        let n = terms.len() as f64;
        let random = constants::SUM_GROWTH * n.sqrt();
        let magnitudes = terms.iter().map(|term| term.abs()).sum::<f64>();
        let alike = if self.coarse_data {
            constants::ALIKE_GROWTH * n
        } else if constants::ALIKE_GROWTH * n > random && magnitudes.is_finite() {
            constants::ALIKE_GROWTH * self.alike(terms, magnitudes)
        } else {
            0.0
        };
        (constants::SUM_BASE + random.max(alike).max(self.drift(terms, magnitudes))) * self.u
    }

    /// How far the sum drifts: what every term is off by when it is rounded to the last place of the partial sums, added
    /// up, in roundings of the whole sum. A partial sum is a multiple of its last place, so that this, and nothing of
    /// the sum, decides how a term is rounded. Of terms like random numbers little is left of it, and of those that need
    /// no rounding nothing. But those of a regular kind may all be rounded the same way, as the values of some ramps are.
    /// Sums in several parts, and those that have only begun, have finer last places.
    fn drift(self, terms: &[f64], magnitudes: f64) -> f64 {
        let rounding = self.u * magnitudes;
        if !rounding.is_normal() {
            return 0.0;
        }
        let last_place = rounding.log2().floor().exp2() * 2.0;
        let on_grid = |finer: i32| {
            let place = last_place * f64::from(-finer).exp2();
            terms.iter().map(|term| term - (term / place).round_ties_even() * place).sum::<f64>().abs()
        };
        (0..constants::GRIDS).map(on_grid).fold(0.0, f64::max) / rounding
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

    fn drift(terms: &[f64]) -> f64 {
        let single = Arithmetic::new(DType::F32, DType::F32, Accuracy::Sound);
        single.drift(terms, terms.iter().map(|term| term.abs()).sum())
    }

    #[test]
    fn terms_that_need_no_rounding_do_not_drift() {
        assert_eq!(drift(&vec![1.0; 4096]), 0.0);
        assert_eq!(drift(&(0..4096).map(f64::from).collect::<Vec<_>>()), 0.0);
        assert_eq!((drift(&[]), drift(&[f64::INFINITY, 1.0])), (0.0, 0.0));
    }

    #[test]
    fn different_terms_that_end_in_the_same_bits_drift_with_their_number() {
        // Sums near 2²³ end at 1/2 and at 1: quarters are lost again and again.
        let terms: Vec<f64> = (0..4096).map(|k| f64::from(k % 1000 + 1500) + 0.25).collect();
        let sum = terms.iter().fold(0.0_f32, |sum, term| sum + *term as f32);
        let exact = terms.iter().sum::<f64>();
        let off_by = (f64::from(sum) - exact).abs() / (DType::F32.unit_roundoff() * exact);
        assert!(off_by > 10.0 * 64.0 && off_by <= drift(&terms), "{off_by} {}", drift(&terms));
    }
}
