//! The constants of the budgets: one reviewed table, a reason each. `docs/error-budgets.md` derives the forms that they
//! stand in; `bncheck budgets` prints how much of each the sound implementations need.

use bn_api::DType;

/// Defines [`Constants`], their derived values, and the table of their names and reasons, which are their comments.
macro_rules! constants {
    ($($(#[doc = $reason:literal])+ $name:ident = $value:literal;)+) => {
        /// The constants of the budgets.
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct Constants {
            $($(#[doc = $reason])+ pub $name: f64,)+
        }

        impl Constants {
            /// Those that answers are judged by.
            pub const DERIVED: Constants = Constants { $($name: $value,)+ };

            /// Every constant's name, with its reason.
            pub const TABLE: &[(&str, &str)] = &[$((stringify!($name), concat!($($reason),+)),)+];

            /// A constant by its name.
            pub fn get(self, name: &str) -> Option<f64> {
                match name {
                    $(stringify!($name) => Some(self.$name),)+
                    _ => None,
                }
            }

            /// The same, but for one constant, which is multiplied by `factor`. Nothing where there is none of this name.
            #[must_use]
            pub fn scaled(self, name: &str, factor: f64) -> Option<Self> {
                let mut scaled = self;
                match name {
                    $(stringify!($name) => scaled.$name *= factor,)+
                    _ => return None,
                }
                Some(scaled)
            }
        }
    };
}

constants! {
    /// Growth of a sum's error with 1 + √n, n up to the limit of sequential sums, in units roundoff of the sum of magnitudes
    /// (Higham and Mary 2019 derive √n with a constant of probability). The 1 is for what is done with the sum, as a
    /// multiplication with a rounded 1/n. Measured: 0.6 of it.
    sum_growth = 1.5;

    /// Share of the roundings that are known to go one way: the sum of what each term loses on the grid of the partial
    /// sums is lost by a sequential sum, no more and no less.
    /// Measured: 0.9 of it.
    sum_drift = 1.0;

    /// Roundings of `gamma·xhat + beta` beside that of the sum, which storing is: a product, and the bias once more where
    /// the form is folded into `x·a + b`; in f64, where storing stands for the exact answer's rounding, the sum. Measured:
    /// 0.3 of it.
    affine = 1.5;

    /// Roundings of `(x - mean)·invstd` with the batch's statistics: a difference and a product, and those of the inverse
    /// square root: a sum and eps, which count half each, root and quotient. Measured: 0.3 of it.
    standardise = 4.0;

    /// Roundings of `(x - mean)·invstd` where nothing is summed: the folded form rounds `x·a`, `mean·a` and their
    /// difference, each of the size of its operands; about a mean of 0 it is the roundings of the inverse square root.
    /// Measured: 0.4 of it.
    normalise = 3.0;

    /// Of statistics that are rounded to storage: roundings of the inverse standard deviation, in unit roundoffs of that
    /// type. The sum of squares and the variance are rounded before it, and half of each enters through the root. Measured:
    /// 0.55 of it.
    rounded_inverse_std = 2.0;

    /// Roundings of `(1-m)·old + m·new` and of `p - lr·g`: two products, a sum, the rounding of m, of 1-m and of
    /// n/(n-1). Measured: 0.5 of it.
    update = 2.5;

    /// Roundings of the three terms of the input's gradient and of their products: gamma times the inverse square root,
    /// the roundings of that, and the last product. Measured: 0.4 of it.
    gradient = 5.0;

    /// Rounding to storage, in unit roundoffs: one rounding to nearest, and a little for the second one that a
    /// result in a wider type has had. In f64 storing rounds nothing that the last operation has not rounded: there this
    /// is for the exact answer, which double-double rounds to f64 as well. Measured: all of it.
    storage = 1.01;
}

impl Constants {
    /// Half a unit in the last place of `value` in `dtype`.
    pub(crate) fn storage(self, dtype: DType, value: f64) -> f64 {
        self.storage * dtype.unit_roundoff() * value.abs() + dtype.smallest_subnormal()
    }

    /// How far a number is that is stored in `dtype`, of one that may be off by `error` before.
    pub(crate) fn stored(self, dtype: DType, value: f64, error: f64) -> f64 {
        if error == 0.0 && dtype.round(value) == value { 0.0 } else { error + self.storage(dtype, value) }
    }
}

/// How many terms a sequential sum may have and be sound. One in f32 of more terms of one sign drifts by a share of
/// the result, and stands still from 2^24 of them on; a sound implementation of long sums begins a new one after at most
/// as many, and adds those up.
pub const SEQUENTIAL: usize = 1 << 16;

/// How far apart the terms may be that a sum in one accumulator adds one after the other, before it comes to those after
/// them: what a loop over lanes, or over another dimension first, takes. Asked of slopes only.
pub const STRIDES: [usize; 9] = [2, 3, 4, 5, 6, 7, 8, 16, 32];

/// Headroom below the largest number of the arithmetic: a sum of squares that comes closer may overflow on
/// the way in a sound implementation, and is not judged.
pub const OVERFLOW_HEADROOM: f64 = 16.0;
