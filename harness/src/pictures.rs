//! Draws tensors that differ: bins and the worst elements, so that a report can show where and how an answer is wrong
//! without the answer itself.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use bn_api::{DType, Tensor};

use crate::budget::TensorBudget;
use crate::judge::{Used, used};
use crate::results::{ClassCount, Element, Heat, MagnitudeBin, Number, NumberClass, Picture, UlpBin};

/// The most rows of a heatmap.
const ROWS: usize = 16;

/// The most columns.
const COLUMNS: usize = 32;

/// How many of the worst elements are kept.
const WORST: usize = 64;

/// Draws a tensor that was compared element by element: `exact` and `got` are of one shape, and `budget` has a number
/// for each element.
pub fn picture(exact: &Tensor, got: &Tensor, budget: &TensorBudget) -> Picture {
    let dtype = budget.dtype;
    let elements: Vec<Compared> = (0..exact.len())
        .map(|place| Compared::new(place, dtype, exact, got, budget.elements[place]))
        .collect();
    Picture {
        dtype,
        shape: got.shape().to_vec(),
        heat: heat(&elements, dtype, got.shape()),
        ulps: ulps(&elements, dtype),
        magnitudes: magnitudes(&elements),
        classes: classes(&elements, got),
        worst: worst(&elements, dtype, got),
    }
}

/// An element, compared.
struct Compared {
    place: usize,
    exact: f64,
    got: f64,
    expected_bits: u64,
    got_bits: u64,
    budget: f64,
    used: Used,
}

impl Compared {
    fn new(place: usize, dtype: DType, exact: &Tensor, got: &Tensor, budget: f64) -> Self {
        let (value, answer) = (exact.value(place), got.value(place));
        Compared {
            place,
            exact: value,
            got: answer,
            expected_bits: dtype.bits_of(value),
            got_bits: got.bits(place),
            budget,
            used: used(dtype, value, answer, budget),
        }
    }

    fn is_outside(&self) -> bool {
        self.used.is_outside()
    }

    /// The error over the budget, where both are numbers.
    fn share(&self) -> Option<f64> {
        match self.used {
            Used::Of(share) if share.is_finite() => Some(share),
            _ => None,
        }
    }

    /// The error, where both are numbers; one beyond the largest f64 counts as that.
    fn error(&self) -> Option<f64> {
        let error = (self.got - self.exact).abs();
        (self.exact.is_finite() && self.got.is_finite()).then(|| error.min(f64::MAX))
    }

    /// How bad it is, for the order: what is of the wrong kind before any number, what is not judged last.
    fn badness(&self) -> f64 {
        match self.used {
            Used::OtherClass => f64::INFINITY,
            Used::Of(share) => share,
            Used::SameClass => 0.0,
            Used::NotJudged => -1.0,
        }
    }

    fn worse_first(&self, other: &Self) -> Ordering {
        other.badness().total_cmp(&self.badness()).then(self.place.cmp(&other.place))
    }
}

/// Batch and channels of a shape: of (N, C, …) both, of (C) the channels alone.
fn batch_and_channels(shape: &[usize]) -> (usize, usize, usize) {
    match *shape {
        [] => (1, 1, 1),
        [channels] => (1, channels, 1),
        [batch, channels, ref rest @ ..] => (batch, channels, rest.iter().product()),
    }
}

fn heat(elements: &[Compared], dtype: DType, shape: &[usize]) -> Heat {
    let (batch, channels, rest) = batch_and_channels(shape);
    let (samples_a_row, channels_a_column) = (batch.div_ceil(ROWS).max(1), channels.div_ceil(COLUMNS).max(1));
    let (rows, columns) = (batch.div_ceil(samples_a_row), channels.div_ceil(channels_a_column));
    let mut cells: Vec<(u32, Option<&Compared>)> = vec![(0, None); rows * columns];
    for element in elements {
        let of_sample = element.place / rest.max(1);
        let (row, column) = (of_sample / channels / samples_a_row, of_sample % channels / channels_a_column);
        let (outside, worst) = &mut cells[row * columns + column];
        *outside += u32::from(element.is_outside());
        if worst.is_none_or(|worst| element.worse_first(worst) == Ordering::Less) {
            *worst = Some(element);
        }
    }
    let bits = |bits: Option<u64>| bits.map_or_else(String::new, |bits| hexadecimal(dtype, bits));
    Heat {
        rows,
        columns,
        samples: samples_a_row,
        channels: channels_a_column,
        used: cells.iter().map(|(_, worst)| worst.and_then(Compared::share).map(three_digits)).collect(),
        outside: cells.iter().map(|(outside, _)| *outside).collect(),
        places: cells.iter().map(|(_, worst)| worst.map_or(0, |worst| worst.place)).collect(),
        expected: cells.iter().map(|(_, worst)| bits(worst.map(|worst| worst.expected_bits))).collect(),
        got: cells.iter().map(|(_, worst)| bits(worst.map(|worst| worst.got_bits))).collect(),
    }
}

