//! The constants of the budgets: one reviewed place, a reason each.

/// Error of a sum of few terms, in units roundoff of the sum of magnitudes. Measured: every stable algorithm
/// stays below 4 for tree sums whatever the conditioning, below 8.3 at n = 64…1024 sequentially; 8 leaves
/// room for the fused and reordered forms.
pub const SUM_BASE: f64 = 8.0;

/// Growth of a sum's error with √n. Sequential sums measure √n/2 (Higham and Mary 2019 derive √n with a
/// constant of probability); 1 is twice that.
pub const SUM_GROWTH: f64 = 1.0;

/// Terms count as alike when their spread is below this many roundings of their whole sum: the partial sums
/// then fall on the same side of the grid over and over.
pub const ALIKE: f64 = 1.0;

/// Terms lie on one level when they are this near to each other, in roundings of the whole sum: a quarter
/// leaves no room for them to fall on different sides of the grid.
pub const LEVEL: f64 = 0.25;

/// The share of the terms that makes a level count. Smaller groups about several levels are rounded in
/// different directions, and of terms that are spread smoothly no such share lies on one level below n ≈ 10⁶.
pub const LEVEL_SHARE: f64 = 0.125;

/// On how many grids, each half as wide as the one before, the drift of a sum is looked for: a sequential sum is on the
/// first ones most of its way, one in 8 or 16 parts, as of vector registers, on the fourth or fifth.
pub const GRIDS: i32 = 8;

/// Growth of the error of a sequential sum of terms that are alike, with n: each of n additions rounds a
/// partial sum of n/2 terms on average by at most u (Higham 2002, §4.2).
pub const ALIKE_GROWTH: f64 = 0.5;

/// Roundings of `gamma·xhat + beta`: a product, a sum, and one more where the form is folded into `x·a + b`.
pub const AFFINE: f64 = 4.0;

/// Roundings of `(x - mean)·invstd` where nothing is summed: the folded form rounds `x·a`, `mean·a`, `a` and
/// their difference, each of the size of its operands.
pub const NORMALISE: f64 = 6.0;

/// Roundings of an inverse square root: sum, root, quotient, and the rounding of eps.
pub const INVERSE_STD: f64 = 4.0;

/// Of statistics that are rounded to storage: roundings of the inverse standard deviation, in unit roundoffs of that
/// type. The sum of squares and the variance are rounded before it, and half of each enters through the root.
pub const ROUNDED_INVERSE_STD: f64 = 2.0;

/// Roundings of `(1-m)·old + m·new` and of `p - lr·g`: two products, a sum, the rounding of m, of 1-m and of
/// n/(n-1).
pub const UPDATE: f64 = 6.0;

/// Roundings of the three terms of the input's gradient and of their products.
pub const GRADIENT: f64 = 8.0;

/// Rounding to storage, in unit roundoffs: one rounding to nearest, and a little for the second one that a
/// result in a wider type has had. In f64 storing rounds nothing that the last operation has not rounded: there this
/// is for the exact answer, which double-double rounds to f64 as well.
pub const STORAGE: f64 = 1.01;

/// Headroom below the largest number of the arithmetic: a sum of squares that comes closer may overflow on
/// the way in a sound implementation, and is not judged.
pub const OVERFLOW_HEADROOM: f64 = 16.0;
