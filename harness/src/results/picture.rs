//! What a report draws of a tensor that differs: figures in bins, and the worst elements one by one.

use bn_api::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Number;

/// A tensor that differs, in bins: its size does not grow with the tensor's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Picture {
    /// The type of its elements.
    #[schemars(with = "String")]
    pub dtype: DType,
    /// The size of each dimension.
    pub shape: Vec<usize>,
    /// The error over batch and channels.
    pub heat: Heat,
    /// How many elements are so many representable numbers away from the expected one, by powers of two.
    pub ulps: Vec<UlpBin>,
    /// The error by the size of what is expected, by powers of two.
    pub magnitudes: Vec<MagnitudeBin>,
    /// Which kinds of number stand where which should: NaN, infinities, zeros and signs.
    pub classes: Vec<ClassCount>,
    /// The elements that are furthest outside their budget, the worst first.
    pub worst: Vec<Element>,
}

/// The error over batch and channels: a grid whose cells stand for one or more samples and channels. The lists have one
/// entry for each cell, row by row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Heat {
    /// Rows: samples of the batch, several a row where there are many; 1 where the tensor has no batch.
    pub rows: usize,
    /// Columns: channels, several a column where there are many.
    pub columns: usize,
    /// Samples in a row; the last row may have fewer.
    pub samples: usize,
    /// Channels in a column; the last column may have fewer.
    pub channels: usize,
    /// The error of the cell's worst element over its budget, to three digits; nothing where that is no number: where the
    /// kind of number is wrong (then `outside` is not 0), or where nothing is judged.
    pub used: Vec<Option<f64>>,
    /// How many elements of the cell are outside their budget.
    pub outside: Vec<u32>,
    /// The place of the cell's worst element in the flat order.
    pub places: Vec<usize>,
    /// The bit pattern that should be there, in hexadecimal.
    pub expected: Vec<String>,
    /// The bit pattern that is there.
    pub got: Vec<String>,
}

/// How many elements are so far from the expected ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UlpBin {
    /// Representable numbers between the two, at least: 0, 1, 2, 4, 8, …; nothing for elements without a distance, as
    /// where a NaN stands on one side only. The bin ends below the double of it.
    pub from: Option<u64>,
    /// How many.
    pub count: u64,
    /// How many of them are outside their budget.
    pub outside: u64,
}

/// The error of elements of about one size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MagnitudeBin {
    /// The expected numbers are at least two to this power in size, and below the double; nothing for zeros.
    pub exponent: Option<i32>,
    /// How many are numbers on both sides.
    pub count: u64,
    /// The largest error among them.
    pub error: f64,
    /// The budget of that element.
    pub budget: f64,
    /// The smallest budget of any.
    pub smallest_budget: f64,
    /// The largest.
    pub largest_budget: f64,
}

/// A kind of number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NumberClass {
    /// Not a number.
    Nan,
    /// Infinite.
    PlusInfinity,
    /// Infinite, below zero.
    MinusInfinity,
    /// Zero.
    PlusZero,
    /// Zero with a sign.
    MinusZero,
    /// Any other number above zero.
    Positive,
    /// Any other number below zero.
    Negative,
}

impl NumberClass {
    /// The kind of a number.
    pub fn of(value: f64) -> Self {
        match (value.is_nan(), value.is_infinite(), value == 0.0, value.is_sign_negative()) {
            (true, ..) => NumberClass::Nan,
            (_, true, _, false) => NumberClass::PlusInfinity,
            (_, true, _, true) => NumberClass::MinusInfinity,
            (_, _, true, false) => NumberClass::PlusZero,
            (_, _, true, true) => NumberClass::MinusZero,
            (.., false) => NumberClass::Positive,
            (.., true) => NumberClass::Negative,
        }
    }
}

/// How often one kind of number stands where another, or the same, should.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClassCount {
    /// What should be there.
    pub expected: NumberClass,
    /// What is there.
    pub got: NumberClass,
    /// How often.
    pub count: u64,
    /// In how many of these the element is outside its budget.
    pub outside: u64,
    /// The place of the first one that is, or else of the first, along each dimension.
    pub first: Vec<usize>,
}

/// An element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Element {
    /// Its position along each dimension.
    pub index: Vec<usize>,
    /// What it should be, rounded to the tensor's dtype.
    pub expected: Number,
    /// What it is.
    pub got: Number,
    /// How many representable numbers apart the two are; nothing when one is a NaN.
    pub ulps: Option<u64>,
    /// How far apart they may be; nothing where that is not a number.
    pub budget: Option<f64>,
    /// Its error over its budget; nothing where the kind of number is wrong.
    pub used: Option<f64>,
}
