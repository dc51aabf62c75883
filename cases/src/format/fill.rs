use schemars::JsonSchema;
use serde::Deserialize;

use crate::yaml::Literal;

/// How a tensor's elements are made. Every element depends on the case's seed, the tensor's role and the
/// element's place alone, and is rounded once to the tensor's dtype.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fill {
    /// Normally distributed numbers.
    Normal {
        /// The mean of the distribution.
        #[serde(default)]
        mean: f64,
        /// The standard deviation of the distribution.
        #[serde(default = "one")]
        std: f64,
    },
    /// Uniformly distributed numbers from `low` (included) to `high` (excluded).
    Uniform {
        /// The lower end.
        #[serde(default)]
        low: f64,
        /// The upper end.
        #[serde(default = "one")]
        high: f64,
    },
    /// The same number everywhere.
    Constant(f64),
    /// Normally distributed numbers with a mean and a standard deviation for each channel; the lists start
    /// again from their beginning where there are more channels than entries. A standard deviation of 0 makes
    /// a constant channel.
    Channels {
        /// The mean of each channel.
        mean: Vec<f64>,
        /// The standard deviation of each channel.
        std: Vec<f64>,
    },
    /// Numbers that grow evenly from `from` to `to` (both included) along one direction, so that an index
    /// mistake shows as a step.
    Ramp {
        /// The first number.
        from: f64,
        /// The last number.
        to: f64,
        /// The direction.
        #[serde(default)]
        along: Along,
    },
    /// Whole multiples of `step`, in pairs that mirror each other about `mean`, plus one `mean` where a
    /// channel has an odd number of values. Sums are exact in any order and the mean of each channel is
    /// `mean`, as long as `mean` is a multiple of `step` and n·(|mean|/step + 4) stays below the dtype's
    /// exact integers.
    Exact {
        /// The mean of each channel.
        #[serde(default)]
        mean: f64,
        /// The unit; a power of two.
        #[serde(default = "one")]
        step: f64,
        /// Whether partners lie side by side, and so do those of every second, fourth and eighth value, instead of
        /// anywhere. A mean that is kept up to date then comes back to `mean` after every pair.
        #[serde(default)]
        adjacent: bool,
    },
    /// For gradients: `mean + strength·x̂ + noise·N(0, 1)`, where x̂ is the latest input, each channel brought
    /// to mean 0 and standard deviation 1. Such a gradient makes every term of the backward formula count.
    Correlated {
        /// Added to every element.
        #[serde(default)]
        mean: f64,
        /// The share of the normalised input.
        #[serde(default = "one")]
        strength: f64,
        /// The share of independent noise.
        #[serde(default = "one")]
        noise: f64,
    },
    /// Another fill with some elements replaced: NaN, infinities, signed zeros, outliers.
    Special {
        /// What the other elements are.
        base: Box<Fill>,
        /// The elements to replace.
        at: Vec<Place>,
    },
    /// The elements themselves, in order, the last dimension fastest. Each is rounded once to the tensor's
    /// dtype; a number that would become infinite or zero is refused.
    Values(Vec<Literal>),
    /// The elements' bit patterns, in order: no rounding at all.
    Bits(Vec<Literal>),
}

/// One element that a `special` fill replaces.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The element's position along each dimension.
    pub index: Vec<usize>,
    /// What it becomes.
    pub value: Literal,
}

/// The direction of a `ramp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Along {
    /// Over all elements in order.
    #[default]
    Elements,
    /// From sample to sample: dimension 0.
    Batch,
    /// From channel to channel: dimension 1.
    Channel,
    /// Within each sample and channel: dimensions 2 and up.
    Spatial,
}

fn one() -> f64 {
    1.0
}
