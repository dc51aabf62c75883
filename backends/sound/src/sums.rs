//! Ways of adding up.

use bn_stages::Arithmetic;
use bn_stages::sums::{SEQUENTIAL_LIMIT, sequential};

/// How many terms a pairwise sum adds one after the other before it halves no further.
const PAIRWISE_BASE: usize = 4;

/// How many numbers apart the terms of one round of [`strided`] are.
const STRIDE: usize = 7;

/// The two halves' sums, which are sums of halves themselves (Higham 2002, §4.1).
pub fn pairwise(a: Arithmetic, terms: &[f64]) -> f64 {
    if terms.len() <= PAIRWISE_BASE {
        return sequential(a, terms);
    }
    let (first, second) = terms.split_at(terms.len() / 2);
    a.add(pairwise(a, first), pairwise(a, second))
}

/// Blocks of `SIZE` terms, each added up one after the other, and the blocks' sums pairwise.
pub fn blocks<const SIZE: usize>(a: Arithmetic, terms: &[f64]) -> f64 {
    let sums: Vec<f64> = terms.chunks(SIZE).map(|block| sequential(a, block)).collect();
    pairwise(a, &sums)
}

/// Compensated: what an addition loses is taken from the next term (Kahan 1965; Higham 2002, §4.3).
pub fn kahan(a: Arithmetic, terms: &[f64]) -> f64 {
    let (mut sum, mut lost) = (0.0, 0.0);
    for term in terms {
        let mended = a.sub(*term, lost);
        let next = a.add(sum, mended);
        lost = a.sub(a.sub(next, sum), mended);
        sum = next;
    }
    sum
}

/// From the last term to the first.
pub fn reversed(a: Arithmetic, terms: &[f64]) -> f64 {
    let block = |terms: &[f64]| terms.iter().rev().fold(0.0, |sum, term| a.add(sum, *term));
    terms.rchunks(SEQUENTIAL_LIMIT).map(block).fold(0.0, |sum, block| a.add(sum, block))
}

/// Every seventh term, then those after them, and so on: one sum, in another order.
pub fn strided(a: Arithmetic, terms: &[f64]) -> f64 {
    let block = |terms: &[f64]| {
        let order = (0..STRIDE).flat_map(|first| terms.iter().skip(first).step_by(STRIDE));
        order.fold(0.0, |sum, term| a.add(sum, *term))
    };
    terms.chunks(SEQUENTIAL_LIMIT).map(block).fold(0.0, |sum, block| a.add(sum, block))
}

/// `LANES` sums side by side, as a vector unit holds them, and those two by two.
pub fn lanes<const LANES: usize>(a: Arithmetic, terms: &[f64]) -> f64 {
    let block = |terms: &[f64]| {
        let mut sums = [0.0; LANES];
        for row in terms.chunks(LANES) {
            for (sum, term) in sums.iter_mut().zip(row) {
                *sum = a.add(*sum, *term);
            }
        }
        let mut width = LANES;
        while width > 1 {
            width /= 2;
            for lane in 0..width {
                sums[lane] = a.add(sums[lane], sums[lane + width]);
            }
        }
        sums[0]
    };
    terms.chunks(LANES * SEQUENTIAL_LIMIT).map(block).fold(0.0, |sum, block| a.add(sum, block))
}

/// In double precision, rounded once.
pub fn in_double(a: Arithmetic, terms: &[f64]) -> f64 {
    a.round(sequential(Arithmetic::DOUBLE, terms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_adds_up_every_term_once() {
        type Sum = fn(Arithmetic, &[f64]) -> f64;
        let sums: [Sum; 9] = [
            pairwise,
            blocks::<4>,
            blocks::<32>,
            kahan,
            reversed,
            strided,
            lanes::<8>,
            lanes::<16>,
            in_double,
        ];
        for n in [0, 1, 2, 3, 7, 8, 15, 16, 17, 100, 257] {
            // Powers of two: every subset has a sum of its own.
            let bits: Vec<f64> = (0..n.min(24)).map(|power| 2.0_f64.powi(power)).collect();
            let ones = vec![1.0; n as usize];
            for sum in sums {
                assert_eq!(sum(Arithmetic::SINGLE, &bits), bits.iter().sum::<f64>());
                assert_eq!(sum(Arithmetic::SINGLE, &ones), f64::from(n));
            }
        }
    }

    #[test]
    fn what_one_addition_loses_a_compensated_sum_has_at_the_end() {
        let mut terms = vec![2.0_f64.powi(24)];
        terms.extend([1.0; 64]);
        assert_eq!(sequential(Arithmetic::SINGLE, &terms), 2.0_f64.powi(24));
        assert_eq!(kahan(Arithmetic::SINGLE, &terms), 2.0_f64.powi(24) + 64.0);
    }
}
