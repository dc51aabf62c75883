//! Mistakes that hardly any case shows alone: what is asked first is answered well, within every budget. They show
//! when a request is followed by another one that looks alike, or by itself.
//!
//! What these keep from call to call is the thread's own, so that tests side by side do not disturb each other.

use std::cell::{Cell, RefCell};

use bn_api::Observable;
use bn_stages::{Arithmetic, Context, Rows, plain, sums};

use crate::{Fault, Part};

/// A mistake that suites cannot catch, and the property that sees it.
#[derive(Debug, Clone, Copy)]
pub struct OnlyByProperty {
    /// The mistake.
    pub fault: Fault,
    /// The name of the property, in `bn-fuzz`.
    pub property: &'static str,
}

const SUMMED: &[Observable] = &[
    Observable::Output,
    Observable::RunningMean,
    Observable::RunningVar,
    Observable::GradInput,
    Observable::GradWeight,
    Observable::GradBias,
];

/// All of them.
pub static ONLY_BY_PROPERTY: &[OnlyByProperty] = &[
    OnlyByProperty {
        fault: Fault {
            name: "sums-in-changing-order",
            about: "sums begin at either end, as the call before left it: partial sums of blocks that are added in the \
                    order in which they are done",
            tensors: SUMMED,
            link: Some("https://github.com/tensorflow/tensorflow/issues/3103"),
            parts: &[Part::Sum(in_changing_order)],
        },
        property: "same-twice",
    },
    OnlyByProperty {
        fault: Fault {
            name: "normalised-values-kept-by-checksum",
            about: "x̂ of the latest batch is taken for a batch of the same shape with the same checksum, which \
                    knows of no order",
            tensors: &[Observable::Output, Observable::GradInput, Observable::GradWeight],
            link: None,
            parts: &[Part::AllNormalised(|c, statistics| {
                if !c.use_batch_stats {
                    return plain::all_normalised(c, statistics);
                }
                let bits = checksum(c.x.iter().flatten());
                let key = (c.shape.clone(), c.arithmetic, [bits, c.eps.to_bits()]);
                NORMALISED.with_borrow_mut(|kept| match kept {
                    Some((known, xhat)) if *known == key => xhat.clone(),
                    _ => kept.insert((key, plain::all_normalised(c, statistics))).1.clone(),
                })
            })],
        },
        property: "permuted-batch",
    },
    OnlyByProperty {
        fault: Fault {
            name: "parameters-kept-by-checksum",
            about: "weight and bias of the latest layer are taken for those of a layer of as many channels with the same \
                    checksums, which know of no order",
            tensors: &[Observable::Output],
            link: None,
            parts: &[Part::AllOutput(|c, statistics, xhat| {
                let key = [checksum(&c.gamma), checksum(&c.beta), c.gamma.len() as u64];
                let (gamma, beta) = PARAMETERS.with_borrow_mut(|kept| match kept {
                    Some((known, parameters)) if *known == key => parameters.clone(),
                    _ => kept.insert((key, (c.gamma.clone(), c.beta.clone()))).1.clone(),
                });
                plain::all_output(&Context { gamma, beta, ..c.clone() }, statistics, xhat)
            })],
        },
        property: "permuted-channels",
    },
];

type Key = (Vec<usize>, Arithmetic, [u64; 2]);
type Parameters = (Vec<f64>, Vec<f64>);

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
    static NORMALISED: RefCell<Option<(Key, Rows)>> = const { RefCell::new(None) };
    static PARAMETERS: RefCell<Option<([u64; 3], Parameters)>> = const { RefCell::new(None) };
}

/// A number that is the same for the same numbers in whichever order, and another for others.
fn checksum<'v>(values: impl IntoIterator<Item = &'v f64>) -> u64 {
    let mixed = |value: &f64| {
        let bits = value.to_bits().wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (bits ^ (bits >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93)
    };
    values.into_iter().fold(0, |sum, value| sum.wrapping_add(mixed(value)))
}

fn in_changing_order(arithmetic: Arithmetic, terms: &[f64]) -> f64 {
    let call = CALLS.replace(CALLS.get().wrapping_add(1));
    // Now one way, now the other, with no period that a request could be a multiple of.
    if call.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 0 {
        return sums::sequential(arithmetic, terms);
    }
    let reversed: Vec<f64> = terms.iter().rev().copied().collect();
    sums::sequential(arithmetic, &reversed)
}
