//! Ways of adding up.

use bn_api::DType;

use crate::Arithmetic;

/// How many terms are added one after the other before a new sum is begun. A single one in `f32` of more terms of one
/// sign is no sound algorithm: at 2^24 of them it stands still.
pub const SEQUENTIAL_LIMIT: usize = 1 << 16;

/// One term after the other, in blocks of [`SEQUENTIAL_LIMIT`].
pub fn sequential(arithmetic: Arithmetic, terms: &[f64]) -> f64 {
    let block = |terms: &[f64]| match arithmetic.dtype {
        // The same numbers, in less time.
        DType::F32 => f64::from(terms.iter().fold(0.0, |sum, term| sum + *term as f32)),
        _ => terms.iter().fold(0.0, |sum, term| arithmetic.add(sum, *term)),
    };
    terms.chunks(SEQUENTIAL_LIMIT).map(block).fold(0.0, |sum, block| arithmetic.add(sum, block))
}