/// A bit pattern, as wide as its type.
fn hexadecimal(dtype: DType, bits: u64) -> String {
    format!("{bits:0width$x}", width = 2 * dtype.size())
}

/// A share of the budget as far as a picture needs it; what is short stays short in JSON.
fn three_digits(share: f64) -> f64 {
    format!("{share:.2e}").parse().unwrap_or(share)
}

fn ulps(elements: &[Compared], dtype: DType) -> Vec<UlpBin> {
    let mut bins: BTreeMap<Option<u64>, (u64, u64)> = BTreeMap::new();
    for element in elements {
        let apart = dtype.ulps_between(element.expected_bits, element.got_bits);
        let apart = apart.filter(|_| element.exact.is_finite() == element.got.is_finite());
        let from = apart.map(|apart| apart.checked_ilog2().map_or(0, |power| 1 << power));
        let (count, outside) = bins.entry(from).or_default();
        *count += 1;
        *outside += u64::from(element.is_outside());
    }
    bins.into_iter().map(|(from, (count, outside))| UlpBin { from, count, outside }).collect()
}

fn magnitudes(elements: &[Compared]) -> Vec<MagnitudeBin> {
    let mut bins: BTreeMap<Option<i32>, MagnitudeBin> = BTreeMap::new();
    for element in elements {
        let Some(error) = element.error().filter(|_| element.budget.is_finite()) else { continue };
        let exponent = (element.exact != 0.0).then(|| exponent_of(element.exact));
        let budget = element.budget;
        let bin = bins.entry(exponent).or_insert(MagnitudeBin {
            exponent,
            count: 0,
            error: -1.0,
            budget,
            smallest_budget: budget,
            largest_budget: budget,
        });
        bin.count += 1;
        if error > bin.error {
            (bin.error, bin.budget) = (error, budget);
        }
        bin.smallest_budget = bin.smallest_budget.min(budget);
        bin.largest_budget = bin.largest_budget.max(budget);
    }
    bins.into_values().collect()
}

/// The power of two at or below a number's size, which is not zero.
fn exponent_of(value: f64) -> i32 {
    let biased = (value.to_bits() >> 52 & 0x7ff) as i32;
    if biased > 0 { biased - 1023 } else { exponent_of(value * 2f64.powi(64)) - 64 }
}

fn classes(elements: &[Compared], got: &Tensor) -> Vec<ClassCount> {
    let mut counts: BTreeMap<(NumberClass, NumberClass), (u64, u64, &Compared)> = BTreeMap::new();
    for element in elements {
        let pair = (NumberClass::of(element.exact), NumberClass::of(element.got));
        let (count, outside, first) = counts.entry(pair).or_insert((0, 0, element));
        *count += 1;
        if element.is_outside() {
            *outside += 1;
            if !first.is_outside() {
                *first = element;
            }
        }
    }
    let count = |((expected, answer), (count, outside, first)): (_, (u64, u64, &Compared))| ClassCount {
        expected,
        got: answer,
        count,
        outside,
        first: got.position(first.place),
    };
    counts.into_iter().map(count).collect()
}

fn worst(elements: &[Compared], dtype: DType, got: &Tensor) -> Vec<Element> {
    let mut outside: Vec<&Compared> = elements.iter().filter(|element| element.is_outside()).collect();
    if outside.len() > WORST {
        outside.select_nth_unstable_by(WORST, |one, other| one.worse_first(other));
        outside.truncate(WORST);
    }
    outside.sort_by(|one, other| one.worse_first(other));
    let element = |element: &Compared| Element {
        index: got.position(element.place),
        expected: Number::of_bits(dtype, element.expected_bits),
        got: Number::of_bits(dtype, element.got_bits),
        ulps: dtype.ulps_between(element.expected_bits, element.got_bits),
        budget: Some(element.budget).filter(|budget| budget.is_finite()),
        used: element.share(),
    };
    outside.into_iter().map(element).collect()
}

#[cfg(test)]
mod tests {
    use bn_api::Observable;

    use super::*;

    /// What is drawn of f32 answers that all may be off by `budget`.
    fn drawn(shape: &[usize], exact: &[f64], got: &[f64], budget: f64) -> Picture {
        let exact = Tensor::from_values(DType::F64, shape, exact.iter().copied());
        let got = Tensor::from_values(DType::F32, shape, got.iter().copied());
        let budget = TensorBudget::new(Observable::Output.into(), DType::F32, vec![budget; got.len()]);
        picture(&exact, &got, &budget)
    }

