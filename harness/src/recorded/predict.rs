//! What the oracle's number will be, from the arbiter's: the closer, the fewer bits are kept.
//!
//! Everything here is sums, products and quotients of f64 in a written order, which are the same on every machine.

use bn_api::Tensor;

/// libtorch folds a layer to x·a + b, so that most of its error lies on a line over the output, a line a channel: that
/// of the elements before says what the next one will be. This much less an element counts with every one after it.
const FADING: f64 = 1.0 - 1.0 / 64.0;

/// The share of the product of squares below which all numbers count as the same one, and no slope is to be seen.
const SAME: f64 = 1e-9;

/// Lines of least squares through the errors of the elements before, one a channel.
pub struct Lines<'t> {
    exact: &'t Tensor,
    channels: Vec<Sums>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    weight: f64,
    y: f64,
    yy: f64,
    error: f64,
    error_y: f64,
}

impl<'t> Lines<'t> {
    /// About the arbiter's tensor.
    pub fn about(exact: &'t Tensor) -> Self {
        Lines { exact, channels: vec![Sums::default(); exact.channels().count] }
    }

    /// The bit pattern that is expected of element `index`.
    pub fn expected(&self, index: usize) -> u64 {
        let y = self.exact.value(index);
        let sums = self.channels.get(self.exact.channels().channel_of(index));
        let expected = y + sums.map_or(0.0, |sums| sums.error_at(y));
        if expected.is_finite() { expected.to_bits() } else { self.exact.bits(index) }
    }

    /// Takes in what element `index` is: elements come in their order.
    pub fn learn(&mut self, index: usize, got: f64) {
        let y = self.exact.value(index);
        let error = got - y;
        let channel = self.exact.channels().channel_of(index);
        if let Some(sums) = self.channels.get_mut(channel).filter(|_| error.is_finite()) {
            sums.add(y, error);
        }
    }
}

impl Sums {
    fn error_at(&self, y: f64) -> f64 {
        if self.weight == 0.0 {
            return 0.0;
        }
        let spread = self.weight * self.yy - self.y * self.y;
        if spread > SAME * (self.weight * self.yy) {
            let slope = (self.weight * self.error_y - self.y * self.error) / spread;
            (self.error - slope * self.y) / self.weight + slope * y
        } else {
            self.error / self.weight
        }
    }

    fn add(&mut self, y: f64, error: f64) {
        self.weight = self.weight * FADING + 1.0;
        self.y = self.y * FADING + y;
        self.yy = self.yy * FADING + y * y;
        self.error = self.error * FADING + error;
        self.error_y = self.error_y * FADING + error * y;
    }
}

/// How far one f64 is from another: representable numbers between them, upwards even and downwards odd. Any two bit
/// patterns have a distance, those of NaN too.
pub fn distance(from: u64, to: u64) -> u64 {
    let apart = place(to).wrapping_sub(place(from));
    (apart << 1) ^ ((apart as i64 >> 63) as u64)
}

/// The f64 at this distance.
pub fn at_distance(from: u64, distance: u64) -> u64 {
    let apart = (distance >> 1) ^ (distance & 1).wrapping_neg();
    pattern(place(from).wrapping_add(apart))
}

const SIGN: u64 = 1 << 63;

/// The place of a bit pattern among all, in the order of the numbers.
fn place(bits: u64) -> u64 {
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

fn pattern(place: u64) -> u64 {
    if place & SIGN == 0 { !place } else { place & !SIGN }
}

#[cfg(test)]
mod tests {
    use bn_api::DType;

    use super::*;

    #[test]
    fn the_pattern_at_a_distance_is_the_one_that_it_was_measured_to() {
        let numbers =
            [0.0, -0.0, 1.0, -1.0, 5e-324, -5e-324, f64::MAX, f64::MIN, f64::INFINITY, f64::NEG_INFINITY];
        let patterns = numbers.map(f64::to_bits).into_iter().chain([
            0x7ff8_0000_0000_0000,
            0xfff8_0000_0000_0000,
            0x7ff0_0000_0000_0001,
            u64::MAX,
            u64::MAX >> 1,
        ]);
        let patterns: Vec<u64> = patterns.collect();
        for &from in &patterns {
            for &to in &patterns {
                assert_eq!(at_distance(from, distance(from, to)), to, "{from:x} {to:x}");
            }
        }
    }

    #[test]
    fn neighbours_are_one_apart_upwards_and_downwards() {
        for number in [1.0, -1.0, 0.0, 1e300, -5e-324] {
            let next = f64::next_up(number);
            assert!(distance(number.to_bits(), next.to_bits()) <= 4, "{number}");
        }
        assert_eq!(distance(1.0_f64.to_bits(), 1.0_f64.next_up().to_bits()), 2);
        assert_eq!(distance(1.0_f64.to_bits(), 1.0_f64.next_down().to_bits()), 1);
    }

    #[test]
    fn an_error_that_lies_on_a_line_is_expected_after_two_elements() {
        let exact = Tensor::from_values(DType::F64, &[6, 1], [1.0, 3.0, -2.0, 5.0, 0.5, 8.0]);
        let got = |y: f64| y + (0.125 + y / 1024.0);
        let mut lines = Lines::about(&exact);
        for index in 0..6 {
            let expected = f64::from_bits(lines.expected(index));
            let far = (expected - got(exact.value(index))).abs();
            assert!(index < 2 || far < 1e-12, "{index}: {far}");
            lines.learn(index, got(exact.value(index)));
        }
    }

    #[test]
    fn what_is_infinite_or_nan_disturbs_no_expectation() {
        let exact = Tensor::from_values(DType::F64, &[4, 1], [1.0, f64::INFINITY, f64::NAN, 1.0]);
        let mut lines = Lines::about(&exact);
        for index in 0..3 {
            lines.learn(index, exact.value(index));
            assert_eq!(lines.expected(index), exact.bits(index));
        }
        assert_eq!(f64::from_bits(lines.expected(3)), 1.0);
    }
}
