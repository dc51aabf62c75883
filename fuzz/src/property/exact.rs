//! Sums beyond f64, of what is given: no answer of anybody.

use bn_api::Tensor;
use bn_reference::DoubleDouble;

/// Mean and biased variance of a channel, each rounded once to f64, and what is between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Moments {
    mean: DoubleDouble,
    /// How far that may be off: n sums, each off by at most 2^-102 of all magnitudes before it.
    pub off: f64,
    /// The biased variance.
    pub var: f64,
    /// How many values.
    pub n: f64,
}

impl Moments {
    /// The mean.
    pub fn mean(&self) -> f64 {
        self.mean.high()
    }

    /// How far a value is from the mean.
    pub fn deviation(&self, value: f64) -> f64 {
        (DoubleDouble::from(value) - self.mean).high()
    }

    /// The variance that running statistics average: n/(n-1) of the biased one.
    pub fn unbiased(&self) -> f64 {
        self.var * self.n / (self.n - 1.0)
    }
}

/// The sum of numbers.
pub(super) fn sum(terms: impl Iterator<Item = f64>) -> f64 {
    terms.fold(DoubleDouble::from(0.0), |sum, term| sum + DoubleDouble::from(term)).high()
}

/// Those of each channel of a batch; nothing where not all of a channel is finite, or squares are not.
pub(super) fn moments(tensor: &Tensor) -> Vec<Option<Moments>> {
    let (channels, values) = (tensor.channels(), tensor.values());
    let n = channels.values as f64;
    let of = |channel| {
        let terms = || channels.indices(channel).map(|index| DoubleDouble::from(values[index]));
        let add = |sum, term| sum + term;
        let mean = terms().fold(DoubleDouble::from(0.0), add) / DoubleDouble::from(n);
        let squares = terms().map(|term| (term - mean) * (term - mean)).fold(DoubleDouble::from(0.0), add);
        let var = (squares / DoubleDouble::from(n)).high();
        let largest = channels.indices(channel).map(|index| values[index].abs()).fold(0.0, f64::max);
        let off = n * 2_f64.powi(-102) * largest;
        (mean.high().is_finite() && var.is_finite()).then_some(Moments { mean, off, var, n })
    };
    (0..channels.count).map(of).collect()
}

#[cfg(test)]
mod tests {
    use bn_api::DType;

    use super::*;

    #[test]
    fn moments_about_a_large_mean_lose_nothing() {
        let values = [1e9, 1e9 + 1.0, 1e9 + 2.0, 1e9 + 3.0, f64::NAN, 0.0, 0.0, 0.0];
        let tensor = Tensor::from_values(DType::F64, &[1, 2, 4], values);
        let [Some(first), None] = moments(&tensor)[..] else { panic!("one channel is finite") };
        assert_eq!((first.mean(), first.var, first.unbiased()), (1e9 + 1.5, 1.25, 1.25 * 4.0 / 3.0));
        assert_eq!(first.deviation(1e9), -1.5);
    }
}