    #[test]
    fn a_cell_is_one_sample_and_channel_and_shows_its_worst_element() {
        // (N, C, L) = (2, 3, 2): only sample 1, channel 2 is wrong, in both its elements.
        let exact = vec![1.0; 12];
        let mut got = exact.clone();
        (got[10], got[11]) = (1.5, 3.0);
        let Picture { heat, worst, .. } = drawn(&[2, 3, 2], &exact, &got, 0.25);
        assert_eq!((heat.rows, heat.columns, heat.samples, heat.channels), (2, 3, 1, 1));
        assert_eq!(heat.outside, [0, 0, 0, 0, 0, 2]);
        assert_eq!(heat.used[4..], [Some(0.0), Some(8.0)]);
        assert_eq!((heat.places[5], heat.got[5].as_str()), (11, "40400000"));
        let found: Vec<_> = worst.iter().map(|element| (&element.index[..], element.used)).collect();
        assert_eq!(found, [(&[1, 2, 1][..], Some(8.0)), (&[1, 2, 0][..], Some(2.0))]);
    }

    #[test]
    fn a_large_tensor_has_cells_of_several_samples_and_channels() {
        let exact = vec![0.0; 40 * 70];
        let mut got = exact.clone();
        got[39 * 70 + 69] = 1.0;
        let heat = drawn(&[40, 70], &exact, &got, 0.5).heat;
        assert_eq!((heat.samples, heat.channels), (3, 3));
        assert_eq!((heat.rows, heat.columns), (14, 24));
        assert_eq!(heat.outside.iter().sum::<u32>(), 1);
        assert_eq!(heat.outside[13 * 24 + 23], 1);
    }

    #[test]
    fn of_a_vector_the_columns_are_channels_and_a_scalar_is_one_cell() {
        let heat = drawn(&[3], &[1.0; 3], &[1.0, 2.0, 1.0], 0.5).heat;
        assert_eq!((heat.rows, heat.columns, heat.outside), (1, 3, vec![0, 1, 0]));
        let heat = drawn(&[], &[1.0], &[2.0], 0.5).heat;
        assert_eq!((heat.rows, heat.columns, heat.outside), (1, 1, vec![1]));
    }

    #[test]
    fn an_empty_tensor_has_no_cell() {
        let picture = drawn(&[0, 3, 2], &[], &[], 0.5);
        assert_eq!((picture.heat.rows, picture.heat.used.len(), picture.worst.len()), (0, 0, 0));
    }

    #[test]
    fn distances_are_binned_by_powers_of_two() {
        let ulp = f64::from(f32::EPSILON);
        let got = [1.0, 1.0 + ulp, 1.0 + 2.0 * ulp, 1.0 + 3.0 * ulp, 1.0 + 4.0 * ulp, f64::NAN];
        let bins = drawn(&[6], &[1.0; 6], &got, 2.5 * ulp).ulps;
        let found: Vec<_> = bins.iter().map(|bin| (bin.from, bin.count, bin.outside)).collect();
        let expected = [(None, 1, 1), (Some(0), 1, 0), (Some(1), 1, 0), (Some(2), 2, 1), (Some(4), 1, 1)];
        assert_eq!(found, expected);
    }

    #[test]
    fn errors_are_binned_by_the_size_of_what_is_expected() {
        let bins =
            drawn(&[5], &[0.0, 1.0, 1.5, -3.0, f64::INFINITY], &[0.5, 1.0, 1.25, -3.0, 1.0], 0.1).magnitudes;
        let found: Vec<_> = bins.iter().map(|bin| (bin.exponent, bin.count, bin.error)).collect();
        assert_eq!(found, [(None, 1, 0.5), (Some(0), 2, 0.25), (Some(1), 1, 0.0)]);
        assert_eq!((exponent_of(f64::from_bits(1)), exponent_of(-0.75)), (-1074, -1));
    }

    #[test]
    fn kinds_of_numbers_are_counted_in_pairs() {
        use NumberClass::{MinusInfinity, MinusZero, Nan, PlusInfinity, PlusZero, Positive};
        let (nan, inf) = (f64::NAN, f64::INFINITY);
        let picture = drawn(&[5], &[1.0, 1.0, -inf, 0.0, nan], &[nan, 1.0, inf, -0.0, nan], 0.1);
        let pairs: Vec<_> =
            picture.classes.iter().map(|pair| (pair.expected, pair.got, pair.count, pair.outside)).collect();
        let expected = [
            (Nan, Nan, 1, 0),
            (MinusInfinity, PlusInfinity, 1, 1),
            (PlusZero, MinusZero, 1, 0),
            (Positive, Nan, 1, 1),
            (Positive, Positive, 1, 0),
        ];
        assert_eq!(pairs, expected);
        assert_eq!(picture.worst.len(), 2, "what is of the wrong kind is among the worst");
    }

    #[test]
    fn no_more_than_the_worst_are_kept() {
        let got: Vec<f64> = (0..1000).map(f64::from).collect();
        let worst = drawn(&[1000], &[0.0; 1000], &got, 0.5).worst;
        assert_eq!((worst.len(), worst[0].index[0], worst[63].index[0]), (64, 999, 936));
    }
}
